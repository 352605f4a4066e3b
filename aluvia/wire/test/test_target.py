"""Tests for the request targets and authorities of :mod:`aluvia.wire.target`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import (
    AbsoluteTarget,
    Authority,
    parse_absolute_target,
    parse_authority,
    parse_connect_target,
)


class AuthorityTests(SynchronousTestCase):
    """``host[:port]`` as in Host fields and CONNECT targets."""

    def assert_refused(self, *raws: bytes, port_required: bool = False) -> None:
        """Every one is a violation, answered with 400."""
        for raw in raws:
            with self.subTest(raw=raw):
                violation = self.assertRaises(
                    ProtocolViolation, parse_authority, raw, port_required=port_required
                )
                self.assertEqual(violation.status, 400)

    def test_host_and_port(self) -> None:
        """The host is canonical; the port a number, or none."""
        for raw, expected in (
            (b"Example.COM", Authority("example.com")),
            (b"example.com.:443", Authority("example.com", 443)),
            (b"example.com:", Authority("example.com")),
            (b"example.com:00080", Authority("example.com", 80)),
            (b"127.1:1", Authority("127.0.0.1", 1)),
            (b"[::1]", Authority("::1")),
            (b"[::1]:65535", Authority("::1", 65535)),
            (b"[::ffff:1.2.3.4]:", Authority("1.2.3.4")),
        ):
            self.assertEqual(parse_authority(raw), expected)

    def test_as_written(self) -> None:
        """``str`` gives the wire's spelling, IPv6 in brackets."""
        self.assertEqual(str(Authority("example.com")), "example.com")
        self.assertEqual(str(Authority("example.com", 443)), "example.com:443")
        self.assertEqual(str(Authority("::1")), "[::1]")
        self.assertEqual(str(Authority("::1", 80)), "[::1]:80")

    def test_ports(self) -> None:
        """Digits alone, 1 to 65535."""
        self.assert_refused(b"a:0", b"a:65536", b"a:+80", b"a:-1", b"a: 80", b"a:80 ", b"a:0x50")
        self.assert_refused(b"a:8_0", b"a:000080", b"a:http", b"a:80:80", b"[::1]:0", b"[::1]:x")

    def test_ipv6_needs_brackets(self) -> None:
        """Without brackets nobody can tell the last group from a port."""
        self.assert_refused(
            b"::1", b"::1:80", b"2001:db8::1", b"[::1", b"[::1]80", b"[::1].", b"[]:80"
        )

    def test_user_information(self) -> None:
        """``user@`` is refused, wherever it hides."""
        self.assert_refused(
            b"user@a", b"user:pass@a:80", b"a:80@b", b"@a", b"[::1]@a", b"user@[::1]"
        )
        violation = self.assertRaises(ProtocolViolation, parse_authority, b"user:secret@a")
        self.assertEqual(violation.reason, "User information does not belong in a target.")

    def test_no_host(self) -> None:
        """Nothing, spaces, other bytes, and what is no host."""
        self.assert_refused(
            b"", b":80", b" ", b"a b", b"a/b", b"b\xc3\xbccher.de", b"a\x00", b"a..b"
        )

    def test_connect_wants_both(self) -> None:
        """A CONNECT target has a port."""
        self.assertEqual(parse_connect_target(b"a.example:443"), Authority("a.example", 443))
        self.assertEqual(parse_connect_target(b"[::1]:443"), Authority("::1", 443))
        self.assert_refused(b"a.example", b"a.example:", b"[::1]", b"[::1]:", port_required=True)
        for raw in (b"http://a.example:443", b"a.example:443/", b"/a", b"*", b"a.example"):
            self.assertRaises(ProtocolViolation, parse_connect_target, raw)

    @settings_for_tests
    @given(st.binary(max_size=30) | st.from_regex(rb"[\[\]a-z0-9:.@%-]{0,20}", fullmatch=True))
    def test_any_bytes(self, raw: bytes) -> None:
        """Any bytes are refused with 400, or mean what they mean when written again."""
        try:
            authority = parse_authority(raw)
        except ProtocolViolation as violation:
            self.assertEqual(violation.status, 400)
        else:
            self.assertEqual(parse_authority(str(authority).encode("ascii")), authority)


class AbsoluteTargetTests(SynchronousTestCase):
    """``http://host/path`` as proxies are asked."""

    def test_parts(self) -> None:
        """Scheme and authority are canonical; path and query stay as they came."""
        self.assertEqual(
            parse_absolute_target(b'HTTP://Example.com:8080/A/../%7e?q=http://x/|{}"', b"GET"),
            AbsoluteTarget("http", Authority("example.com", 8080), b'/A/../%7e?q=http://x/|{}"'),
        )
        self.assertEqual(
            parse_absolute_target(b"http://[::1]:80/", b"GET"),
            AbsoluteTarget("http", Authority("::1", 80), b"/"),
        )

    def test_empty_path(self) -> None:
        """An empty path is a slash; for OPTIONS without a query it is a star (RFC 9112 §3.2.4)."""
        for method, raw, expected in (
            (b"GET", b"http://a", b"/"),
            (b"GET", b"http://a?q", b"/?q"),
            (b"OPTIONS", b"http://a", b"*"),
            (b"OPTIONS", b"http://a:80", b"*"),
            (b"OPTIONS", b"http://a/", b"/"),
            (b"OPTIONS", b"http://a?q", b"/?q"),
        ):
            self.assertEqual(parse_absolute_target(raw, method).origin_form, expected)

    def test_other_schemes_are_read(self) -> None:
        """Which schemes are served is not decided here."""
        self.assertEqual(parse_absolute_target(b"https://a/", b"GET").scheme, "https")
        self.assertEqual(parse_absolute_target(b"Git+SSH://a/", b"GET").scheme, "git+ssh")

    def test_refused(self) -> None:
        """No fragment, user information, space, control byte, obs-text, or missing part."""
        for raw in (
            b"http://a/#f",
            b"http://a#f",
            b"http://user@a/",
            b"http://good.example\\@evil.example/",
            b"http://a/ b",
            b"http://a/\x00",
            b"http://a/\x7f",
            b"http://a/\xc3\xbc",
            b"http://a/\r\nX: y",
            b"http://a/\n",
            b"http://",
            b"http:///path",
            b"http://:80/",
            b"http:/a",
            b"http:a",
            b"//a/",
            b"://a/",
            b"1http://a/",
            b"/path",
            b"*",
            b"a:443",
            b"",
            b"http://a:99999/",
            b"http://a%2e/",
        ):
            with self.subTest(raw=raw):
                violation = self.assertRaises(ProtocolViolation, parse_absolute_target, raw, b"GET")
                self.assertEqual(violation.status, 400)

    @settings_for_tests
    @given(st.from_regex(rb"http://[a-z\[\]:.0-9]{1,12}[ -~]{0,20}", fullmatch=True))
    def test_written_again(self, raw: bytes) -> None:
        """What is accepted means the same when it is written from its parts."""
        try:
            parsed = parse_absolute_target(raw, b"GET")
        except ProtocolViolation:
            return
        again = b"http://%b%b" % (str(parsed.authority).encode("ascii"), parsed.origin_form)
        self.assertEqual(parse_absolute_target(again, b"GET"), parsed)
