"""Tests for :mod:`aluvia.rules.match`: the table of patterns, row by row."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import match_pattern
from aluvia.rules.match import address_number, stems_of


class MatchPatternTests(SynchronousTestCase):
    """One host against one pattern."""

    def assert_matches(self, pattern: str, *hosts: str) -> None:
        """Every host matches."""
        for host in hosts:
            self.assertTrue(match_pattern(host, pattern), f"{pattern} {host}")

    def assert_no_match(self, pattern: str, *hosts: str) -> None:
        """No host matches."""
        for host in hosts:
            self.assertFalse(match_pattern(host, pattern), f"{pattern} {host}")

    def test_as_the_public_clients_promise(self) -> None:
        """What the published acceptance criteria say about single patterns."""
        self.assertTrue(match_pattern("foo.google.com", "*.google.com"))
        self.assertTrue(match_pattern("google.com", "google.*"))
        self.assertTrue(match_pattern("example.com", "*"))
        self.assertFalse(match_pattern("foo.com", "example.com"))

    def test_any(self) -> None:
        """``*`` matches any host, addresses too, but not what is no host."""
        self.assert_matches("*", "example.com", "localhost", "10.0.0.1", "::1", "_a.b")
        self.assert_no_match("*", "", "a b", "a..b", "example.com:443")

    def test_name(self) -> None:
        """``example.com`` matches exactly it, in any spelling."""
        self.assert_matches("example.com", "example.com", "EXAMPLE.COM", "example.com.")
        self.assert_matches("EXAMPLE.com.", "example.com")
        self.assert_no_match("example.com", "www.example.com", "example.org", "xexample.com", "com")

    def test_below(self) -> None:
        """``*.example.com`` matches any depth below it, never itself."""
        self.assert_matches("*.example.com", "foo.example.com", "a.b.example.com", "A.Example.Com.")
        self.assert_no_match("*.example.com", "example.com", "xexample.com", "example.com.evil")

    def test_stem(self) -> None:
        """``google.*`` matches google and a public suffix of the ICANN section."""
        self.assert_matches(
            "google.*", "google.com", "google.co.uk", "GOOGLE.de.", "google.xn--p1ai"
        )
        self.assert_no_match(
            "google.*",
            "google.evil.com",
            "google.github.io",
            "www.google.com",
            "google.unknownsuffix",
            "google",
            "agoogle.com",
            "google.com.evil",
        )

    def test_stem_and_wildcard_suffixes(self) -> None:
        """The list's own wildcards and exceptions hold."""
        self.assert_matches("google.*", "google.anything.ck", "google.x.kobe.jp")
        self.assert_no_match("google.*", "google.www.ck", "google.city.kobe.jp")

    def test_stem_of_several_labels(self) -> None:
        """``www.google.*`` is the same with labels before it."""
        self.assert_matches("www.google.*", "www.google.com", "www.google.co.uk")
        self.assert_no_match(
            "www.google.*", "google.com", "a.www.google.com", "www.google.evil.com"
        )

    def test_below_stem(self) -> None:
        """``*.google.*`` matches any depth below what ``google.*`` matches."""
        self.assert_matches("*.google.*", "www.google.com", "a.b.google.co.uk", "google.google.com")
        self.assert_no_match("*.google.*", "google.com", "www.google.evil.com", "www.agoogle.com")
        self.assert_matches("*.a.google.*", "b.a.google.de")
        self.assert_no_match("*.a.google.*", "a.google.de", "b.google.de")

    def test_stem_may_end_in_a_suffix(self) -> None:
        """Every way to cut a host counts: behind ``google.co`` in google.co.uk stands ``uk``."""
        self.assert_matches("google.co.*", "google.co.uk")
        self.assert_matches("*.co.*", "google.co.uk")

    def test_ipv4_prefix(self) -> None:
        """``10.*`` matches addresses that begin so, in any spelling, and no names."""
        self.assert_matches(
            "10.*", "10.0.0.1", "10.255.255.255", "10.1", "0xa.1", "::ffff:10.1.2.3"
        )
        self.assert_no_match("10.*", "100.0.0.1", "11.0.0.1", "10.com", "10.example.com", "::10")
        self.assert_matches("127.0.0.*", "127.0.0.1", "127.1", "2130706433")
        self.assert_no_match("127.0.0.*", "127.0.1.1", "127.0.0.com")

    def test_networks(self) -> None:
        """A network matches literal addresses of its own family alone."""
        self.assert_matches("192.0.2.0/24", "192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9")
        self.assert_no_match("192.0.2.0/24", "192.0.3.0", "192.0.2.example", "::c000:201")
        self.assert_matches("2001:db8::/32", "2001:db8::", "[2001:DB8:ffff::1]")
        self.assert_no_match("2001:db8::/32", "2001:db9::", "32.1.13.184", "a.2001.db8")
        self.assert_matches("0.0.0.0/0", "255.255.255.255")
        self.assert_no_match("0.0.0.0/0", "::1", "example.com", "a.host9")
        self.assert_matches("::/0", "::1")
        self.assert_no_match("::/0", "1.2.3.4", "::ffff:1.2.3.4")
        self.assert_matches("192.0.2.128/25", "192.0.2.128")
        self.assert_no_match("192.0.2.128/25", "192.0.2.127")

    def test_brackets(self) -> None:
        """``[::1]`` and ``::1`` are the same."""
        for pattern in ("[::1]", "::1"):
            self.assert_matches(pattern, "::1", "[::1]", "0:0:0:0:0:0:0:1")

    def test_idna(self) -> None:
        """Unicode and A-labels are the same."""
        for pattern in ("bücher.de", "xn--bcher-kva.de", "BÜCHER.DE"):
            self.assert_matches(pattern, "bücher.de", "xn--bcher-kva.de", "Bücher.de.")
        self.assert_matches("*.bücher.de", "www.xn--bcher-kva.de")
        self.assert_matches("bücher.*", "xn--bcher-kva.com")

    def test_patterns_that_match_nothing(self) -> None:
        """Blanks, the placeholder and the impossible match no host."""
        for pattern in ("", " ", "AUTO", "*.*", "**", "https://a.b", "a.b:443", "*a.b"):
            self.assert_no_match(pattern, "a.b", "auto", "www.a.b", "example.com")

    def test_no_sign(self) -> None:
        """The minus belongs to rules; a pattern that begins with one is a name that does."""
        self.assert_no_match("-example.com", "example.com")
        self.assert_matches("-example.com", "-example.com")


class PartsTests(SynchronousTestCase):
    """What matching is made of."""

    def test_stems(self) -> None:
        """All stems of a host, longest first."""
        self.assertEqual(stems_of("a.google.co.uk"), ["a.google.co", "a.google"])
        self.assertEqual(stems_of("google.evil"), [])
        self.assertEqual(stems_of("localhost"), [])

    def test_address_number(self) -> None:
        """Addresses are numbers, names are not, even if they look alike."""
        self.assertEqual(address_number("0.0.1.1"), 257)
        self.assertEqual(address_number("::1"), 1)
        for name in ("example.com", "a.b1", "1.2.3.host4"):
            self.assertIsNone(address_number(name))
