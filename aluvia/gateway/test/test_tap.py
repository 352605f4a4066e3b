"""Tests for :mod:`aluvia.gateway.tap`, :mod:`aluvia.gateway.load` and the options."""

from __future__ import annotations

import io
import os
import sys
import tomllib
import typing
from pathlib import Path

import trustme
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from aluvia.gateway.options import OPTIONS, PREFIX
from aluvia.gateway.settings import Settings
from aluvia.gateway.tap import Options


class TapTests(SynchronousTestCase):
    """A command line, in memory."""

    def setUp(self) -> None:
        """An environment of our own, and streams to look at."""
        self.environ: dict[str, str] = {}
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
        """What is said when these words end the process."""
        error = self.assertRaises(SystemExit, self.parse, *words)
        self.assertEqual(status, error.code)
        said = self.stdout.getvalue() + self.stderr.getvalue()
        for stream in (self.stdout, self.stderr):
            stream.seek(0)
            stream.truncate()
        return said

    def file(self, text: str) -> str:
        """A file with this in it."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return str(path)

    def certificate(self, name: str = "localhost") -> tuple[str, str]:
        """A certificate and its key, in files."""
        issued = trustme.CA().issue_cert(name)
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode()
        return self.file(chain), self.file(issued.private_key_pem.bytes().decode())

    def test_plugin(self) -> None:
        """``twistd`` knows the command, once."""
        makers: list[typing.Any] = list(getPlugins(IServiceMaker))
        found = [each for each in makers if each.tapname == "aluvia-gateway"]
        self.assertEqual([each.module for each in found], ["aluvia.gateway.tap"])

    def test_defaults(self) -> None:
        """Without a word it listens on loopback alone, and lets nobody into private space."""
        settings = self.parse()
        self.assertEqual(settings, Settings())
        self.assertEqual(settings.proxy, ("127.0.0.1", 8080))
        self.assertEqual(settings.api, ("127.0.0.1", 8900))
        self.assertEqual(settings.db, Path("gateway.db").absolute())
        self.assertFalse(settings.allow_private)

    def test_three_spellings(self) -> None:
        """The command line stands above the environment, and that above the file."""
        config = self.file('proxy = "0.0.0.0:1"\napi = "[::1]:2"\ndb = "a.db"\nidle-timeout = 5\n')
        self.environ |= {
            "ALUVIA_GATEWAY_CONFIG": config,
            "ALUVIA_GATEWAY_API": "127.0.0.1:3",
            "ALUVIA_GATEWAY_ALLOW_PRIVATE": "yes",
            "ALUVIA_GATEWAY_IDLE_TIMEOUT": "6",
        }
        settings = self.parse("--idle-timeout", "7")
        self.assertEqual(settings.proxy, ("0.0.0.0", 1))
        self.assertEqual(settings.api, ("127.0.0.1", 3))
        self.assertEqual(settings.db, Path(config).parent / "a.db")
        self.assertEqual((settings.idle_timeout, settings.allow_private), (7.0, True))
        self.assertEqual(settings.sources["api"], "ALUVIA_GATEWAY_API")

    def test_usage_errors(self) -> None:
        """64, and a line that names the place."""
        for words, said in (
            (["--proxy", "8080"], "--proxy: must be ADDRESS:PORT"),
            (["--proxy", "0.0.0.0:65536"], "--proxy: must be ADDRESS:PORT"),
            (["--proxy", "example.com:80"], "--proxy: must be an IP address"),
            (["--proxy", "::1:80"], "--proxy: must have brackets"),
            (["--exit-mode", "agents"], "--exit-mode: there are no agents yet"),
            (["--exit-mode", "prefer-agents"], "--exit-mode: there are no agents yet"),
            (["--exit-mode", "x"], "--exit-mode: must be direct"),
            (["--hub", "0.0.0.0:8910"], "option --hub not recognized"),
            (["--proxy-tls", "127.0.0.1:0"], "--proxy-tls: wants a certificate and its key"),
            (["--cert", "x"], "--cert: is for --proxy-tls"),
            (["--proxy", "127.0.0.1:8900"], "cannot be at one place"),
            (["word"], "'word' is no option"),
            (["--max-connections", "0"], "--max-connections: must be a whole number"),
        ):
            text = self.exits(64, *words)
            self.assertIn(said, text)
            self.assertEqual(text.count("\n"), 1)

    def test_file_errors(self) -> None:
        """78, and a line that names the file."""
        certificate, key = self.certificate()
        _, other = self.certificate()
        nothing = self.file("nothing")
        tls = ("--proxy-tls", "127.0.0.1:0")
        for words, said in (
            (["--config", self.file("prox = 1")], "unknown key 'prox'; is 'proxy' meant?"),
            (["--config", self.file("proxy = 8080")], "must be a string, not an integer"),
            (["--config", self.file('exit-mode = "agents"')], "there are no agents yet"),
            ([*tls, "--cert", nothing, "--key", key], "has no good certificate in PEM"),
            ([*tls, "--cert", "/nowhere", "--key", key], "has no good certificate in PEM"),
            ([*tls, "--cert", certificate, "--key", nothing], "has no good key in PEM"),
            ([*tls, "--cert", certificate, "--key", other], "has no good key in PEM"),
        ):
            self.assertIn(said, self.exits(78, *words))

    def test_check(self) -> None:
        """``--check`` prints a TOML file that means the same, with advice, and OK."""
        certificate, key = self.certificate()
        self.environ["ALUVIA_GATEWAY_PROXI"] = "x"
        words = ("--proxy", "[::]:8080", "--proxy-tls", "0.0.0.0:0", "--cert", certificate)
        said = self.exits(0, "--check", "--allow-private", *words, "--key", key)
        self.assertTrue(said.endswith("\nOK\n"))
        for advice in ("passwords without TLS", "reaches private", "is ALUVIA_GATEWAY_PROXY meant"):
            self.assertIn(advice, said)
        body = said.removesuffix("OK\n")
        self.assertEqual(tomllib.loads(body)["proxy"], "[::]:8080")
        self.environ.clear()
        self.assertEqual(
            self.parse("--config", self.file(body)),
            self.parse("--allow-private", *words, "--key", key),
        )

    def test_help(self) -> None:
        """It names every option, in the order of the table."""
        said = self.exits(0, "--help")
        places = [said.index(f"  {option.flag} ") for option in OPTIONS]
        self.assertEqual(places, sorted(places))
        for option in OPTIONS:
            self.assertTrue(option.variable.startswith(PREFIX))
