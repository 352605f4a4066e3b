"""
The reverse proxy: what the connections of all listeners share.

A connection's own part is :mod:`aluvia.edge.downstream`, a request's :mod:`aluvia.edge.passage`.
What is configured is in force with one assignment, of :attr:`ReverseProxy.routes`: there is no
moment in which a host has no route because routes change.
"""

from __future__ import annotations

import typing
import uuid

from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from zope.interface import implementer

from aluvia.edge.access_log import AccessLog
from aluvia.edge.answers import Refusal, answer_of, send
from aluvia.edge.cdn_loop import CDNLoop
from aluvia.edge.certificates import Certificates
from aluvia.edge.downstream import Downstream
from aluvia.edge.events import EventBus, EventName, completed_event
from aluvia.edge.live import LiveRoute
from aluvia.edge.passage import EdgePassage
from aluvia.edge.refused import Refused
from aluvia.edge.retry_budget import RetryBudget
from aluvia.edge.routing import RouteTable
from aluvia.edge.statistics import Track, Tracker
from aluvia.edge.trusted import TrustedProxies
from aluvia.edge.tunnels import Tunnels
from aluvia.forwarding.upstream import KeptConnections
from aluvia.net.door import Door
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead

__all__ = ["Connections", "ReverseProxy"]

log = Logger()

#: How long a connection may be quiet until a route says otherwise; seconds.
IDLE_SECONDS = 300.0

_FAULT = DialError("proxy_internal_error", 500, "The proxy failed; its log says why.")


class ReverseProxy:
    """
    The application behind the ports of an edge.

    :param door: whose it is.
    :ivar routes: what is in force.
    :ivar tunnels: those that need no route; None where there is no hub.
    :ivar tunnel_domain: the names right below it are tunnels'; empty for none.
    :ivar https_port: where clients are sent that are to use TLS; None for the usual port, where
        nothing listens here.
    :ivar cdn_loop: by which a request that comes back is known.
    :ivar live: the requests and streams that are under way.
    :ivar access_log: None where none is kept.
    """

    def __init__(
        self,
        door: Door,
        certificates: Certificates,
        trusted: TrustedProxies,
        tracker: Tracker,
        bus: EventBus,
    ) -> None:
        self.certificates = certificates
        self.trusted = trusted
        self.tracker = tracker
        self.bus = bus
        self.access_log: AccessLog | None = None
        self.routes: RouteTable[LiveRoute] = RouteTable()
        self.tunnels: Tunnels | None = None
        self.tunnel_domain = ""
        self.https_port: int | None = None
        self.upstreams = KeptConnections(door)
        self.sweep = door.sweep
        self.clock: typing.Callable[[], float] = door.reactor.seconds
        self.limits = door.limits
        self.budget = RetryBudget(door.reactor)
        self.live: set[EdgePassage] = set()
        self.connections_total = 0
        # A version 4 UUID whose last 48 bits count: unique, and made without asking the system.
        self._id_prefix = str(uuid.uuid4())[:24]
        self.cdn_loop = CDNLoop(f"aluvia-{self._id_prefix[:8]}".encode("ascii"))
        self._requests_named = 0

    def next_request_id(self) -> str:
        """A UUID for one request, unlike all that this process, or another one, has given."""
        self._requests_named += 1
        return f"{self._id_prefix}{self._requests_named:012x}"

    def next_connection_id(self) -> str:
        """A name for a client's connection, unique in this process."""
        self.connections_total += 1
        return f"{self.connections_total:x}"

    # What a connection tells.

    def start(self, passage: EdgePassage) -> None:
        """Send a request on its way."""
        try:
            passage.start()
        except Exception:
            log.failure("A request could not be sent on its way.")
            if not passage.released:
                passage.fail(_FAULT)

    def refused(
        self,
        down: Downstream,
        connection: ServerConnection,
        head: RequestHead | None,
        live: LiveRoute | None,
        refusal: Refusal,
        request_id: str,
        began: float,
        *,
        close: bool = False,
    ) -> None:
        """Answer a request that goes nowhere, and count it."""
        answer = answer_of(head, refusal, request_id)
        send(connection, answer, close=close)
        self._record(
            Refused(
                request_id=request_id,
                connection_id=down.connection_id,
                client_address=down.client_address,
                head=head,
                route=None if live is None else live.route,
                refusal=refusal,
                bytes_down=len(answer.body),
                started=began,
                total=self.clock() - began,
            ),
            self.tracker.nowhere if live is None else live.track(""),
        )

    # What a flow tells.

    def reject(
        self, connection: ServerConnection, violation: ProtocolViolation, request_id: str = ""
    ) -> None:
        """Say what is wrong with a request."""
        refusal = Refusal(violation.status, "http_request_error", violation.reason)
        send(connection, answer_of(None, refusal, request_id), close=True)

    def relay_opened(self, flow: EdgePassage) -> None:
        """It has a place among its route's streams already."""

    def relay_closed(self, flow: EdgePassage) -> None:
        """It gives its place back itself."""

    def ended(self, flow: EdgePassage, outcome: str) -> None:
        """It is over: ``ok``, ``client_gone``, or an error name of RFC 9209."""
        self._record(flow, flow.live.track(flow.backend_id))

    def end(self) -> None:
        """Cut what is still under way."""
        for flow in list(self.live):
            try:
                flow.cut()
            except Exception:
                log.failure("A request could not be ended in order.")

    # Inside.

    def _record(self, request: EdgePassage | Refused, track: Track) -> None:
        track.record(request)
        if self.access_log is not None:
            self.access_log.record(request)
        if self.bus.wanted(EventName.REQUEST_COMPLETED):
            self.bus.publish(completed_event(request))


@implementer(IProtocolFactory)
class Connections:
    """
    What a port makes of a connection.

    :param secure: whether the port is inside TLS.
    """

    def __init__(self, proxy: ReverseProxy, *, secure: bool) -> None:
        self._proxy = proxy
        self._secure = secure

    def buildProtocol(self, address: object) -> ServerConnection:
        """Make a server connection, with an application of its own."""
        proxy = self._proxy
        down = Downstream(proxy, secure=self._secure)
        return ServerConnection(down, proxy.sweep, proxy.limits, IDLE_SECONDS)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""
