"""What the port of a forward proxy makes of a connection."""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from aluvia.forwarding.counters import Counters
from aluvia.net.accept import Sweep
from aluvia.net.http_application import Application
from aluvia.net.http_server import ServerConnection
from aluvia.wire.limits import Limits


@implementer(IProtocolFactory)
class Connections:
    """A server connection for each client."""

    def __init__(
        self,
        application: Application,
        counters: Counters,
        sweep: Sweep,
        limits: Limits,
        idle_timeout: float,
    ) -> None:
        self._application = application
        self._counters = counters
        self._sweep = sweep
        self._limits = limits
        self._idle_timeout = idle_timeout

    def buildProtocol(self, address: object) -> ServerConnection:
        """Make one, and count it."""
        self._counters.connections_total += 1
        return ServerConnection(self._application, self._sweep, self._limits, self._idle_timeout)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""
