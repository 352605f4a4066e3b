"""Tests for :mod:`aluvia.rules.decide`: what a list of rules says about a host."""

from __future__ import annotations

import sys
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import RuleSet, should_proxy


class ShouldProxyTests(SynchronousTestCase):
    """The answer alone."""

    def test_as_the_public_clients_promise(self) -> None:
        """What the published acceptance criteria say about lists."""
        for host in ("example.com", "foo.com", "10.0.0.1"):
            self.assertFalse(should_proxy(host, []))
            self.assertTrue(should_proxy(host, ["*"]))
        self.assertTrue(should_proxy("example.com", ["example.com"]))
        self.assertFalse(should_proxy("foo.com", ["example.com"]))
        self.assertFalse(should_proxy("example.com", ["*", "-example.com"]))
        self.assertTrue(should_proxy("foo.com", ["*", "-example.com"]))
        self.assertTrue(should_proxy("example.com", ["AUTO", "example.com"]))
        self.assertFalse(should_proxy("foo.com", ["AUTO", "example.com"]))

    def test_only_exclusions(self) -> None:
        """Without an inclusion everything is direct."""
        for host in ("example.com", "foo.com"):
            self.assertFalse(should_proxy(host, ["-example.com"]))
            self.assertFalse(should_proxy(host, ["-*"]))

    def test_the_placeholder(self) -> None:
        """AUTO has no effect, with either sign, in any case; it is no host either."""
        for text in ("AUTO", "auto", "Auto", "-AUTO", "- auto", " AUTO "):
            self.assertFalse(should_proxy("auto", [text]))
            self.assertFalse(should_proxy("example.com", [text]))
            self.assertTrue(should_proxy("example.com", [text, "*"]))

    def test_blanks_and_other_types(self) -> None:
        """What is no rule is skipped, and the others count."""
        rules: list[object] = ["", "  ", "-", None, 7, True, {"*": 1}, ["*"], b"*", "*.*", "**"]
        self.assertFalse(should_proxy("example.com", rules))
        self.assertTrue(should_proxy("example.com", [*rules, " example.com\n"]))
        self.assertFalse(should_proxy("example.com", [*rules, "*", " -\texample.com "]))

    def test_one_string(self) -> None:
        """One string in place of a list is a mistake, and not ``*``."""
        self.assertRaises(TypeError, should_proxy, "example.com", "*.example.com")

    def test_no_host(self) -> None:
        """What is no host is direct."""
        for hostname in ("", "a b", "example.com:443", "http://example.com/"):
            self.assertFalse(should_proxy(hostname, ["*"]))

    def test_no_dodging_by_spelling(self) -> None:
        """An excluded host is excluded in every spelling."""
        for exclusion, spellings in (
            ("-example.com", ("EXAMPLE.COM", "example.com.", "ex\u00adample.com")),
            ("-*.example.com", ("a.EXAMPLE.com", "a.example.com.")),
            ("-bücher.de", ("xn--bcher-kva.de", "BÜCHER.de", "bu\u0308cher.de")),
            ("-127.0.0.1", ("127.1", "0x7f.1", "2130706433", "[::ffff:7f00:1]")),
            ("-10.*", ("0xa.1.2.3", "012.1", "::ffff:a00:1")),
            ("-::1", ("[::1]", "0:0:0:0:0:0:0:1")),
            ("-google.*", ("Google.CO.UK.",)),
        ):
            for spelling in spellings:
                self.assertFalse(should_proxy(spelling, ["*", exclusion]), ascii(spelling))


class DecideTests(SynchronousTestCase):
    """The answer, and the rule that settled it."""

    def assert_settled(self, rules: list[str], expected: dict[str, str | None]) -> None:
        """For each host the expected rule settles it, in this order of the list and its reverse."""
        for ordered in (rules, rules[::-1]):
            ruleset = RuleSet.compile(ordered)
            for host, rule in expected.items():
                decision = ruleset.decide(host)
                self.assertEqual(decision.rule, rule, f"{host} {ordered}")
                self.assertEqual(decision.proxied, rule is not None and rule[0] != "-")
                if rule is not None:
                    self.assertEqual(decision.index, ordered.index(rule))

    def test_the_most_specific_inclusion_is_named(self) -> None:
        """A name, then the longest base, then stems, then ``*``."""
        self.assert_settled(
            [
                "*",
                "www.google.co.uk",
                "*.google.co.uk",
                "*.uk",
                "google.*",
                "*.google.*",
                "m.google.*",
            ],
            {
                "www.google.co.uk": "www.google.co.uk",
                "a.google.co.uk": "*.google.co.uk",
                "a.b.google.co.uk": "*.google.co.uk",
                "google.co.uk": "*.uk",
                "google.com": "google.*",
                "m.google.com": "m.google.*",
                "a.google.com": "*.google.*",
                "a.google.evil.com": "*",
                "192.0.2.1": "*",
            },
        )

    def test_no_rule(self) -> None:
        """Where nothing matches, no rule is named."""
        rules = ["*.example.com", "www.google.*", "10.*", "-a.b.google.*", "*.a.b.google.*"]
        nothing = (
            "example.com",
            "google.com",
            "www.google.evil",
            "a.b.google.x",
            "com",
            "11.0.0.1",
        )
        self.assert_settled(rules, dict.fromkeys((*nothing, "x.a.b.google.x", "::1", "b.a9")))

    def test_exclusions_of_every_kind_win(self) -> None:
        """Whatever kind excludes, over whatever kind includes."""
        for host, patterns in (
            (
                "www.google.co.uk",
                ("*", "www.google.co.uk", "*.uk", "*.google.co.uk", "www.google.*", "*.google.*"),
            ),
            ("10.1.2.3", ("*", "10.1.2.3", "10.*", "10.1.*", "10.1.2.0/24", "10.1.2.0/23")),
            ("2001:db8::1", ("*", "2001:db8::1", "2001:db8::/32", "2001::/16", "::/0")),
        ):
            for excluding in patterns:
                self.assert_settled(
                    [*(p for p in patterns if p != excluding), f"-{excluding}"],
                    {host: f"-{excluding}"},
                )
                ruleset = RuleSet.compile([*patterns, f"-{excluding}"])
                self.assertEqual(ruleset.decide(host).rule, f"-{excluding}")

    def test_inclusions_below_an_exclusion(self) -> None:
        """An inclusion inside an excluded tree or network is excluded as well."""
        self.assert_settled(
            [
                "*.a.example.com",
                "-*.example.com",
                "*.com",
                "10.1.*",
                "-10.*",
                "10.1.2.0/24",
                "*.x.*",
            ],
            {
                "b.a.example.com": "-*.example.com",
                "a.example.com": "-*.example.com",
                "example.com": "*.com",
                "b.org": None,
                "10.1.2.3": "-10.*",
                "10.1.0.1": "-10.*",
                "b.x.org": "*.x.*",
            },
        )

    def test_everything_excluded(self) -> None:
        """Under ``-*`` no inclusion counts; a closer exclusion may still be named."""
        self.assert_settled(
            ["*", "-*", "example.com", "*.example.com", "google.*", "10.*", "-*.a.b"],
            {"example.com": "-*", "a.example.com": "-*", "google.de": "-*", "10.0.0.1": "-*",
             "x.a.b": "-*.a.b"},
        )  # fmt: skip

    def test_the_first_of_equal_rules_is_named(self) -> None:
        """Of rules that mean the same, the first; an exclusion before all inclusions."""
        ruleset = RuleSet.compile(["a.example", "A.example", "-a.EXAMPLE", "-a.example."])
        self.assertEqual(ruleset.decide("a.example").rule, "-a.EXAMPLE")
        self.assertEqual(ruleset.decide("a.example").index, 2)
        self.assertEqual(RuleSet.compile(["10.*", "10.0.0.0/8"]).decide("10.0.0.1").rule, "10.*")

    def test_stems_with_several_cuts(self) -> None:
        """A suffix inside a suffix: both cuts count, and an exclusion by either wins."""
        self.assert_settled(["google.co.*", "google.*"], {"google.co.uk": "google.co.*"})
        self.assert_settled(["google.co.*", "-google.*"], {"google.co.uk": "-google.*"})
        self.assert_settled(["-google.co.*", "google.*"], {"google.co.uk": "-google.co.*"})
        self.assert_settled(["*.co.*", "-*.google.*"], {"a.google.co.uk": "-*.google.*"})
        self.assert_settled(["*.google.*", "-*.co.*"], {"a.google.co.uk": "-*.co.*"})
        self.assert_settled(["-*.google.*", "*.a.google.*"], {"b.a.google.de": "-*.google.*"})
        self.assert_settled(["*.google.*", "-*.b.a.google.*"], {"b.a.google.de": "*.google.*"})

    def test_names_that_look_like_addresses(self) -> None:
        """A name that ends in a digit or a hyphen is looked up as a name."""
        self.assert_settled(
            ["*.host9", "10.*", "*.a-"], {"a.host9": "*.host9", "b.a-": "*.a-", "10.0.0.9": "10.*"}
        )

    def test_decisions_are_made_when_compiling(self) -> None:
        """Asking twice gives the same object, not an equal one."""
        ruleset = RuleSet.compile(["*.example.com", "google.*", "10.*", "a.example"])
        for host in ("b.example.com", "google.de", "10.0.0.1", "a.example", "nothing.example"):
            self.assertIs(ruleset.decide(host), ruleset.decide(host))

    def test_revision_and_rules(self) -> None:
        """A rule set knows its revision and the rules that count."""
        ruleset = RuleSet.compile(["*", "", "-example.com", None], revision=7)
        self.assertEqual(ruleset.revision, 7)
        self.assertEqual([rule.text for rule in ruleset.rules], ["*", "-example.com"])
        self.assertEqual(repr(ruleset), "<RuleSet of 2 rules, revision 7>")
        self.assertEqual(RuleSet.compile([]).revision, 0)

    def test_one_string(self) -> None:
        """One string in place of a list is refused."""
        self.assertRaises(TypeError, RuleSet.compile, "*")


class CostTests(SynchronousTestCase):
    """What deciding costs does not depend on how many rules there are."""

    RULES = (
        "www.site{0}.com", "*.site{0}.net", "brand{0}.*", "*.brand{0}.*", "10.{1}.{2}.0/24",
        "2001:db8:{0:x}::/48", "-static.site{0}.com", "-*.internal.site{0}.net",
    )  # fmt: skip

    def compiled(self, count: int) -> RuleSet:
        """Compile as many rules of every kind."""
        return RuleSet.compile(
            rule.format(number, number // 256, number % 256)
            for number in range(count)
            for rule in self.RULES
        )

    def calls(self, ruleset: RuleSet, host: str) -> int:
        """Count the calls, of C functions too, that one decision makes."""
        count = 0

        def counted(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            ruleset.decide(host)
        finally:
            sys.setprofile(None)
        return count

    def test_same_for_any_number_of_rules(self) -> None:
        """Two rules of a kind and a thousand: the same calls, for hits and misses of all kinds."""
        few, many = self.compiled(2), self.compiled(1_000)
        for host in (
            "www.site1.com", "a.site1.net", "brand1.co.uk", "www.brand1.com", "10.0.1.7",
            "2001:db8:1::7", "static.site1.com", "a.internal.site1.net", "www.unlisted.com",
            "a.b.c.d.e.f.unlisted.example", "192.0.2.1", "::1", "localhost",
        ):  # fmt: skip
            few.decide(host)  # fills the memory of public suffixes
            self.assertEqual(self.calls(few, host), self.calls(many, host), host)

    def test_depth_of_a_host_without_rules(self) -> None:
        """A search ends where no rule is, not at the host's last label."""
        ruleset = self.compiled(10)
        deep = ".".join(["a"] * 120 + ["unlisted", "example"])
        self.assertLessEqual(
            self.calls(ruleset, deep), self.calls(ruleset, "www.unlisted.example") + 1
        )
