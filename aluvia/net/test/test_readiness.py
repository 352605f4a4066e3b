"""Which wires can be read or written, and what becomes of those that fail."""

from __future__ import annotations

import functools
import gc
import os
import select
import socket
import typing
import weakref

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net import readiness
from aluvia.net.readiness import READ, WRITE, Readiness, WatchedByReactor, readiness_of
from aluvia.net.test import test_transport
from aluvia.net.test.tunnels import reactor


class Books:
    """The books of a reactor."""

    def __init__(self) -> None:
        self.readers: set[object] = set()
        self.writers: set[object] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard


class Told:
    """
    A wire that notes what it is told.

    :ivar returns: how it ends when it is told; an error is raised, if it is none of a connection's.
    :ivar also: is done when it can be read or written.
    """

    def __init__(self, skt: socket.socket, of: Readiness, books: Books) -> None:
        self.socket = skt
        self.readiness = of
        self.reactor = books
        self.watched = 0
        self.told: list[object] = []
        self.returns: BaseException | None = None
        self.also: typing.Callable[[], object] = lambda: None
        self.fails_at_its_end = False

    def watch(self, events: int) -> None:
        """Wait for these events."""
        if events != self.watched:
            self.readiness.watch(self, events)
            self.watched = events

    def close(self) -> None:
        """Leave."""
        self.watch(0)
        self.socket.close()

    def fileno(self) -> int:
        """The socket's."""
        return self.socket.fileno()

    def doRead(self) -> Exception | None:
        """Note it."""
        return self._is("read")

    def doWrite(self) -> Exception | None:
        """Note it."""
        return self._is("write")

    def ended(self, why: BaseException, *, reading: bool) -> None:
        """Note it, and leave."""
        self._ends((type(why), reading))

    def connectionLost(self, reason: Failure) -> None:
        """Note it, and leave."""
        self._ends(reason.type)

    def uncork(self) -> None:
        """Note it."""
        self._is("uncorked")

    def _ends(self, how: object) -> None:
        self.told.append(how)
        self.close()
        if self.fails_at_its_end:
            raise ValueError

    def _is(self, what: str) -> Exception | None:
        self.told.append(what)
        self.also()
        if isinstance(self.returns, ConnectionDone | ConnectionLost):
            return self.returns
        if self.returns is not None:
            raise self.returns
        return None


class ReadinessTests(SynchronousTestCase):
    """Wires over pairs of sockets."""

    def setUp(self) -> None:
        """There are none."""
        self.books = Books()
        self.readiness = Readiness()

    def wire(self, events: int = READ) -> tuple[Told, socket.socket]:
        """A wire, and its other end."""
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        made = Told(near, self.readiness, self.books)
        self.addCleanup(made.watch, 0)
        made.watch(events)
        return made, far

    def readable(self, count: int) -> list[Told]:
        """Wires that have something to be read."""
        pairs = [self.wire() for _ in range(count)]
        for _, far in pairs:
            far.send(b"x")
        return [one for one, _ in pairs]

    def errors(self) -> int:
        """How many were logged."""
        return len(self.flushLoggedErrors(ValueError, SystemExit))

    def test_all_are_told_in_one_turn(self) -> None:
        """What each waits for, as long as it is so, and nothing else."""
        one, two = self.readable(2)
        three, far = self.wire(WRITE)
        self.wire()
        far.send(b"x")
        for _ in range(2):
            self.readiness.doRead()
        self.assertEqual([one.told, two.told, three.told], [["read"] * 2] * 2 + [["write"] * 2])
        three.watch(READ | WRITE)
        self.readiness.doRead()
        self.assertEqual(three.told[2:], ["read", "write"])

    def test_the_reactor_knows_of_us_while_there_are_any(self) -> None:
        """And has a descriptor of ours that says when there is something."""
        self.assertEqual(self.books.readers, set())
        one, far = self.wire()
        two, _ = self.wire(WRITE)
        self.assertEqual(self.books.readers, {self.readiness})
        two.watch(0)
        self.assertEqual(select.select([self.readiness], [], [], 0)[0], [])
        far.send(b"x")
        self.assertEqual(select.select([self.readiness], [], [], 0)[0], [self.readiness])
        one.watch(0)
        self.assertEqual((self.books.readers, self.readiness.fileno()), (set(), -1))
        self.readiness.doRead()
        one.watch(READ)
        self.assertEqual(self.books.readers, {self.readiness})
        self.assertEqual(select.select([self.readiness], [], [], 0)[0], [self.readiness])

    def test_more_than_are_taken_at_once(self) -> None:
        """The others have their turn then, before those that had it."""
        self.patch(readiness, "MOST_EVENTS", 2)
        wires = self.readable(3)
        for _ in range(3):
            self.readiness.doRead()
        self.assertEqual([len(each.told) for each in wires], [2, 2, 2])

    def test_one_that_went_meanwhile(self) -> None:
        """A wire that another one closed is told nothing."""
        one, two = self.readable(2)
        one.also, two.also = two.close, one.close
        self.readiness.doRead()
        self.assertEqual(sorted([one.told, two.told]), [[], ["read"]])

    def test_how_it_ends(self) -> None:
        """By what it returns, or raises; whatever that is, the others are told."""
        for error, told in (
            (main.CONNECTION_DONE, (ConnectionDone, True)),
            (main.CONNECTION_LOST, (ConnectionLost, True)),
            (ValueError(), (ValueError, False)),
            (SystemExit(), (SystemExit, False)),
        ):
            wires = self.readable(3)
            wires[1].returns = error
            self.readiness.doRead()
            self.assertEqual([each.told for each in wires], [["read"], ["read", told], ["read"]])
            for each in wires[::2]:
                each.close()
        self.assertEqual(self.errors(), 2)

    def test_it_ends_by_writing(self) -> None:
        """That is no end of what can be read."""
        one, _ = self.wire(WRITE)
        one.returns = main.CONNECTION_DONE
        self.readiness.doRead()
        self.assertEqual(one.told, ["write", (ConnectionDone, False)])

    def test_what_they_write_waits_until_all_are_told(self) -> None:
        """Then it is sent; one that fails at it is closed, and the others are not."""
        self.assertIsNone(self.readiness.corked)
        wires = self.readable(3)
        uncorked: list[list[list[object]]] = []
        for each in wires:
            each.also = functools.partial(self.cork, each, wires, uncorked)
        self.readiness.doRead()
        self.assertIsNone(self.readiness.corked)
        self.assertEqual(uncorked[0], [["read"], ["read"], ["read"]])
        ends = [["read", "uncorked"]] * 2 + [["read", "uncorked", (ValueError, False)]]
        self.assertEqual(sorted((each.told for each in wires), key=len), ends)
        self.assertEqual(self.errors(), 1)

    def cork(self, wire: Told, wires: list[Told], uncorked: list[list[list[object]]]) -> None:
        """Have something to send; fail at the second of them."""
        if self.readiness.corked is not None:
            self.readiness.corked.append(wire)
            return
        uncorked.append([each.told[:1] for each in wires if "uncorked" not in each.told[:-1]])
        if len(uncorked) == 2:
            raise ValueError

    def test_a_descriptor_that_is_another_wire_by_now(self) -> None:
        """What came for the one before is not for it."""
        one, two = self.readable(2)
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        new: list[Told] = []

        def replace(other: Told) -> None:
            descriptor = other.fileno()
            other.watch(0)
            os.dup2(near.fileno(), descriptor)
            made = Told(other.socket, self.readiness, self.books)
            self.addCleanup(made.watch, 0)
            made.watch(READ)
            new.append(made)

        one.also = functools.partial(replace, two)
        two.also = functools.partial(replace, one)
        self.readiness.doRead()
        self.assertEqual([each.told for each in new], [[]])

    def test_it_fails_when_it_is_closed(self) -> None:
        """The others are told all the same."""
        wires = self.readable(3)
        wires[1].returns = main.CONNECTION_LOST
        wires[1].fails_at_its_end = True
        self.readiness.doRead()
        self.assertEqual([each.told[0] for each in wires], ["read"] * 3)
        self.assertEqual(self.errors(), 1)

    def test_broken_while_it_is_not_read(self) -> None:
        """It cannot know of an end, so it is an error; one that reads is told that it can."""
        one, far = self.wire(WRITE)
        two, other = self.wire()
        far.close()
        other.close()
        self.readiness.doRead()
        self.assertEqual(one.told, [(ConnectionLost, False)])
        self.assertEqual(two.told, ["read"])

    def test_broken_and_nothing_to_read(self) -> None:
        """Who waits for that has read everything: a clean end."""
        listening = socket.socket()
        self.addCleanup(listening.close)
        # A TCP socket that was never connected has hung up, and has nothing to be read.
        one = Told(listening, self.readiness, self.books)
        one.watch(READ)
        one.watched = READ
        assert self.readiness._epoll is not None
        self.readiness._epoll.modify(listening.fileno(), 0)
        self.readiness.doRead()
        self.assertEqual(one.told, [(ConnectionDone, True)])

    def test_the_reactor_ends(self) -> None:
        """All are lost, whatever one of them makes of it."""
        wires = self.readable(3)
        wires[0].fails_at_its_end = True
        self.readiness.connectionLost(Failure(main.CONNECTION_LOST))
        self.assertEqual([each.told for each in wires], [[ConnectionLost]] * 3)
        self.assertEqual((self.errors(), self.books.readers), (1, set()))

    def test_one_for_each_reactor(self) -> None:
        """As long as it is there; its descriptor goes with it."""
        books = Books()
        made = readiness_of(books)
        self.assertIs(readiness_of(books), made)
        self.assertIsNot(readiness_of(reactor), made)
        seen = weakref.ref(made)
        del made, books
        gc.collect()
        self.assertIsNone(seen())


class WithoutEpollTests(test_transport.WriteTests):
    """Where there is none, the reactor watches each wire."""

    async def setUp(self) -> None:  # type: ignore[override]
        """There is none."""
        await super().setUp()
        self.patch(readiness, "select", object())

    async def test_it_is_in_the_books(self) -> None:
        """As any other is."""
        _, _, made = self.connect()
        self.assertIsInstance(made._readiness, WatchedByReactor)
        self.assertIn(made, reactor.getReaders())
