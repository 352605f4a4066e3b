"""Tests for :mod:`aluvia.edge.path_mode`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.path_mode import rewritten

PREFIX = b"/t/app"
OWN = b"Hub.test:8080"


class FieldTests(SynchronousTestCase):
    """One field at a time."""

    def test_location(self) -> None:
        """What is on the visitor's own host goes below the prefix, once; what is elsewhere, or
        relative, stays."""
        for came, goes in {
            b"/": b"/t/app/",
            b"/login?next=/t/app/": b"/t/app/login?next=/t/app/",
            b"/t/app/login": b"/t/app/login",
            b"/t/app": b"/t/app",
            b"/t/apple": b"/t/app/t/apple",
            b"login": b"login",
            b"../login": b"../login",
            b"?a=1": b"?a=1",
            b"": b"",
            b"http://hub.test:8080/a": b"http://hub.test:8080/t/app/a",
            b"HTTP://HUB.test:8080": b"HTTP://HUB.test:8080/t/app/",
            b"https://hub.test:8080?a": b"https://hub.test:8080/t/app/?a",
            b"//hub.test:8080/a": b"//hub.test:8080/t/app/a",
            b"http://hub.test/a": b"http://hub.test/a",
            b"https://other.test/a": b"https://other.test/a",
            b"//other.test/a": b"//other.test/a",
            b"http://a@hub.test:8080/": b"http://a@hub.test:8080/",
            b"http://[/a": b"http://[/a",
            b"mailto:a@b": b"mailto:a@b",
        }.items():
            field = rewritten((b"Location", came), PREFIX, OWN)
            self.assertEqual(field, (b"Location", goes), came)

    def test_usual_ports(self) -> None:
        """From http to https of the same host, each at its usual port, is the same host."""
        field = rewritten((b"location", b"https://hub.test/a"), PREFIX, b"hub.test:80")
        self.assertEqual(field[1], b"https://hub.test/t/app/a")
        field = rewritten((b"location", b"https://hub.test/a"), PREFIX, None)
        self.assertEqual(field[1], b"https://hub.test/a")

    def test_cookies(self) -> None:
        """A path goes below the prefix; where there is none, what a browser takes is there."""
        for came, goes in {
            b"a=b": b"a=b",
            b"a=b; Path=/": b"a=b; Path=/t/app/",
            b"a=/; path=/x; Secure": b"a=/; Path=/t/app/x; Secure",
            b"a=b; Path=/t/other": b"a=b; Path=/t/app/t/other",
            b"a=b; Path=/t/app/x": b"a=b; Path=/t/app/x",
            b"a=b; Path=/x; PATH = /y": b"a=b; Path=/t/app/x; Path=/t/app/y",
            b"a=b; Path=x; Path=": b"a=b; Path=x; Path=",
            b"path=/; HttpOnly": b"path=/; HttpOnly",
        }.items():
            self.assertEqual(rewritten((b"set-cookie", came), PREFIX, OWN)[1], goes, came)

    def test_others(self) -> None:
        """Everything else stays."""
        self.assertEqual(rewritten((b"Link", b"</a>"), PREFIX, OWN), (b"Link", b"</a>"))
