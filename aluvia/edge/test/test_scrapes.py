"""Tests for :mod:`aluvia.edge.scrapes`."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.scrapes import Scrapes
from aluvia.telemetry.exposition import Exposition, Families

PARTS = 5


class Turning(Clock):
    """A reactor whose next turn is a second away, so that turns can be told from each other."""

    def callLater(self, delay: float, *call: typing.Any, **more: typing.Any) -> IDelayedCall:
        """In the next turn."""
        assert delay == 0
        return super().callLater(1, *call, **more)


class ScrapesTests(SynchronousTestCase):
    """Five parts to be shown."""

    def setUp(self) -> None:
        """Nobody has asked yet."""
        self.clock = Turning()
        self.measured = 0
        self.fails = False
        self.scrapes = Scrapes(self.measure, self.clock)

    def measure(self) -> typing.Iterator[Families]:
        """Each part has one number."""
        for part in range(PARTS):
            if self.fails:
                raise ValueError
            self.measured += 1
            families = Families()
            families.gauges("a", "A.", ("part",), [((str(part),), self.measured)])
            yield families

    def ask(self) -> Deferred[Exposition]:
        """Ask for one."""
        return Deferred.fromCoroutine(self.scrapes.scrape(""))

    def turn(self, times: int = 1) -> int:
        """Let the reactor turn; return how much was measured in all."""
        for _ in range(times):
            self.clock.advance(1)
        return self.measured

    def numbers(self, asked: Deferred[Exposition]) -> list[float]:
        """What was shown."""
        lines = self.successResultOf(asked).body.decode().splitlines()
        return [float(line.split()[1]) for line in lines if not line.startswith("#")]

    def test_requests_wait_for_the_whole(self) -> None:
        """The reactor turns after each part."""
        asked = self.ask()
        self.assertEqual([1, 2, 3], [self.turn(0), self.turn(), self.turn()])
        self.assertNoResult(asked)
        self.turn(PARTS)
        self.assertEqual([1, 2, 3, 4, 5], self.numbers(asked))

    def test_many_scrape_at_once(self) -> None:
        """One after the other: each turn of the reactor has one part, whoever it is for."""
        asked = [self.ask(), self.ask(), self.ask()]
        self.assertEqual([1, 2, 3], [self.turn(0), self.turn(), self.turn()])
        self.turn(3 * PARTS)
        self.assertEqual([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], [*map(self.numbers, asked[:2])])

    def test_who_asked_has_left(self) -> None:
        """Nothing more is done for it, and the next has its turn; nor is a timer left behind."""
        for gone in (0, 1):
            asked = [self.ask(), self.ask()]
            self.turn()
            asked[gone].addErrback(lambda _: None)
            asked[gone].cancel()
            self.turn(PARTS + 1)
            self.assertEqual(PARTS, len(self.numbers(asked[1 - gone])))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_it_fails(self) -> None:
        """Who asked hears of it, and others do not."""
        self.fails = True
        self.failureResultOf(self.ask(), ValueError)
        self.fails = False
        asked = self.ask()
        self.turn(PARTS)
        self.assertEqual(PARTS, len(self.numbers(asked)))
