"""Ports on loopback, and the protocols behind them, for tests."""

from __future__ import annotations

import typing

from twisted.internet.protocol import Factory, Protocol

from aluvia.net.ports import WirePort, listen
from aluvia.net.test.tunnels import TunnelCase, reactor
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial


class Greeter(Protocol):
    """Says what it is told to when it is connected, and keeps what it reads."""

    def __init__(self, greeting: bytes = b"") -> None:
        self.greeting = greeting
        self.received = b""
        self.lost = 0

    def connectionMade(self) -> None:
        """Greet."""
        if self.greeting:
            self.transport.write(self.greeting)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.received += data

    def connectionLost(self, reason: object = None) -> None:
        """Note it."""
        self.lost += 1


class Greeters(Factory):
    """Makes them, or does what a test wants instead."""

    noisy = False

    def __init__(self) -> None:
        self.made: list[Greeter] = []
        self.peers: list[typing.Any] = []
        self.build: typing.Callable[[], Greeter | None] = lambda: Greeter(b"hello")

    def buildProtocol(self, addr: typing.Any) -> Greeter | None:
        """Make one."""
        self.peers.append(addr)
        protocol = self.build()
        if protocol is not None:
            self.made.append(protocol)
        return protocol


class PortCase(TunnelCase):
    """Listens on loopback, and connects."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Listen."""
        # Twisted keeps one descriptor for the process, from its first port on.
        first = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
        await first.stopListening()
        await super().setUp()
        self.factory = Greeters()

    def listen(self, address: str = "127.0.0.1") -> WirePort:
        """A port that stops when the test is over."""
        port = listen(reactor, address, 0, self.factory)
        self.addCleanup(port.stopListening)
        return port

    async def connect(self, port: WirePort) -> FaultConnection:
        """Connect to it."""
        host = port.getHost()
        peer = await dial(reactor, host.host, host.port)
        self.addCleanup(peer.close)
        return peer
