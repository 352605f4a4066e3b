"""Tests for :mod:`aluvia.net.proxy_protocol`, in memory and on loopback."""

from __future__ import annotations

import ssl
import typing

import trustme
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.net.door import Door
from aluvia.net.ports import ServerWire, listen
from aluvia.net.proxy_protocol import (
    REFUSALS_TOLD,
    AwaitedHeader,
    ProxyProtocol,
    announced,
    announced_peer,
)
from aluvia.net.test.dialling import FakeWire, Recorder
from aluvia.net.test.handshaking import OURS, Peer, ServerConnections
from aluvia.net.test.listening import Greeter, PortCase
from aluvia.net.test.tunnels import reactor
from aluvia.net.tls import TLSWire, client_context
from aluvia.net.transport import address_of
from aluvia.testing.ended import Ended
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
SENDER = address_of(("10.0.0.1", 4000))


@implementer(IProtocolFactory)
class Recorders:
    """Makes one protocol, and notes what it was asked for."""

    def __init__(self) -> None:
        self.protocol: Recorder | None = Recorder()
        self.asked: list[IAddress] = []
        self.told: list[str] = []

    def buildProtocol(self, address: IAddress) -> IProtocol | None:
        """Give it."""
        self.asked.append(address)
        return self.protocol

    def doStart(self) -> None:
        """Note it."""
        self.told.append("start")

    def doStop(self) -> None:
        """Note it."""
        self.told.append("stop")


class HeaderCase(SynchronousTestCase):
    """A factory, and connections of it in memory."""

    limits = DEFAULT_LIMITS

    def setUp(self) -> None:
        """Make the factory."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.addCleanup(self.sweep.stop)
        self.inner = Recorders()
        self.maker = ProxyProtocol(self.inner, self.sweep, self.limits)

    def connect(self) -> FakeWire:
        """A connection."""
        wire = FakeWire()
        wire.start(self.maker.buildProtocol(SENDER))
        return wire

    def assert_over(self, wire: FakeWire, *, connections: int = 0) -> None:
        """Assert that nothing watches it any more."""
        assert self.inner.protocol is not None
        self.assertEqual(len(self.sweep), 0)
        self.assertEqual(self.inner.protocol.connections, connections)


class HandOverTests(HeaderCase):
    """A good header."""

    def test_at_once(self) -> None:
        """The real protocol has the connection, what was announced, and the bytes behind it."""
        wire = self.connect()
        protocol = self.inner.protocol
        assert protocol is not None
        seen: list[object] = []
        protocol.when_connected = lambda: seen.append(announced_peer(wire))
        wire.deliver(HEADER + b"GET")
        self.assertEqual((seen, protocol.data), ([("192.0.2.7", 56324)], [b"GET"]))
        self.assertIs(wire.protocol, protocol)
        self.assertEqual(self.inner.asked, [SENDER])
        self.assert_over(wire, connections=1)
        wire.deliver(b" /")
        wire.lose()
        self.assertEqual((protocol.data, len(protocol.lost)), ([b"GET", b" /"], 1))

    def test_in_pieces(self) -> None:
        """Byte by byte it is the same, and nothing reaches the real protocol before."""
        wire = self.connect()
        for at in range(len(HEADER) - 1):
            wire.deliver(HEADER[at : at + 1])
            self.assertEqual(self.inner.asked, [])
        wire.deliver(HEADER[-1:])
        self.assertEqual(announced_peer(wire), ("192.0.2.7", 56324))
        self.assert_over(wire, connections=1)

    def test_nothing_announced(self) -> None:
        """A proxy's own check is served, as who it is."""
        wire = self.connect()
        wire.deliver(b"PROXY UNKNOWN\r\n")
        self.assertIsNone(announced_peer(wire))
        self.assert_over(wire, connections=1)

    def test_no_bytes_behind_it(self) -> None:
        """The real protocol is not given an empty piece."""
        wire = self.connect()
        wire.deliver(HEADER)
        assert self.inner.protocol is not None
        self.assertEqual(self.inner.protocol.data, [])

    def test_a_protocol_that_closes(self) -> None:
        """One that wants nobody is given nothing more."""
        wire = self.connect()
        protocol = self.inner.protocol
        assert protocol is not None
        protocol.when_connected = wire.loseConnection
        wire.deliver(HEADER + b"GET")
        self.assertEqual(protocol.data, [])

    def test_a_factory_that_declines(self) -> None:
        """Closes the connection."""
        self.inner.protocol = None
        wire = self.connect()
        wire.deliver(HEADER + b"GET")
        self.assertTrue(wire.disconnecting)
        self.assertEqual(len(self.sweep), 0)

    def test_started_and_stopped(self) -> None:
        """The real factory is, with the port."""
        self.maker.doStart()
        self.maker.doStop()
        self.assertEqual(self.inner.told, ["start", "stop"])


class RefusalTests(HeaderCase):
    """Anything else."""

    def test_malformed(self) -> None:
        """Is reset at once, with what came behind it unheard."""
        wire = self.connect()
        wire.deliver(b"GET / HTTP/1.1\r\n")
        self.assertTrue(wire.aborted)
        wire.deliver(HEADER)
        self.assert_over(wire)
        self.assertEqual((self.inner.asked, self.maker.refused), ([], 1))

    def test_too_late(self) -> None:
        """The deadline is absolute: it does not move with what comes."""
        wire = self.connect()
        for second in range(4):
            wire.deliver(HEADER[second : second + 1])
            self.clock.advance(1.0)
        self.assertFalse(wire.aborted)
        with capturedLogs() as events:
            self.clock.advance(1.0)
        self.assertTrue(wire.aborted)
        self.assert_over(wire)
        self.assertIn("did not come in time", str(formatEvent(events[0])))

    def test_not_too_late(self) -> None:
        """The deadline goes with the header."""
        wire = self.connect()
        wire.deliver(HEADER)
        self.clock.pump([1.0] * 10)
        self.assertFalse(wire.aborted)

    def test_who_leaves(self) -> None:
        """A look whether the port is open is nobody's fault."""
        wire = self.connect()
        with capturedLogs() as events:
            wire.lose()
        self.assert_over(wire)
        self.assertEqual((self.maker.refused, events), (0, []))

    def test_a_fin_before_the_end(self) -> None:
        """The rest of the header cannot come any more."""
        wire = self.connect()
        wire.deliver(HEADER[:-1])
        wire.fin()
        self.assert_over(wire)

    def test_a_drain(self) -> None:
        """Closes what has not begun."""
        wire = self.connect()
        typing.cast(AwaitedHeader, wire.protocol).drain()
        self.assertTrue(wire.disconnecting)
        wire.deliver(HEADER)
        self.assert_over(wire)

    def test_told_once_a_minute(self) -> None:
        """With how many there were, who was the last and why; and nothing of what they sent."""
        with capturedLogs() as events:
            for _ in range(3):
                self.connect().deliver(b"canary")
            self.assertEqual(len(events), 1)
            self.clock.pump([1.0] * int(REFUSALS_TOLD))
            self.connect().deliver(b"canary")
        first, second = map(formatEvent, events)
        self.assertIn("Reset 1 connections without", first)
        self.assertIn("Reset 3 connections without", second)
        self.assertIn("10.0.0.1: It begins with something else", second)
        self.assertNotIn("canary", first + second)


class LimitsTests(HeaderCase):
    """The door's own bounds."""

    limits = Limits(proxy_header_bytes=30, proxy_header_seconds=2.0)

    def test_bytes(self) -> None:
        """A header over them is reset."""
        wire = self.connect()
        wire.deliver(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f")
        self.assertTrue(wire.aborted)

    def test_seconds(self) -> None:
        """A header after them is reset."""
        wire = self.connect()
        self.clock.pump([1.0, 1.0])
        self.assertTrue(wire.aborted)


class InsideTests(HeaderCase):
    """What is announced, seen from inside."""

    def test_through_tls(self) -> None:
        """The header comes in the clear, the handshake in the same segment; found through TLS."""
        context = OURS.issue("a.example")
        recorder = Recorder()
        inner: typing.Any = TLSMemoryBIOFactory(
            ServerConnections(context),
            False,
            Factory.forProtocol(typing.cast(typing.Any, lambda: recorder)),
            clock=self.clock,
        )
        inner.protocol = TLSWire
        self.maker.factory = inner
        wire = self.connect()
        peer = Peer(client_context(OURS.pem), FakeWire(), server=False)
        peer._look()
        wire.deliver(HEADER + peer.tls.bio_read(10_000))
        peer.wire = wire
        peer.talk()
        peer.send(b"hello")
        self.assertEqual(recorder.data, [b"hello"])
        self.assertIsInstance(recorder.transport, TLSWire)
        self.assertEqual(announced_peer(recorder.transport), ("192.0.2.7", 56324))

    def test_without_it(self) -> None:
        """A connection of another port announces nothing, whatever its transport is."""
        for transport in (FakeWire(), StringTransport(), None):
            self.assertIsNone(announced(transport))
            self.assertIsNone(announced_peer(transport))
        self.assertIsNone(ServerWire.announced)

    def test_both_ends(self) -> None:
        """Where the client connected to is there too."""
        wire = self.connect()
        wire.deliver(HEADER)
        said = announced(wire)
        assert said is not None
        self.assertEqual(said.destination, ("198.51.100.1", 443))


class LoopbackTests(PortCase):
    """Real sockets."""

    async def test_a_port(self) -> None:
        """It is handed over, half-closed behind it too, and leaves nothing when it is reset."""
        sweep = Sweep(Clock())
        self.addCleanup(sweep.stop)
        maker = ProxyProtocol(self.factory, sweep)
        port = listen(reactor, "127.0.0.1", 0, maker)
        self.addCleanup(port.stopListening)
        peer = await self.connect(port)
        await peer.send(HEADER[:9])
        await self.turns(3)
        self.assertEqual(self.factory.made, [])
        await peer.send(HEADER[9:] + b"hi")
        self.assertEqual(await peer.read_exactly(5), b"hello")
        protocol = self.factory.made[0]
        self.assertEqual(protocol.received, b"hi")
        self.assertEqual(announced_peer(protocol.transport), ("192.0.2.7", 56324))
        stranger = await self.connect(port)
        await stranger.send(b"GET / HTTP/1.1\r\n")
        await stranger.read_away()
        self.assertIs(stranger.ended, Ended.RESET)
        peer.close()
        await self.when(lambda: not port.wires)
        self.assertEqual((protocol.lost, len(sweep)), (1, 0))

    async def test_a_factory_that_raises(self) -> None:
        """Its error is logged, and costs that connection alone."""
        sweep = Sweep(Clock())
        self.addCleanup(sweep.stop)
        port = listen(reactor, "127.0.0.1", 0, ProxyProtocol(self.factory, sweep))
        self.addCleanup(port.stopListening)

        def fail() -> Greeter:
            raise RuntimeError("a bug")

        self.factory.build = fail
        peer = await self.connect(port)
        await peer.send(HEADER)
        await peer.read_away()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(sweep), 0)

    async def test_tls(self) -> None:
        """A client's TLS behind a proxy's header."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        own = PrivateCertificate.loadPEM(issued.private_key_and_cert_chain_pem.bytes())
        trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        inner: typing.Any = TLSMemoryBIOFactory(own.options(), False, self.factory, clock=reactor)
        inner.protocol = TLSWire
        sweep = Sweep(Clock())
        self.addCleanup(sweep.stop)
        port = listen(reactor, "127.0.0.1", 0, ProxyProtocol(inner, sweep))
        self.addCleanup(port.stopListening)
        peer = await self.connect(port)
        await peer.send(HEADER)
        await peer.start_tls(trusting, server_side=False, server_hostname="localhost")
        self.assertEqual(await peer.read_exactly(5), b"hello")
        self.assertEqual(
            announced_peer(self.factory.made[0].transport),
            ("192.0.2.7", 56324),
        )
        peer.close()
        await self.when(lambda: not port.wires)

    async def test_a_drain(self) -> None:
        """A door that ends does not wait for a header."""
        door = Door(reactor, max_connections=10, connect_timeout=1.0)
        door.listen("http", "127.0.0.1", 0, ProxyProtocol(self.factory, door.sweep))
        door.admit()
        peer = await self.connect(door.ports["http"])
        await self.when(lambda: door.connections_open == 1)
        await door.stop(60.0)
        await peer.read_away()
        self.assertIs(peer.ended, Ended.FIN)
