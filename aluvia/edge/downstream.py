"""
One client's connection, and what each of its requests is.

.. code-block:: text

    a request                              goes to
    -------------------------------------  --------------------------------------------------------
    no good head, or target                400, and the connection closes
    one that has been here before          502 (:mod:`aluvia.edge.cdn_loop`)
    CONNECT, TRACE                         405
    over TLS, a host that has another      421: whoever means it connects to it
    certificate than was presented
    a host that no route is for            a tunnel (:mod:`aluvia.edge.tunnels`), or 404
    plain, where https is wanted           308
    an address that may not                403
    ... too often                          429
    a body that is too large               413
    any other                              :class:`~aluvia.edge.passage.EdgePassage`; where there
                                           are tunnels among the backends of its route,
                                           :class:`~aluvia.edge.tunnel_passage.TunnelPassage`
"""

from __future__ import annotations

import typing

from aluvia.edge.answers import Refusal
from aluvia.edge.judging import judge_by_route
from aluvia.edge.live import LiveRoute
from aluvia.edge.passage import EdgePassage
from aluvia.edge.request_fields import GONE, Client, Outgoing, given_request_id, values_of
from aluvia.edge.routing import readings, segments
from aluvia.edge.tunnel_answers import with_id
from aluvia.edge.tunnel_passage import TunnelPassage
from aluvia.net.http_application import Responder
from aluvia.net.http_server import ServerConnection
from aluvia.net.proxy_protocol import announced_peer
from aluvia.upstreams.members import Admin, Health
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import pick
from aluvia.wire.target import Authority, parse_absolute_target, parse_authority

if typing.TYPE_CHECKING:
    from aluvia.edge.backends import Place
    from aluvia.edge.certificates import Presented
    from aluvia.edge.reverse import ReverseProxy
    from aluvia.edge.visitor_tokens import LastShown
    from aluvia.upstreams.members import Member
    from aluvia.wire.headers import Fields

__all__ = ["Downstream"]

_UNSERVED = frozenset([b"CONNECT", b"TRACE"])
_SLASH = ord("/")
_SAID = frozenset([b"x-request-id", b"cdn-loop"])

_CHALLENGE = b"/.well-known/acme-challenge/"

_NO_SUCH_METHOD = Refusal(
    405,
    "http_request_error",
    "This method is not for a server like this.",
    # RFC 9110 section 15.5.6 wants it; what a backend allows it says itself.
    ((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),),
)
_LOOP = Refusal(502, "proxy_loop_detected", "The request has been here before.")
_NO_ROUTE = Refusal(404, "destination_not_found", "Nothing is served under this name here.")
_MISDIRECTED = Refusal(
    421, "http_request_error", "This connection was made for another name; make one for this."
)


class Downstream:
    """
    The application of one connection.

    :param secure: whether it is inside TLS, which ends here.
    :ivar last_shown: what its last request showed, if that was for a tunnel.
    :ivar outgoing: what its last request became.
    """

    __slots__ = (
        "_authority",
        "_client",
        "_fields",
        "_given_id",
        "_heard",
        "_host",
        "_host_field",
        "_in_loop",
        "_peer",
        "_pin",
        "_port",
        "_presented",
        "_secure",
        "_server_name",
        "_trusted",
        "connection_id",
        "last_shown",
        "outgoing",
        "proxy",
    )

    def __init__(self, proxy: ReverseProxy, *, secure: bool) -> None:
        self.proxy = proxy
        self.connection_id = ""
        self.last_shown: LastShown | None = None
        self.outgoing = Outgoing()
        self._secure = secure
        self._client: Client | None = None
        self._fields: Fields | None = None
        self._given_id = ""
        self._in_loop = False
        self._heard: object = None
        # As it stood in the last request in origin-form, and what host that is.
        self._host_field: bytes | None = b""
        self._host = ""
        self._authority: bytes | None = None
        self._peer = ""
        self._port = b""
        self._trusted = False
        self._presented: Presented | None = None
        self._server_name = ""
        self._pin: tuple[LiveRoute, Member[Place]] | None = None

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """Judge one request and send it on its way; the table is in the module's docstring."""
        proxy = self.proxy
        began = proxy.clock()
        proxy.budget.came()
        if not self.connection_id:
            self._meet(connection)
        # The same object for as long as the heads repeat themselves.
        fields = head.end_to_end(GONE)
        if fields is not self._fields:
            self._fields = fields
            said = pick(head.fields, _SAID)
            self._given_id = given_request_id(said.get(b"x-request-id"))
            came = said.get(b"cdn-loop")
            self._in_loop = proxy.cdn_loop.has_us(came)
            self.outgoing.loop = proxy.cdn_loop.with_us(came)
        request_id = self._given_id or proxy.next_request_id()
        target = head.target
        if head.host is not self._host_field or target[0] != _SLASH or b"#" in target:
            try:
                target = self._read_target(head)
            except ProtocolViolation as violation:
                self.bad_request(connection, violation, head, request_id)
                return None
            authority = self._authority
        else:
            authority = head.host
        host = self._host
        client = self._client
        if self._trusted or client is None:
            client = self._hear(head)
        try:
            live = proxy.routes.find(host, target)
        except ProtocolViolation as violation:
            self.bad_request(connection, violation, head, request_id)
            return None
        make = EdgePassage
        if (
            live is None
            or not live.open
            or self._in_loop
            or self._presented is not None
            or head.method in _UNSERVED
        ):
            refusal = self._judge(head, live, host, target, client)
            if refusal is not None:
                if live is not None and live.tunnelled:
                    refusal = with_id(refusal, request_id)
                proxy.refused(self, connection, head, live, refusal, request_id, began)
                return None
            if live is None:
                return self._visit(
                    connection, head, host, authority, target, client, request_id, began
                )
            if live.tunnelled:
                make = TunnelPassage
        passage = make(
            self, connection, head, live, host, authority, target, client, request_id, began
        )
        proxy.start(passage)
        return None if passage.released or passage.relay is not None else passage

    def _visit(
        self,
        connection: ServerConnection,
        head: RequestHead,
        host: str,
        authority: bytes | None,
        target: bytes,
        client: Client,
        request_id: str,
        began: float,
    ) -> Responder | None:
        """A request that no route is for."""
        proxy = self.proxy
        visit = None
        if proxy.tunnels is not None and not proxy.routes.claims(host):
            visit = proxy.tunnels.find(host, target)
        if visit is None or isinstance(visit, Refusal):
            refusal = _NO_ROUTE if visit is None else with_id(visit, request_id)
            proxy.refused(self, connection, head, None, refusal, request_id, began)
            return None
        passage = TunnelPassage(
            self,
            connection,
            head,
            visit.live,
            host,
            authority,
            target,
            client,
            request_id,
            began,
            visit,
        )
        proxy.start(passage)
        return None if passage.released or passage.relay is not None else passage

    def bad_request(
        self,
        connection: ServerConnection,
        violation: ProtocolViolation,
        head: RequestHead | None = None,
        request_id: str = "",
    ) -> None:
        """Refuse what is no good request."""
        if not self.connection_id:
            self._meet(connection)
        refusal = Refusal(violation.status, "http_request_error", violation.reason)
        self.proxy.refused(
            self,
            connection,
            head,
            None,
            refusal,
            request_id or self.proxy.next_request_id(),
            self.proxy.clock(),
            close=True,
        )

    @property
    def client_address(self) -> str:
        """Who asks; of the last request, where a trusted proxy speaks for many."""
        return self._peer if self._client is None else self._client.address

    # A connection that is authenticated as a whole stays with one member.

    def pin(self, live: LiveRoute, member: Member[Place]) -> None:
        """It is this one."""
        self._pin = live, member

    def pinned_to(self, live: LiveRoute) -> Member[Place] | None:
        """Which one, of this route; None if there is none, or it can take no request."""
        if self._pin is None or self._pin[0] is not live:
            return None
        member = self._pin[1]
        well = member.health is Health.ALIVE and member.admin is Admin.READY
        return member if well else None

    # Inside.

    def _meet(self, connection: ServerConnection) -> None:
        proxy = self.proxy
        transport = connection.transport
        self.connection_id = proxy.next_connection_id()
        announced = announced_peer(transport)
        peer = transport.getPeer().host if announced is None else announced[0]
        # Canonical: without its zone, and IPv4 where it carries that.
        self._peer = proxy.trusted.client_of(peer, ())
        self._port = b"%d" % transport.getHost().port
        self._trusted = proxy.trusted.trusts(self._peer)
        self._presented = getattr(transport, "presented", None)
        self._server_name = getattr(transport, "server_name", "")
        if not self._trusted:
            scheme = b"https" if self._secure else b"http"
            chain = self._peer.encode("ascii")
            self._client = Client(self._peer, chain, scheme, None, self._port)

    def _read_target(self, head: RequestHead) -> bytes:
        """
        See which host a request is for.

        :return: what of it, in origin-form.
        :raises ProtocolViolation: 400.
        """
        authority, target = _read_target(head)
        self._host = "" if authority is None else authority.host
        if target is head.target:
            self._authority = self._host_field = head.host
        else:
            # Of one in absolute-form the host is not that of the field.
            self._authority = None if authority is None else authority.raw
            self._host_field = b""
        return target

    def _hear(self, head: RequestHead) -> Client:
        """What a trusted proxy says of its client. The same object for the same words."""
        told = self.proxy.trusted.told(self._peer, head.fields)
        before = values_of(head, b"x-forwarded-for") or [told.client.encode("ascii")]
        chain = b", ".join([*before, self._peer.encode("ascii")])
        heard = told, chain
        if heard != self._heard or self._client is None:
            self._heard = heard
            scheme = told.proto or ("https" if self._secure else "http")
            self._client = Client(
                told.client,
                chain,
                scheme.encode("ascii"),
                told.host.encode("ascii") or None,
                b"%d" % told.port if told.port else self._port,
            )
        return self._client

    def _judge(
        self,
        head: RequestHead,
        live: LiveRoute | None,
        host: str,
        target: bytes,
        client: Client,
    ) -> Refusal | None:
        if self._in_loop:
            return _LOOP
        if head.method in _UNSERVED:
            return _NO_SUCH_METHOD
        certificates = self.proxy.certificates
        presented = self._presented
        if presented is not None and not certificates.map.serves(
            presented, host, self._server_name
        ):
            return _MISDIRECTED
        if live is None:
            return None
        if (
            live.route.auto_https
            and client.scheme == b"http"
            and not (target.startswith(_CHALLENGE) and _is_below(target, _CHALLENGE))
            and certificates.usable(host)
        ):
            return self._to_https(host, target)
        return judge_by_route(head, live, client)

    def _to_https(self, host: str, target: bytes) -> Refusal:
        port = self.proxy.https_port
        authority = Authority(host, None if port in (None, 443) else port)
        path = target if target.startswith(b"/") else b"/"
        location = b"https://%b%b" % (str(authority).encode("ascii"), path)
        return Refusal(
            308, "http_request_denied", "This is served by https.", ((b"Location", location),)
        )


def _is_below(target: bytes, prefix: bytes) -> bool:
    """Whether a path that begins so leads there, however it is read."""
    parts = segments(prefix)
    path = target.partition(b"?")[0]
    return all(reading[: len(parts)] == parts for reading in readings(path))


def _read_target(head: RequestHead) -> tuple[Authority | None, bytes]:
    """
    Which host a request is for, and what of it.

    :raises ProtocolViolation: 400.
    """
    target = head.target
    if target.startswith(b"/"):
        if b"#" in target:
            raise ProtocolViolation(400, "A fragment does not belong in a target.")
    elif target == b"*":
        if head.method != b"OPTIONS":
            raise ProtocolViolation(400, "Only OPTIONS is about everything.")
    elif head.method != b"CONNECT":
        # RFC 9112 section 3.2.2: a server takes it, and it wins over Host.
        absolute = parse_absolute_target(target, head.method)
        if absolute.scheme not in ("http", "https"):
            raise ProtocolViolation(400, "There is no such scheme here.")
        return absolute.authority, absolute.origin_form
    return None if head.host is None else parse_authority(head.host), target
