"""PAC files in a JavaScript engine (Node's), against the rules that they are made from."""

from __future__ import annotations

import contextlib
import json
import subprocess
import typing

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.pac import PAC_BYTES, pac_script
from aluvia.rules import RuleSet
from aluvia.rules.match import address_number, matches
from aluvia.rules.model import Kind, Pattern
from aluvia.rules.test.test_properties import hosts, name, rule_lists, spelled
from aluvia.testing.properties import settings_for_tests
from aluvia.wire.target import InvalidHost, canonical_host
from tests.peers.support import HERE, missing, need_program

URL = "http://127.0.0.1:18787"
PROXY = "PROXY 127.0.0.1:18787"

#: Each kind of pattern, of one label and of more, about few hosts.
PATTERNS = (
    *("*", "google", "www.google.co", "*.google", "*.google.co", "*.www.google.co.uk"),
    *("google.*", "www.google.*", "*.google.*", "*.google.co.*", "*.0.*", "com.*"),
    *("10.*", "10.0.*", "10.0.0.1", "0.0.0.0/0", "10.128.0.0/9", "::ffff:10.0.0.0/104"),
    *("::/0", "::1", "2001:db8::/32", "2001:db8::/33"),
)

#: Hosts that are none, or whose spelling takes more than lower case.
ODD = (
    "",
    ".",
    "a..b",
    "127.1",
    "0x7f.1",
    "010.0.0.1",
    "1.2.3",
    "256.1.1.1",
    "a.1",
    "::1%eth0",
    "fe80::1%25eth0",
    "1:2:3",
    "1::2::3",
    ":::",
    "[",
    "[::1",
    "::ffff:1.2.3",
    "::1.2.3.4.5",
    "12345::",
    "g::",
    "b\u00fccher.de",
    "\u212aelvin.com",
    "a b",
    "a/b",
    'a"b',
    "a\\b",
    "a\nb",
    "a" * 64,
    "a." * 130 + "com",
    "\u2028",
)


def may_match(pattern: Pattern, host: str) -> bool:
    """Whether a canonical host matches, if every name were a public suffix."""
    if pattern.kind not in (Kind.STEM, Kind.BELOW_STEM):
        return matches(pattern, host)
    if address_number(host) is not None:
        return False
    if pattern.kind is Kind.STEM:
        return host.startswith(f"{pattern.name}.")
    return f".{pattern.name}." in host


def expected(ruleset: RuleSet, host: str) -> str:
    """What the script is to say of a canonical host."""
    certainly_out = any(
        matches(rule.pattern, host)
        for rule in ruleset.rules
        if rule.excludes and rule.pattern.kind not in (Kind.STEM, Kind.BELOW_STEM)
    )
    perhaps_in = any(may_match(rule.pattern, host) for rule in ruleset.rules if not rule.excludes)
    return PROXY if perhaps_in and not certainly_out else "DIRECT"


def near(rule: str) -> list[str]:
    """Hosts that a rule is about, or nearly."""
    text = rule.strip().removeprefix("-").strip().partition("/")[0]
    body = text.removeprefix("*.").removesuffix(".*")
    found = []
    for host in (
        *(body, f"a.{body}", f"a.b.{body}", f"x{body}"),
        *(f"{front}{body}{behind}" for front in ("", "a.", "a.b.")
          for behind in (".com", ".co.uk", ".evil.com", ".0.0", ".1.2.3")),
    ):  # fmt: skip
        with contextlib.suppress(InvalidHost):
            found.append(canonical_host(host))
    return found


class PacCase(SynchronousTestCase):
    """An engine that runs scripts."""

    def setUp(self) -> None:
        """Start it."""
        node = need_program("node", "nodejs")
        self.engine = subprocess.Popen(
            (node, str(HERE / "pac.mjs")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )
        self.addCleanup(self._end)

    def _end(self) -> None:
        assert self.engine.stdin is not None and self.engine.stdout is not None
        self.engine.stdin.close()
        self.engine.stdout.close()
        self.assertEqual(0, self.engine.wait())

    def ask(self, script: str, some_hosts: typing.Sequence[str]) -> list[str]:
        """What a script says of each host."""
        assert self.engine.stdin is not None and self.engine.stdout is not None
        print(json.dumps({"script": script, "hosts": some_hosts}), file=self.engine.stdin)
        self.engine.stdin.flush()
        answers: list[str] = json.loads(self.engine.stdout.readline())
        return answers

    def assert_agrees(self, ruleset: RuleSet, script: str, some_hosts: list[str]) -> None:
        """Direct only where the rules say so, and the proxy only where they might say gateway."""
        for host, answer in zip(some_hosts, self.ask(script, some_hosts), strict=True):
            canonical = canonical_host(host)
            self.assertEqual(expected(ruleset, canonical), answer, (host, ruleset.rules))
            if ruleset.decide(canonical).proxied:
                self.assertEqual(PROXY, answer, (host, ruleset.rules))


class PacTests(PacCase):
    """What the script says, and what the rules say."""

    def test_every_pair(self) -> None:
        """Each kind of inclusion with each kind of exclusion, and hosts that both are about."""
        edges = ["2001:db8:7fff::", "2001:db8:8000::", "10.127.255.255", "9.255.255.255", "::2"]
        some_hosts = sorted({host for pattern in PATTERNS for host in near(pattern)}) + edges
        self.assertGreater(len(some_hosts), 100)
        for included in PATTERNS:
            for excluded in ("AUTO", *PATTERNS):
                ruleset = RuleSet.compile([included, f"-{excluded}"])
                self.assert_agrees(ruleset, pac_script(ruleset, URL), some_hosts)

    @settings_for_tests
    @given(st.lists(hosts, max_size=16), rule_lists)
    @example(["a.google.co.uk"], ["google.co.*", "-*.google.*"])
    @example(["constructor", "__proto__", "a.__proto__"], ["constructor", "*.__proto__"])
    @example(["10.0.0.1"], ["*.0.*"])
    @example(["10.0.0.1", "10.0.0.2"], ["10.*", "-10.0.0.2"])
    def test_any_rules(self, some_hosts: list[str], some_rules: list[str]) -> None:
        """Random rules, random hosts, and hosts that are about what the rules are about."""
        ruleset = RuleSet.compile(some_rules)
        some_hosts = some_hosts + [host for rule in some_rules for host in near(rule)]
        self.assert_agrees(ruleset, pac_script(ruleset, URL), some_hosts)

    @settings_for_tests
    @given(name.filter(lambda host: not host.rpartition(".")[2].isdigit()), rule_lists, st.data())
    def test_spellings_of_names(
        self, host: str, some_rules: list[str], data: st.DataObject
    ) -> None:
        """No spelling that is the same host is direct where that goes through the gateway."""
        ruleset = RuleSet.compile(some_rules)
        some_spellings = [data.draw(spelled(host)), host.upper() + "."]
        answers = self.ask(pac_script(ruleset, URL), some_spellings)
        for answer in answers:
            if ruleset.decide(canonical_host(host)).proxied:
                self.assertEqual(PROXY, answer)

    @settings_for_tests
    @given(st.ip_addresses(v=6), st.ip_addresses(v=4), rule_lists, st.data())
    def test_spellings_of_addresses(
        self, six: typing.Any, four: typing.Any, some_rules: list[str], data: st.DataObject
    ) -> None:
        """Long, short, bracketed and mapped forms of an address, near networks of all lengths."""
        networks = [
            data.draw(st.sampled_from(["", "-"])) + f"{address}/{bits}"
            for address, bits in (
                (six, data.draw(st.integers(0, 128))),
                (four, data.draw(st.integers(0, 32))),
                (f"::ffff:{four}", data.draw(st.integers(90, 128))),
            )
        ]
        ruleset = RuleSet.compile([*some_rules, *networks])
        a, b, c, d = four.packed
        self.assert_agrees(
            ruleset,
            pac_script(ruleset, URL),
            [
                *(str(six), six.exploded, f"[{six}]", six.exploded.upper(), str(four), f"{four}."),
                *(f"::ffff:{four}", f"[::FFFF:{a:02x}{b:02x}:{c:02x}{d:02x}]"),
                *(f"64:ff9b::{four}", f"0:0:0:0:0:0:{four}"),
            ],
        )

    def test_odd_hosts(self) -> None:
        """What is no host, or not plainly one, comes to the proxy, even if nothing else does."""
        for some_rules in ([], ["-*"], ["-*", "*"]):
            script = pac_script(RuleSet.compile(some_rules), URL)
            self.assertEqual([PROXY] * len(ODD), self.ask(script, ODD))

    @settings_for_tests
    @given(st.lists(st.text(max_size=20), max_size=8), rule_lists)
    def test_any_text(self, some_hosts: list[str], some_rules: list[str]) -> None:
        """No text is an error; and if it is a host after all, it is not direct by mistake."""
        ruleset = RuleSet.compile(some_rules)
        for host, answer in zip(
            some_hosts, self.ask(pac_script(ruleset, URL), some_hosts), strict=True
        ):
            self.assertIn(answer, [PROXY, "DIRECT"])
            with contextlib.suppress(InvalidHost):
                if ruleset.decide(canonical_host(host)).proxied:
                    self.assertEqual(PROXY, answer, host)

    def test_old_engines(self) -> None:
        """It is ECMAScript 3, as acorn reads it: the rules as objects, and as hashes."""
        if not (HERE / "node_modules" / "acorn").is_dir():
            missing("acorn", f"npm install --prefix {HERE}")
        program = """
            import { parse } from "acorn";
            import { readFileSync } from "node:fs";
            parse(readFileSync(0, "utf8"), { ecmaVersion: 3 });
        """
        command = (need_program("node", "nodejs"), "--input-type=module", "-e", program)
        for script, status in (
            (pac_script(RuleSet.compile(["*.a", "-b", "10.*"]), URL), 0),
            (pac_script(RuleSet.compile(f"{n}.example.com" for n in range(60_000)), URL), 0),
            ("let late = 1;", 1),
        ):
            ran = subprocess.run(
                command, input=script, encoding="ascii", cwd=HERE, capture_output=True, check=False
            )
            self.assertEqual(status, ran.returncode, ran.stderr)

    def test_without_configuration(self) -> None:
        """Everything comes to the proxy."""
        answers = self.ask(pac_script(None, "http://[::1]:1"), ["a", "127.0.0.1", "[::1]", ""])
        self.assertEqual({"PROXY [::1]:1"}, set(answers))

    def test_hostile_rules(self) -> None:
        """A text that ends a string, a line or a script is no rule, and is not in the script."""
        hostile = ['a"+alert(1)+"', "a\\", "a\n", "a\u2028b", "</script>", "*/", "a'b", "${a}"]
        ruleset = RuleSet.compile([*hostile, *(f"-{text}" for text in hostile), "*.example"])
        self.assert_agrees(ruleset, pac_script(ruleset, URL), ["a.example", "example", "a"])


class LongTests(PacCase):
    """Lists that do not fit."""

    def long_list(self, count: int, before: str = "", behind: str = "") -> list[str]:
        """Rules with as long names as many have."""
        return [f"{before}host-{number:06d}.example.com{behind}" for number in range(count)]

    def test_a_hundred_thousand(self) -> None:
        """They are right for every host of theirs, and for nearly every other."""
        included = self.long_list(100_000)
        ruleset = RuleSet.compile([*included, *self.long_list(4_000, "-www.", ".org"), "*.org"])
        script = pac_script(ruleset, URL)
        self.assertLess(len(script), PAC_BYTES)
        self.assertEqual({PROXY}, set(self.ask(script, included[::100])))
        excluded = self.long_list(4_000, "www.", ".org")
        self.assertEqual({"DIRECT"}, set(self.ask(script, excluded[::10])))
        strangers = [f"other{number}.example.com" for number in range(2_000)]
        answers = self.ask(script, strangers)
        self.assertLess(answers.count(PROXY), 20)

    def test_exclusions_go_first(self) -> None:
        """Without room for the exclusions, what they exclude comes to the proxy."""
        ruleset = RuleSet.compile([*self.long_list(100_000, "-"), "*.com"])
        script = pac_script(ruleset, URL)
        self.assertLess(len(script), PAC_BYTES)
        answers = self.ask(script, ["host-000001.example.com", "a.com", "a.org"])
        self.assertEqual([PROXY, PROXY, "DIRECT"], answers)

    def test_far_too_many(self) -> None:
        """Everything comes to the proxy."""
        script = pac_script(RuleSet.compile(self.long_list(250_000)), URL)
        self.assertLess(len(script), PAC_BYTES)
        self.assertEqual([PROXY], self.ask(script, ["a.org"]))
