"""One of our transports on loopback, a protocol that notes what it is told, and the peer."""

from __future__ import annotations

import hashlib
import socket
import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.test.tunnels import TunnelCase, loopback, wire
from aluvia.net.transport import DONE, Wire
from aluvia.testing.connection import FaultConnection

MUCH = hashlib.shake_256(b"wire").digest(4_000_000)


@implementer(IHalfCloseableProtocol)
class Listener(Protocol):
    """Notes what it is told, and does what a test asks for when data comes."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: list[Failure] = []
        self.read_ended = 0
        self.write_ended = 0
        self.when_data: typing.Callable[[], object] = lambda: None
        self.gone: Deferred[None] = Deferred()
        self.depth = 0

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.received += data
        self.depth += 1
        try:
            self.when_data()
        finally:
            self.depth -= 1

    def readConnectionLost(self) -> None:
        """Note it."""
        self.read_ended += 1

    def writeConnectionLost(self) -> None:
        """Note it."""
        self.write_ended += 1

    def connectionLost(self, reason: Failure = DONE) -> None:
        """Note it; nobody calls this from within what it has called itself."""
        assert self.depth == 0, "connectionLost within dataReceived"
        self.lost.append(reason)
        self.gone.callback(None)


class WireCase(TunnelCase):
    """One wire and its peer."""

    def connect(self, buffer: int | None = None) -> tuple[FaultConnection, Listener, Wire]:
        """The peer, the protocol and the wire."""
        near, far = loopback()
        if buffer is not None:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        protocol = Listener()
        made = wire(far, protocol)
        self.addCleanup(made.abortConnection)
        return self.peer(near), protocol, made

    def refused_write_events(self, made: Wire) -> None:
        """Fail if the wire asks for write events."""
        self.patch(made, "startWriting", lambda: self.fail("asked for write events"))
