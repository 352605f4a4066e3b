"""Tests for :mod:`aluvia.api.allowance`."""

from __future__ import annotations

import typing

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.allowance import Allowance
from aluvia.testing.properties import settings_for_tests


class AllowanceTests(SynchronousTestCase):
    """Three at once, and one more every two seconds."""

    def setUp(self) -> None:
        """At some second."""
        self.clock: typing.Any = Clock()
        self.clock.advance(1_700_000_000.1)
        self.allowance = Allowance(self.clock, burst=3, seconds=2.0, most=2)

    def take(self, count: int, key: str = "a") -> list[float]:
        """Take so many."""
        return [self.allowance.take(key) for _ in range(count)]

    def test_burst(self) -> None:
        """So many at once; who comes too early is told how long to wait, and it is not longer."""
        self.assertEqual(self.take(3), [0.0] * 3)
        for waited, rest in ((0.0, 2.0), (0.5, 1.5), (1.0, 0.5)):
            self.clock.advance(waited)
            self.assertAlmostEqual(self.allowance.take("a"), rest, places=4)
        self.clock.advance(0.5)
        self.assertEqual(self.take(1), [0.0])
        self.assertGreater(self.allowance.take("a"), 0.0)

    def test_refilled(self) -> None:
        """After long enough there are as many as at first, and no more."""
        self.take(3)
        self.clock.advance(1000)
        self.assertEqual(self.take(3), [0.0] * 3)
        self.assertGreater(self.allowance.take("a"), 0.0)

    def test_each(self) -> None:
        """What one takes is nobody else's."""
        self.take(3)
        self.assertEqual(self.take(3, "b"), [0.0] * 3)

    def test_forgotten(self) -> None:
        """Nothing is kept of who has all again."""
        self.take(1)
        self.clock.advance(1)
        self.take(1, "b")
        self.assertEqual(len(self.allowance), 2)
        self.clock.advance(1)
        self.take(1, "b")
        self.assertEqual(len(self.allowance), 1)

    def test_bound(self) -> None:
        """So many are kept; who was left alone longest is forgotten first."""
        for key in "abac":
            self.take(1, key)
        self.assertEqual(len(self.allowance), 2)
        self.assertEqual(self.take(1), [0.0])
        self.assertGreater(self.allowance.take("a"), 0.0)

    def test_clock_that_is_put_back(self) -> None:
        """Nobody waits longer for it than for one."""
        self.take(3)
        self.clock.rightNow -= 3600
        self.assertAlmostEqual(self.allowance.take("a"), 2.0, places=4)
        self.clock.advance(2)
        self.assertEqual(self.take(1), [0.0])

    @settings_for_tests
    @given(some.lists(some.floats(0, 10), max_size=60))
    def test_rate(self, steps: list[float]) -> None:
        """However one comes, there are no more than the burst and what has come back."""
        clock: typing.Any = Clock()
        allowance = Allowance(clock, burst=3, seconds=2.0)
        taken = 0
        for step in steps:
            clock.advance(step)
            wait = allowance.take("a")
            taken += wait == 0.0
            self.assertLessEqual(taken, 3 + clock.seconds() / 2.0 + 1e-3)
            if wait:
                clock.advance(wait)
                self.assertEqual(allowance.take("a"), 0.0)
                taken += 1
