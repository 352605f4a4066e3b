"""
One plain ``http://`` request on its way to an origin or a parent proxy, and its answer back.

.. code-block:: text

    state      meaning                                     leaves on
    ---------  ------------------------------------------  ------------------------------------
    DIALLING   no upstream connection yet; the body waits  connected -> SENT;  failed -> DONE
    SENT       the request is going out, no answer yet     its head -> ANSWERING;  failed, or
                                                           refused with a 407 -> DIALLING (once,
                                                           see below) or DONE
    ANSWERING  the answer is on its way to the client      its end -> DONE, or ANSWERED if the
                                                           request goes on;  failed -> DONE, and
                                                           the client's connection is cut
    ANSWERED   an answer came early (as nginx's to a POST  the request's end, or the upstream's
               of a static page); the body still goes out  -> DONE
    DONE       released

Sent again, once: a keep-alive connection may be closed by its peer just as we use it. The request
goes out again on a new connection if no byte of an answer came, its body is still kept
(``Limits.replay_bytes``), and its method is idempotent (RFC 9110 section 9.2.2 forbids a proxy to
repeat the others; they go out on a connection of their own instead).

Asked again, once: a gateway that answers 407 has done nothing, so any request goes out again if its
body is still kept and there are other credentials (:meth:`Flow.renew`).
"""

from __future__ import annotations

import enum
import typing

from aluvia.forwarding.flow import Flow, denied
from aluvia.forwarding.request_head import (
    IDEMPOTENT,
    absolute_form,
    request_fields,
    without,
)
from aluvia.forwarding.route import Route
from aluvia.forwarding.upstream import place_of
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.wire.exchange import END, Event, Trailers
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field
from aluvia.wire.target import AbsoluteTarget

if typing.TYPE_CHECKING:
    from aluvia.forwarding.proxy import ForwardProxy


class State(enum.Enum):
    """Where a forwarded request is; the table is in the module's docstring."""

    DIALLING = enum.auto()
    SENT = enum.auto()
    ANSWERING = enum.auto()
    ANSWERED = enum.auto()
    DONE = enum.auto()


_DIALLING, _SENT, _ANSWERING, _ANSWERED, _DONE = State

NOT_MODIFIED = 304


class Forward(Flow):
    """
    One request and its answer: the :class:`~aluvia.net.http_application.Responder` of the one side,
    the :class:`~aluvia.net.http_client.Requester` of the other.
    """

    __slots__ = (
        "dialing",
        "head",
        "kept",
        "kept_bytes",
        "request_complete",
        "request_trailer_fields",
        "resent",
        "response_trailer_fields",
        "state",
        "target",
        "upstream",
    )

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ServerConnection,
        head: RequestHead,
        target: AbsoluteTarget,
        route: Route,
        request_id: str,
    ) -> None:
        authority = target.authority
        port = authority.port or 80
        super().__init__(proxy, client, route, request_id, head.method, authority.host, port)
        self.head = head
        self.target = target
        self.state = _DIALLING
        self.upstream: ClientConnection | None = None
        self.dialing: Dialing | None = None
        #: The body so far, while it may be needed (again); None once it is too long for that.
        self.kept: list[bytes] | None = []
        self.kept_bytes = 0
        self.request_trailer_fields: typing.Sequence[Field] = ()
        self.response_trailer_fields: typing.Sequence[Field] = ()
        self.request_complete = False
        self.resent = False

    def start(self) -> None:
        """Take an idle connection, or dial one."""
        idle = None
        if self.head.authenticates_connection:
            self.client.pinned = True
        if self.head.method in IDEMPOTENT or self.client.pinned:
            idle = self.proxy.upstreams.take_idle(self._place())
        if idle is None:
            self._dial()
        else:
            self.upstream = idle
            idle.requester = self
            self._send()

    # The requester's side.

    def upstream_connected(self) -> None:
        """The connection that was dialled is up."""
        self.dialing = None
        self.proxy.connected(self)
        self._send()

    def response_events(self, events: list[Event]) -> None:
        """Pass the answer on, in one write for what came in one read."""
        exchange = self.client.exchange
        out: list[bytes] = []
        for event in events:
            if isinstance(event, bytes):
                self._bytes_down += len(event)
                out.append(exchange.data(event))
            elif isinstance(event, ResponseHead):
                if event.status == 101:
                    if out:
                        self.client.write(b"".join(out))
                    self._switch(event)
                    return
                if event.status == 407 and self._another_hops_407():
                    return
                self._respond(event, out)
            elif event is END:
                out.append(exchange.end(self.response_trailer_fields))
                self.client.write(b"".join(out))
                if self.request_complete:
                    self._finish()
                else:
                    self.state = _ANSWERED
                return
            elif isinstance(event, Trailers):
                self.response_trailer_fields = without(event.fields, self.proxy.policy.own)
        if out:
            self.client.write(b"".join(out) if len(out) > 1 else out[0])

    def upstream_failed(self, error: DialError) -> None:
        """Send it again if nothing is lost by it; else say what happened."""
        upstream, self.upstream = self.upstream, None
        self.dialing = None
        if self.state is _ANSWERED:
            # It has said what it had to say, and does not want the rest.
            self.state = _DONE
            self.release("ok")
            self.client.answered()
        elif (
            self.state is _SENT
            and upstream is not None
            and upstream.reused
            and self.head.method in IDEMPOTENT
            and not upstream.exchange.any_bytes_received
            and self.kept is not None
            and not self.resent
        ):
            self.resent = True
            self.state = _DIALLING
            self._dial()
        else:
            self._fail(error)

    def pause_request(self) -> None:
        """The upstream is slower than the client's body."""
        self.client.pause_request()

    def resume_request(self) -> None:
        """The upstream has caught up."""
        self.client.resume_request()

    def _another_hops_407(self) -> bool:
        """Whether an answer of 407 is for us, or nobody's to give: it ends here, and is handled."""
        gateway = self.route.gateway
        if gateway is not None:
            # On plain http only a 407 is the gateway's own; its challenge ends here.
            self._refused(denied(gateway, 407))
        elif self.proxy.policy.own_407:
            self._fail(DialError("http_protocol_error", 502, "The target answered 407."))
        else:
            return False
        return True

    def _refused(self, refusal: DialError) -> None:
        """The gateway does not know the credentials."""
        if self.state is not _SENT or self.kept is None:
            self.renew_for_others()
            self._fail(refusal)
            return
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abort()
        # What comes of the body meanwhile is kept.
        self.state = _DIALLING
        if not self.renew(refusal):
            self._fail(refusal)

    def _try_again(self) -> None:
        self._dial()

    def _give_up(self, error: DialError) -> None:
        self._fail(error)

    # The responder's side.

    def request_data(self, data: bytes) -> None:
        """Some of the body: sent on, and kept while it is short."""
        self._bytes_up += len(data)
        limit = self.proxy.limits.replay_bytes
        if self.kept is not None:
            self.kept_bytes += len(data)
            if self.state is _DIALLING or self.kept_bytes <= limit:
                self.kept.append(data)
            else:
                self.kept = None
        if self.state is _DIALLING:
            if self.kept_bytes >= limit:
                self.client.pause_request()
        elif self.upstream is not None:
            self.upstream.transport.write(self.upstream.exchange.data(data))

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """Trailers of a chunked body; they go out with its end."""
        policy = self.proxy.policy
        gone = policy.gone if self.route.gateway is None else policy.gone_through
        self.request_trailer_fields = without(fields, gone)

    def request_end(self) -> None:
        """The request is whole."""
        self.request_complete = True
        if self.state is not _DIALLING and self.upstream is not None:
            self._send_end(self.upstream)
        if self.state is _ANSWERED:
            self._finish()

    def client_ended(self) -> None:
        """The client's FIN behind a whole request: the answer is still wanted."""

    def client_lost(self) -> None:
        """Nobody waits for the answer any more."""
        self.let_go()
        self.release("client_gone")

    def pause_response(self) -> None:
        """The client reads slowly: stop reading from the upstream."""
        # While dialling there is nothing to pause: what is written later pauses again.
        if self.upstream is not None and self.state is not _DIALLING:
            self.upstream.transport.pauseProducing()

    def resume_response(self) -> None:
        """The client has caught up."""
        if self.upstream is not None and self.state is not _DIALLING:
            self.upstream.transport.resumeProducing()

    def timed_out(self) -> None:
        """No byte moved for the idle timeout."""
        self._fail(DialError("http_response_timeout", 504, "The upstream did not answer in time."))

    # Inside.

    def _dial(self) -> None:
        self.dialled = self.proxy.clock()
        upstreams = self.proxy.upstreams
        self.upstream = connection = upstreams.new_connection(self._place())
        connection.requester = self
        dialing = upstreams.dial_forward(
            self.route, self.host, self.port, connection, self.upstream_failed
        )
        # Either end of it may have come already.
        if self.state is _DIALLING:
            self.dialing = dialing

    def _place(self) -> typing.Hashable:
        """Under what a connection for this request is filed."""
        place = place_of(self.route, self.host, self.port)
        # One that is authenticated as a whole serves the client that did so, and nobody else.
        return (self.client, place) if self.client.pinned else place

    def _send(self) -> None:
        upstream = self.upstream
        assert upstream is not None
        self.state = _SENT
        head = self.head
        gateway = self.route.gateway
        exchange = upstream.exchange
        policy = self.proxy.policy
        if gateway is None:
            target, gone = self.target.origin_form, policy.gone
        else:
            target, gone = absolute_form(self.target), policy.gone_through
        fields = request_fields(head, self.target, gateway, gone)
        parts = [exchange.request(head.method, target, fields, head.length)]
        if self.kept:
            parts += map(exchange.data, self.kept)
        if self.request_complete:
            parts.append(exchange.end(self.request_trailer_fields))
        if self.kept_bytes > self.proxy.limits.replay_bytes:
            self.kept = None
        # First, because the write may well ask to pause again.
        self.client.resume_request()
        upstream.transport.write(b"".join(parts))

    def _send_end(self, upstream: ClientConnection) -> None:
        data = upstream.exchange.end(self.request_trailer_fields)
        if data:
            upstream.transport.write(data)

    def _respond(self, head: ResponseHead, out: list[bytes]) -> None:
        fields: typing.Sequence[Field] = head.end_to_end(self.proxy.policy.own)
        if not head.informational:
            if self.route.told:
                fields = [*fields, *self.route.told]
            self.state = _ANSWERING
            if head.status == 401 and head.authenticates_connection and self.upstream is not None:
                self.client.pinned = True
                self.upstream.key = self._place()
            # To a HEAD, and with a 304, what is passed on is what would have followed.
            bodiless = self.head.method == b"HEAD" or head.status == NOT_MODIFIED
            length = head.declared_length if bodiless else head.length
            out.append(self.client.respond(head.status, head.reason, fields, length))
        else:
            out.append(self.client.exchange.informational(head.status, fields))

    def _switch(self, head: ResponseHead) -> None:
        """101: the upgrade that the client asked for was accepted."""
        if not self.request_complete or head.upgrade != self.head.upgrade:
            # RFC 9110 section 7.8: to what was offered, and not before the request is whole.
            self._fail(DialError("http_protocol_error", 502, "The upstream switched out of turn."))
            return
        upstream = self.upstream
        assert upstream is not None
        self.upstream = None
        self.state = _DONE
        client = self.client
        fields = head.end_to_end(self.proxy.policy.own)
        client.write(client.respond(101, head.reason, fields, 0))
        early_down = upstream.leave()
        self.open_relay(upstream.transport, client.leave(), early_down)

    def _finish(self) -> None:
        """Both halves are through."""
        upstream, self.upstream = self.upstream, None
        assert upstream is not None
        self.state = _DONE
        if upstream.exchange.reusable and not upstream.closed:
            self.proxy.upstreams.put_idle(upstream)
        else:
            upstream.abort()
        self.release("ok")
        self.client.answered()

    def _fail(self, error: DialError) -> None:
        answering = self.state is _ANSWERING or self.state is _ANSWERED
        self.let_go()
        self.release(error.error)
        if answering:
            # What was sent must not look like a whole answer.
            self.client.abort()
        else:
            self.proxy.refuse(self.client, error, self.request_id)

    def let_go(self) -> None:
        """Leave nothing of it upstream."""
        self.state = _DONE
        self.stop_renewing()
        if self.dialing is not None:
            self.dialing.cancel()
            self.dialing = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None and upstream.transport is not None:
            upstream.abort()
