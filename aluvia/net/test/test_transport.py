"""Writing with our transport: at once where that is right, and every promise of the stock kept."""

from __future__ import annotations

import functools

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IPullProducer,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from zope.interface import implementer
from zope.interface.verify import verifyObject

from aluvia.net.body_splice import can_splice
from aluvia.net.readiness import WRITE
from aluvia.net.test.tunnels import SMALL_BUFFER
from aluvia.net.test.wires import MUCH, Listener, WireCase
from aluvia.net.transport import CORKED_BYTES, DONE, Wire
from aluvia.testing.ended import ConnectionEnded


class WriteTests(WireCase):
    """Writing at once, and when not."""

    async def test_it_is_a_tcp_transport(self) -> None:
        """It provides what Twisted's transports provide."""
        _, _, made = self.connect()
        verifyObject(ITCPTransport, made)
        self.assertEqual(made.getPeer().host, "127.0.0.1")
        self.assertEqual(made.getHost().port, made.socket.getsockname()[1])
        self.assertIn("Listener", repr(made))
        self.assertEqual(made.logPrefix(), "Wire")

    async def test_a_write_is_out_when_it_returns(self) -> None:
        """Nothing is queued, no write event is asked for, and order is kept."""
        peer, _, made = self.connect()
        self.refused_write_events(made)
        made.write(b"one ")
        made.write(b"")
        made.writeSequence([b"two ", b"three"])
        self.assertEqual(await peer.read_exactly(13), b"one two three")

    async def test_what_the_kernel_does_not_take_is_queued(self) -> None:
        """All of it arrives, in order, with what is written after it."""
        peer, _, made = self.connect(SMALL_BUFFER)
        made.write(MUCH)
        made.write(b"then")
        made.writeSequence([b" this", b" too"])
        self.assertTrue(made.watched & WRITE)
        expected = MUCH + b"then this too"
        self.assertTrue(await peer.read_exactly(len(expected)) == expected)
        await self.turns(2)
        self.assertFalse(made.watched & WRITE)

    async def test_only_bytes(self) -> None:
        """Anything else is the caller's mistake, as with the stock one."""
        _, _, made = self.connect()
        self.assertRaises(TypeError, made.write, "text")
        self.assertRaises(TypeError, made.write, bytearray(b"x"))
        self.assertRaises(TypeError, made.writeSequence, ["text"])

    async def test_an_error_is_met_by_the_reactor_not_by_the_writer(self) -> None:
        """Writing to a connection that was reset does not lose it within ``write``."""
        peer, protocol, made = self.connect()
        made.stopReading()
        peer.reset()
        made.write(b"x")
        made.write(b"x")
        self.assertEqual(protocol.lost, [])
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionLost))

    async def test_writing_to_a_lost_connection(self) -> None:
        """Does nothing."""
        _, protocol, made = self.connect()
        made.abortConnection()
        made.write(b"x")
        await protocol.gone
        made.write(b"x")
        made.writeSequence([b"x"])
        made.loseConnection()
        made.abortConnection()
        self.assertEqual(made.fileno(), -1)
        self.assertEqual(len(protocol.lost), 1)

    async def test_a_protocol_is_switched(self) -> None:
        """Bytes go to the new one, without a ``makeConnection``."""
        peer, old, made = self.connect()
        new = Listener()
        made.switch_protocol(new)
        await peer.send(b"x")
        await self.when(lambda: new.received == b"x")
        self.assertIsNone(new.transport)
        self.assertEqual(old.received, b"")


class CorkedTests(WireCase):
    """Writing while events are told: what the wire's protocol writes when data comes."""

    async def sent(self, *pieces: bytes) -> list[bytes]:
        """What goes out at once, and when all are told, if these are written; all of it arrives."""
        peer, protocol, made = self.connect()
        self.refused_write_events(made)
        sent: list[bytes] = []
        now = made._write_now

        def note(data: bytes) -> None:
            sent.append(data)
            now(data)

        def write() -> None:
            for piece in pieces:
                made.write(piece)
            sent.append(b"told")
            self.assertEqual(made.queued, made._corked)

        made._write_now = note  # type: ignore[method-assign]
        protocol.when_data = write
        await peer.send(b"x")
        expected = b"".join(pieces)
        self.assertTrue(await peer.read_exactly(len(expected)) == expected)
        self.assertFalse(made.queued)
        return sent

    async def test_it_goes_out_when_all_are_told(self) -> None:
        """As one, whatever was written."""
        self.assertEqual(await self.sent(b"one", b"", b" two"), [b"told", b"one two"])

    async def test_much_goes_out_at_once(self) -> None:
        """Also where it is much together, or behind something that is not."""
        much, half = b"m" * (CORKED_BYTES + 1), b"h" * (CORKED_BYTES // 2 + 1)
        self.assertEqual(await self.sent(much), [much, b"told"])
        self.assertEqual(await self.sent(half, half), [half * 2, b"told"])
        self.assertEqual(await self.sent(b"x", much, b"y"), [b"x" + much, b"told", b"y"])

    async def test_closed_behind_it(self) -> None:
        """It goes out first; and a half-close waits for it."""
        for close in ("loseConnection", "loseWriteConnection"):
            peer, protocol, made = self.connect()
            protocol.when_data = functools.partial(_write_and, made, close)
            await peer.send(b"x")
            self.assertEqual(await peer.read_to_end(), b"written")

    async def test_aborted_behind_it(self) -> None:
        """Nothing goes out, and nothing is waited for."""
        peer, protocol, made = self.connect()
        protocol.when_data = functools.partial(_write_and, made, "abortConnection")
        await peer.send(b"x")
        await protocol.gone
        self.assertEqual(made.watched, 0)
        with self.assertRaises(ConnectionEnded):
            await peer.read_exactly(1)

    async def test_a_pull_producer_behind_it(self) -> None:
        """It is asked for more, until it has none."""
        peer, protocol, made = self.connect()
        pulled = Pulled(made, 40)

        def write() -> None:
            made.write(b"written")
            made.registerProducer(pulled, False)

        protocol.when_data = write
        await peer.send(b"x")
        self.assertEqual(await peer.read_exactly(7 + 40_000), b"written" + b"p" * 40_000)

    async def test_the_other_side_ends_in_the_same_turn(self) -> None:
        """It has what was written before, where that is the end of both directions."""
        trigger, protocol, _ = self.connect()
        peer, _, made = self.connect()
        made.protocol = Protocol()

        def write() -> None:
            made.write(b"written")
            made.readConnectionLost(DONE)

        protocol.when_data = write
        await trigger.send(b"x")
        self.assertEqual(await peer.read_to_end(), b"written")

    async def test_a_body_passes_behind_it(self) -> None:
        """What was written before does not keep the kernel from moving the rest."""
        trigger, protocol, source = self.connect()
        peer, _, made = self.connect()
        could: list[bool] = []

        def write() -> None:
            made.write(b"head")
            could.append(can_splice(source, made))

        protocol.when_data = write
        await trigger.send(b"x")
        self.assertEqual(await peer.read_exactly(4), b"head")
        self.assertEqual(could, [True])

    async def test_the_peer_does_not_read(self) -> None:
        """What does not go out is queued, and its producer is told when that is much."""
        peer, protocol, made = self.connect(SMALL_BUFFER)
        producer = Pushed()
        made.registerProducer(producer, True)
        count = 0

        def write() -> None:
            nonlocal count
            count += 1
            made.write(b"w" * CORKED_BYTES)

        protocol.when_data = write
        while not producer.told:
            await peer.send(b"x")
            await self.turns()
        self.assertEqual(producer.told, ["pause"])
        self.assertTrue(await peer.read_exactly(count * CORKED_BYTES))
        await self.when(lambda: producer.told == ["pause", "resume"])


def _write_and(made: Wire, close: str) -> None:
    made.write(b"written")
    getattr(made, close)()


@implementer(IPullProducer)
class Pulled:
    """A producer that writes a piece each time that it is asked."""

    def __init__(self, made: Wire, pieces: int) -> None:
        self.wire = made
        self.pieces = pieces
        self.stopped = False

    def resumeProducing(self) -> None:
        """Write a piece."""
        self.wire.write(b"p" * 1000)
        self.pieces -= 1
        if not self.pieces:
            self.wire.unregisterProducer()

    def stopProducing(self) -> None:
        """Note it."""
        self.stopped = True


@implementer(IPushProducer)
class Pushed:
    """A producer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.told.append("stop")


class ProducerTests(WireCase):
    """Producers of both kinds."""

    async def test_a_pull_producer_is_asked_until_it_has_no_more(self) -> None:
        """300 000 bytes in 300 pieces, each after the one before is out."""
        peer, _, made = self.connect()
        producer = Pulled(made, 300)
        made.registerProducer(producer, False)
        self.assertEqual(await peer.read_exactly(300_000), b"p" * 300_000)
        self.assertEqual(producer.pieces, 0)

    async def test_a_connection_closes_when_the_pull_producer_is_through(self) -> None:
        """``loseConnection`` waits for it."""
        peer, protocol, made = self.connect()
        made.registerProducer(Pulled(made, 300), False)
        made.loseConnection()
        self.assertEqual(await peer.read_to_end(), b"p" * 300_000)
        await protocol.gone

    async def test_a_push_producer_is_paused_and_resumed(self) -> None:
        """Above the high-water mark it is paused, and when all is out resumed; not before."""
        peer, _, made = self.connect(SMALL_BUFFER)
        producer = Pushed()
        made.registerProducer(producer, True)
        made.write(b"small")
        self.assertEqual(producer.told, [])
        made.write(MUCH)
        self.assertEqual(producer.told, ["pause"])
        await peer.read_exactly(len(MUCH) + 5)
        await self.when(lambda: producer.told == ["pause", "resume"])
        # It is not in the way of writing at once.
        self.refused_write_events(made)
        made.write(b"again")
        self.assertEqual(await peer.read_exactly(5), b"again")
        made.unregisterProducer()

    async def test_a_lost_connection_stops_its_producer(self) -> None:
        """Once; and one that is registered afterwards is stopped at once."""
        peer, protocol, made = self.connect()
        producer, late = Pushed(), Pushed()
        made.registerProducer(producer, True)
        peer.reset()
        await protocol.gone
        self.assertEqual(producer.told, ["stop"])
        made.registerProducer(late, True)
        self.assertEqual(late.told, ["stop"])

    async def test_two_producers(self) -> None:
        """Are one too many."""
        _, _, made = self.connect()
        made.registerProducer(Pushed(), True)
        self.assertRaises(RuntimeError, made.registerProducer, Pushed(), True)
        made.unregisterProducer()
