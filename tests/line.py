"""
The line between an agent and its hub, for tests: a relay that can stop, be reset, and come back.

==========  ========================================================================================
``stall``   nothing moves any more, either way, and nothing is closed: to both sides that is what a
            network is that drops packets. New connections are taken, and nothing moves there
``reset``   what is open ends with an RST, to both sides
``cut``     ``reset``, and new connections are ended as well
``mend``    new connections pass again; what has stalled stays so
==========  ========================================================================================
"""

from __future__ import annotations

import enum
import typing

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.aluvia_process import reactor


class Manner(enum.Enum):
    """What becomes of a new connection."""

    PASSES = enum.auto()
    STALLS = enum.auto()
    ENDS = enum.auto()


class _End(Protocol):
    """One end of a connection through the line."""

    transport: typing.Any

    def __init__(self, line: Line) -> None:
        self._line = line
        self.peer: _End | None = None

    def connectionMade(self) -> None:
        """Note it."""
        self._line.ends.add(self)
        self.transport.setTcpNoDelay(True)
        if self.peer is not None:
            self._join(self.peer)
        else:
            self._line.accepted += 1
            self.transport.pauseProducing()
            if self._line.manner is Manner.ENDS:
                self.transport.abortConnection()
            elif self._line.manner is Manner.PASSES:
                self._line.dial(self)

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        assert self.peer is not None
        self.peer.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """So is the other end, once it has what came before, or at once."""
        self._line.ends.discard(self)
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.unregisterProducer()
            if reason.check(ConnectionDone):
                self.peer.transport.loseConnection()
            else:
                self.peer.transport.abortConnection()

    def _join(self, peer: _End) -> None:
        peer.peer = self
        self.transport.registerProducer(peer.transport, True)
        peer.transport.registerProducer(self.transport, True)
        peer.transport.resumeProducing()


class Line:
    """
    Listens, and passes on to a port.

    :ivar accepted: how many connections came.
    """

    def __init__(self, to: int) -> None:
        self.to = to
        self.manner = Manner.PASSES
        self.accepted = 0
        self.ends: set[_End] = set()
        self._listening = reactor.listenTCP(
            0, Factory.forProtocol(lambda: _End(self)), backlog=1000, interface="127.0.0.1"
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getHost().port)

    def dial(self, end: _End) -> None:
        """Connect one that came to where it leads."""
        other = _End(self)
        other.peer = end
        connecting = connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.to), other)
        connecting.addErrback(lambda _: end.transport.abortConnection())

    def stall(self) -> None:
        """Let nothing through."""
        self.manner = Manner.STALLS
        for end in self.ends:
            end.transport.unregisterProducer()
            end.transport.pauseProducing()

    def reset(self) -> None:
        """End what is open."""
        for end in [*self.ends]:
            end.transport.abortConnection()

    def cut(self) -> None:
        """End what is open, and what comes."""
        self.manner = Manner.ENDS
        self.reset()

    def mend(self) -> None:
        """Let new connections through."""
        self.manner = Manner.PASSES

    async def stop(self) -> None:
        """End all of it."""
        self.cut()
        await self._listening.stopListening()
