"""How a TLS connection ends: each direction by itself, in order or cut off; in memory."""

from __future__ import annotations

import typing

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from zope.interface import implementer

from aluvia.net.test.dialling import FakeWire, Recorder
from aluvia.net.test.handshaking import OURS, Peer
from aluvia.net.test.tls_case import TLSCase
from aluvia.net.tls import TLSWire


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """A recorder that goes on when one direction has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.read_ended = 0
        self.write_ended = 0

    def readConnectionLost(self) -> None:
        """Note it."""
        self.read_ended += 1

    def writeConnectionLost(self) -> None:
        """Note it."""
        self.write_ended += 1


class EndingCase(TLSCase):
    """
    A connection that is open.

    :cvar newest: the newest version that the peer speaks.
    """

    newest = SSL.TLS1_3_VERSION
    protocol: HalfRecorder

    def setUp(self) -> None:
        """Connect."""
        super().setUp()
        self.wire, self.peer = self.open(HalfRecorder())
        self.transport = self.assert_open(self.wire)

    def open(self, protocol: Recorder) -> tuple[FakeWire, Peer]:
        """Dial for this protocol, and let a peer answer."""
        self.protocol = typing.cast(HalfRecorder, protocol)
        self.dial()
        wire = self.tcp.dials[-1].connect()
        context = OURS.issue("gw.example")
        context.set_max_proto_version(self.newest)
        peer = Peer(context, wire, server=True)
        peer.talk()
        return wire, peer


class HalfCloseTests(EndingCase):
    """One direction ends, and the other goes on."""

    def test_ours_first(self) -> None:
        """What was written, a close_notify, a FIN; what the peer sends is read on to its end."""
        self.transport.write(b"x" * 100_000)
        self.transport.loseWriteConnection()
        self.peer.talk()
        self.assertEqual((len(self.peer.received), self.peer.ended), (100_000, True))
        self.assertEqual((self.wire.half_closed, self.wire.closing), (True, False))
        self.peer.send(b"y" * 100_000)
        self.assertEqual(len(b"".join(self.protocol.data)), 100_000)
        self.assertEqual(self.protocol.read_ended, 0)
        self.peer.finish()
        self.assertEqual((self.protocol.read_ended, self.protocol.lost), (1, []))
        self.wire.fin()
        self.assertEqual(self.protocol.read_ended, 1)
        self.transport.loseConnection()
        self.assertEqual((self.wire.disconnecting, self.wire.value()), (True, b""))
        self.wire.lose()
        self.assertIsInstance(self.protocol.lost[0].value, ConnectionDone)

    def test_the_peer_s_first(self) -> None:
        """The protocol is told, and can still write; then it ends its own."""
        self.peer.finish()
        self.wire.fin()
        self.assertEqual((self.protocol.read_ended, self.wire.closing), (1, False))
        self.transport.write(b"x" * 100_000)
        self.peer.talk()
        self.assertEqual((len(self.peer.received), self.peer.ended), (100_000, False))
        self.transport.loseConnection()
        self.peer.talk()
        self.assertEqual((self.peer.ended, self.wire.disconnecting), (True, True))

    def test_told_of_our_fin(self) -> None:
        """When our FIN is out the protocol hears of it, as over plain TCP."""
        self.transport.loseWriteConnection()
        self.assertEqual(self.protocol.write_ended, 0)
        self.transport.writeConnectionLost()
        self.assertEqual(self.protocol.write_ended, 1)
        self.transport.switch_protocol(Recorder())
        self.transport.writeConnectionLost()

    def test_what_is_written_too_late(self) -> None:
        """Is dropped, and ends nothing."""
        self.transport.loseWriteConnection()
        self.transport.write(b"late")
        self.transport.writeSequence([b"la", b"ter"])
        self.transport.loseWriteConnection()
        self.peer.send(b"y")
        self.assertEqual((self.peer.received, self.protocol.data), (b"", [b"y"]))
        self.assertEqual((self.wire.closing, self.protocol.lost), (False, []))

    def test_what_is_sent_too_late(self) -> None:
        """What comes behind a close_notify is read, and dropped."""
        self.peer.finish()
        for _ in range(10):
            self.wire.deliver(b"\x17\x03\x03\x40\x00" + b"z" * 16_384)
        self.assertEqual((self.protocol.data, self.protocol.lost), ([], []))
        self.assertFalse(self.wire.closing)

    def test_behind_what_waits_for_the_handshake(self) -> None:
        """What is written before the handshake is through goes out before the end."""

        @implementer(IHandshakeListener)
        class Early(HalfRecorder):
            def connectionMade(self) -> None:
                self.transport.write(b"early")

            def handshakeCompleted(self) -> None:  # noqa: N802
                self.transport.loseWriteConnection()

        self.protocol = early = Early()
        wire = FakeWire()
        wire.start(TLSWire(self.dialer._factory, early))
        peer = Peer(OURS.issue("gw.example"), wire, server=True)
        peer.talk()
        self.assertEqual((peer.received, peer.ended), (b"early", True))
        self.assertEqual((wire.half_closed, wire.closing), (True, False))

    def test_before_the_handshake(self) -> None:
        """There is nothing that could go on: the connection is given up."""
        self.protocol = HalfRecorder()
        wire = FakeWire()
        transport = TLSWire(self.dialer._factory, self.protocol)
        wire.start(transport)
        transport.loseWriteConnection()
        self.assertTrue(wire.aborted)

    def test_a_close_after_a_close(self) -> None:
        """Half a close behind a whole one changes nothing, nor does one behind a reset."""
        self.transport.loseConnection()
        self.transport.loseWriteConnection()
        self.assertFalse(self.wire.half_closed)
        wire, _ = self.open(HalfRecorder())
        transport = self.assert_open(wire)
        transport.abortConnection()
        transport.loseWriteConnection()
        self.assertFalse(wire.half_closed)


class OlderHalfCloseTests(HalfCloseTests):
    """The same in TLS 1.2."""

    newest = SSL.TLS1_2_VERSION


class WholeTests(EndingCase):
    """Both directions end at once."""

    def test_a_reset(self) -> None:
        """Says no close_notify: what was cut off must not look whole."""
        self.transport.write(b"half an answer")
        self.peer.talk()
        self.transport.abortConnection()
        self.assertEqual((self.wire.aborted, self.wire.value()), (True, b""))
        self.peer.send(b"still sending")
        self.wire.lose()
        self.assertEqual((self.protocol.data, len(self.protocol.lost)), ([], 1))
        self.assertFalse(self.peer.ended)

    def test_a_protocol_without_halves(self) -> None:
        """The peer's close_notify closes its connection, in order."""
        wire, peer = self.open(Recorder())
        self.assert_open(wire)
        peer.send(b"all")
        peer.finish()
        self.assertEqual((wire.disconnecting, peer.ended), (True, True))
        wire.lose()
        self.assertEqual(self.protocol.data, [b"all"])
        self.assertIsInstance(self.protocol.lost[0].value, ConnectionDone)

    def test_a_fin_without_a_close_notify(self) -> None:
        """The peer's stream was cut off, whatever the protocol."""
        for kind in (Recorder, HalfRecorder):
            wire, peer = self.open(kind())
            self.assert_open(wire)
            peer.send(b"not all")
            wire.fin()
            self.assertIsInstance(self.protocol.lost[0].value, ConnectionLost, kind)

    def test_a_fin_behind_our_close_notify(self) -> None:
        """Many peers leave out theirs then: it is an end in order."""
        self.transport.loseWriteConnection()
        self.peer.talk()
        self.wire.fin()
        self.assertEqual((self.protocol.read_ended, self.protocol.lost), (1, []))
        wire, _ = self.open(Recorder())
        transport = self.assert_open(wire)
        transport.loseWriteConnection()
        wire.fin()
        self.assertTrue(wire.disconnecting)
        wire.lose()
        self.assertIsInstance(self.protocol.lost[0].value, ConnectionDone)

    def test_lost_between_two_ends(self) -> None:
        """A reset after half a close is told as one."""
        self.transport.loseWriteConnection()
        self.wire.lose(ConnectionLost())
        self.assertIsInstance(self.protocol.lost[0].value, ConnectionLost)


class Pausable:
    """A producer that counts."""

    def __init__(self) -> None:
        self.paused = 0
        self.resumed = 0
        self.stopped = 0

    def pauseProducing(self) -> None:
        """Count it."""
        self.paused += 1

    def resumeProducing(self) -> None:
        """Count it."""
        self.resumed += 1

    def stopProducing(self) -> None:
        """Count it."""
        self.stopped += 1


class ProducerTests(EndingCase):
    """Whoever writes is told when to stop."""

    def test_each_pause_is_passed_on(self) -> None:
        """Who was deaf at the first one hears the next; and they end together."""
        producer = Pausable()
        self.transport.registerProducer(producer, True)
        below = typing.cast(typing.Any, self.wire.producer)
        below.resumeProducing()
        below.pauseProducing()
        below.pauseProducing()
        below.resumeProducing()
        below.resumeProducing()
        self.assertEqual((producer.paused, producer.resumed), (2, 1))
        below.stopProducing()
        self.assertEqual(producer.stopped, 1)
        self.transport.unregisterProducer()
        self.assertIsNone(self.wire.producer)

    def test_too_late(self) -> None:
        """One that registers when the peer has gone is stopped."""
        self.protocol = typing.cast(HalfRecorder, Recorder())
        self.transport.switch_protocol(self.protocol)
        self.peer.finish()
        producer = Pausable()
        self.transport.registerProducer(producer, True)
        self.assertEqual(producer.stopped, 1)
