"""Tests for :mod:`aluvia.cli.main`, and for the commands that need no other process."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia import __version__
from aluvia.cli.explain import host_of
from aluvia.cli.main import main
from aluvia.telemetry.written import duration, size

#: The console script, for a process of its own, wherever it is installed.
ALUVIA = (sys.executable, "-c", "from aluvia.cli.main import main; raise SystemExit(main())")


class ConsoleCase(SynchronousTestCase):
    """The console script, in memory."""

    def setUp(self) -> None:
        """Streams to look at, and an environment of our own."""
        self.environ: dict[str, str] = {"PATH": os.environ.get("PATH", "")}
        self.patch(os, "environ", self.environ)

    def call(self, *words: str) -> tuple[int, str, str]:
        """The status, standard output and standard error of a call."""
        stdout, stderr = io.StringIO(), io.StringIO()
        kept = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = stdout, stderr
        try:
            status = main(words)
        except SystemExit as error:
            status = typing.cast(int, error.code)
        finally:
            sys.stdout, sys.stderr = kept
        return status, stdout.getvalue(), stderr.getvalue()


class CallTests(ConsoleCase):
    """What is called, and what is not there."""

    def test_help(self) -> None:
        """Of the script, and of each command; without one it is a wrong call that shows it."""
        status, stdout, _ = self.call("--help")
        self.assertEqual(0, status)
        for command in (
            *("run", "explain", "lint", "status", "ready", "doctor"),
            *("account", "agent-key", "hash-password"),
        ):
            self.assertRegex(stdout, rf"(?m)^    {command}( |$)")
            status, of_it, _ = self.call(command, "--help")
            self.assertEqual(0, status)
            self.assertTrue(of_it.startswith(f"usage: aluvia {command} "), of_it)
        status, _, stderr = self.call()
        self.assertEqual(64, status)
        self.assertIn("commands:", stderr)

    def test_version(self) -> None:
        """Ours."""
        self.assertEqual((0, f"aluvia {__version__}\n", ""), self.call("--version"))

    def test_wrong_calls(self) -> None:
        """Status 64, and one plain line on standard error."""
        for words, named in (
            (["frobnicate"], "frobnicate"),
            (["explain"], "HOST"),
            (["explain", "a", "b"], "b"),
            (["explain", "a", "--rule"], "--rule"),
            (["explain", "a", "--adm", "1"], "--adm"),
            (["explain", "a", "--admin-port", "x"], "'x' is no port"),
            (["explain", "a", "--admin-port", "0"], "'0' is no port"),
            (["explain", "a", "--admin", "ftp://x"], "'ftp://x'"),
            (["explain", "a", "--admin", "http://[x"], "'http://[x'"),
            (["explain", "a", "--admin", "http://a/path"], "http://HOST:PORT"),
            (["explain", "a", "--admin", "http://a:1", "--admin-port", "1"], "--admin-port"),
            (["explain", "a b", "--rule", "*"], "character"),
            (["lint"], "RULE"),
            (["lint", "--nonsense", "a.example"], "--nonsense"),
            (["status", "extra"], "extra"),
            (["run"], "no command"),
            (["run", "--port", "1"], "no command"),
            (["run", "--"], "no command"),
            (["run", "ls"], "ls"),
            (["run", "--port", "x", "--", "true"], "--port: must be"),
            (["run", "--rule", "*", "--", "true"], "--gateway-url"),
        ):
            status, stdout, stderr = self.call(*words)
            self.assertEqual((64, ""), (status, stdout), words)
            self.assertIn(named, stderr)
            self.assertTrue(stderr.startswith("aluvia: "), stderr)
            self.assertEqual(1, stderr.count("\n"))

    def test_bad_files(self) -> None:
        """What ``run`` is told goes through the same checks as a service's."""
        status, _, stderr = self.call("run", "--config", "/nonexistent", "--", "true")
        self.assertEqual(78, status)
        self.assertIn("/nonexistent", stderr)

    def test_nobody_reads(self) -> None:
        """A reader that goes early, as ``head`` does, is no error to complain about."""
        child = subprocess.Popen(
            [*ALUVIA, "lint", *("https://a.example" for _ in range(3000))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert child.stdout is not None and child.stderr is not None
        child.stdout.read(10)
        child.stdout.close()
        with child.stderr:
            self.assertEqual(b"", child.stderr.read())
        self.assertEqual(141, child.wait(60))


class LintTests(ConsoleCase):
    """``aluvia lint``."""

    def test_good(self) -> None:
        """Nothing odd, and things worth knowing, are status 0; exclusions need no quoting."""
        self.assertEqual(
            (0, "Nothing odd.\n", ""), self.call("lint", "*.a.example", "-www.a.example")
        )
        status, stdout, _ = self.call("lint", "google.*")
        self.assertEqual(0, status)
        self.assertRegex(stdout, r"\Ainfo: 'google\.\*': .* \[narrower-than-prefix\]\n\Z")

    def test_bad(self) -> None:
        """A rule that does not do what it seems to is status 1."""
        status, stdout, _ = self.call("lint", "--", "-x.example", "https://a.example", "a\x1bb")
        self.assertEqual(1, status)
        self.assertIn("warning: 'https://a.example': ", stdout)
        self.assertNotIn("\x1b", stdout)

    def test_json(self) -> None:
        """As objects, in the order of the list."""
        status, stdout, _ = self.call("lint", "**", "--json", "*.a.example", "*.a.example")
        self.assertEqual(1, status)
        findings = json.loads(stdout)
        self.assertEqual(["never-matches", "duplicate"], [each["code"] for each in findings])
        self.assertEqual([0, 2], [each["index"] for each in findings])
        self.assertEqual((0, "[]\n", ""), self.call("lint", "--json", "a.example"))


class ExplainTests(ConsoleCase):
    """``aluvia explain`` with rules."""

    def test_text(self) -> None:
        """The way, the rule that settled it, those that lost."""
        self.assertEqual(
            (0, "www.a.example: direct\nby: -www.a.example\nmatching too: *.a.example\n", ""),
            self.call(
                *("explain", "WWW.a.example.", "--rule", "*.a.example"),
                *("--rule", "-www.a.example"),
            ),
        )

    def test_json(self) -> None:
        """As an object."""
        status, stdout, _ = self.call("explain", "--json", "--rule=*", "10.1")
        self.assertEqual(0, status)
        self.assertEqual(
            {"host": "10.0.0.1", "way": "gateway", "rule": "*", "lost": [], "revision": 0},
            json.loads(stdout),
        )

    def test_what_people_have_at_hand(self) -> None:
        """Of a URL, and of a host with a port, the host is meant."""
        for text, host in (
            ("https://a.example/x?y", "a.example"),
            ("https://u:p@a.example:443/", "a.example"),
            ("a.example:443", "a.example"),
            ("[::1]:80", "[::1]"),
            ("::1", "::1"),
            ("a.example", "a.example"),
            ("http://[", "http://["),
            ("http://", "http://"),
        ):
            self.assertEqual(host, host_of(text))


class UnitTests(SynchronousTestCase):
    """Numbers for people."""

    def test_durations(self) -> None:
        """In the two largest units."""
        for seconds, text in (
            (0.04, "0.0 s"),
            (59.9, "59.9 s"),
            (61, "1 min 1 s"),
            (3 * 3600 + 125, "3 h 2 min"),
            (50 * 3600, "2 d 2 h"),
        ):
            self.assertEqual(text, duration(seconds))

    def test_sizes(self) -> None:
        """In a unit that keeps them short."""
        for number, text in (
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_230_000, "1.2 MB"),
            (4.5e9, "4.5 GB"),
            (7.8e15, "7800.0 TB"),
        ):
            self.assertEqual(text, size(number))
