"""Tests for :mod:`aluvia.rules.read`: what a rule's text means, and which texts mean nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules.model import Ignored, Kind, Pattern, Rule, Unreadable
from aluvia.rules.read import read_pattern, read_rules


class ReadPatternTests(SynchronousTestCase):
    """One pattern without its sign."""

    def test_kinds(self) -> None:
        """Each row of the table is read as its kind."""
        for text, expected in (
            ("*", Pattern(Kind.ANY)),
            ("example.com", Pattern(Kind.NAME, "example.com")),
            ("192.0.2.1", Pattern(Kind.NAME, "192.0.2.1")),
            ("*.example.com", Pattern(Kind.BELOW, "example.com")),
            ("*.com", Pattern(Kind.BELOW, "com")),
            ("google.*", Pattern(Kind.STEM, "google")),
            ("www.google.*", Pattern(Kind.STEM, "www.google")),
            ("*.google.*", Pattern(Kind.BELOW_STEM, "google")),
            ("*.www.google.*", Pattern(Kind.BELOW_STEM, "www.google")),
            ("10.*", Pattern(Kind.IPV4, network=0x0A000000, bits=8)),
            ("127.0.*", Pattern(Kind.IPV4, network=0x7F000000, bits=16)),
            ("127.0.0.*", Pattern(Kind.IPV4, network=0x7F000000, bits=24)),
            ("192.0.2.0/24", Pattern(Kind.IPV4, network=0xC0000200, bits=24)),
            ("0.0.0.0/0", Pattern(Kind.IPV4)),
            ("2001:db8::/32", Pattern(Kind.IPV6, network=0x20010DB8 << 96, bits=32)),
            ("::/0", Pattern(Kind.IPV6)),
        ):
            self.assertEqual(read_pattern(text), expected, text)

    def test_equal_meaning_is_equal(self) -> None:
        """Texts that mean the same give equal patterns."""
        for texts in (
            ("[::1]", "::1", "0:0::0:1", "::1/128", "[::1]/128"),
            ("127.0.0.1", "127.1", "0x7f.1", "2130706433", "::ffff:127.0.0.1", "127.1/32"),
            ("10.*", "10.0.0.0/8", "10.1.2.3/8", "0xa.0/8", "::ffff:10.0.0.0/104"),
            ("bücher.de", "BÜCHER.DE.", " xn--bcher-kva.de\n", "XN--BCHER-KVA.de"),
            ("*.bücher.de", "*.xn--bcher-kva.de."),
            ("bücher.*", "Xn--Bcher-Kva.*"),
            ("2001:db8::/32", "[2001:DB8::]/32", "2001:db8:0:1::5/32"),
        ):
            self.assertEqual(len({read_pattern(text) for text in texts}), 1, texts)

    def test_numbers_before_the_star(self) -> None:
        """One to three numbers that begin a dotted address are a prefix; others are labels."""
        for text in ("360.*", "010.*", "1.2.3.4.*", "1.2.3.4.5.*", "0x7f.*", "10.a.*"):
            self.assertEqual(read_pattern(text), Pattern(Kind.STEM, text[:-2]))
        self.assertEqual(read_pattern("*.10.*"), Pattern(Kind.BELOW_STEM, "10"))

    def test_networks_of_mapped_addresses(self) -> None:
        """Such hosts are always spelled as IPv4, hence so are such networks."""
        self.assertEqual(read_pattern("::ffff:0:0/96"), Pattern(Kind.IPV4))
        wide = read_pattern("::ffff:0:0/95")
        self.assertEqual((wide.kind, wide.bits), (Kind.IPV6, 95))

    def test_never_matches(self) -> None:
        """What no host can match is refused with a sentence that helps."""
        for text, sentence in (
            ("*.*", "A star stands alone"),
            ("**", "A star stands alone"),
            ("*.", "A star stands alone"),
            (".*", "A star stands alone"),
            ("*..*", "A star stands alone"),
            ("*example.com", "A star stands alone"),
            ("www.*.com", "A star stands alone"),
            ("*.*.com", "A star stands alone"),
            ("example*", "A star stands alone"),
            ("https://example.com", "A URL is no pattern"),
            ("https://example.com/path", "A URL is no pattern"),
            ("example.com:443", "Ports take no part"),
            ("example.com:", "Ports take no part"),
            ("[::1]:80", "Ports take no part"),
            ("*.example.com:443", "Ports take no part"),
            (".example.com", "write *.example.com"),
            ("a.com,b.com", "One rule holds one pattern"),
            ("a.com b.com", "One rule holds one pattern"),
            ("example.com/path", "What has a slash"),
            ("10.0.0.0/33", "What has a slash"),
            ("10.0.0.0/-1", "What has a slash"),
            ("10.0.0.0/255.0.0.0", "What has a slash"),
            ("10.0.0.0/", "What has a slash"),
            ("10.0.0.0/\u0668", "What has a slash"),
            ("a.example/8", "What has a slash"),
            ("::/129", "What has a slash"),
            ("fe80::%eth0/64", "What has a slash"),
            ("[::/8", "What has a slash"),
            ("a..b", "empty label"),
            ("*..b", "empty label"),
            ("a..*", "empty label"),
            ("ex%61mple.com", "percent-encoded"),
            ("fe80::1%eth0", "zone"),
            ("a" * 64, "longer"),
            ("user@example.com", "character"),
            ("256.1.1.1", "out of range"),
            ("*.0.0.1", "number"),
            ("*.::1", "colon"),
            ("::1.*", "colon"),
        ):
            error = self.assertRaises(Unreadable, read_pattern, text)
            self.assertEqual(error.reason, "never-matches", text)
            self.assertIn(sentence, str(error), text)

    def test_longest(self) -> None:
        """A pattern is refused as soon as there is no room for the shortest host it matches."""
        base = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 59])
        self.assertEqual(len(base), 251)
        self.assertEqual(read_pattern(f"*.{base}").name, base)
        self.assertRaises(Unreadable, read_pattern, f"*.{base}d")
        self.assertEqual(read_pattern(f"{base[:-1]}.*").name, base[:-1])
        self.assertRaises(Unreadable, read_pattern, f"{base}.*")
        self.assertEqual(read_pattern(f"*.{base[:-3]}.*").name, base[:-3])
        self.assertRaises(Unreadable, read_pattern, f"*.{base[:-2]}.*")

    def test_canonical_text(self) -> None:
        """``str`` gives a text that is read as an equal pattern."""
        for text in ("*", "a.b", "*.a.b", "a.*", "*.a.*", "10.0.0.0/8", "2001:db8::/32", "::1"):
            self.assertEqual(str(read_pattern(text)), text)


class ReadRulesTests(SynchronousTestCase):
    """A list as it came."""

    def test_signs(self) -> None:
        """A minus excludes; white space is trimmed, after the minus too."""
        name = Pattern(Kind.NAME, "example.com")
        self.assertEqual(
            list(read_rules(["example.com", " -example.com", "\t-  example.com\n", "--a"])),
            [
                Rule(0, "example.com", False, name),
                Rule(1, "-example.com", True, name),
                Rule(2, "-  example.com", True, name),
                Rule(3, "--a", True, Pattern(Kind.NAME, "-a")),
            ],
        )

    def test_what_does_not_count(self) -> None:
        """Blanks, the placeholder, other types and the impossible are told apart."""
        entries = ["", "  ", "-", "- ", "AUTO", "auto", "-AUTO", "- Auto ", None, 7, ["*"], "*.*"]
        reasons = [entry.reason for entry in read_rules(entries) if isinstance(entry, Ignored)]
        expected = ["blank"] * 4 + ["placeholder"] * 4 + ["not-a-string"] * 3 + ["never-matches"]
        self.assertEqual(reasons, expected)

    def test_index_counts_everything(self) -> None:
        """The index is the place in the list as it came."""
        self.assertEqual([entry.index for entry in read_rules([None, "", "a"])], [0, 1, 2])

    def test_one_string_is_no_list(self) -> None:
        """A string would be read letter by letter, with its star as ``*``: it is refused."""
        for rules in ("*.example.com", b"*"):
            self.assertRaises(TypeError, list, read_rules(rules))
