"""Tests for :mod:`aluvia.rules.suffixes`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.rules import RuleSet, lint, suffixes
from aluvia.rules.suffixes import is_icann_suffix, is_private_suffix


class SuffixTests(SynchronousTestCase):
    """The two sections of the public suffix list."""

    def test_icann_section(self) -> None:
        """Suffixes of registries count, with wildcards and their exceptions."""
        for name in ("com", "co.uk", "anything.ck", "x.kobe.jp", "xn--p1ai", "xn--55qx5d.cn"):
            self.assertTrue(is_icann_suffix(name), name)
        for name in ("example.com", "github.io", "www.ck", "city.kobe.jp", "nosuchsuffix"):
            self.assertFalse(is_icann_suffix(name), name)

    def test_private_section(self) -> None:
        """Suffixes of companies are told from those of registries."""
        self.assertTrue(is_private_suffix("github.io"))
        for name in ("com", "co.uk", "example.com", "nosuchsuffix"):
            self.assertFalse(is_private_suffix(name), name)

    def test_loaded_late(self) -> None:
        """The list is loaded when a rule needs it, while compiling, and not before."""
        suffixes._icann.cache_clear()
        suffixes._both.cache_clear()
        ruleset = RuleSet.compile(["*", "*.example.com", "-a.b", "10.*", "::/0"])
        ruleset.decide("www.example.com")
        self.assertEqual(suffixes._icann.cache_info().currsize, 0)
        for rule in ("google.*", "-*.google.*"):
            suffixes._icann.cache_clear()
            RuleSet.compile([rule])
            self.assertEqual(suffixes._icann.cache_info().currsize, 1)
        self.assertEqual(suffixes._both.cache_info().currsize, 0)
        lint(["*.github.io"])
        self.assertEqual(suffixes._both.cache_info().currsize, 1)

    def test_cache_is_bounded(self) -> None:
        """Many different names do not make the cache grow past its bound."""
        for number in range(suffixes.CACHED_SUFFIXES + 50):
            is_icann_suffix(f"a{number}.example")
        self.assertEqual(is_icann_suffix.cache_info().currsize, suffixes.CACHED_SUFFIXES)
