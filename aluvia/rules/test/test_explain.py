"""Tests for :mod:`aluvia.rules.explain`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import Explanation, RuleSet, explain
from aluvia.wire.target import InvalidHost


class ExplainTests(SynchronousTestCase):
    """The way of a host, and what led to it."""

    def test_included(self) -> None:
        """The rule that settled it is named, and those that also match."""
        ruleset = RuleSet.compile(["*", "*.com", "other.org", "www.example.com"], revision=3)
        self.assertEqual(
            explain(ruleset, "WWW.Example.com."),
            Explanation("www.example.com", "gateway", "www.example.com", ("*", "*.com"), 3),
        )

    def test_excluded(self) -> None:
        """The inclusions that an exclusion overrules have lost."""
        ruleset = RuleSet.compile(["*", "google.*", "-*.com", "10.*"], revision=4)
        self.assertEqual(
            explain(ruleset, "google.com"),
            Explanation("google.com", "direct", "-*.com", ("*", "google.*"), 4),
        )

    def test_nothing_matches(self) -> None:
        """No rule settled it and none lost."""
        self.assertEqual(
            explain(RuleSet.compile(["example.com"]), "example.org"),
            Explanation("example.org", "direct", None, (), 0),
        )

    def test_duplicates(self) -> None:
        """A second rule of the same text has lost to the first."""
        explanation = explain(RuleSet.compile(["a.b", "a.b"]), "a.b")
        self.assertEqual((explanation.rule, explanation.lost), ("a.b", ("a.b",)))

    def test_no_host(self) -> None:
        """What is no host cannot be explained."""
        self.assertRaises(InvalidHost, explain, RuleSet.compile(["*"]), "a b")
