"""Tests for :mod:`aluvia.rules.lint`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import Finding, Severity, lint


class LintTests(SynchronousTestCase):
    """Each code, when it appears and when it does not."""

    def codes(self, *rules: object) -> list[tuple[int, str]]:
        """Return index and code of every finding."""
        return [(finding.index, finding.code) for finding in lint(rules)]

    def test_nothing_odd(self) -> None:
        """A plain list has no findings."""
        self.assertEqual(
            lint(["example.com", "*.example.com", "-static.example.com", "10.*", "192.0.2.0/24"]),
            [],
        )
        self.assertEqual(lint(["*", "-example.com", "-[::1]", "-Example.ORG."]), [])
        self.assertEqual(lint([]), [])

    def test_a_finding(self) -> None:
        """A finding has the rule, its place, and a sentence for people."""
        self.assertEqual(
            lint(["*", " example.com:443 "]),
            [
                Finding(
                    rule="example.com:443",
                    index=1,
                    severity=Severity.WARNING,
                    code="never-matches",
                    sentence="Ports take no part in matching: give the host name alone.",
                )
            ],
        )

    def test_ignored_entries(self) -> None:
        """Whatever is ignored is told, as a warning unless it is harmless."""
        found = lint(["*", "*.*", None, "", "AUTO"])
        self.assertEqual(
            [(finding.index, finding.severity.value, finding.code) for finding in found],
            [
                (1, "warning", "never-matches"),
                (2, "warning", "not-a-string"),
                (3, "info", "blank"),
                (4, "info", "placeholder"),
            ],
        )
        self.assertIn("NoneType", found[1].sentence)

    def test_duplicates(self) -> None:
        """The second of two rules that mean the same, however they are written."""
        for first, second in (
            ("a.b", "A.B."),
            ("-a.b", "- a.b"),
            ("10.*", "10.0.0.0/8"),
            ("::1", "[::1]"),
            ("*", "*"),
        ):
            found = [f for f in lint(["*.c", first, second]) if f.code == "duplicate"]
            self.assertEqual([(f.index, f.severity) for f in found], [(2, Severity.WARNING)])
            self.assertIn(first, found[0].sentence)
        self.assertNotIn("duplicate", [code for _, code in self.codes("a.b", "-a.b")])

    def test_shadowed(self) -> None:
        """An inclusion of which one exclusion leaves nothing, wherever that stands."""
        for inclusion, exclusion in (
            ("a.example.com", "-a.example.com"),
            ("a.example.com", "-*.example.com"),
            ("*.a.example.com", "-*.example.com"),
            ("*.example.com", "-*.example.com"),
            ("*.example.com", "-*.com"),
            ("google.com", "-google.*"),
            ("www.google.co.uk", "-*.google.*"),
            ("google.*", "-google.*"),
            ("www.google.*", "-*.google.*"),
            ("*.www.google.*", "-*.google.*"),
            ("*.google.co.uk", "-*.google.*"),
            ("*.www.google.com", "-*.google.*"),
            ("10.1.2.3", "-10.*"),
            ("10.1.0.0/16", "-10.0.0.0/8"),
            ("10.1.2.3", "-0.0.0.0/0"),
            ("2001:db8::1", "-2001:db8::/32"),
            ("2001:db8:1::/48", "-2001:db8::/32"),
            ("example.com", "-*"),
            ("*", "-*"),
            ("10.*", "-*"),
        ):
            for rules in ([inclusion, exclusion], [exclusion, inclusion]):
                found = [f for f in lint(rules) if f.code == "shadowed"]
                self.assertEqual([(f.rule, f.severity) for f in found], [(inclusion, "warning")])
                self.assertIn(exclusion, found[0].sentence)

    def test_not_shadowed(self) -> None:
        """An exclusion that leaves something to include does not shadow."""
        for inclusion, exclusion in (
            ("example.com", "-*.example.com"),
            ("*.example.com", "-a.example.com"),
            ("*.example.com", "-example.com"),
            ("*", "-*.com"),
            ("google.*", "-google.com"),
            ("google.*", "-*.google.*"),
            ("*.google.com", "-google.*"),
            ("google.evil.com", "-google.*"),
            ("10.*", "-10.1.*"),
            ("11.0.0.1", "-10.*"),
            ("::1", "-0.0.0.0/0"),
        ):
            self.assertNotIn("shadowed", [code for _, code in self.codes(inclusion, exclusion)])

    def test_overlap(self) -> None:
        """A rule that a wider one of the same sign makes needless."""
        for narrow, wide in (
            ("example.com", "*"),
            ("a.example.com", "*.example.com"),
            ("10.1.*", "10.*"),
            ("-a.example.com", "-*.example.com"),
            ("-www.google.com", "-*.google.*"),
        ):
            found = [f for f in lint([narrow, wide, "*.z"]) if f.code == "overlap" and f.index == 0]
            self.assertEqual([f.severity for f in found], [Severity.INFO])
            self.assertIn(f"'{wide}'", found[0].sentence)
        self.assertEqual(self.codes("*", "-*.example.com", "-a.b"), [])

    def test_only_exclusions(self) -> None:
        """A list that excludes and includes nothing."""
        self.assertEqual(
            self.codes("AUTO", "-a.b", "-c.d"), [(0, "placeholder"), (1, "only-exclusions")]
        )
        self.assertEqual(self.codes("", "*.*"), [(0, "blank"), (1, "never-matches")])

    def test_narrower_than_a_prefix(self) -> None:
        """``google.*`` is said not to be the prefix that other programs take it for."""
        for rule in ("google.*", "-google.*", "*.google.*"):
            found = [f for f in lint(["*.z", rule]) if f.code == "narrower-than-prefix"]
            self.assertEqual([f.severity for f in found], [Severity.INFO])
            self.assertIn("google.evil.com and google.github.io do not", found[0].sentence)
        self.assertEqual(self.codes("10.*"), [])

    def test_suffixes_of_others(self) -> None:
        """``*.`` before a public suffix takes in names of owners who have nothing in common."""
        self.assertEqual(self.codes("*.co.uk"), [(0, "public-suffix")])
        self.assertEqual(self.codes("*.github.io"), [(0, "private-suffix")])
        self.assertEqual(self.codes("*.me.github.io", "github.io"), [])

    def test_respelled(self) -> None:
        """A pattern that is read as something else than it looks like."""
        for rule, meant in (
            ("127.1", "127.0.0.1"),
            ("010.0.0.1", "8.0.0.1"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("-Bücher.de", "xn--bcher-kva.de"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
        ):
            found = [f for f in lint(["*", rule]) if f.code == "respelled"]
            self.assertEqual([f.sentence for f in found], [f"This is read as {meant}."])

    def test_order(self) -> None:
        """Findings come in the order of the list."""
        found = [index for index, _ in self.codes("b.*", "*.*", "a.b", "a.b", "*")]
        self.assertEqual(found, sorted(found))

    def test_one_string(self) -> None:
        """One string in place of a list is refused."""
        self.assertRaises(TypeError, lint, "*")
