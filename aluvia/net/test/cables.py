"""Two transports in memory, joined by a cable that carries bytes when a test says so."""

from __future__ import annotations

import typing

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

__all__ = ["Cable", "End"]


class End:
    """
    One end's transport.

    :ivar written: what is on its way to the other end.
    :ivar producer: who was registered.
    """

    def __init__(self, protocol: typing.Any) -> None:
        self.protocol = protocol
        self.written: list[bytes] = []
        self.producer: typing.Any = None
        self.connected = True
        self.disconnecting = False
        self.aborted = False
        self.gone = False

    def write(self, data: bytes) -> None:
        """Put it on its way."""
        if not self.disconnecting:
            self.written.append(data)

    def loseConnection(self) -> None:
        """Close behind what is on its way."""
        self.disconnecting = True

    def abortConnection(self) -> None:
        """Close, and drop that."""
        self.written.clear()
        self.disconnecting = self.aborted = True

    def registerProducer(self, producer: typing.Any, streaming: bool) -> None:
        """Keep it."""
        assert self.producer is None
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Forget it."""
        self.producer = None

    def switch_protocol(self, protocol: IProtocol) -> None:
        """From now on it is this one's."""
        self.protocol = protocol

    def pauseProducing(self) -> None:
        """A cable carries what it has."""

    def resumeProducing(self) -> None:
        """The same."""

    def getPeer(self) -> IPv4Address:
        """Somebody on a documentation network."""
        return IPv4Address("TCP", "192.0.2.7", 4711)

    def lose(self, reason: Exception) -> None:
        """Tell the protocol, once."""
        if not self.gone:
            self.gone = True
            self.connected = False
            self.protocol.connectionLost(Failure(reason))


class Cable:
    """
    A connection.

    :param near: its protocols are connected with it.
    """

    def __init__(self, near: IProtocol, far: IProtocol) -> None:
        self.near, self.far = End(near), End(far)
        self.cut = False
        far.makeConnection(typing.cast(typing.Any, self.far))
        near.makeConnection(typing.cast(typing.Any, self.near))

    def carry(self, clock: Clock | None = None) -> None:
        """Carry bytes and ends, to and fro, until there are none."""
        moved = True
        while moved:
            moved = False
            if clock is not None:
                clock.advance(0)
            for one, other in ((self.near, self.far), (self.far, self.near)):
                if one.written:
                    data, one.written = b"".join(one.written), []
                    if not (self.cut or other.gone or other.disconnecting):
                        other.protocol.dataReceived(data)
                        moved = True
                elif one.disconnecting and not one.gone:
                    one.lose(ConnectionAborted() if one.aborted else ConnectionDone())
                    if not self.cut:
                        other.lose(ConnectionLost() if one.aborted else ConnectionDone())
                    moved = True
