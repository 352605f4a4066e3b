"""Rules of a control plane that can never match."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.never_matching import RULE_CHARACTERS, SHOWN, never_matching
from aluvia.client.test.control_case import ControlCase, good
from aluvia.rules import RuleSet

#: Those of the contract.
NEVER = ["*.*", "**", "https://example.com", "example.com:443", "*example.com"]


def lines(*rules: str) -> list[str]:
    """What is said of a list."""
    return never_matching(rules, RuleSet.compile(rules), str)


class LinesTests(SynchronousTestCase):
    """What is said."""

    def test_each(self) -> None:
        """Each is named, with why; what is good, blank or a placeholder is not."""
        said = lines("a.example", *NEVER, "", " ", "AUTO", "-auto", "- *.b.example", "-**")
        self.assertEqual(len(said), len(NEVER) + 1)
        for rule, line in zip([*NEVER, "-**"], said, strict=True):
            self.assertTrue(line.startswith(f"Rule '{rule}' is ignored: "), line)
        self.assertEqual(lines("a.example", "", "AUTO"), [])
        self.assertEqual(lines(), [])

    def test_many(self) -> None:
        """The first ones are named, and the others counted."""
        rules = [f"**{number}" for number in range(SHOWN + 25)]
        said = lines(*rules)
        self.assertEqual(len(said), SHOWN + 1)
        self.assertIn(rules[SHOWN - 1], said[-2])
        self.assertEqual(said[-1], "25 more rules can never match, and are ignored.")
        self.assertEqual(len(lines(*rules[:SHOWN])), SHOWN)

    def test_shown(self) -> None:
        """On one line, cut, and without what a terminal would act on or what is secret."""
        for text in ("*\n*", "*\x1b[2J*", "*\u202e*", "*\ud800*", "*" * 1_000_000, "\x00*" * 1_000):
            (line,) = lines(text)
            self.assertTrue(line.isprintable(), ascii(line[:80]))
            self.assertLess(len(line), RULE_CHARACTERS + 200)
        rules = ["https://u:canary@a.example"]
        (line,) = never_matching(
            rules, RuleSet.compile(rules), lambda text: text.replace("canary", "[redacted]")
        )
        self.assertIn("u:[redacted]@", line)


class LoggedTests(ControlCase):
    """When it is said."""

    def test_when_rules_change(self) -> None:
        """At warn, for the first configuration and for each with other rules, and never again."""
        self.start("a.example", *NEVER)
        self.assertEqual(len(self.said), len(NEVER))
        self.assertEqual(self.rules, ["a.example"])
        self.tick(good("a.example", *NEVER))
        self.tick(good("a.example", *NEVER, password="new"))
        self.assertEqual(len(self.said), len(NEVER))
        self.tick(good("b.example", "**"))
        self.assertEqual(len(self.said), len(NEVER) + 1)
        self.assertIn("Rule '**' is ignored", self.said[-1])

    def test_secrets(self) -> None:
        """The gateway's credentials are not said, where a rule holds them."""
        self.start("https://u:canary-password@a.example", password="canary-password")
        (line,) = self.said
        self.assertNotIn("canary-password", line)
        self.assertIn("[redacted]", line)
