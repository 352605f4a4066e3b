"""Tests for :mod:`aluvia.edge.windows`."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.tally import CLASSES, LANES, NOTHING, make_row
from aluvia.edge.windows import LONGEST, PARTS, PERIODS, History, Window, covered, total_of
from aluvia.testing.properties import settings_for_tests

# Steps of time, and how many rows of one come at the end of each.
STEPS = some.lists(
    some.tuples(some.one_of(some.integers(0, 3), some.integers(0, 400)), some.integers(0, 3)),
    max_size=60,
)


class WindowTests(SynchronousTestCase):
    """What is in a window, and for how long."""

    def test_a_row_leaves_with_its_part(self) -> None:
        """It stays until nine further parts are over, to the second."""
        for part in PERIODS.values():
            for second in (0, part - 1, 7 * part, 1_000_000 * part):
                window = Window(part)
                window.add(second, 5)
                last = (second // part + PARTS) * part - 1
                self.assertEqual(5, window.sum(second))
                self.assertEqual(5, window.sum(last))
                self.assertEqual(0, window.sum(last + 1))

    @settings_for_tests
    @hypothesis.given(some.sampled_from(sorted(PERIODS.values())), STEPS)
    def test_rolling(self, part: int, steps: list[tuple[int, int]]) -> None:
        """Whenever one looks, there is what came in the newest ten parts, and nothing else."""
        window = Window(part)
        added: list[int] = []
        second = 0
        for wait, rows in steps:
            second += wait
            for _ in range(rows):
                window.add(second, 1)
                added.append(second)
            expected = sum(when // part > second // part - PARTS for when in added)
            self.assertEqual(expected, window.sum(second))

    @settings_for_tests
    @hypothesis.given(STEPS, STEPS, some.integers(0, 400))
    def test_taking_over(
        self, one: list[tuple[int, int]], other: list[tuple[int, int]], later: int
    ) -> None:
        """What takes over another has what both would have had."""
        both, first, second = Window(6), Window(6), Window(6)
        rows = []
        for window, steps in ((first, one), (second, other)):
            now = 0
            for wait, count in steps:
                now += wait
                window.add(now, count)
                rows.append((now, count))
        for now, count in sorted(rows):
            both.add(now, count)
        now = max((now for now, _ in rows), default=0)
        first.take(second, now)
        self.assertEqual(both.sum(now), first.sum(now))
        self.assertEqual(both.sum(now + later), first.sum(now + later))

    def test_covered(self) -> None:
        """From nine tenths to the whole; less only at first, and never less than a second."""
        self.assertEqual(1.0, covered(1, 0, 0.0))
        self.assertEqual(7.5, covered(1, 7, 7.5))
        self.assertEqual(9.25, covered(1, 100, 100.25))
        self.assertEqual(54.0, covered(6, 600, 600.0))
        self.assertEqual(59.5, covered(6, 605, 605.5))


class HistoryTests(SynchronousTestCase):
    """Windows and a sum."""

    def numbers(self, up: int) -> tuple[int, ...]:
        """As a history tells them."""
        return (up,) + (0,) * (LANES - 1)

    def row(self, up: int) -> int:
        """With so many bytes up."""
        return make_row(self.numbers(up))

    def test_sum(self) -> None:
        """All that ever was added, in or out of the windows; above what a lane holds."""
        history = History()
        self.assertIs(NOTHING, history.totals())
        numbers = list(NOTHING)
        numbers[CLASSES] = numbers[LANES - 1] = 2**31
        row = make_row(numbers)
        for second in (0, 5, 1_000, 2_000):
            history.add(second, row)
            history.settle(second)
        self.assertEqual([4 * number for number in numbers], list(history.totals()))
        self.assertEqual(row, history.sum("5m", 2_000))
        self.assertEqual(0, history.sum("5m", 2_400))

    def test_cooling(self) -> None:
        """Windows with nothing in them are let go, not before; more can come later."""
        history = History()
        self.assertTrue(history.cold)
        history.add(29, self.row(1))
        history.settle(29 + LONGEST)
        self.assertFalse(history.cold)
        self.assertEqual(0, history.sum("5m", 29 + LONGEST))
        history.settle(30 + LONGEST)
        self.assertTrue(history.cold)
        self.assertEqual(0, history.sum("5m", 30 + LONGEST))
        history.add(1_000, self.row(2))
        self.assertEqual(self.row(2), history.sum("10s", 1_000))
        self.assertEqual(self.numbers(3), tuple(history.totals()))

    def test_passing_on(self) -> None:
        """The heir has all of it, the one that was has nothing."""
        for heir_first in (None, 95):
            history, heir = History(), History()
            if heir_first is not None:
                heir.add(heir_first, self.row(100))
            history.add(90, self.row(1))
            history.add(99, self.row(2))
            history.pass_to(heir, 100)
            more = 0 if heir_first is None else 100
            self.assertIs(heir, history.heir)
            self.assertEqual(self.row(more + 2), heir.sum("10s", 100))
            self.assertEqual(self.row(more + 3), heir.sum("1m", 100))
            self.assertEqual(self.numbers(more + 3), tuple(heir.totals()))
            self.assertEqual(self.numbers(more + 3), tuple(total_of([history, heir])))
            heir.settle(99 + LONGEST)
            self.assertFalse(heir.cold)

    def test_passing_on_what_is_cold(self) -> None:
        """A sum without windows leaves the heir's windows as they are."""
        history, heir = History(), History()
        history.add(0, self.row(1))
        history.settle(1_000)
        history.pass_to(heir, 1_000)
        self.assertTrue(heir.cold)
        self.assertEqual(self.numbers(1), tuple(heir.totals()))
