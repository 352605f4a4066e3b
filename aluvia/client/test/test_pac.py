"""Tests for :mod:`aluvia.client.pac` without JavaScript; ``tests/peers`` has those with it."""

from __future__ import annotations

import json
import re
import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import Snapshot
from aluvia.client.pac import PAC_BYTES, pac_script
from aluvia.client.test.admin_case import BROWSER, AdminCase
from aluvia.rules import RuleSet

URL = "http://127.0.0.1:18787"


def values(*rules: object) -> dict[str, typing.Any]:
    """The variables of the script for these rules."""
    return values_of(pac_script(RuleSet.compile(rules), URL))


def values_of(script: str) -> dict[str, typing.Any]:
    """The variables of a script."""
    found = re.findall(r"^var (\w+) = (.*);$", script, re.MULTILINE)
    return {name: json.loads(value) for name, value in found}


class PacTests(SynchronousTestCase):
    """What is in the script."""

    def test_keys(self) -> None:
        """Each kind of pattern has the key that stands in the module's table."""
        for rule, key in (
            ("*", "*"),
            ("Example.com.", "=example.com"),
            ("b\u00fccher.de", "=xn--bcher-kva.de"),
            ("*.example.com", ".example.com"),
            ("google.*", "^google"),
            ("www.google.*", "^www.google"),
            ("*.google.*", "~google"),
            ("10.*", "4:00001010"),
            ("0.0.0.0/0", "4:"),
            ("127.1", "4:01111111" + "0" * 23 + "1"),
            ("192.0.2.0/25", "4:1100000000000000000000100"),
            ("2001:db8::/32", "6:00100000000000010000110110111000"),
            ("::/0", "6:"),
            ("[::1]", "6:" + "0" * 127 + "1"),
            ("::ffff:10.0.0.0/104", "4:00001010"),
        ):
            self.assertEqual(({key: 1}, {}), self.sets(rule), rule)
            # Whether a public suffix follows is for the proxy to say.
            excluded = {} if key[0] in "^~" else {key: 1}
            self.assertEqual(({}, excluded), self.sets(f"-{rule}"), rule)

    def sets(self, *rules: str) -> tuple[typing.Any, typing.Any]:
        """Inclusions and exclusions."""
        found = values(*rules)
        return found["included"], found["excluded"]

    def test_rules_that_do_not_count(self) -> None:
        """They are not in it, and neither is the text of any rule."""
        self.assertEqual(({}, {}), self.sets("AUTO", "https://a.example", "", "*.*"))
        for text in ('a"+b', "</script>", "a\\", "*/", "a\u2028b", "-a\nb", " A.Example "):
            script = pac_script(RuleSet.compile([text]), URL)
            self.assertNotIn(text.strip(), script)
            self.assertTrue(script.isascii())

    def test_names_of_properties(self) -> None:
        """No key is a property that an object has before anything is put there."""
        for name in ("constructor", "__proto__", "hasownproperty"):
            self.assertEqual({f"={name}": 1}, values(name)["included"])

    def test_the_proxy(self) -> None:
        """The proxy's address and nothing behind it: a browser would go there without it."""
        self.assertEqual("PROXY 127.0.0.1:18787", values()["proxy"])
        self.assertEqual("PROXY [::1]:1", values_of(pac_script(None, "http://[::1]:1"))["proxy"])

    def test_no_configuration(self) -> None:
        """Everything comes to the proxy; with a configuration without rules nothing has to."""
        found = values_of(pac_script(None, URL))
        self.assertEqual(({"*": 1}, {}), (found["included"], found["excluded"]))
        self.assertEqual(({}, {}), self.sets())

    def test_long_lists(self) -> None:
        """What does not fit becomes shorter, and never says direct in place of the proxy."""
        names = [f"host-{number:06d}.example.com" for number in range(130_000)]
        rules = RuleSet.compile(names[:30_000])
        self.assertEqual(30_000, len(values_of(self.bounded(rules))["included"]))
        found = values_of(self.bounded(RuleSet.compile([*names[:60_000], "-*.example.org"])))
        self.assertEqual(480_000, len(found["included"]))
        self.assertEqual({".example.org": 1}, found["excluded"])
        excluding = [f"-{name}" for name in names[:40_000]]
        found = values_of(self.bounded(RuleSet.compile([*excluding, "*.com"])))
        self.assertEqual((8, {}), (len(found["included"]), found["excluded"]))
        found = values_of(self.bounded(RuleSet.compile(names)))
        self.assertEqual(({"*": 1}, {}), (found["included"], found["excluded"]))

    def bounded(self, rules: RuleSet) -> str:
        """The script, which is not too long."""
        script = pac_script(rules, URL)
        self.assertLessEqual(len(script), PAC_BYTES)
        return script


class PacPageTests(AdminCase):
    """``/proxy.pac``."""

    def test_what_a_browser_gets(self) -> None:
        """The script in its type, whatever is accepted, and the credentials nowhere."""
        for accept in (BROWSER, "Accept: application/json", "Accept: */*"):
            reply = self.ask("/proxy.pac", accept)
            self.assertEqual(200, reply.status)
            self.assertEqual("application/x-ns-proxy-autoconfig", reply.fields["content-type"])
            found = values_of(reply.body.decode())
            self.assertEqual({".example": 1, "*": 1}, found["included"])
            self.assertEqual("PROXY 127.0.0.1:18787", found["proxy"])
            self.assertNotIn(b"gate.example", reply.body)

    def test_it_follows(self) -> None:
        """A new configuration has a new script; the same has the very same."""
        first = self.ask("/proxy.pac").body
        self.assertEqual(first, self.ask("/proxy.pac").body)
        self.observed.now = Snapshot(gateway=None, rules=RuleSet.compile(["other.test"], 4))
        found = values_of(self.ask("/proxy.pac").body.decode())
        self.assertEqual({"=other.test": 1}, found["included"])
        self.observed.now = None
        found = values_of(self.ask("/proxy.pac").body.decode())
        self.assertEqual({"*": 1}, found["included"])
        self.observed.url = "http://127.0.0.1:1"
        self.assertIn(b'"PROXY 127.0.0.1:1"', self.ask("/proxy.pac").body)
