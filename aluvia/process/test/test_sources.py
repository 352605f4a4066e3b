"""Tests for :mod:`aluvia.process.sources`, by way of the client's settings: values of programs."""

from __future__ import annotations

import os
import typing
from pathlib import Path, PurePosixPath

from aluvia.client.test.settings_case import SettingsCase
from aluvia.process.statuses import CONFIG, USAGE


class OfBytes(os.PathLike[bytes]):
    """A path that is no text."""

    def __fspath__(self) -> bytes:
        return b"/canary"


class ValueTests(SettingsCase):
    """What a program may give in place of a text."""

    def test_paths(self) -> None:
        """A file is a text, or any path."""
        for path in ("/x/y", Path("/x/y"), PurePosixPath("/x/y")):
            self.assertEqual(Path("/x/y"), self.load({"port-file": path}).port_file)
        said = self.refused(CONFIG, {"gateway-ca": Path("/nonexistent/ca.pem")})
        self.assertEqual("--gateway-ca: /nonexistent/ca.pem: No such file or directory", said)

    def test_numbers(self) -> None:
        """A number is a number, and a whole one may be a name."""
        settings = self.load({"port": 0, "admin-port": 5, "connect-timeout": 10 / 3})
        self.assertEqual((0, 5), (settings.port, settings.admin_port))
        self.assertEqual(10 / 3, settings.connect_timeout)
        self.assertEqual("123", self.load({"connection": 123}).connection)
        for name, value in (
            ("connect-timeout", 1e-05),
            ("connect-timeout", float("nan")),
            ("port", 1.5),
            ("port", -1),
            ("port", True),
        ):
            self.assertIn(f"--{name}: ", self.refused(USAGE, {name: value}), value)

    def test_switches(self) -> None:
        """True and False, and the 1 of twistd's own options."""
        for value, on in ((True, True), (False, False), (1, True), (0, False), ("no", False)):
            self.assertIs(on, self.load({"allow-link-local": value}).allow_link_local)
        others: list[object] = [2, [], Path("true"), 1.0]
        for other in others:
            self.refused(USAGE, {"allow-link-local": other})

    def test_rules(self) -> None:
        """A sequence of texts."""
        for rules in (["*"], ("*",), "*"):
            self.assertEqual(("*",), self.load({"rule": rules}).rules)
        others: list[object] = [[1], {"*": 1}, b"*", 7.5, [None], Path("*")]
        for other in others:
            self.refused(USAGE, {"rule": other})

    def test_no_values(self) -> None:
        """Whatever else it is, its option and its type are said, and not what is in it."""
        values: list[typing.Any] = [b"canary", ["canary"], {"canary": 1}, True, 1.5, object()]
        for name in ("state-file", "connection", "listen", "log-level", "gateway-host", "port"):
            for value in [*values, OfBytes()]:
                said = self.refused(USAGE, {name: value})
                self.assertTrue(said.startswith(f"--{name}: "), said)
                self.assertNotIn("canary", said)
        said = self.refused(USAGE, {"state-file": b"canary"})
        self.assertEqual("--state-file: cannot be read from a value of the type bytes", said)
