"""Tests of :mod:`aluvia.net.idle`."""

from __future__ import annotations

import math

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.idle import IdleConnections
from aluvia.net.test.dialling import FakeDeadlines
from aluvia.wire.limits import DEFAULT_LIMITS


class FakeConnection:
    """A connection that can be kept."""

    def __init__(self, pool: IdleConnections[FakeConnection], opened: float = 0.0) -> None:
        self.pool = pool
        self.opened = opened
        self.closed = False
        self.closes = 0

    def close(self) -> None:
        """Count it."""
        self.closed = True
        self.closes += 1

    def stale(self) -> None:
        """Do as when the peer closes."""
        self.closed = True
        self.pool.discard(self)


class Idle(SynchronousTestCase):
    """Connections between two requests."""

    def setUp(self) -> None:
        """Make a pool."""
        self.clock = Clock()
        self.deadlines = FakeDeadlines(self.clock)
        self.pool = self.make()

    def make(self, **limits: int) -> IdleConnections[FakeConnection]:
        """Make a pool with some limits changed."""
        self.pool = IdleConnections(
            self.clock, self.deadlines, limits=attrs.evolve(DEFAULT_LIMITS, **limits)
        )
        return self.pool

    def connection(self, opened: float | None = None) -> FakeConnection:
        """Make a connection, opened now."""
        return FakeConnection(self.pool, self.clock.seconds() if opened is None else opened)

    def keep(self, key: str = "key") -> FakeConnection:
        """Make a connection and keep it."""
        connection = self.connection()
        self.pool.put(key, connection)
        return connection

    def look(self, seconds: float) -> None:
        """Let time pass, and let deadlines be noticed."""
        self.clock.advance(seconds)
        self.deadlines.look()

    def test_most_recently_used_first(self) -> None:
        """The one that was used last is taken first; nothing is taken twice."""
        first, second = self.keep(), self.keep()
        self.assertIs(self.pool.take("key"), second)
        self.assertIs(self.pool.take("key"), first)
        self.assertIsNone(self.pool.take("key"))

    def test_keys(self) -> None:
        """One to another place is not taken."""
        self.keep("a")
        self.assertIsNone(self.pool.take("b"))

    def test_idle_time(self) -> None:
        """One that has been idle for too long is closed by the sweep."""
        old = self.keep()
        self.look(30)
        young = self.keep()
        self.look(30)
        self.assertEqual((old.closes, young.closes, len(self.pool)), (1, 0, 1))
        self.look(30)
        self.assertEqual((young.closes, len(self.pool)), (1, 0))

    def test_idle_time_before_the_sweep(self) -> None:
        """One that has been idle for too long is not taken, even if no sweep has seen it yet."""
        old = self.keep()
        self.clock.advance(60)
        self.assertIsNone(self.pool.take("key"))
        self.assertEqual((old.closes, len(self.pool)), (1, 0))

    def test_maximum_age(self) -> None:
        """One that is used again and again grows old all the same."""
        connection = self.keep()
        for _ in range(11):
            self.look(50)
            self.assertIs(self.pool.take("key"), connection)
            self.pool.put("key", connection)
        self.look(50)
        self.assertEqual((connection.closes, len(self.pool)), (1, 0))

    def test_too_old_to_keep(self) -> None:
        """One that has reached the maximum age is closed and not kept."""
        self.clock.advance(600)
        connection = self.connection(opened=0.0)
        self.pool.put("key", connection)
        self.assertEqual((connection.closes, len(self.pool)), (1, 0))

    def test_closed_is_not_kept(self) -> None:
        """One that its peer has closed already is not kept."""
        connection = self.connection()
        connection.closed = True
        self.pool.put("key", connection)
        self.assertEqual(len(self.pool), 0)

    def test_stale(self) -> None:
        """One that its peer closes, or that has bytes nobody asked for, is dropped."""
        stale, other = self.keep(), self.keep()
        stale.stale()
        self.assertEqual(len(self.pool), 1)
        self.assertIs(self.pool.take("key"), other)
        self.assertIsNone(self.pool.take("key"))

    def test_closed_is_not_taken(self) -> None:
        """One that is closed without a word is passed over."""
        other, closed = self.keep(), self.keep()
        closed.closed = True
        self.assertIs(self.pool.take("key"), other)
        self.assertEqual(len(self.pool), 0)

    def test_closed_is_swept(self) -> None:
        """One that is closed without a word goes with the next that is too old."""
        self.keep()
        self.clock.advance(59)
        closed = self.keep("other")
        closed.closed = True
        self.look(1)
        self.assertEqual(len(self.pool), 0)

    def test_discard_stranger(self) -> None:
        """One that is not kept cannot be dropped; saying so does no harm."""
        self.pool.discard(self.connection())
        connection = self.keep()
        self.pool.take("key")
        self.pool.discard(connection)
        self.assertFalse(connection.closed)

    def test_most_per_key(self) -> None:
        """Where too many lead to one place, the one there that is idle longest closes."""
        pool = self.make(idle_connections_per_key=2)
        other = self.keep("other")
        first, second, third = self.keep(), self.keep(), self.keep()
        self.assertEqual((first.closes, second.closes, third.closes), (1, 0, 0))
        self.assertEqual((other.closes, len(pool)), (0, 3))

    def test_most_in_all(self) -> None:
        """Where there are too many in all, the one that is idle longest closes."""
        pool = self.make(idle_connections=2)
        first, second = self.keep("a"), self.keep("b")
        self.assertIs(pool.take("a"), first)
        pool.put("a", first)
        self.keep("c")
        self.assertEqual((first.closes, second.closes, len(pool)), (0, 1, 2))

    def test_close_all(self) -> None:
        """Closing all leaves nothing, no deadline either; it can be done twice."""
        connections = [self.keep(key) for key in "abca"]
        self.pool.close_all()
        self.pool.close_all()
        self.assertEqual([each.closes for each in connections], [1, 1, 1, 1])
        self.assertEqual((len(self.pool), self.deadlines.watched), (0, set()))

    def test_one_deadline(self) -> None:
        """One item is watched for all, and none when there is nothing to watch."""
        self.assertEqual(self.deadlines.watched, set())
        for _ in range(3):
            self.keep()
        self.assertEqual(self.deadlines.watched, {self.pool})
        self.look(60)
        self.assertEqual(self.deadlines.watched, set())
        self.assertEqual(self.pool.deadline, math.inf)
        self.keep()
        self.look(60)
        self.assertEqual(len(self.pool), 0)

    def test_nothing_left_of_keys(self) -> None:
        """A place that was visited once leaves nothing behind."""
        for n in range(100):
            self.keep(f"taken{n}")
            self.pool.take(f"taken{n}")
            self.keep(f"stale{n}").stale()
            self.keep(f"old{n}")
        self.look(60)
        self.assertEqual((self.pool._by_key, self.pool._keys), ({}, {}))
