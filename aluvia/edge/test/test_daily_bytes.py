"""Tests for :mod:`aluvia.edge.daily_bytes`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import daily_bytes
from aluvia.edge.daily_bytes import DailyBytes

DAY = 86_400


class DailyBytesTests(SynchronousTestCase):
    """The count of a day."""

    def test_a_day(self) -> None:
        """There may be no more from the last byte on until midnight (UTC)."""
        clock = Clock()
        clock.advance(10 * DAY + 100.5)
        daily = DailyBytes(10, clock.seconds)
        self.assertTrue(daily.take("a", 9))
        self.assertEqual(daily.wait("a"), 0)
        self.assertFalse(daily.take("a", 1))
        self.assertEqual(daily.wait("a"), DAY - 100)
        self.assertEqual(daily.wait("b"), 0)
        clock.advance(DAY - 100.5)
        self.assertEqual(daily.wait("a"), 0)
        self.assertTrue(daily.take("a", 9))

    def test_many(self) -> None:
        """No more than some are counted."""
        self.patch(daily_bytes, "MOST_TUNNELS", 2)
        daily = DailyBytes(10, Clock().seconds)
        for id in ("a", "b", "c"):
            daily.take(id, 10)
        self.assertEqual([daily.wait(id) > 0 for id in ("a", "b", "c")], [False, True, True])
