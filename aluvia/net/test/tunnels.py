"""Tunnels over real loopback sockets: two peers, and a relay in between, for its tests."""

from __future__ import annotations

import socket
import ssl
import typing

import attrs
import trustme
from twisted.internet import reactor as global_reactor
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from aluvia.net.accept import open_descriptors
from aluvia.net.pipes import Pipes
from aluvia.net.plain import PlainRelay
from aluvia.net.relay import Relay, WireRelay, relay
from aluvia.net.tls_wire import TLSWire
from aluvia.net.transport import Wire
from aluvia.testing.connection import FaultConnection
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

reactor = typing.cast(typing.Any, global_reactor)

#: What the kernel may hold between a peer and a relay, when both buffers are asked to be small.
SMALL_BUFFER = 16_384


def loopback() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def wire(skt: socket.socket, protocol: Protocol) -> Wire:
    """Our transport, as the ports make it."""
    made = Wire(skt, protocol, skt.getpeername(), reactor)
    made.startReading()
    protocol.makeConnection(made)
    return made


def stock(skt: socket.socket, protocol: Protocol) -> tcp.Server:
    """Twisted's transport."""
    factory = Factory.forProtocol(lambda: protocol)
    # The descriptor is duplicated, and ours is not needed any more.
    with skt:
        reactor.adoptStreamConnection(skt.fileno(), socket.AF_INET, factory)
    return typing.cast(tcp.Server, protocol.transport)


@attrs.define
class Ending:
    """How a relay ended.

    :ivar failures: what each call of ``ended`` was given; one, if all is well.
    """

    failures: list[Failure | None] = attrs.field(factory=list)
    _first: Deferred[None] = attrs.field(factory=Deferred)

    def __call__(self, ended: Relay, failure: Failure | None) -> None:
        """Note it."""
        self.failures.append(failure)
        if not self._first.called:
            self._first.callback(None)

    async def why(self) -> Failure | None:
        """Wait for it, and say what it was given."""
        if not self.failures:
            await self._first
        return self.failures[0]


@attrs.define
class Joint:
    """A relay and the peers of its two ends."""

    left: FaultConnection
    right: FaultConnection
    relay: Relay
    ending: Ending


class TunnelCase(TestCase):
    """
    Makes tunnels of one kind, and sees that nothing of them is left when a test is over.

    :cvar limits: for the relays.
    """

    timeout = 60
    limits = DEFAULT_LIMITS

    async def setUp(self) -> None:  # type: ignore[override]
        """Count what is there before."""
        # The reactor has things of its own, once it runs.
        await self.turns()
        descriptors = open_descriptors()
        selectables = set(map(id, reactor.getReaders() + reactor.getWriters()))
        self.addCleanup(self._nothing_left, descriptors, selectables)

    async def _nothing_left(self, descriptors: int, selectables: set[int]) -> None:
        await self.turns(3)
        after = reactor.getReaders() + reactor.getWriters()
        self.assertEqual([one for one in after if id(one) not in selectables], [])
        self.assertEqual(open_descriptors(), descriptors)

    async def turns(self, count: int = 1) -> None:
        """Let the reactor look at every descriptor, so many times."""
        for _ in range(count):
            await deferLater(reactor, 0, lambda: None)

    async def when(self, condition: typing.Callable[[], bool]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await self.turns()

    def peer(self, skt: socket.socket) -> FaultConnection:
        """Drive a socket as a peer."""
        connection = FaultConnection(reactor, skt)
        self.addCleanup(connection.close)
        return connection

    async def end(self, buffer: int | None) -> tuple[FaultConnection, typing.Any]:
        """One peer, and the transport that it is connected to."""
        near, far = loopback()
        if buffer is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        return self.peer(near), self.transport(far, Protocol())

    def transport(self, far: socket.socket, protocol: Protocol) -> typing.Any:
        """Make a transport of the kind that is tested."""
        return wire(far, protocol)

    def make(self, left: typing.Any, right: typing.Any, ending: Ending, left_eof: bool) -> Relay:
        """Make the relay that is tested."""
        return relay(left, right, ended=ending, limits=self.limits, left_eof=left_eof)

    async def left_end(self, buffer: int | None) -> tuple[FaultConnection, typing.Any]:
        """The left peer, and its transport."""
        return await self.end(buffer)

    async def join(
        self,
        *,
        left_eof: bool = False,
        written: bytes = b"",
        left_bytes: bytes = b"",
        right_bytes: bytes = b"",
        left_buffer: int | None = None,
        right_buffer: int | None = None,
    ) -> Joint:
        """
        Make a tunnel.

        :param written: what is written to the left one before the relay starts.
        :param left_buffer: how much the kernel may hold on the way to the left peer.
        :param right_buffer: the same to the right peer.
        """
        left, left_transport = await self.left_end(left_buffer)
        right, right_transport = await self.end(right_buffer)
        ending = Ending()
        made = self.make(left_transport, right_transport, ending, left_eof)
        if written:
            left_transport.write(written)
        made.start(left_bytes, right_bytes)
        self.addCleanup(lambda: None if made.over else made.abort())
        return Joint(left, right, made, ending)


class Splicing(TunnelCase):
    """Our transports, with pipes."""

    def make(
        self, left: typing.Any, right: typing.Any, ending: Ending, left_eof: bool
    ) -> WireRelay:
        """A fast relay, with a pool of its own to look at."""
        limits = self.limits
        self.pipes = Pipes(limits.pipes, limits.pipe_bytes, limits.relay_read_bytes)
        return WireRelay(
            left, right, ended=ending, limits=limits, left_eof=left_eof, pipes=self.pipes
        )


class Copying(TunnelCase):
    """Our transports, where there are no pipes."""

    limits = Limits(pipes=0)


class Stock(TunnelCase):
    """Twisted's transports."""

    def transport(self, far: socket.socket, protocol: Protocol) -> typing.Any:
        """A stock one."""
        return stock(far, protocol)

    def make(
        self, left: typing.Any, right: typing.Any, ending: Ending, left_eof: bool
    ) -> PlainRelay:
        """The plain relay, which is the only one for them."""
        made = super().make(left, right, ending, left_eof)
        assert isinstance(made, PlainRelay)
        return made


@attrs.frozen
class _Authority:
    """A certificate authority, its certificate for localhost, and what both sides need of them."""

    server: CertificateOptions
    client: ssl.SSLContext

    @classmethod
    def make(cls) -> _Authority:
        """Make one."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        own = PrivateCertificate.loadPEM(issued.private_key_and_cert_chain_pem.bytes())
        Certificate.loadPEM(authority.cert_pem.bytes())
        client = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        return cls(own.options(), client)


class LeftTLS(TunnelCase):
    """
    Our TLS over our transport on the left, our transport on the right.

    :cvar newest: the newest version that the peer speaks.
    """

    newest = ssl.TLSVersion.TLSv1_3
    _authority: typing.ClassVar[_Authority | None] = None

    async def left_end(self, buffer: int | None) -> tuple[FaultConnection, typing.Any]:
        """The left peer, when the handshake is through on both sides."""
        cls = type(self)
        if cls._authority is None:
            cls._authority = _Authority.make()
            cls._authority.client.maximum_version = cls.newest
        near, far = loopback()
        if buffer is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        factory: typing.Any = TLSMemoryBIOFactory(
            cls._authority.server, False, Factory.forProtocol(Protocol)
        )
        factory.protocol = TLSWire
        tls = factory.buildProtocol(None)
        wire(far, tls)
        peer = self.peer(near)
        await peer.start_tls(cls._authority.client, server_side=False, server_hostname="localhost")
        # To the peer the handshake is through earlier, in TLS 1.3.
        await self.when(lambda: tls._handshakeDone)
        return peer, tls
