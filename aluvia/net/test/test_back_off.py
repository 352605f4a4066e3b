"""Tests for :mod:`aluvia.net.back_off`."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.back_off import BACK_OFF_SECONDS, BackOff


class BackOffTests(SynchronousTestCase):
    """By itself."""

    def setUp(self) -> None:
        """The clock does not begin at nought."""
        self.clock = Clock()
        self.clock.advance(1_000)

    def back_off(self, jitter: float = 1.0) -> BackOff:
        """One, with ticks every 5 seconds."""
        return BackOff(self.clock, 5.0, lambda: jitter)

    def waits(self, jitter: float, **more: float) -> list[float]:
        """How long it waits after each of some failures in a row, each after the wait before."""
        back_off = BackOff(self.clock, 5.0, lambda: jitter, **more)
        waits = []
        for _ in range(6):
            back_off.failed()
            waits.append(back_off.until - self.clock.seconds())
            self.clock.advance(waits[-1])
        return waits

    def test_full_jitter(self) -> None:
        """Any part of the longest wait may be what it waits for: all, none, half of it."""
        self.assertEqual(self.waits(1.0), [10, 20, 40, 60, 60, 60])
        self.assertEqual(self.waits(0.5), [5, 10, 20, 30, 30, 30])
        self.assertEqual(self.waits(0.0), [0] * 6)
        self.assertEqual(self.waits(1.0, longest=30.0), [10, 20, 30, 30, 30, 30])

    def test_many_failures(self) -> None:
        """However many there are, the wait is a number."""
        back_off = self.back_off()
        for _ in range(2_000):
            back_off.failed()
        self.assertEqual(back_off.until - self.clock.seconds(), BACK_OFF_SECONDS)

    def test_retry_after(self) -> None:
        """It is waited for at least, and does not shorten a longer wait."""
        for jitter, retry_after, wait in ((0.0, 30.0, 30), (1.0, 5.0, 10), (1.0, None, 10)):
            back_off = self.back_off(jitter)
            back_off.failed(retry_after)
            self.assertEqual(back_off.until - self.clock.seconds(), wait)

    def test_never_sooner(self) -> None:
        """A later failure takes nothing back of what an earlier one brought about."""
        draws = iter((1.0, 0.0, 0.0, 0.0))
        back_off = BackOff(self.clock, 5.0, lambda: next(draws))
        for retry_after, until, asked in (
            (None, 1_010, 0),
            (None, 1_010, 0),
            (120.0, 1_120, 1_120),
            (7.0, 1_120, 1_120),
        ):
            back_off.failed(retry_after)
            self.assertEqual((back_off.until, back_off.asked_to_wait_until), (until, asked))

    def test_over(self) -> None:
        """A success ends it and begins it anew, but for what the server asked for."""
        back_off = self.back_off()
        back_off.failed()
        back_off.failed()
        back_off.over()
        self.assertLessEqual(back_off.until, self.clock.seconds())
        back_off.failed(30.0)
        back_off.over()
        self.assertEqual(back_off.until - self.clock.seconds(), 30)
        self.clock.advance(30)
        back_off.failed()
        self.assertEqual(back_off.until - self.clock.seconds(), 10)
