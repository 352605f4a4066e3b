"""
Ports that lead into TCP tunnels: each connection is dialled to the tunnel, and relayed.

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    DIALLING  connected -> RELAYED;  failed, or its client has left -> OVER
              What comes meanwhile is kept, EARLY_BYTES of it; then the client is not read
    RELAYED   the end of the relay: both ends, a reset, nothing moves for IDLE_SECONDS, or the
              tunnel's bytes of the day are used up -> OVER

Nobody asks such a client for anything, so a tunnel with a visitors' token is not for them, and
neither is one that is HTTP, where a visitor would go past all that is written into requests.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.edge.tunnels import Tunnels
from aluvia.hub.registry import Tunnel
from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.relay import Relay, relay
from aluvia.wire.limits import Limits

__all__ = ["EARLY_BYTES", "IDLE_SECONDS", "TunnelPort"]

log = Logger()

#: What a client may send before the tunnel's target is connected. More waits in the kernel.
EARLY_BYTES = 65_536

#: In which nothing moves, either way; as a route has it unless it says otherwise.
IDLE_SECONDS = 300.0

#: How often it is said why connections of a port are closed; seconds.
TOLD_SECONDS = 60.0


@implementer(IProtocolFactory)
class TunnelPort:
    """
    What a port makes of its connections.

    :param id: the tunnel's.
    :param dialer: the hub's.
    :param most: how many connections at once; more are closed.
    """

    def __init__(
        self,
        id: str,
        dialer: Dialer,
        tunnels: Tunnels,
        sweep: Sweep,
        limits: Limits,
        most: int,
    ) -> None:
        self.id = id
        self.dialer = dialer
        self.tunnels = tunnels
        self.sweep = sweep
        self.limits = limits
        self.most = most
        self.live: set[TunnelVisitor] = set()
        self._told = float("-inf")

    def buildProtocol(self, address: IAddress) -> TunnelVisitor:
        """One client."""
        return TunnelVisitor(self)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""

    def tunnel(self) -> Tunnel | None:
        """It; None while it is not known."""
        return self.tunnels.registry.tunnels.get(self.id)

    def why_not(self) -> str:
        """Why nobody is let in now; empty where somebody is."""
        tunnel = self.tunnel()
        if tunnel is not None and tunnel.kind != "tcp":
            return "it is published as HTTP"
        if tunnel is not None and tunnel.token is not None:
            return "it has a visitors' token, which nobody can show here"
        if len(self.live) >= self.most:
            return "it has as many connections as it may"
        daily = self.tunnels.daily
        return "it has moved what it may today" if daily is not None and daily.wait(self.id) else ""

    def tell(self, why: str) -> None:
        """Say why a connection was closed; not more often than it helps."""
        now = self.sweep.now
        if now - self._told >= TOLD_SECONDS:
            self._told = now
            log.warn(
                "A connection to the tunnel {id} was closed at its port: {why}", id=self.id, why=why
            )


@implementer(IProtocol, IHalfCloseableProtocol)
class TunnelVisitor:
    """One client's connection."""

    def __init__(self, port: TunnelPort) -> None:
        self.transport: typing.Any = None
        self.factory: typing.Any = None
        self._port = port
        self._early: list[bytes] = []
        self._early_size = 0
        self._ended = False
        self._dialing: Dialing | None = None
        self._relay: Relay | None = None
        self._tunnel: Tunnel | None = None
        self._charged = 0
        self._over = False

    def makeConnection(self, transport: typing.Any) -> None:
        """Somebody is connected."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Dial."""
        port = self._port
        why = port.why_not()
        if why:
            self._over = True
            port.tell(why)
            self.transport.abortConnection()
            return
        port.live.add(self)
        dialing = port.dialer.dial(port.id, 0, _Target(self), self._failed)
        # Either end of it may have come already.
        if self._relay is None and not self._over:
            self._dialing = dialing

    def dataReceived(self, data: bytes) -> None:
        """It speaks before the target is there."""
        self._early.append(data)
        self._early_size += len(data)
        if self._early_size >= EARLY_BYTES:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """It has said all that it will: that is passed on, too."""
        self._ended = True

    def writeConnectionLost(self) -> None:
        """Nothing was written yet."""

    def connectionLost(self, reason: Failure) -> None:
        """It has left before the target was there."""
        self._end("client_gone")

    def drain(self) -> None:
        """Nothing has begun; a relay is given its time."""
        if self._relay is None:
            self._end("client_gone")
            self.transport.loseConnection()

    def connected(self, transport: typing.Any) -> None:
        """The target is there."""
        if self._over:
            transport.abortConnection()
            return
        self._dialing = None
        port = self._port
        self._tunnel = port.tunnel()
        if self._tunnel is not None:
            self._tunnel.meter.streams_open += 1
        joined = self._relay = relay(
            self.transport,
            transport,
            ended=self._relay_ended,
            limits=port.limits,
            left_eof=self._ended,
        )
        joined.idle_timeout = IDLE_SECONDS
        port.sweep.watch(joined)
        port.tunnels.watched.add(self)
        early = b"".join(self._early)
        self._early.clear()
        joined.start(early)

    def see_what_moved(self) -> None:
        """Count it, and end if it is too much."""
        if self._relay is not None and not self._over and not self._charge():
            self._relay.abort()

    def _failed(self, error: DialError) -> None:
        self._dialing = None
        self._port.tell(str(error))
        self._tunnel = self._port.tunnel()
        self._end(error.error)
        self.transport.abortConnection()

    def _relay_ended(self, ended: Relay, failure: Failure | None) -> None:
        self._port.sweep.forget(ended)
        self._end("" if failure is None else "connection_terminated")

    def _charge(self) -> bool:
        daily = self._port.tunnels.daily
        if daily is None or self._relay is None:
            return True
        moved = self._relay.bytes_from_left + self._relay.bytes_from_right
        count, self._charged = moved - self._charged, moved
        return daily.take(self._port.id, count)

    def _end(self, cause: str) -> None:
        """Leave nothing of it anywhere, and count it."""
        if self._over:
            return
        self._over = True
        self._charge()
        port = self._port
        port.live.discard(self)
        port.tunnels.watched.discard(self)
        if self._dialing is not None:
            self._dialing.cancel()
            self._dialing = None
        tunnel, joined = self._tunnel, self._relay
        if tunnel is None:
            return
        if joined is not None:
            tunnel.meter.streams_open -= 1
        now = port.tunnels.now()
        up, down = (0, 0) if joined is None else (joined.bytes_from_left, joined.bytes_from_right)
        # It has no status, and its length is no latency.
        tunnel.meter.record(0, 0.0, up, down, ok=not cause, now=now)


@implementer(IProtocol)
class _Target:
    """The other end, until the relay has it."""

    def __init__(self, visitor: TunnelVisitor) -> None:
        self.transport: typing.Any = None
        self.factory: typing.Any = None
        self._visitor = visitor

    def makeConnection(self, transport: typing.Any) -> None:
        """It is there."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Join the two."""
        self._visitor.connected(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Not called: the relay stands here."""

    def connectionLost(self, reason: Failure) -> None:
        """Not called either."""
