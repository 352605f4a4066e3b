"""What the port of a forward proxy makes of a connection."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from aluvia.forwarding.proxy import ForwardProxy
from aluvia.net.http_server import ServerConnection


@implementer(IProtocolFactory)
class Connections:
    """A server connection for each client."""

    def __init__(self, proxy: ForwardProxy) -> None:
        self._proxy = proxy

    def buildProtocol(self, address: object) -> ServerConnection:
        """Make one, and count it."""
        proxy = self._proxy
        proxy.counters.connections_total += 1
        return ServerConnection(proxy, proxy.sweep, proxy.limits, proxy.idle_timeout)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""
