"""Tests for :mod:`aluvia.client.back_off`."""

from __future__ import annotations

import inspect
import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.back_off import BACK_OFF_SECONDS, BackOff
from aluvia.client.control import ControlPlane
from aluvia.client.test.control_case import DOWN, INTERVAL, ControlCase


class BackOffTests(SynchronousTestCase):
    """By itself."""

    def setUp(self) -> None:
        """The clock does not begin at nought."""
        self.clock = Clock()
        self.clock.advance(1_000)

    def back_off(self, jitter: float = 1.0) -> BackOff:
        """One, with ticks every 5 seconds."""
        return BackOff(self.clock, 5.0, lambda: jitter)

    def waits(self, jitter: float) -> list[float]:
        """How long it waits after each of some failures in a row, each after the wait before."""
        back_off = self.back_off(jitter)
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


class JitterTests(ControlCase):
    """Who follows a control plane."""

    def test_default(self) -> None:
        """Nobody has to think of it: it is random unless a test says otherwise."""
        jitter = inspect.signature(ControlPlane).parameters["jitter"]
        self.assertIs(jitter.default, random.random)

    def test_used(self) -> None:
        """Each failure draws, and the tick waits for as long as that says."""
        for draw, ticks in ((0.0, [1, 1, 1, 1]), (0.5, [1, 2, 4, 6]), (1.0, [2, 4, 8, 12])):
            self.control = self.make(jitter=lambda draw=draw: draw)  # type: ignore[misc]
            self.start()
            self.clock.advance(INTERVAL)
            for count in ticks:
                asked = len(self.api.asked)
                self.answer(DOWN)
                self.clock.pump([INTERVAL] * (count - 1))
                self.assertEqual(len(self.api.asked), asked)
                self.clock.advance(INTERVAL)
                self.assertEqual(len(self.api.asked), asked + 1)
            self.answer(DOWN)
            self.stop()
