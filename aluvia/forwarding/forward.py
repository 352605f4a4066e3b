"""
One plain ``http://`` request on its way to an origin or a parent proxy, and its answer back.

The table of its states is :mod:`aluvia.forwarding.passage`'s. Here is when it is tried again.

Sent again, once: a keep-alive connection may be closed by its peer just as we use it. The request
goes out again on a new connection if no byte of an answer came, its body is still kept
(``Limits.replay_bytes``), and its method is idempotent (RFC 9110 section 9.2.2 forbids a proxy to
repeat the others; they go out on a connection of their own instead).

Asked again, once: a gateway that answers 407 has done nothing, so any request goes out again if its
body is still kept and there are other credentials (:mod:`aluvia.forwarding.routed`).
"""

from __future__ import annotations

import typing

from aluvia.forwarding.passage import ANSWERED, ANSWERING, DIALLING, SENT, Passage
from aluvia.forwarding.request_head import (
    IDEMPOTENT,
    absolute_form,
    request_fields,
    without,
)
from aluvia.forwarding.route import Route
from aluvia.forwarding.routed import RoutedFlow, denied
from aluvia.forwarding.upstream import place_of
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.wire.exchange import ClientExchange
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field
from aluvia.wire.target import AbsoluteTarget

if typing.TYPE_CHECKING:
    from aluvia.forwarding.proxy import ForwardProxy


class Forward(Passage, RoutedFlow):
    """A request whose target is an absolute URI."""

    resent = False

    if typing.TYPE_CHECKING:
        proxy: ForwardProxy

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ServerConnection,
        head: RequestHead,
        target: AbsoluteTarget,
        route: Route,
        request_id: str,
    ) -> None:
        super().__init__(proxy, client, head, request_id)
        authority = target.authority
        self._take_route(route, authority.host, authority.port or 80)
        self.target = target

    def start(self) -> None:
        """Take an idle connection, or dial one."""
        idle = None
        if self.head.authenticates_connection:
            self.client.pinned = True
        if self.method in IDEMPOTENT or self.client.pinned:
            idle = self.proxy.upstreams.take_idle(self._place())
        if idle is None:
            self._dial()
        else:
            self.upstream = idle
            idle.requester = self
            self._send()

    # What a forward proxy does with a passage.

    def upstream_connected(self) -> None:
        """The connection that was dialled is up."""
        self.dialing = None
        self.proxy.connected(self)
        self._send()

    def _write_head(self, exchange: ClientExchange) -> bytes:
        head = self.head
        gateway = self.route.gateway
        policy = self.proxy.policy
        if gateway is None:
            target, gone = self.target.origin_form, policy.gone
        else:
            target, gone = absolute_form(self.target), policy.gone_through
        fields = request_fields(head, self.target, gateway, gone)
        return exchange.request(head.method, target, fields, head.length)

    def _failed(self, error: DialError) -> None:
        """Send it again if nothing is lost by it; else say what happened."""
        upstream = self.upstream
        if (
            upstream is not None
            and upstream.reused
            and self.method in IDEMPOTENT
            and self._may_send_again()
            and not self.resent
        ):
            self.resent = True
            self.state = DIALLING
            self._dial()
        else:
            self.fail(error)

    def _takes_answer(self, head: ResponseHead) -> bool:
        """Whether it is a 407, which is for us, or nobody's to give."""
        if head.status != 407:
            return False
        gateway = self.route.gateway
        if gateway is not None:
            # On plain http only a 407 is the gateway's own; its challenge ends here.
            self._refused(denied(gateway, 407))
        elif self.proxy.policy.own_407:
            self.fail(DialError("http_protocol_error", 502, "The target answered 407."))
        else:
            return False
        return True

    def _answer_fields(self, head: ResponseHead) -> typing.Sequence[Field]:
        fields: typing.Sequence[Field] = head.end_to_end(self.proxy.policy.own)
        if self.route.told and head.status >= 200:
            fields = [*fields, *self.route.told]
        return fields

    def _answer_begins(self, head: ResponseHead) -> None:
        if head.status == 401 and head.authenticates_connection and self.upstream is not None:
            self.client.pinned = True
            self.upstream.key = self._place()

    def _request_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        policy = self.proxy.policy
        return without(fields, policy.gone if self.route.gateway is None else policy.gone_through)

    def _response_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        return without(fields, self.proxy.policy.own)

    def _keep(self, upstream: ClientConnection) -> None:
        self.proxy.upstreams.put_idle(upstream, self.client)

    def _idle_timeout(self) -> float:
        return self.proxy.idle_timeout

    def fail(self, error: DialError) -> None:
        """Say what went wrong; if an answer has begun, by cutting it short."""
        answering = self.state is ANSWERING or self.state is ANSWERED
        self.let_go()
        self.release(error.error)
        if answering:
            # What was sent must not look like a whole answer.
            self.client.abort()
        else:
            self.proxy.refuse(self.client, error, self.request_id)

    def let_go(self) -> None:
        """Leave nothing of it upstream."""
        self.stop_renewing()
        super().let_go()

    # Other credentials.

    def _refused(self, refusal: DialError) -> None:
        """The gateway does not know the credentials."""
        if self.state is not SENT or self.kept is None:
            self.renew_for_others()
            self.fail(refusal)
            return
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abort()
        # What comes of the body meanwhile is kept.
        self.state = DIALLING
        if not self.renew(refusal):
            self.fail(refusal)

    def _try_again(self) -> None:
        self._dial()

    def _give_up(self, error: DialError) -> None:
        self.fail(error)

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
        if self.state is DIALLING:
            self.dialing = dialing

    def _place(self) -> typing.Hashable:
        """Under what a connection for this request is filed."""
        place = place_of(self.route, self.host, self.port)
        # One that is authenticated as a whole serves the client that did so, and nobody else.
        return (self.client, place) if self.client.pinned else place
