"""
The client's forward proxy: what each request is, whether it may, and which way it goes.

.. code-block:: text

    request                         goes to
    ------------------------------  ---------------------------------------------------
    no good head                    ``reject`` with its status; the connection closes
    without the credentials that    407
    ``--local-auth-file`` asks for
    CONNECT host:port               :class:`~aluvia.client.tunnel.Tunnel`
    http://host/path                :class:`~aluvia.client.forward.Forward`
    anything else                   400; never a side effect, whatever page sent it

The way (direct or gateway) is decided here once per request, by the canonical host alone.
"""

from __future__ import annotations

import hmac
import typing

from twisted.logger import Logger

from aluvia.client.answers import authentication_required, not_a_web_server, refuse, reject
from aluvia.client.counters import Counters
from aluvia.client.flow import Flow
from aluvia.client.forward import Forward
from aluvia.client.routing import Router
from aluvia.client.tunnel import Tunnel
from aluvia.client.upstream import Upstreams
from aluvia.net.accept import Sweep
from aluvia.net.errors import DialError
from aluvia.net.http_application import Responder
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import Limits
from aluvia.wire.target import parse_absolute_target, parse_connect_target

log = Logger()

#: A fault of ours; its traceback is in the log.
INTERNAL_ERROR = DialError("proxy_internal_error", 500, "The proxy failed; its log says why.")


class ForwardProxy:
    """
    The application behind the client's listener.

    :param clock: seconds, monotonic; for latencies.
    :param credentials: base64 of each ``user:password`` that a client may give, or None where no
        client needs any.
    :param id_prefix: what tells this process's request ids from another's.
    :param log_requests: whether each flow leaves a line at debug level.
    :ivar live: the flows that are under way.
    """

    def __init__(
        self,
        *,
        router: Router,
        upstreams: Upstreams,
        counters: Counters,
        sweep: Sweep,
        clock: typing.Callable[[], float],
        limits: Limits,
        idle_timeout: float,
        credentials: typing.Collection[bytes] | None,
        id_prefix: str,
        log_requests: bool,
    ) -> None:
        self.router = router
        self.upstreams = upstreams
        self.counters = counters
        self.sweep = sweep
        self.clock = clock
        self.limits = limits
        self.idle_timeout = idle_timeout
        self.credentials = credentials
        self.log_requests = log_requests
        self.live: set[Flow] = set()
        self._id_prefix = id_prefix
        self._requests_named = 0

    # What a connection tells.

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """Judge one request and send it on its way; the table is in the module's docstring."""
        if self.credentials is not None and not self._authenticated(head):
            self.counters.request_ended("none", "http_request_denied")
            authentication_required(connection, self.next_request_id())
            return None
        flow: Tunnel | Forward
        try:
            if head.method == b"CONNECT":
                flow = self._tunnel(connection, head)
            elif head.target.startswith((b"/", b"*")):
                self.counters.request_ended("none", "http_request_error")
                not_a_web_server(connection, self.next_request_id())
                return None
            else:
                flow = self._forward(connection, head)
        except ProtocolViolation as violation:
            self.bad_request(connection, violation)
            return None
        try:
            flow.start()
        except Exception:
            log.failure("A request could not be sent on its way.")
            flow.let_go()
            flow.release(INTERNAL_ERROR.error)
            refuse(connection, INTERNAL_ERROR, self.next_request_id())
        return None if flow.released or flow.relay is not None else flow

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """Refuse what is no good request."""
        self.counters.request_ended("none", "http_request_error")
        reject(connection, violation, self.next_request_id())

    # What a flow tells.

    def connected(self, flow: Flow) -> None:
        """Its upstream connection was dialled and is up."""
        seconds = self.clock() - flow.dialled
        self.counters.connected(flow.route.way, seconds)

    def ended(self, flow: Flow, outcome: str) -> None:
        """It is over: ``ok``, ``client_gone``, or an error name of RFC 9209."""
        self.live.discard(flow)
        way = flow.route.way
        counters = self.counters
        counters.request_ended(way, outcome)
        counters.bytes_moved(way, flow.bytes_up, flow.bytes_down)
        if self.log_requests:
            log.debug(
                "{method} {host}:{port} {way} ({rule}) {outcome}, {up} up, {down} down",
                method=flow.method.decode("latin-1"),
                host=flow.host,
                port=flow.port,
                way=way,
                rule=flow.route.rule,
                outcome=outcome,
                up=flow.bytes_up,
                down=flow.bytes_down,
            )

    def next_request_id(self) -> str:
        """A name for one request, unique among all that this process has seen."""
        self._requests_named += 1
        return f"{self._id_prefix}-{self._requests_named:x}"

    # Inside.

    def _authenticated(self, head: RequestHead) -> bool:
        given = [value for name, value in head.fields if name.lower() == b"proxy-authorization"]
        # Every one of the accepted values is compared, so that time tells nothing.
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        # All are compared, so that time does not tell which one came near.
        matches = [hmac.compare_digest(token.strip(), good) for good in self.credentials or ()]
        return scheme.lower() == b"basic" and any(matches)

    def _tunnel(self, connection: ServerConnection, head: RequestHead) -> Tunnel:
        authority = parse_connect_target(head.target)
        assert authority.port is not None
        route = self.router.route(authority.host)
        return Tunnel(self, connection, route, authority.host, authority.port)

    def _forward(self, connection: ServerConnection, head: RequestHead) -> Forward:
        target = parse_absolute_target(head.target, head.method)
        if target.scheme != "http":
            raise ProtocolViolation(
                400, "Only http:// targets are forwarded; use CONNECT for anything else."
            )
        route = self.router.route(target.authority.host)
        return Forward(self, connection, head, target, route)
