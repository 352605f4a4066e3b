"""Tests for :mod:`aluvia.client.tap` and :mod:`aluvia.client.check`."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

from twisted.application.service import Application, IServiceMaker, Service
from twisted.internet import reactor
from twisted.logger import ILogObserver, LogLevel
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from aluvia import __version__
from aluvia.client import tap
from aluvia.client.options import OPTIONS
from aluvia.client.settings import Settings
from aluvia.client.tap import Options, makeService
from aluvia.net.parent import ParentProxy

GATEWAY = "http://canary-user:canary-pass@127.0.0.1:3128"


class TapCase(SynchronousTestCase):
    """A command line, in memory."""

    def setUp(self) -> None:
        """An environment of our own, and streams to look at."""
        self.environ: dict[str, str] = {}
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.patch(os, "environ", self.environ)
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)

    def parse(self, *words: str) -> Options:
        """The options for these words."""
        options = Options()
        options.parseOptions(words)
        return options

    def exits(self, status: int, *words: str) -> str:
        """What is said when these words end the process."""
        error = self.assertRaises(SystemExit, self.parse, *words)
        self.assertEqual(status, error.code)
        said = self.stdout.getvalue() + self.stderr.getvalue()
        for stream in (self.stdout, self.stderr):
            stream.seek(0)
            stream.truncate()
        return said


class OptionsTests(TapCase):
    """The command line."""

    def test_settings(self) -> None:
        """Flags, rules as often as there are, and switches; the environment beneath them."""
        self.environ |= {"ALUVIA_PORT": "5", "ALUVIA_ADMIN_PORT": "none"}
        settings = self.parse(
            *("--gateway-url", GATEWAY, "--rule", "*", "--rule", "-www.example"),
            *("--port=6", "--allow-link-local"),
        ).settings
        self.assertEqual(("*", "-www.example"), settings.rules)
        self.assertEqual(
            (6, None, True), (settings.port, settings.admin_port, settings.allow_link_local)
        )
        self.assertEqual("--port", settings.sources["port"])
        defaults = Settings(gateway=ParentProxy.from_url(GATEWAY))
        words = ("--gateway-url", GATEWAY, "--port=18787", "--admin-port=18788")
        self.assertEqual(defaults, self.parse(*words).settings)

    def test_mistakes(self) -> None:
        """Status 64, one line that names it, no traceback, no help."""
        for words, named in (
            (["--nonsense"], "nonsense"),
            (["--port"], "--port"),
            (["--port", "x"], "--port: must be"),
            (["--check=x"], "--check"),
            (["extra"], "'extra' is no option"),
            (["--gateway-url", GATEWAY, "--listen", "0.0.0.0"], "--local-auth-file"),
            ([], "--gateway-url"),
            (["--rule", "*"], "--gateway-url"),
        ):
            said = self.exits(64, *words)
            self.assertIn(named, said)
            self.assertTrue(said.startswith("aluvia: "))
            self.assertEqual(1, said.count("\n"))

    def test_a_gateway_without_its_option(self) -> None:
        """A password that stands in the wrong place is not repeated."""
        for words in ([GATEWAY], ["--gateway-url", "canary-pass"], [f"--gateway={GATEWAY}x"]):
            self.assertNotIn("canary", self.exits(64, *words))

    def test_bad_files(self) -> None:
        """Status 78, and the file's name."""
        self.assertIn("/nonexistent.toml", self.exits(78, "--config", "/nonexistent.toml"))
        self.environ["ALUVIA_CONFIG"] = "/nonexistent.toml"
        self.assertIn("/nonexistent.toml", self.exits(78))

    def test_help(self) -> None:
        """Every option with what it takes, its words unbroken, in 80 columns, and status 0."""
        said = self.exits(0, "--help")
        for option in OPTIONS:
            self.assertIn(f"  {option.flag} {option.metavar}".rstrip() + " ", said)
        for flag in ("--config FILE", "--check", "--version", "--help"):
            self.assertIn(flag, said)
        text = Options().getUsage(width=80)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.assertTrue(text.isascii())

    def test_version(self) -> None:
        """Ours."""
        self.assertEqual(f"aluvia {__version__}\n", self.exits(0, "--version"))


class CheckTests(TapCase):
    """``--check``."""

    def test_good(self) -> None:
        """What would be used, as TOML, with where it came from; and OK. Nothing is started."""
        said = self.exits(
            0, "--check", "--gateway-url", GATEWAY, "--rule", '*.a.example"\x7f', "--port", "7"
        )
        self.assertTrue(said.endswith("\nOK\n"))
        self.assertNotIn("canary-pass", said)
        table = tomllib.loads(said.removesuffix("OK\n"))
        self.assertEqual("http://canary-user:***@127.0.0.1:3128", table["gateway-url"])
        self.assertEqual(['*.a.example"\x7f'], table["rule"])
        self.assertIn("port = 7  # --port\n", said)
        self.assertIn('listen = "127.0.0.1"  # default\n', said)

    def test_what_to_know(self) -> None:
        """Advice, and what the linter says, of either severity; it is OK all the same."""
        said = self.exits(
            0, "--check", "--gateway-url", GATEWAY, "--rule", "**", "--rule", "google.*"
        )
        self.assertIn("# The gateway's password is on the command line", said)
        self.assertEqual(1, said.count("# Rule '**': "))
        self.assertEqual(1, said.count("# Rule 'google.*': "))

    def test_bad(self) -> None:
        """As without it."""
        self.assertIn("must be", self.exits(64, "--check", "--port", "x"))


class FakeClient(Service):
    """Keeps what it was made from."""

    def __init__(self, *made_from: object, learn: typing.Callable[[str, str], None]) -> None:
        self.made_from = made_from
        self.learn = learn


class ServiceTests(TapCase):
    """What twistd runs."""

    def setUp(self) -> None:
        """No client that would listen."""
        super().setUp()
        self.patch(tap, "ClientService", FakeClient)

    def test_made(self) -> None:
        """The client gets the settings, the reactor and the environment."""
        options = self.parse("--gateway-url", GATEWAY, "--port", "0")
        service: typing.Any = makeService(options)
        (client,) = service.services
        settings, given, environ = client.made_from
        self.assertIs(options.settings, settings)
        self.assertIs(reactor, given)
        self.assertIs(self.environ, environ)

    def test_learnt(self) -> None:
        """The token, and what the control plane sends later, are kept out of the log."""
        self.environ["ALUVIA_TOKEN"] = "canary-token"
        application = Application("aluvia")
        service: typing.Any = makeService(self.parse("--log-format", "json"))
        service.setServiceParent(application)
        (client,) = service.services
        client.learn("canary-name", "canary-word")
        observer = application.getComponent(ILogObserver)
        for text in ("canary-token", "canary-name", "canary-word"):
            observer({"log_format": "{it}", "it": text, "log_level": LogLevel.error})
        lines = self.stdout.getvalue().splitlines()
        self.assertEqual(["[redacted]"] * 3, [json.loads(line)["message"] for line in lines])

    def test_log(self) -> None:
        """The application's log is ours: its level and format, and no secret in it."""
        users = Path(self.mktemp())
        users.write_text("canary-local:canary-word\n")
        options = self.parse(
            *("--gateway-url", GATEWAY, "--local-auth-file", str(users)),
            *("--log-format", "json", "--log-level", "silent"),
        )
        application = Application("aluvia")
        service: typing.Any = makeService(options)
        service.setServiceParent(application)
        observer = application.getComponent(ILogObserver)
        observer({"log_format": "hidden", "log_level": LogLevel.warn})
        for text in ("canary-pass", "canary-user", "canary-word", "canary-local"):
            observer({"log_format": "{it}", "it": text, "log_level": LogLevel.error})
        lines = self.stdout.getvalue().splitlines()
        self.assertEqual(["[redacted]"] * 4, [json.loads(line)["message"] for line in lines])

    def test_twistds_log_file(self) -> None:
        """twistd's ``--logfile`` is honoured; one that cannot be is status 73, and a line."""
        options = self.parse("--gateway-url", GATEWAY)
        parent: typing.Any = {"logfile": "/nonexistent/x.log", "nodaemon": 1}
        options.parent = parent
        error = self.assertRaises(SystemExit, makeService, options)
        self.assertEqual(73, error.code)
        self.assertIn("/nonexistent", self.stderr.getvalue())


class PluginTests(SynchronousTestCase):
    """The command as twistd knows it."""

    def test_plugin(self) -> None:
        """twistd finds it, with a description."""
        (maker,) = (each for each in getPlugins(IServiceMaker) if each.tapname == "aluvia")
        self.assertIs(Options, maker.options)
        self.assertTrue(maker.description)

    def test_real_twistd(self) -> None:
        """Through twistd itself: the statuses, one line on standard error, no traceback."""
        twistd = "from twisted.scripts.twistd import run; run()"
        for words, status, said in (
            (["--port", "x"], 64, "aluvia: --port: must be"),
            (["--config", "/nonexistent"], 78, "aluvia: /nonexistent: "),
            (["--check", "--gateway-url", GATEWAY], 0, ""),
        ):
            child = subprocess.run(
                [sys.executable, "-c", twistd, "-n", "--pidfile=", "aluvia", *words],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertEqual(status, child.returncode, child.stderr)
            self.assertTrue(child.stderr.startswith(said))
            self.assertEqual(bool(said), child.stderr.count("\n") == 1)
