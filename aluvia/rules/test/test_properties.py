"""What holds for all rules and hosts, against a naive reading of the table.

:func:`reference_matches` and :func:`reference_proxies` are written from the table of patterns and
share nothing with the package but the canonical spelling of a host.
"""

from __future__ import annotations

import ipaddress
import typing

from hypothesis import example, given
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList
from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import RuleSet, explain, lint, match_pattern, should_proxy
from aluvia.rules.lint import covering
from aluvia.rules.match import matches
from aluvia.rules.model import Kind, Unreadable
from aluvia.rules.read import read_pattern
from aluvia.testing.properties import settings_for_tests
from aluvia.wire.target import InvalidHost, canonical_host

ICANN: typing.Final = PublicSuffixList(accept_unknown=False, only_icann=True)


def reference_matches(host: str, pattern: str) -> bool:
    """Whether a canonical host matches, read off the table row by row."""
    pattern = pattern.strip()
    if pattern == "*":
        return True
    if "/" in pattern:
        return reference_in_network(host, pattern)
    below = pattern.startswith("*.")
    name = pattern.removeprefix("*.").removesuffix(".*").lower()
    if "*" in name or name in ("", "auto"):
        return False
    if pattern.endswith(".*"):
        return reference_before_suffix(host, name, below)
    try:
        name = canonical_host(name)
    except InvalidHost:
        return False
    return host.endswith(f".{name}") if below else host == name


def reference_before_suffix(host: str, name: str, below: bool) -> bool:
    """The rows of ``google.*`` and of ``10.*``."""
    numbers = name.split(".")
    if not below and len(numbers) < 4 and set(numbers) <= set(map(str, range(256))):
        return is_address(host) and host.startswith(f"{name}.")
    labels = host.split(".")
    for cut in range(1, len(labels)):
        front, suffix = ".".join(labels[:cut]), ".".join(labels[cut:])
        found = front.endswith(f".{name}") if below else front == name
        if found and ICANN.is_public(suffix):
            return True
    return False


def is_address(host: str) -> bool:
    """Whether a canonical host is a literal address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def reference_in_network(host: str, pattern: str) -> bool:
    """Whether a canonical host is a literal address of a network."""
    try:
        network = ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return False
    return is_address(host) and ipaddress.ip_address(host) in network


def reference_proxies(host: str, rules: list[str]) -> bool:
    """Read the list as the page says: any matching exclusion wins, then any inclusion."""
    stripped = [rule.strip() for rule in rules]
    included = [rule for rule in stripped if not rule.startswith("-")]
    excluded = [rule[1:] for rule in stripped if rule.startswith("-")]
    if any(reference_matches(host, rule) for rule in excluded):
        return False
    return any(reference_matches(host, rule) for rule in included)


# Few labels, so that random rules and random hosts meet often.
label = st.sampled_from(["a", "www", "google", "co", "com", "uk", "de", "io", "github", "ck", "7x"])
name = st.lists(label, min_size=1, max_size=5).map(".".join)
octet = st.sampled_from([0, 1, 10, 127, 255])
ipv4 = st.tuples(octet, octet, octet, octet).map(lambda parts: ".".join(map(str, parts)))
group = st.sampled_from(["0", "1", "db8", "2001", "ffff"])
ipv6 = st.lists(group, min_size=8, max_size=8).map(":".join).map(canonical_host)
hosts = name | ipv4 | ipv6.filter(lambda host: ":" in host)

patterns = st.one_of(
    st.just("*"),
    name,
    name.map("*.{}".format),
    name.map("{}.*".format),
    name.map("*.{}.*".format),
    ipv4,
    ipv6,
    st.lists(octet, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)) + ".*"),
    st.tuples(ipv4, st.integers(0, 32)).map("{0[0]}/{0[1]}".format),
    st.tuples(ipv6.filter(lambda host: ":" in host), st.integers(0, 128)).map(
        "{0[0]}/{0[1]}".format
    ),
)
#: Patterns that mean something in the same few labels, and texts that mostly mean nothing.
texts = patterns | st.lists(
    st.sampled_from(
        ["*", "*.", ".*", ".", "a", "google", "com", "-", "1", "256", "/", "8", ":", "%"]
    ),
    max_size=5,
).map("".join)
rules = st.tuples(st.sampled_from(["", "-", " - "]), patterns).map("".join)
rule_lists = st.lists(rules, max_size=8)


class ReferenceTests(SynchronousTestCase):
    """The index, the plain matching and the naive reading agree."""

    @settings_for_tests
    @given(hosts, patterns)
    def test_match(self, host: str, pattern: str) -> None:
        """One host, one pattern."""
        self.assertEqual(match_pattern(host, pattern), reference_matches(host, pattern))

    @settings_for_tests
    @given(st.lists(hosts, min_size=1, max_size=8), rule_lists)
    @example(["a.google.co.uk"], ["google.co.*", "-*.google.*"])
    def test_decide(self, some_hosts: list[str], some_rules: list[str]) -> None:
        """Many hosts, one compiled list."""
        ruleset = RuleSet.compile(some_rules)
        for host in some_hosts:
            proxied = ruleset.decide(host).proxied
            self.assertEqual(proxied, reference_proxies(host, some_rules), host)

    @settings_for_tests
    @given(hosts, rule_lists)
    def test_the_rule_that_settled_it(self, host: str, some_rules: list[str]) -> None:
        """It matches, has the sign of the answer, and stands where it is said to stand."""
        decision = RuleSet.compile(some_rules).decide(host)
        if decision.rule is None:
            self.assertIsNone(decision.index)
            self.assertFalse(any(reference_matches(host, r.strip(" -")) for r in some_rules))
        else:
            assert decision.index is not None
            self.assertEqual(decision.rule, some_rules[decision.index].strip())
            self.assertEqual(decision.proxied, not decision.rule.startswith("-"))
            self.assertTrue(reference_matches(host, decision.rule.removeprefix("-").strip()))

    @settings_for_tests
    @given(hosts, rule_lists)
    def test_explain(self, host: str, some_rules: list[str]) -> None:
        """The rule that settled it and those that lost are all that match."""
        explanation = explain(RuleSet.compile(some_rules), host)
        told = sorted([*explanation.lost, *([explanation.rule] if explanation.rule else [])])
        matching = [r.strip() for r in some_rules if reference_matches(host, r.strip(" -"))]
        self.assertEqual(told, sorted(matching))


class ExclusionTests(SynchronousTestCase):
    """Exclusions cannot be got round."""

    @settings_for_tests
    @given(hosts, patterns, rule_lists, st.integers(0, 8))
    def test_any_exclusion_wins(
        self, host: str, pattern: str, some_rules: list[str], place: int
    ) -> None:
        """A host that an exclusion matches is direct, wherever the exclusion stands."""
        if match_pattern(host, pattern):
            with_exclusion = [*some_rules[:place], f"-{pattern}", *some_rules[place:], "*"]
            self.assertFalse(should_proxy(host, with_exclusion))

    @settings_for_tests
    @given(name, st.data())
    def test_spellings_of_names(self, host: str, data: st.DataObject) -> None:
        """Case, a trailing dot, full-width characters and ignored ones change nothing."""
        self.assert_same_as(host, data.draw(spelled(host)), data.draw(spelled(host)))

    @settings_for_tests
    @given(st.sampled_from(["bücher.de", "straße.example", "例え.テスト", "i❤.ws", "ñ.google.es"]))
    def test_spellings_of_unicode(self, host: str) -> None:
        """A Unicode name and its A-labels are one host and one rule."""
        alabels = canonical_host(host)
        self.assert_same_as(alabels, host, alabels.upper())
        self.assert_same_as(alabels, alabels, host.upper() if "ß" not in host else host)

    @settings_for_tests
    @given(st.ip_addresses(v=4), st.data())
    def test_spellings_of_ipv4(self, address: ipaddress.IPv4Address, data: st.DataObject) -> None:
        """Octal, hexadecimal, decimal, short and mapped forms are one address."""
        a, b, c, d = address.packed
        spellings = st.sampled_from(
            [
                str(int(address)),
                hex(int(address)),
                f"0{int(address):o}",
                f"{a:#x}.{b}.{c:#04x}.0{d:o}",
                f"{a}.{(b << 16) + (c << 8) + d}",
                f"0{a:o}.{b}.{(c << 8) + d:#x}",
                f"::ffff:{address}",
                f"[::FFFF:{a:02X}{b:02X}:{c:02x}{d:02x}]",
            ]
        )
        self.assert_same_as(str(address), data.draw(spellings), data.draw(spellings))
        for pattern in (f"{a}.*", f"{a}.{b}.{c}.*", f"{address}/9", f"::ffff:{address}/110"):
            self.assertFalse(should_proxy(data.draw(spellings), ["*", f"-{pattern}"]), pattern)

    @settings_for_tests
    @given(st.ip_addresses(v=6), st.integers(0, 128))
    def test_spellings_of_ipv6(self, address: ipaddress.IPv6Address, bits: int) -> None:
        """Long, short, upper case and bracketed forms are one address."""
        for spelling in (address.exploded, f"[{address.compressed.upper()}]"):
            self.assert_same_as(canonical_host(str(address)), spelling, f"[{address.exploded}]")
            if address.ipv4_mapped is None:
                self.assertFalse(should_proxy(spelling, ["*", f"-{address}/{bits}"]))

    def assert_same_as(self, host: str, as_host: str, as_rule: str) -> None:
        """Both spellings mean the host, as a host and as a rule."""
        self.assertTrue(match_pattern(as_host, as_rule), ascii((as_host, as_rule)))
        self.assertTrue(match_pattern(host, as_rule))
        self.assertFalse(should_proxy(as_host, ["*", as_host, f"-{as_rule}"]))
        self.assertTrue(should_proxy(as_host, [as_rule]))


def spelled(host: str) -> st.SearchStrategy[str]:
    """Spell a name differently, letter by letter."""

    def letter(character: str) -> st.SearchStrategy[str]:
        others = [character, character.upper(), character + "\u00ad", chr(ord(character) + 0xFEE0)]
        return st.sampled_from(others)

    return st.tuples(st.tuples(*map(letter, host)), st.sampled_from(["", ".", "\u3002"])).map(
        lambda parts: "".join(parts[0]) + parts[1]
    )


class LintTests(SynchronousTestCase):
    """The linter is right about what it claims."""

    @settings_for_tests
    @given(texts, st.lists(hosts, max_size=8))
    def test_never_matches(self, text: str, some_hosts: list[str]) -> None:
        """A rule is flagged if no host matches it, and only then."""
        flagged = any(finding.code == "never-matches" for finding in lint(["*", text]))
        pattern = text.strip().removeprefix("-").strip()
        # The shortest host that the text could mean, if it meant anything.
        front = "a." * pattern.startswith("*.")
        middle = pattern.removeprefix("*.").removesuffix(".*").partition("/")[0]
        candidates = [*some_hosts, front + middle, front + middle + ".com", middle + ".0" * 3, "a"]
        candidates += [middle + ".0" * 2, middle + ".0"]
        matched = [host for host in candidates if match_pattern(host, pattern)]
        if flagged:
            self.assertEqual(matched, [])
            for host in candidates:
                try:
                    self.assertFalse(reference_matches(canonical_host(host), pattern), host)
                except InvalidHost:
                    continue
        elif pattern and pattern.lower() != "auto":
            self.assertNotEqual(matched, [])

    @settings_for_tests
    @given(rule_lists, hosts)
    def test_shadowed_is_never_named(self, some_rules: list[str], host: str) -> None:
        """A shadowed rule, and one that does not count, settles nothing."""
        idle = {f.index for f in lint(some_rules) if f.code in ("shadowed", "never-matches")}
        self.assertNotIn(RuleSet.compile(some_rules).decide(host).index, idle)

    @settings_for_tests
    @given(rule_lists, hosts)
    def test_overlap_changes_nothing(self, some_rules: list[str], host: str) -> None:
        """Without the rules that others cover, everything goes the same way."""
        idle = {f.index for f in lint(some_rules) if f.code in ("overlap", "duplicate", "shadowed")}
        kept = [rule for index, rule in enumerate(some_rules) if index not in idle]
        self.assertEqual(should_proxy(host, kept), should_proxy(host, some_rules))

    @settings_for_tests
    @given(patterns, patterns, st.lists(hosts, max_size=8))
    def test_covering(self, text: str, other: str, some_hosts: list[str]) -> None:
        """A covering pattern matches every host that the covered one matches."""
        try:
            pattern, wider = read_pattern(text), read_pattern(other)
        except Unreadable:
            return
        if wider in set(covering(pattern)):
            for host in some_hosts:
                if matches(pattern, host):
                    self.assertTrue(matches(wider, host))
        if pattern.kind is Kind.NAME:
            covered = wider in {pattern, *covering(pattern)}
            self.assertEqual(covered, matches(wider, pattern.name))
