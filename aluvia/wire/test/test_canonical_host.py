"""Tests for the one canonicaliser, :func:`aluvia.wire.target.canonical_host`."""

from __future__ import annotations

import ipaddress
import socket

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire import target
from aluvia.wire.target import InvalidHost, canonical_host


def full_width(text: str) -> str:
    """Spell visible ASCII in the full-width forms that UTS 46 maps back."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])


class CanonicalNameTests(SynchronousTestCase):
    """Names have one spelling."""

    def assert_canonical(self, expected: str, *spellings: str) -> None:
        """Every spelling becomes the expected one."""
        for spelling in spellings:
            self.assertEqual(canonical_host(spelling), expected, ascii(spelling))

    def assert_invalid(self, sentence: str, *hosts: str) -> None:
        """Every host is refused, with the sentence, which does not quote it."""
        for host in hosts:
            error = self.assertRaises(InvalidHost, canonical_host, host)
            self.assertIn(sentence, str(error), ascii(host))

    def test_case_and_trailing_dot(self) -> None:
        """Case and one trailing dot do not count."""
        self.assert_canonical("example.com", "example.com", "EXAMPLE.Com", "example.com.")
        self.assert_canonical("localhost", "LOCALHOST", "localhost.")

    def test_idna(self) -> None:
        """Unicode is mapped by UTS 46 to A-labels, which are left as they are."""
        self.assert_canonical(
            "xn--bcher-kva.de",
            "bücher.de",
            "BÜCHER.de.",
            "bu\u0308cher.de",
            "bü\u00adcher。de",
            "xn--bcher-kva.de",
            "XN--Bcher-KVA.DE",
        )
        self.assert_canonical(
            "example.com", full_width("example.com"), "example\uff61com", "eXample.\u2102om"
        )

    def test_not_transitional(self) -> None:
        """A sharp s is not two, and joiners stay where they mean something."""
        self.assert_canonical("xn--strae-oqa.de", "straße.de", "STRAẞE.de")
        self.assert_canonical("xn--11b2ezcw70k.com", "\u0915\u094d\u200d\u0937.com")

    def test_emoji(self) -> None:
        """Names that IDNA 2008 does not list, but that are registered and reached, pass."""
        self.assert_canonical("xn--i-7iq.ws", "i❤.ws", "xn--i-7iq.ws")

    def test_right_to_left(self) -> None:
        """The bidi rule holds label by label."""
        self.assert_canonical("xn--1-zhcd.com", "\u05d0\u05d11.com")
        self.assert_invalid("cannot stand together", "1\u05d0\u05d1.com", "\u0660\u0661.com")

    def test_labels_that_real_names_carry(self) -> None:
        """Underscores and hyphens may stand anywhere, and labels may begin with digits."""
        for name in ("_dmarc.example.com", "r3---sn-x.example", "foo-.example", "a.4u", "0xg"):
            self.assert_canonical(name, name)
        self.assert_canonical("axn--b.example", "axn--b.example")

    def test_lengths(self) -> None:
        """Labels have at most 63 characters, names 253, a trailing dot not counted."""
        self.assertEqual(len(LONGEST), 253)
        self.assert_canonical(LONGEST, LONGEST, LONGEST + ".")
        for name in (LONGEST + "d", LONGEST + "d.", "a" * 64 + ".de", "ü" * 60 + ".de"):
            self.assert_invalid("longer than 253", name)
        self.assert_invalid("longer than 253", "xn--" + "a" * 60 + ".de")
        self.assert_canonical("a.de", "\u00ad" * 1_020 + "a.de")
        self.assert_invalid("too long", "\u00ad" * 1_021 + "a.de")

    def test_empty(self) -> None:
        """There is no empty host and no empty label."""
        self.assert_invalid("The host is empty", "", ".", "\u00ad", "。")
        self.assert_invalid("empty label", "a..b", ".a", "a..", "..", "a.\u00ad.b")

    def test_other_characters(self) -> None:
        """Nothing but letters, digits, hyphens and underscores, also after mapping."""
        for character in " \t\r\n\0/\\@#?&*,;!$'()+=<>^`{|}~\"\x7f\u2100\ud800\uff0f\uff1a":
            with self.subTest(character=ascii(character)):
                self.assertRaises(InvalidHost, canonical_host, f"a{character}b.com")
        self.assert_invalid(
            "percent-encoded", "ex%61mple.com", "ex" + full_width("%") + "61mple.com"
        )
        self.assert_invalid("cannot stand together", "\u0301a.de", "\u200d.de")

    def test_a_labels_that_no_name_has(self) -> None:
        """An A-label is refused if its Unicode label would become something else, or nothing."""
        self.assert_invalid("xn-- label", "xn--.de", "xn--bcher-.de", "xn--99999999999.de")
        self.assert_invalid("xn-- label", "xn--0.de", "xn--bcher-2pa.de", "xn---bbk.de", "xn--ü.de")
        self.assertEqual("bÜcher".encode("punycode"), b"bcher-2pa")
        self.assert_invalid("character that no host name", "xn--a.de")

    def test_sentences_quote_nothing(self) -> None:
        """What is refused does not appear in the sentence, so that it can be logged."""
        for host in ("secret..zq", "zq%61", "[zq]", "zq.999", "xn--zq-.de", "\u0301zq"):
            error = self.assertRaises(InvalidHost, canonical_host, host)
            self.assertNotIn("zq", str(error))


class CanonicalAddressTests(SynchronousTestCase):
    """Addresses have one spelling, and IPv4 is never spelled as IPv6."""

    def test_what_inet_aton_reads(self) -> None:
        """Every form of an IPv4 address that C reads is that address."""
        for host in (
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "0177.0.0.01",
            "0x7f.1",
            "0X7F.0x0.0.1",
            "2130706433",
            "017700000001",
            "0x7f000001",
            full_width("0x7f.1"),
            "①②⑦.1",
            "::ffff:127.0.0.1",
            "[::FFFF:7F00:1]",
            "0:0:0:0:0:ffff:7f00:0001",
        ):
            self.assertEqual(canonical_host(host), "127.0.0.1", ascii(host))

    def test_numbers_that_are_no_address(self) -> None:
        """A name that ends in a number and is no IPv4 address is refused."""
        for host in (
            "256.1.1.1",
            "1.2.3.256",
            "1.65536.1",
            "1.2.65536",
            "4294967296",
            "1.16777216",
        ):
            self.assertRaises(InvalidHost, canonical_host, host)
        for host in ("foo.1", "1.2.3.4.5", "08.1.1.1", "0x", "a.0x1f", "1..2", "0xg.1", "9" * 250):
            self.assertRaises(InvalidHost, canonical_host, host)

    def test_ipv6(self) -> None:
        """RFC 5952, with and without brackets."""
        for host, expected in (
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("[2001:DB8:0:0:1:0:0:1]", "2001:db8::1:0:0:1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("[2001:0db8::0001]", "2001:db8::1"),
            ("::1.2.3.4", "::102:304"),
        ):
            self.assertEqual(canonical_host(host), expected)

    def test_no_ipv6(self) -> None:
        """Half a bracket, a name in brackets, a port, a future version: refused."""
        for host in (
            "[::1",
            "::1]",
            "[]",
            "[a.b]",
            "[1.2.3.4]",
            "[v1.x]",
            "a:80",
            "[::1]:80",
            "1::2::3",
        ):
            self.assertRaises(InvalidHost, canonical_host, host)

    def test_zones(self) -> None:
        """A zone id is refused in both spellings."""
        for host in ("fe80::1%eth0", "[fe80::1%25eth0]", "::1%"):
            error = self.assertRaises(InvalidHost, canonical_host, host)
            self.assertIn("zone", str(error))

    def test_cache_is_bounded(self) -> None:
        """Many different addresses do not make the cache grow past its bound."""
        for number in range(target.CACHED_SPELLINGS + 50):
            canonical_host(f"10.0.{number >> 8}.{number & 255}")
        info = target._canonical_spelling.cache_info()
        self.assertEqual(info.currsize, target.CACHED_SPELLINGS)

    @settings_for_tests
    @given(st.text(alphabet="0123456789abcfx.", max_size=20))
    def test_inet_aton_agrees(self, host: str) -> None:
        """What C reads as an address is that address here; what it does not read is none."""
        try:
            expected = socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
        except OSError:
            expected = ""
        try:
            found = canonical_host(host)
        except InvalidHost:
            found = ""
        if expected:
            self.assertEqual(found, expected)
        else:
            self.assertNotRegex(found, r"\A[0-9.]+\Z")

    @settings_for_tests
    @given(st.ip_addresses(v=6), st.booleans(), st.booleans())
    def test_every_ipv6_address(
        self, address: ipaddress.IPv6Address, upper: bool, long: bool
    ) -> None:
        """Any spelling of an IPv6 address is the shortest one, or its IPv4 address."""
        text = address.exploded if long else address.compressed
        expected = str(address.ipv4_mapped or address.compressed)
        self.assertEqual(canonical_host(text.upper() if upper else text), expected)
        self.assertEqual(canonical_host(f"[{text}]"), expected)


class CanonicalHostPropertyTests(SynchronousTestCase):
    """What holds for any text."""

    @settings_for_tests
    @given(
        st.text(max_size=40)
        | st.text(alphabet="aZ09-_.xn\u00fc\u00df\u05d0\u200d[]:%", max_size=80)
    )
    def test_canonical_or_invalid(self, text: str) -> None:
        """A host is either refused, or plain, bounded, and its own canonical spelling."""
        try:
            host = canonical_host(text)
        except InvalidHost:
            return
        self.assertRegex(host, r"\A[a-z0-9._:-]{1,253}\Z")
        self.assertEqual(canonical_host(host), host)

    @settings_for_tests
    @given(st.from_regex(r"[A-Za-z0-9_-]{1,20}(\.[A-Za-z0-9_-]{1,20}){0,4}\.?", fullmatch=True))
    def test_fast_and_slow_agree(self, host: str) -> None:
        """The way for plain names and the way for all others answer alike."""
        try:
            slow = target._canonical_spelling(host)
        except InvalidHost as invalid:
            self.assertRaises(InvalidHost, canonical_host, host)
            self.assertTrue(str(invalid).endswith("."))
        else:
            self.assertEqual(canonical_host(host), slow)
