"""
A forward proxy: what each request is, whether it may, and which way it goes.

.. code-block:: text

    request                         goes to
    ------------------------------  ---------------------------------------------------
    no good head                    ``reject`` with its status; the connection closes
    not admitted                    407
    CONNECT host:port               :class:`~aluvia.forwarding.tunnel.Tunnel`
    http://host/path                :class:`~aluvia.forwarding.forward.Forward`
    anything else                   400; never a side effect, whatever page sent it

Who is admitted, and which way a request goes, is decided once per request by the door's
:class:`~aluvia.forwarding.policy.Policy`.
"""

from __future__ import annotations

import secrets
import typing

from twisted.logger import Logger

from aluvia.forwarding.answers import authentication_required, not_a_web_server, refuse, reject
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.forward import Forward
from aluvia.forwarding.policy import AuthenticationRequired, Policy
from aluvia.forwarding.routed import RoutedFlow
from aluvia.forwarding.tunnel import Tunnel
from aluvia.forwarding.upstream import Upstreams
from aluvia.net.dial import Dialers
from aluvia.net.door import Door
from aluvia.net.errors import DialError
from aluvia.net.http_application import Responder
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.target import parse_absolute_target, parse_connect_target

log = Logger()

#: A fault of ours; its traceback is in the log.
INTERNAL_ERROR = DialError("proxy_internal_error", 500, "The proxy failed; its log says why.")


class ForwardProxy:
    """
    The application behind the ports of a door.

    :param dialers: its ways out.
    :param policy: what is this door's own.
    :param idle_timeout: of a tunnel, and of a connection between two requests; seconds.
    :param log_requests: whether each flow leaves a line at debug level.
    :param id_prefix: what tells this process's request ids from another's; by default at random.
    :ivar live: the flows that are under way.
    """

    def __init__(
        self,
        door: Door,
        dialers: Dialers,
        policy: Policy,
        counters: Counters,
        *,
        idle_timeout: float,
        log_requests: bool,
        id_prefix: str | None = None,
    ) -> None:
        self.policy = policy
        self.upstreams = Upstreams(door, dialers)
        self.counters = counters
        self.sweep = door.sweep
        self.clock = door.reactor.seconds
        self.limits = door.limits
        self.idle_timeout = idle_timeout
        self.log_requests = log_requests
        self.live: set[RoutedFlow] = set()
        self._id_prefix = secrets.token_hex(4) if id_prefix is None else id_prefix
        self._requests_named = 0

    # What a connection tells.

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """Judge one request and send it on its way; the table is in the module's docstring."""
        policy = self.policy
        flow: Tunnel | Forward
        given = policy.request_id(head)
        try:
            visitor = policy.admit(head, given)
            if head.method == b"CONNECT":
                flow = self._tunnel(connection, head, visitor, given)
            elif head.target.startswith((b"/", b"*")):
                self.counters.request_ended("none", "http_request_error")
                not_a_web_server(policy, connection, given or self.next_request_id())
                return None
            else:
                flow = self._forward(connection, head, visitor, given)
        except ProtocolViolation as violation:
            self.bad_request(connection, violation, given)
            return None
        except AuthenticationRequired as denied:
            self.counters.request_ended("none", "http_request_denied")
            request_id = given or self.next_request_id()
            authentication_required(policy, connection, str(denied), request_id)
            return None
        except DialError as error:
            self.counters.request_ended("none", error.error)
            self.refuse(connection, error, given)
            return None
        try:
            flow.start()
        except Exception:
            log.failure("A request could not be sent on its way.")
            flow.let_go()
            flow.release(INTERNAL_ERROR.error)
            self.refuse(connection, INTERNAL_ERROR, given)
        return None if flow.released or flow.relay is not None else flow

    def bad_request(
        self, connection: ServerConnection, violation: ProtocolViolation, request_id: str = ""
    ) -> None:
        """Refuse what is no good request."""
        self.counters.request_ended("none", "http_request_error")
        self.reject(connection, violation, request_id)

    # Answers of our own.

    def refuse(self, connection: ServerConnection, error: DialError, request_id: str = "") -> None:
        """Say why a request could not be answered by its upstream."""
        refuse(self.policy, connection, error, request_id or self.next_request_id())

    def reject(
        self, connection: ServerConnection, violation: ProtocolViolation, request_id: str = ""
    ) -> None:
        """Say what is wrong with a request."""
        reject(self.policy, connection, violation, request_id or self.next_request_id())

    def end(self) -> None:
        """Cut what is still under way."""
        for flow in list(self.live):
            flow.cut()

    # What a flow tells.

    def connected(self, flow: RoutedFlow) -> None:
        """Its upstream connection was dialled and is up."""
        seconds = self.clock() - flow.dialled
        self.counters.connected(flow.route.way, seconds)

    def relay_opened(self, flow: RoutedFlow) -> None:
        """From here it is a tunnel."""
        self.counters.tunnels_open += 1

    def relay_closed(self, flow: RoutedFlow) -> None:
        """The tunnel is over."""
        self.counters.tunnels_open -= 1

    def ended(self, flow: RoutedFlow, outcome: str) -> None:
        """It is over: ``ok``, ``client_gone``, or an error name of RFC 9209."""
        way = flow.route.way
        counters = self.counters
        counters.request_ended(way, outcome)
        counters.bytes_moved(way, flow.bytes_up, flow.bytes_down)
        self.policy.ended(flow, outcome)
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

    def _tunnel(
        self,
        connection: ServerConnection,
        head: RequestHead,
        visitor: typing.Any,
        request_id: str,
    ) -> Tunnel:
        authority = parse_connect_target(head.target)
        assert authority.port is not None
        route = self.policy.route(visitor, authority.host, authority.port)
        return Tunnel(self, connection, head, route, request_id, authority)

    def _forward(
        self,
        connection: ServerConnection,
        head: RequestHead,
        visitor: typing.Any,
        request_id: str,
    ) -> Forward:
        target = parse_absolute_target(head.target, head.method)
        if target.scheme != "http":
            raise ProtocolViolation(
                400, "Only http:// targets are forwarded; use CONNECT for anything else."
            )
        authority = target.authority
        route = self.policy.route(visitor, authority.host, authority.port or 80)
        return Forward(self, connection, head, target, route, request_id)
