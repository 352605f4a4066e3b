"""Tests for :mod:`aluvia.agent.tap`, :mod:`aluvia.agent.check` and the options."""

from __future__ import annotations

import io
import os
import socket
import sys
import tomllib
import typing
from pathlib import Path

import trustme
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.check import HIDDEN
from aluvia.agent.options import OPTIONS, SECRET_VARIABLES
from aluvia.agent.settings import Settings
from aluvia.agent.tap import Options

KEY = "canary-agent-key-9c11"
TOKEN = "canary-visitor-token-52aa"


class TapTests(SynchronousTestCase):
    """A command line, in memory."""

    def setUp(self) -> None:
        """An environment of our own, and streams to look at."""
        self.environ: dict[str, str] = {"AGENT_KEY": KEY}
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.patch(os, "environ", self.environ)
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)

    def parse(self, *words: str) -> Settings:
        """The settings for these words."""
        options = Options()
        options.parseOptions(words)
        return options.settings

    def exits(self, status: int, *words: str) -> str:
        """What is said when these words end the process; never a secret."""
        error = self.assertRaises(SystemExit, self.parse, *words)
        said = self.stdout.getvalue() + self.stderr.getvalue()
        self.assertEqual(status, error.code, said)
        self.assertNotIn("canary", said)
        for stream in (self.stdout, self.stderr):
            stream.seek(0)
            stream.truncate()
        return said

    def file(self, text: str) -> str:
        """A file with this in it."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return str(path)

    def closed_port(self) -> int:
        """A port that is taken and does not listen."""
        skt = socket.socket()
        self.addCleanup(skt.close)
        skt.bind(("127.0.0.1", 0))
        return int(skt.getsockname()[1])

    def test_plugin(self) -> None:
        """``twistd`` knows the command, once."""
        makers: list[typing.Any] = list(getPlugins(IServiceMaker))
        found = [each for each in makers if each.tapname == "aluvia-agent"]
        self.assertEqual([each.module for each in found], ["aluvia.agent.tap"])

    def test_words(self) -> None:
        """What may be repeated is; what is secret leaves the environment."""
        self.environ |= dict.fromkeys(SECRET_VARIABLES, "")
        self.environ |= {"AGENT_KEY": KEY, "ALUVIA_PUBLISH": f"x@{TOKEN}=http://x", "PATH": "y"}
        settings = self.parse(
            *("--hub", "wss://hub.example", "--insecure", "--publish", "a=http://a:1"),
            *("--publish", "b=https://b", "--publish-tcp", "c=c:1", "--publish-tcp", "d=d:1"),
        )
        self.assertEqual([each.id for each in settings.tunnels], ["a", "b", "c", "d"])
        self.assertEqual((settings.key, settings.insecure), (KEY, True))
        self.assertEqual(self.environ, {"PATH": "y"})

    def test_usage_errors(self) -> None:
        """64, and a line that names the place."""
        least = ("--hub", "wss://hub.example", "--publish", "a=http://a:1")
        for words, said in (
            ([], "no hub: give --hub"),
            ([*least, "--key", KEY], "--key: others can read a command line"),
            ([*least, f"--key={KEY}"], "--key: others can read a command line"),
            ([*least, "--exit"], "--exit: is not available yet"),
            ([*least, "--carrier", "tcp"], "--carrier: must be auto or wss or longpoll"),
            ([*least, "--hub", "ws://hub.example"], "--insecure"),
            ([*least, "--max-streams", "0"], "--max-streams: must be a whole number"),
            ([*least, "--publish", f"b@{TOKEN}=x"], "--publish: tunnel 2: must be like"),
            ([*least, "word"], "'word' is no option"),
            (["--hub", "wss://hub.example"], "nothing to publish"),
        ):
            text = self.exits(64, *words)
            self.assertIn(said, text)
            self.assertEqual(text.count("\n"), 1)

    def test_check(self) -> None:
        """It prints a file that means the same, but for secrets; with advice and notes, and OK."""
        port = self.closed_port()
        authority = self.file(trustme.CA().cert_pem.bytes().decode())
        self.environ |= {"ORCH_WS": "wss://other.example", "ALUVIA_AGENT_GRUP": "x"}
        said = self.exits(
            0,
            *("--check", "--hub", "ws://hub.example", "--insecure", "--id", "box"),
            *("--publish", f"a@{TOKEN}=http://127.0.0.1:{port}", "--group", "canary-group"),
            *("--publish-tcp", f"db=127.0.0.1:{port}", "--cafile", authority),
        )
        self.assertTrue(said.endswith("\nOK\n"))
        for line in (
            "# the key: AGENT_KEY",
            "is reached without TLS (--insecure)",
            "A visitors' token is on the command line",
            "The group is on the command line",
            "ALUVIA_AGENT_GRUP is no option",
            f"# a: 127.0.0.1:{port}: The address refused the connection.",
            f"# db: 127.0.0.1:{port}: The address refused the connection.",
        ):
            self.assertIn(line, said)
        shown = tomllib.loads(said.removesuffix("OK\n"))
        self.assertEqual(shown["hub"], "ws://hub.example/agent")
        self.assertEqual(shown["publish"], [f"a@{HIDDEN}=http://127.0.0.1:{port}"])
        self.assertEqual((shown["group"], shown["cafile"]), (HIDDEN, "(1 certificates)"))
        self.assertEqual(
            set(shown), {option.name for option in OPTIONS} - {"exit", "key-file", "port-file"}
        )

    def test_check_of_what_is_well(self) -> None:
        """A target that answers is no note; the environment is told of where it is passed over."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.environ |= {"ORCH_WS": "wss://a.example", "PROXER_GATEWAY_BASE_URL": "https://b"}
        said = self.exits(
            0, "--check", "--publish", f"a=http://127.0.0.1:{listener.getsockname()[1]}"
        )
        notes = [line for line in said.splitlines() if line.startswith("# ")]
        self.assertEqual(
            notes,
            [
                "# the key: AGENT_KEY",
                "# PROXER_GATEWAY_BASE_URL is not read, since ORCH_WS says something else and "
                "stands above it.",
            ],
        )

    def test_demo(self) -> None:
        """It is told nothing of the real one's; secrets leave the environment all the same."""
        self.environ |= {"ALUVIA_HUB": "nonsense", "ALUVIA_AGENT_CONFIG": "/nowhere"}
        settings = self.parse("--demo", "--drain-timeout", "3")
        app, private = settings.publish
        self.assertEqual([app.id, app.token, private.id], ["app", None, "private"])
        self.assertNotIn(settings.key, ("", KEY))
        self.assertEqual(settings.secrets(), [settings.key, private.token])
        self.assertGreaterEqual(min(map(len, settings.secrets())), 32)
        self.assertNotEqual(*settings.secrets())
        self.assertEqual((settings.drain_timeout, settings.unknown), (3.0, {}))
        self.assertNotIn("AGENT_KEY", self.environ)

    def test_demo_with_what_it_has_of_its_own(self) -> None:
        """What would have no effect is refused, and not passed over."""
        for words in (
            ("--hub", "wss://hub.example"),
            ("--key-file", "/nowhere"),
            ("--publish", "a=http://a:1"),
            ("--publish-tcp", "a=a:1"),
            ("--group", "a"),
            ("--carrier", "wss"),
            ("--cafile", "/nowhere"),
            ("--config", "/nowhere"),
            ("--insecure",),
            ("--check",),
        ):
            said = self.exits(64, "--demo", *words)
            self.assertEqual(said, f"aluvia: {words[0]}: --demo has all of its own\n")

    def test_help(self) -> None:
        """It names every option, in the order of the table."""
        said = self.exits(0, "--help").partition("Options:")[2]
        places = [said.index(f"  {option.flag} ") for option in OPTIONS]
        self.assertEqual(places, sorted(places))
