"""Tests for :mod:`aluvia.telemetry.written`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.written import duration, size, table


class WrittenTests(SynchronousTestCase):
    """Numbers and tables for people."""

    def test_durations(self) -> None:
        """The two largest units."""
        for seconds, text in (
            (0, "0.0 s"),
            (59.9, "59.9 s"),
            (60, "1 min 0 s"),
            (3_599, "59 min 59 s"),
            (3_600, "1 h 0 min"),
            (86_400, "1 d 0 h"),
            (400 * 86_400, "400 d 0 h"),
        ):
            self.assertEqual(text, duration(seconds))

    def test_sizes(self) -> None:
        """A unit that keeps them short."""
        for number, text in (
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (2_500_000, "2.5 MB"),
            (7 * 10**9, "7.0 GB"),
            (5 * 10**15, "5000.0 TB"),
        ):
            self.assertEqual(text, size(number))

    def test_table(self) -> None:
        """Columns stand under their names, numbers under each other, and nothing trails."""
        rows = [("a.example", "7", "*"), ("b", "1234", "-")]
        self.assertEqual(
            "HOST         UP  RULE\na.example     7  *\nb          1234  -\n",
            table("HOST #UP RULE", rows),
        )
        self.assertEqual("HOST  UP\n", table("HOST #UP", []))
