"""Tests for :mod:`aluvia.process.takes`: numbers; the rest is tested with the client's options."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.process.takes import NUMBER_CHARACTERS, Number
from aluvia.testing.properties import settings_for_tests

SECONDS = Number(1, 86_400, unit=" of seconds")


class NumberTests(SynchronousTestCase):
    """A number with a fraction, in a text."""

    def refused(self, text: str) -> None:
        """It is none, and what would be one is said."""
        error = self.assertRaises(ValueError, SECONDS.from_text, text)
        self.assertEqual("must be a number of seconds from 1 to 86400", str(error))

    def test_fractions(self) -> None:
        """However many digits there are."""
        for text, number in (
            ("3.3333333333333335", 10 / 3),
            ("2.", 2.0),
            (" 1.50 ", 1.5),
            (f"1.{'0' * 50}1", 1.0),
        ):
            self.assertEqual(number, SECONDS.from_text(text))

    def test_bound(self) -> None:
        """A text that is too long is no number, whatever it says."""
        longest = "1." + "0" * (NUMBER_CHARACTERS - 2)
        self.assertEqual(1.0, SECONDS.from_text(longest))
        self.refused(f"{longest}0")

    def test_no_numbers(self) -> None:
        """Exponents, signs, points alone, words, and digits of other scripts."""
        for text in ("1e-05", "1e3", "+1", "-1", ".", "", "1.5.2", "1,5", "nan", "inf", "٣", "1_0"):
            self.refused(text)

    @settings_for_tests
    @hypothesis.given(strategies.floats(1, 86_400))
    def test_any_float(self, number: float) -> None:
        """What Python writes of a float within the bounds is that float."""
        self.assertEqual(number, SECONDS.from_text(str(number)))
