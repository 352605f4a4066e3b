"""Tests for :mod:`aluvia.api.watch`."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.watch import TooManyWaiting, Watch


class WatchTests(SynchronousTestCase):
    """Who is told, when, and how many there may be."""

    def setUp(self) -> None:
        """Two may wait for one thing, three in all."""
        self.clock = Clock()
        self.watch = Watch(typing.cast(typing.Any, self.clock), most=3, most_for_one=2)

    def wait(self, key: str = "a") -> Deferred[bool]:
        """Wait for ten seconds."""
        return Deferred.fromCoroutine(self.watch.wait(key, 10))

    def tearDown(self) -> None:
        """Nothing is left of those who have been told."""
        self.watch.end()
        self.assertEqual(self.watch.waiting, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_changed(self) -> None:
        """A change is told to all who wait for it, at once, and to nobody else."""
        first, second, other = self.wait(), self.wait(), self.wait("b")
        self.assertEqual(self.watch.waiting, 3)
        self.watch.changed("a")
        self.assertTrue(self.successResultOf(first))
        self.assertTrue(self.successResultOf(second))
        self.assertNoResult(other)
        self.watch.changed("nobody")

    def test_time(self) -> None:
        """Without a change the time ends it."""
        waiting = self.wait()
        self.clock.advance(9.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertFalse(self.successResultOf(waiting))

    def test_bounds(self) -> None:
        """One more may not wait, for one thing or in all; until one is gone."""
        first = [self.wait(), self.wait()]
        self.failureResultOf(self.wait(), TooManyWaiting)
        self.wait("b")
        self.failureResultOf(self.wait("c"), TooManyWaiting)
        self.watch.changed("a")
        for each in first:
            self.successResultOf(each)
        self.assertNoResult(self.wait())

    def test_gone(self) -> None:
        """Who does not wait any more takes no place."""
        waiting = self.wait()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.watch.waiting, 0)
        self.watch.changed("a")

    def test_end(self) -> None:
        """At the end all are let go, and nobody waits from then on."""
        waiting = self.wait()
        self.watch.end()
        self.assertFalse(self.successResultOf(waiting))
        self.assertFalse(self.successResultOf(self.wait()))
