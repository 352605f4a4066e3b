"""A body of known length that goes from socket to socket by itself."""

from __future__ import annotations

import os
import typing
import unittest

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from aluvia.net.accept import open_descriptors
from aluvia.net.body_splice import BodySplice, can_splice
from aluvia.net.connecting import ClientWire
from aluvia.net.pipes import CAN_SPLICE, pipes_for
from aluvia.net.readiness import READ
from aluvia.net.test.tunnels import loopback, wire
from aluvia.net.transport import Wire
from aluvia.testing.connection import FaultConnection
from aluvia.wire.limits import DEFAULT_LIMITS

reactor: typing.Any = installed
BODY = bytes(range(256)) * 20_000


class Heard(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Some."""
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.lost = reason


@unittest.skipUnless(CAN_SPLICE, "no splice here")
class BodySpliceTests(TestCase):
    """A wire that a body comes from, and one that it goes to; both with a peer of ours."""

    timeout = 30

    def setUp(self) -> None:
        """Connect them."""
        self.sender, self.source, self.asked = self.connect()
        self.reader, self.sink, self.answered = self.connect()
        self.moved = 0
        self.ended: list[int] = []

    def connect(self) -> tuple[FaultConnection, Wire, Heard]:
        """A peer, and our wire to it."""
        theirs, ours = loopback()
        peer = FaultConnection(reactor, theirs)
        heard = Heard()
        made = wire(ours, heard)
        self.addCleanup(peer.close)
        self.addCleanup(made.release)
        return peer, made, heard

    def begin(self, count: int) -> BodySplice:
        """Let so many bytes pass."""
        self.assertTrue(can_splice(self.source, self.sink))
        return BodySplice(
            self.source, self.sink, count, self.count, self.ended.append, DEFAULT_LIMITS
        )

    def count(self, moved: int) -> None:
        """Add up."""
        self.moved += moved

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds."""
        while not condition():
            await deferLater(reactor, 0)

    async def test_exact(self) -> None:
        """Not a byte more than there are: what is behind them is the protocol's again."""
        self.begin(len(BODY))
        sending = Deferred.fromCoroutine(self.sender.send(BODY + b"behind"))
        self.assertEqual(await self.reader.read_exactly(len(BODY)) == BODY, True)
        await sending
        await self.when(lambda: self.asked.data)
        self.assertEqual(
            (self.asked.data, self.ended, self.moved), (b"behind", [len(BODY)], len(BODY))
        )
        # Both are as they were.
        self.sink.write(b"next")
        self.assertEqual(await self.reader.read_exactly(4), b"next")
        self.assertEqual(pipes_for(DEFAULT_LIMITS).leased, 0)

    async def test_the_other_way_goes_on(self) -> None:
        """Both protocols hear and write meanwhile."""
        self.begin(1000)
        await self.reader.send(b"to us")
        await self.when(lambda: self.answered.data == b"to us")
        self.source.write(b"to them")
        self.assertEqual(await self.sender.read_exactly(7), b"to them")
        await self.sender.send(b"x" * 1000)
        self.assertEqual(await self.reader.read_exactly(1000), b"x" * 1000)
        await self.when(lambda: self.ended)

    async def test_a_sink_that_does_not_read(self) -> None:
        """One pipe is held, and the source is not read until there is room."""
        splice = self.begin(len(BODY))
        self.reader.pause()
        sending = Deferred.fromCoroutine(self.sender.send(BODY))
        await self.when(lambda: splice.stalled)
        self.assertEqual(pipes_for(DEFAULT_LIMITS).leased, 1)
        self.assertFalse(self.source.watched & READ)
        self.reader.resume()
        self.assertEqual(await self.reader.read_exactly(len(BODY)) == BODY, True)
        await sending
        await self.when(lambda: self.ended)

    async def test_the_source_ends(self) -> None:
        """Its protocol hears of it, as always; nobody is told that the body was through."""
        self.begin(1000)
        await self.sender.send(b"half")
        self.assertEqual(await self.reader.read_exactly(4), b"half")
        self.sender.close()
        await self.when(lambda: self.asked.lost)
        self.assertEqual(self.ended, [])
        self.assertIsNone(self.sink.sink_of)

    async def test_the_sink_is_gone(self) -> None:
        """Its protocol hears of it, and drops the rest; what is in the pipe goes nowhere else."""
        before = open_descriptors()
        splice = self.begin(len(BODY))
        self.reader.pause()
        sending = Deferred.fromCoroutine(self.sender.send(BODY))
        await self.when(lambda: pipes_for(DEFAULT_LIMITS).leased)
        self.reader.reset()
        await self.when(lambda: self.answered.lost)
        splice.drop()
        self.assertEqual((self.ended, pipes_for(DEFAULT_LIMITS).leased), ([], 0))
        self.assertIsNone(self.source.source_of)
        # The rest comes to the protocol now, which would have closed.
        await sending
        self.assertLessEqual(open_descriptors(), before)

    async def test_what_the_sink_said_before(self) -> None:
        """A server that refuses an upload says so, and closes: that is heard before its end is."""
        theirs, ours = loopback()
        server, heard = FaultConnection(reactor, theirs), Heard()
        sink = ClientWire(ours, None, ours.getpeername(), reactor)
        sink.start(heard)
        self.addCleanup(sink.release)
        # Others' events come first.
        sink.stopReading()
        BodySplice(self.source, sink, len(BODY), self.count, self.ended.append, DEFAULT_LIMITS)
        await server.send(b"too large")
        server.reset()
        await self.sender.send(b"x" * 1000)
        await self.when(lambda: heard.lost)
        self.assertEqual((heard.data, self.ended), (b"too large", []))

    async def test_dropped(self) -> None:
        """Nobody wants the rest: also in the middle of a stall."""
        splice = self.begin(len(BODY))
        self.reader.pause()
        sending = Deferred.fromCoroutine(self.sender.send(BODY))
        await self.when(lambda: splice.stalled)
        splice.drop()
        splice.drop()
        self.assertEqual((self.ended, pipes_for(DEFAULT_LIMITS).leased), ([], 0))
        self.assertEqual((self.source.source_of, self.sink.sink_of), (None, None))
        await sending

    async def test_without_pipes(self) -> None:
        """It ends before it has moved anything, and the protocol has it all."""
        pipes = pipes_for(DEFAULT_LIMITS)
        self.patch(pipes, "lease", lambda: None)
        self.begin(1000)
        await self.sender.send(b"x" * 1000)
        await self.when(lambda: len(self.asked.data) == 1000)
        self.assertEqual(self.ended, [0])

    async def test_sockets_that_do_not_splice(self) -> None:
        """The same, once the system has said so; and it is not asked again."""
        pipes = pipes_for(DEFAULT_LIMITS)
        self.patch(pipes, "_budget", pipes._budget)

        def refuse(*args: object) -> int:
            raise OSError(22, "no")

        self.patch(os, "splice", refuse)
        self.begin(1000)
        await self.sender.send(b"x" * 1000)
        await self.when(lambda: len(self.asked.data) == 1000)
        self.assertEqual((self.ended, pipes.usable), ([0], False))

    def test_not_now(self) -> None:
        """Not over TLS, nor past what is queued, nor for anything that is no wire of ours."""
        self.assertFalse(can_splice(object(), self.sink))
        while not self.sink.queued:
            self.sink.write(b"x" * 100_000)
        self.assertFalse(can_splice(self.source, self.sink))
