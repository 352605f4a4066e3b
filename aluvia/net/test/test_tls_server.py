"""A server's connection inside TLS: slow readers in memory, and early answers on loopback."""

from __future__ import annotations

import ssl
import typing

import trustme
from OpenSSL import SSL
from twisted.internet.protocol import Factory, ServerFactory
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory

from aluvia.net.accept import Sweep
from aluvia.net.http_server import ServerConnection
from aluvia.net.ports import listen
from aluvia.net.test.dialling import FakeWire
from aluvia.net.test.handshaking import OURS, Peer, ServerConnections
from aluvia.net.test.serving import (
    GET,
    POST,
    RecordingApplication,
    RecordingResponder,
    ServerConnectionCase,
)
from aluvia.net.test.tunnels import TunnelCase, reactor
from aluvia.net.tls import TLSWire
from aluvia.testing.dialling import dial
from aluvia.testing.ended import Ended
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS

ANSWER = b"x" * 400


class UnreadWire(FakeWire):
    """
    A transport whose peer reads when a test says so, and which says when it is full.

    :cvar mark: bytes.
    """

    mark = 8_000
    full = False

    def write(self, data: bytes) -> None:
        """Queue it."""
        super().write(data)
        producer = typing.cast(typing.Any, self.producer)
        if producer is not None and len(self.value()) > self.mark:
            self.full = True
            producer.pauseProducing()

    def clear(self) -> None:
        """The peer has read it all."""
        super().clear()
        full, self.full = self.full, False
        producer = typing.cast(typing.Any, self.producer)
        if full and producer is not None:
            producer.resumeProducing()


class Refusing(RecordingApplication):
    """Refuses each request at once."""

    def request(self, connection: ServerConnection, head: RequestHead) -> RecordingResponder | None:
        """Refuse."""
        self.responders.append(RecordingResponder(head))
        connection.answer(407, b"No", (), ANSWER)
        return None


class SlowClientTests(ServerConnectionCase):
    """Clients that ask, and do not read."""

    def begin(self, application: RecordingApplication) -> tuple[UnreadWire, Peer]:
        """A connection inside TLS, and its client."""
        self.application = application
        self.connection = ServerConnection(application, self.sweep, self.limits, 600.0)
        creator = ServerConnections(OURS.issue("proxy.example"))
        factory = TLSMemoryBIOFactory(creator, False, ServerFactory(), clock=self.clock)
        wire = UnreadWire()
        wire.start(TLSWire(factory, self.connection))
        peer = Peer(SSL.Context(SSL.TLS_CLIENT_METHOD), wire, server=False)
        peer.talk()
        peer.talk()
        return wire, peer

    def ask(self, peer: Peer, wire: UnreadWire, requests: bytes) -> None:
        """Send, without reading."""
        peer.tls.sendall(requests)
        wire.deliver(peer.tls.bio_read(1_000_000))

    def test_answers_at_once(self) -> None:
        """What is queued is bounded; when the client reads, all of it is answered."""
        wire, peer = self.begin(Refusing())
        asked = 0
        while wire.producerState == "producing":
            self.ask(peer, wire, GET * 10)
            asked += 10
            self.assertLess(asked, 10_000)
        self.assertLess(len(wire.value()), wire.mark + 1_000)
        peer.talk()
        self.assertEqual(peer.received.count(b"HTTP/1.1 407 No\r\n"), asked)

    def test_one_after_the_other(self) -> None:
        """Who answers next is told of the next pause, though the last one ended in one."""
        wire, peer = self.begin(RecordingApplication())
        self.ask(peer, wire, GET * 4)
        for at in range(4):
            self.assertEqual(len(self.application.responders), at + 1)
            responder = self.application.responders[at]
            exchange = self.connection.exchange
            head = self.connection.respond(200, b"OK", (), 2 * wire.mark)
            self.connection.write(head + exchange.data(b"x" * wire.mark))
            self.assertEqual(responder.told, ["end", "pause"])
            peer.talk()
            self.assertEqual(responder.told, ["end", "pause", "resume"])
            self.connection.write(exchange.data(b"x" * wire.mark) + exchange.end())
            self.connection.answered()
            self.assertEqual(len(self.application.responders), at + 1)
            peer.talk()

    def test_deaf_at_the_first_pause(self) -> None:
        """A responder that could not pause yet is told again at the next write."""
        wire, peer = self.begin(RecordingApplication())
        self.ask(peer, wire, GET)
        self.connection.write(self.connection.respond(200, b"OK", (), 10 * wire.mark))
        for _ in range(3):
            self.connection.write(self.connection.exchange.data(b"x" * wire.mark))
        self.assertEqual(self.application.responders[0].told, ["end", *["pause"] * 3])


class EarlyAnswerTests(TunnelCase):
    """A refusal of a request whose body is still coming reaches its client whole."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Make the certificate, and Twisted's descriptor for the process."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        self.certificate = PrivateCertificate.loadPEM(
            issued.private_key_and_cert_chain_pem.bytes()
        ).options()
        self.trusting = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        first = reactor.listenTCP(0, ServerFactory(), interface="127.0.0.1")
        await first.stopListening()
        await super().setUp()
        self.sweep = Sweep(Clock())
        self.connections: list[ServerConnection] = []

    def connection(self) -> ServerConnection:
        """One that refuses at once."""
        made = ServerConnection(Refusing(), self.sweep, DEFAULT_LIMITS, 600.0)
        self.connections.append(made)
        return made

    async def refuse(self, newest: ssl.TLSVersion) -> None:
        """Send a long body, and read the answer behind it."""
        inner = Factory.forProtocol(typing.cast(typing.Any, self.connection))
        factory: typing.Any = TLSMemoryBIOFactory(self.certificate, False, inner, clock=reactor)
        factory.protocol = TLSWire
        port = listen(reactor, "127.0.0.1", 0, factory)
        self.addCleanup(port.stopListening)
        client = await dial(reactor, "127.0.0.1", port.getHost().port)
        self.addCleanup(client.close)
        self.trusting.maximum_version = newest
        await client.start_tls(self.trusting, server_side=False, server_hostname="localhost")
        client.pause()
        await client.send(POST.replace(b": 8", b": 200000"))
        for _ in range(20):
            await client.send(b"x" * 10_000)
            await self.turns(3)
        client.resume()
        answer = await client.read_to_end()
        self.assertTrue(answer.startswith(b"HTTP/1.1 407 No\r\n"), answer)
        self.assertTrue(answer.endswith(ANSWER))
        self.assertIs(client.ended, Ended.FIN)
        client.close()
        await self.when(lambda: not port.wires)

    async def test_tls_1_3(self) -> None:
        """In TLS 1.3."""
        await self.refuse(ssl.TLSVersion.TLSv1_3)

    async def test_tls_1_2(self) -> None:
        """In TLS 1.2."""
        await self.refuse(ssl.TLSVersion.TLSv1_2)
