"""
A listener whose connections begin with a header of the PROXY protocol.

:class:`ProxyProtocol` is the factory of such a port, in front of the real one. What stands between
them is there until the header is whole, and then no more: the connection is given to the protocol
that the real factory makes, with the bytes that came behind the header. That may be TLS, which is
how proxies send it: the header in the clear, the handshake behind it.

.. code-block:: text

    HEADER  the header is whole -> OVER, and the connection is the real protocol's
            it is malformed, or its deadline passes -> OVER, the connection is reset
            the client leaves, or the door drains -> OVER

What a header announced stays on the transport, where :func:`announced_peer` finds it. A port
without this factory pays nothing for it.

Who may connect may announce: that is for the network, or a firewall, to see to.
"""

from __future__ import annotations

import math
import typing

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.proxy_header import Announced, BadProxyHeader, ProxyHeaderReader

__all__ = ["ProxyProtocol", "announced", "announced_peer"]

_log = Logger()

#: How often it is said that connections are refused; seconds.
REFUSALS_TOLD = 60.0


@implementer(IProtocolFactory)
class ProxyProtocol:
    """
    The factory of a port that wants the header.

    :param factory: makes the protocol behind it.
    :param sweep: watches the deadlines.
    :ivar refused: how many connections were reset, for a header that was none or too late.
    """

    def __init__(
        self, factory: IProtocolFactory, sweep: Sweep, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.factory = factory
        self.sweep = sweep
        self.limits = limits
        self.refused = 0
        self._told = 0
        self._tell_from = -math.inf

    def buildProtocol(self, address: IAddress) -> AwaitedHeader:
        """Make what waits for the header."""
        return AwaitedHeader(self, address)

    def doStart(self) -> None:
        """Start the real factory."""
        self.factory.doStart()

    def doStop(self) -> None:
        """Stop the real factory."""
        self.factory.doStop()

    def tell(self, host: str, why: str) -> None:
        """Count a refusal, and say so, once a minute and no more."""
        self.refused += 1
        now = self.sweep.now
        if now >= self._tell_from:
            self._tell_from = now + REFUSALS_TOLD
            _log.warn(
                "Reset {count} connections without a good PROXY protocol header, the last from"
                " {host}: {why}",
                count=self.refused - self._told,
                host=host,
                why=why,
            )
            self._told = self.refused


@implementer(IProtocol)
class AwaitedHeader:
    """A connection whose header is not whole yet."""

    __slots__ = ("_address", "_maker", "_over", "_reader", "deadline", "factory", "transport")

    def __init__(self, maker: ProxyProtocol, address: IAddress) -> None:
        self._maker = maker
        self._address = address
        self._over = False
        self._reader = ProxyHeaderReader(maker.limits.proxy_header_bytes)
        self.deadline = math.inf
        self.factory: typing.Any = None
        self.transport: typing.Any = None

    def makeConnection(self, transport: typing.Any) -> None:
        """Somebody is connected."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Watch the deadline."""
        maker = self._maker
        self.deadline = maker.sweep.now + maker.limits.proxy_header_seconds
        maker.sweep.watch(self)

    def dataReceived(self, data: bytes) -> None:
        """Read on."""
        if self._over:
            return
        try:
            behind = self._reader.receive(data)
        except BadProxyHeader as error:
            self._refuse(str(error))
            return
        if behind is not None:
            self._hand_over(behind)

    def connectionLost(self, reason: Failure) -> None:
        """They are gone, as whoever only looks whether the port is open."""
        self._end()

    def deadline_passed(self, now: float) -> None:
        """Wait no longer."""
        self._refuse("It did not come in time.")

    def drain(self) -> None:
        """Nothing has begun here."""
        self._end()
        self.transport.loseConnection()

    def _hand_over(self, behind: bytes) -> None:
        self._end()
        transport = self.transport
        transport.announced = self._reader.announced
        protocol = self._maker.factory.buildProtocol(self._address)
        if protocol is None:
            transport.loseConnection()
            return
        transport.switch_protocol(protocol)
        protocol.makeConnection(transport)
        if behind and not transport.disconnecting:
            protocol.dataReceived(behind)

    def _refuse(self, why: str) -> None:
        self._end()
        self._maker.tell(getattr(self._address, "host", "?"), why)
        self.transport.abortConnection()

    def _end(self) -> None:
        self._over = True
        self._maker.sweep.forget(self)


def announced(transport: object) -> Announced | None:
    """What the header of this connection announced; None where there was none, or it did not."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return getattr(transport, "announced", None)


def announced_peer(transport: object) -> tuple[str, int] | None:
    """
    Where the client connected from, by the header of its connection.

    :param transport: one of ours, or TLS over one.
    :return: an address, as a literal, and a port; None where nothing was announced.
    """
    found = announced(transport)
    return None if found is None else found.source
