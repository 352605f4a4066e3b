"""Real sockets on loopback, for tests of whatever dials: peers of several kinds, and who dials."""

from __future__ import annotations

import contextlib
import os
import socket
import typing

from OpenSSL import SSL
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialer, Dialing, TCPDialer
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.ports import ClientWire
from aluvia.net.resolve import Resolver
from aluvia.net.test.dialling import FakeGetAddrInfo, Recorder
from aluvia.net.test.handshaking import ServerConnections

reactor: typing.Any = global_reactor

#: Of the reactor, in which what was closed must be gone.
MOST_TURNS = 1_000


class Caller(Recorder):
    """A recorder that says when its dial is over, and when its connection is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.over: Deferred[None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.when_data: typing.Callable[[], object] = lambda: None

    def connectionMade(self) -> None:
        """The dial is over."""
        super().connectionMade()
        self.over.callback(None)

    def failed(self, error: DialError) -> None:
        """The dial is over."""
        super().failed(error)
        self.over.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Keep the bytes."""
        super().dataReceived(data)
        self.when_data()

    def connectionLost(self, reason: Failure) -> None:
        """The connection is lost."""
        super().connectionLost(reason)
        self.gone.callback(None)

    async def received(self, count: int) -> bytes:
        """Wait until so many bytes have come, and return what has."""
        while sum(map(len, self.data)) < count:
            more: Deferred[None] = Deferred()
            self.when_data = lambda more=more: more.callback(None)  # type: ignore[misc]
            await more
            self.when_data = lambda: None
        return b"".join(self.data)


class Peer(Protocol):
    """The other end: says its greeting, echoes, or answers a CONNECT."""

    transport: typing.Any

    def connectionMade(self) -> None:
        """Greet, or hang up."""
        site = typing.cast(Site, self.factory)
        site.peers.add(self)
        if site.resets:
            self.transport.abortConnection()
        elif site.greeting:
            self.transport.write(site.greeting)

    def dataReceived(self, data: bytes) -> None:
        """Answer."""
        site = typing.cast(Site, self.factory)
        site.received.append(data)
        if site.answers:
            self.transport.write(site.answers.pop(0))
        elif site.echoes:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget it."""
        typing.cast(Site, self.factory).left(self)


class Site(Factory):
    """
    A server on loopback.

    :param greeting: sent to whoever connects.
    :param answers: sent one by one for what comes; then it echoes, or is silent.
    """

    noisy = False
    protocol = Peer

    def __init__(
        self,
        *,
        greeting: bytes = b"",
        answers: typing.Iterable[bytes] = (),
        echoes: bool = False,
        resets: bool = False,
    ) -> None:
        self.greeting = greeting
        self.answers = list(answers)
        self.echoes = echoes
        self.resets = resets
        self.peers: set[Peer] = set()
        self.received: list[bytes] = []
        self.empty: list[Deferred[None]] = []
        self.port: IListeningPort | None = None

    def listen(self, address: str = "127.0.0.1", context: SSL.Context | None = None) -> int:
        """Listen, with TLS if there is a context, and return the port."""
        factory: typing.Any = self
        if context is not None:
            factory = TLSMemoryBIOFactory(ServerConnections(context), False, self, reactor)
        port = reactor.listenTCP(0, factory, interface=address)
        self.port = port
        return int(port.getHost().port)

    def left(self, peer: Peer) -> None:
        """One is gone."""
        self.peers.discard(peer)
        if not self.peers:
            waiting, self.empty = self.empty, []
            for each in waiting:
                each.callback(None)

    async def close(self) -> None:
        """Leave nothing."""
        if self.port is not None:
            await maybeDeferred(self.port.stopListening)
        await self.emptied()

    async def emptied(self) -> None:
        """Wait until nobody is connected any more."""
        if self.peers:
            gone: Deferred[None] = Deferred()
            self.empty.append(gone)
            await gone


class LoopbackCase(TestCase):
    """A real dialer, and what it must not leave behind."""

    timeout = 20
    connect_timeout = 10.0

    def setUp(self) -> None:
        """Make the dialer."""
        self.sweep = Sweep(reactor, interval=0.02)
        self.addCleanup(self.sweep.stop)
        self.names: dict[str, typing.Any] = {}
        self.resolver = Resolver(reactor, self.sweep, getaddrinfo=FakeGetAddrInfo(self.names))
        self.addCleanup(self.resolver.stop)
        self.own_listeners: list[tuple[str, int]] = []
        self.tcp = TCPDialer(
            reactor,
            self.resolver,
            Guard(lambda: self.own_listeners),
            self.sweep,
            connect=ClientWire.connect,
            connect_timeout=self.connect_timeout,
        )
        self.dialing: Dialing | None = None

    def dial(self, dialer: Dialer, host: str, port: int) -> Caller:
        """Dial."""
        caller = Caller()
        self.dialing = dialer.dial(host, port, caller, caller.failed)
        return caller

    async def dialled(self, dialer: Dialer, host: str, port: int) -> Caller:
        """Dial, and wait for the outcome."""
        caller = self.dial(dialer, host, port)
        await caller.over
        return caller

    async def hang_up(self, *callers: Caller) -> None:
        """Close these connections, and wait until they are."""
        for caller in callers:
            caller.transport.abortConnection()
            await caller.gone

    def assert_outcome(self, caller: Caller, name: str, status: int) -> None:
        """Assert a failure."""
        self.assertEqual(caller.outcome(), (0, [name]))
        self.assertEqual(caller.errors[0].status, status)

    async def assert_nothing_left(self, before: tuple[int, int]) -> None:
        """Assert that as many descriptors and watched deadlines are there as before."""
        # A peer closes its end in a turn after it has heard of ours.
        for _ in range(MOST_TURNS):
            if await self.count() == before:
                return
        self.assertEqual(await self.count(), before)

    async def count(self) -> tuple[int, int]:
        """Count open descriptors, and watched deadlines."""
        # The reactor has its own descriptors once it runs, and closes ours in its next turn.
        await deferLater(reactor, 0, lambda: None)
        return len(os.listdir("/dev/fd")), len(self.sweep)


@contextlib.contextmanager
def full_backlog() -> typing.Iterator[int]:
    """Give the port of a listener that takes no more connections: a SYN is dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextlib.contextmanager
def closed_port() -> typing.Iterator[int]:
    """Give a port that is taken and does not listen: it refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
