"""
One request through the edge: asked about, admitted, sent to a backend, and answered.

.. code-block:: text

    stage     state (of the passage)   leaves on
    --------  -----------------------  --------------------------------------------------------
    ASKED     DIALLING                 admitted -> QUEUED;  denied -> answered with that
    QUEUED    DIALLING                 a slot -> PICKED;  no room in line, or too long -> 503
    PICKED    DIALLING, SENT,          see :mod:`aluvia.forwarding.passage`;  another try -> PICKED
              ANSWERING, ANSWERED
    (relay)   DONE                     a WebSocket: until both ends are through

When it is tried again, on another member:

.. code-block:: text

    what happened                                       again
    --------------------------------------------------  ------------------------------------------
    no connection, or no TLS                            always
    the request went out, no byte of an answer came     if its method is idempotent and all of its
    (a reset, a time-out, bytes that are no HTTP)       body is kept (``Limits.replay_bytes``)
    ... on a connection that had been kept idle         the same, once, on a new connection to the
                                                        same member: that it was closed meanwhile
                                                        is nobody's fault
    a byte of an answer came                            never

``retries`` bounds how often, and so does the :class:`~aluvia.edge.retry_budget.RetryBudget`. A
method that is not idempotent goes out on a connection that was used a moment ago, or on one of its
own, since it could not be sent a second time.

A request has a slot of its route from QUEUED to its end. A stream (a WebSocket, or events) gives it
back when its answer begins, and has a place among the route's streams.
"""

from __future__ import annotations

import math
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.admission import LineFull
from aluvia.edge.answers import REQUEST_ID, Refusal
from aluvia.edge.backends import Place
from aluvia.edge.live import LiveRoute
from aluvia.edge.request_fields import GONE, Client
from aluvia.edge.verdicts import Admitted, Asked, Denied, Verdict
from aluvia.forwarding.passage import ANSWERING, DIALLING, SENT, Passage
from aluvia.forwarding.request_head import IDEMPOTENT, without
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.upstreams.members import Health, Member
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ClientExchange
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field

if typing.TYPE_CHECKING:
    from aluvia.edge.downstream import Downstream
    from aluvia.edge.reverse import ReverseProxy

__all__ = ["EdgePassage"]

log = Logger()

#: How long ago a connection was used that a request may go out on which cannot be sent again;
#: seconds. Servers keep theirs longer than this.
FRESH = 1.0

#: What goes wrong here, and not at a backend.
_OURS = frozenset(["connection_limit_reached", "proxy_internal_error", "proxy_loop_detected"])

_NO_FIELDS: tuple[Field, ...] = ()
_TOO_LARGE = Refusal(413, "http_request_error", "The request's body is too large.")
_STREAMS_FULL = Refusal(
    503, "connection_limit_reached", "There are too many streams.", ((b"Retry-After", b"5"),)
)
_LINE_FULL = Refusal(
    503, "connection_limit_reached", "Too many requests wait.", ((b"Retry-After", b"1"),)
)
_LATE = Refusal(
    503,
    "connection_limit_reached",
    "The request waited too long for its turn.",
    ((b"Retry-After", b"1"),),
)
_NO_BACKEND = Refusal(
    503, "destination_unavailable", "There is no backend for this.", ((b"Retry-After", b"5"),)
)


class EdgePassage(Passage):
    """
    One request.

    :ivar live: the route that it is for.
    :ivar member: the backend that it is at.
    :ivar attempts: how many backends it was at.

    Its other attributes are what is told of it when it is over: see
    :class:`~aluvia.edge.events.CompletedRequest`.
    """

    __slots__ = (
        "_added",
        "_asking",
        "_dialled",
        "_has_slot",
        "_queued",
        "_reads_slowly",
        "_streaming",
        "_term",
        "_tried",
        "_waited",
        "_waits",
        "attempts",
        "began",
        "cause",
        "client_is",
        "connect",
        "down",
        "first_byte",
        "host",
        "last_member",
        "live",
        "member",
        "queued",
        "status",
        "target",
        "total",
        "upgraded",
    )

    proxy: ReverseProxy

    def __init__(
        self,
        down: Downstream,
        client: typing.Any,
        head: RequestHead,
        live: LiveRoute,
        host: str,
        target: bytes,
        client_is: Client,
        request_id: str,
        began: float,
    ) -> None:
        super().__init__(down.proxy, client, head, request_id)
        self.down = down
        self.live = live
        self.host = host
        self.target = target
        self.client_is = client_is
        self.member: Member[Place] | None = None
        self.last_member: Member[Place] | None = None
        self.attempts = 0
        self.cause = ""
        self.upgraded = False
        self.queued = self.connect = self.first_byte = -1.0
        self.began = began
        self.total = self._dialled = 0.0
        self.status = 0
        self._term = 0
        self._tried: list[Member[Place]] | None = None
        self._added: typing.Sequence[Field] = _NO_FIELDS
        self._asking: Deferred[typing.Any] | None = None
        self._waited = self._waits = self._has_slot = self._streaming = self._reads_slowly = False

    # What is told of it when it is over (:class:`~aluvia.edge.events.CompletedRequest`).

    @property
    def connection_id(self) -> str:
        """The client's connection."""
        return self.down.connection_id

    @property
    def client_address(self) -> str:
        """Who asked."""
        return self.client_is.address

    @property
    def v_host(self) -> str:
        """As configured."""
        return self.live.v_host

    @property
    def route_id(self) -> str:
        """Of the route."""
        return self.live.route.id

    @property
    def backend_id(self) -> str:
        """The last that was tried."""
        return "" if self.last_member is None else self.last_member.id

    # From its beginning to a member.

    def start(self) -> None:
        """Go as far as it goes at once."""
        if self.head.authenticates_connection:
            self.client.pinned = True
        authenticator = self.live.terms.authenticator
        if authenticator is None:
            self._enter()
            return
        scheme = self.client_is.scheme.decode("ascii")
        asked = Asked(self.head, self.client_is.address, scheme, self.host, self.target)
        verdict = authenticator.ask(asked)
        if isinstance(verdict, Deferred):
            self._asking = verdict
            self._waited = True
            verdict.addCallbacks(self._answered_by_provider, self._not_asked)
            verdict.addErrback(self._broke)
        else:
            self._judged(verdict)

    def _answered_by_provider(self, verdict: Verdict) -> None:
        self._asking = None
        self._judged(verdict)

    def _not_asked(self, failure: Failure) -> None:
        """It was cancelled, by us."""
        failure.trap(CancelledError)

    def _broke(self, failure: Failure) -> None:
        log.failure("A request could not be sent on its way.", failure)
        if not self.released:
            self.fail(DialError("proxy_internal_error", 500, "The proxy failed."))

    def _judged(self, verdict: Verdict) -> None:
        if isinstance(verdict, Admitted):
            self._added = verdict.fields
            self._enter()
        else:
            self._deny(verdict)

    def _deny(self, denied: Denied) -> None:
        if denied.detail:
            refusal = Refusal(denied.status, denied.cause, denied.detail, tuple(denied.fields))
            self._refuse(refusal)
            return
        self.status = denied.status
        client = self.client
        self.let_go()
        self._bytes_down += len(denied.body)
        self.release(denied.cause)
        client.answer(denied.status, denied.reason, denied.fields, denied.body)

    def _enter(self) -> None:
        """Take a slot, or a place in line."""
        try:
            if self.live.admission.enter(self):
                self._has_slot = True
                self.queued = 0.0
                self._go()
            else:
                self._waited = self._waits = True
        except LineFull:
            self.live.overflowed += 1
            self._refuse(_LINE_FULL)

    def admitted(self) -> None:
        """It has a slot now."""
        self._waits = False
        self._has_slot = True
        self.queued = self.proxy.clock() - self.began
        try:
            self._go()
        except Exception:
            # One request's fault, and not that of the others in line.
            self._broke(Failure())

    def waited_too_long(self) -> None:
        """It has no slot, and will have none."""
        self._waits = False
        self.queued = self.proxy.clock() - self.began
        self._refuse(_LATE)

    def _go(self) -> None:
        """To a member that was not tried yet."""
        live = self.live
        member = None
        if self.client.pinned:
            member = self.down.pinned_to(live)
        if member is None or self._tried:
            member = live.members.pick(self.client_is.address, self._tried or ())
        if member is None:
            self._refuse(_NO_BACKEND)
            return
        self.member = self.last_member = member
        self.attempts += 1
        self._term = live.members.began(member)
        if self.client.pinned:
            self.down.pin(live, member)
        idle = self.proxy.upstreams.take_idle(
            self._place(), math.inf if self.method in IDEMPOTENT else FRESH
        )
        if idle is None:
            self._dial()
        else:
            self.upstream = idle
            idle.requester = self
            self._send()

    def _dial(self) -> None:
        member = self.member
        assert member is not None
        self._dialled = self.proxy.clock()
        self.upstream = connection = self.proxy.upstreams.new_connection(self._place())
        connection.requester = self
        place = member.target
        dialing = place.dialer.dial(place.host, place.port, connection, self.upstream_failed)
        # Either end of it may have come already.
        if self.state is DIALLING and self.upstream is connection:
            self.dialing = dialing

    def upstream_connected(self) -> None:
        """The connection that was dialled is up."""
        self.dialing = None
        self.connect = self.proxy.clock() - self._dialled
        self._send()

    def _place(self) -> typing.Hashable:
        """Under what a connection for this request is filed."""
        # One that is authenticated as a whole serves the client that did so, and nobody else.
        return (self.client, self.member) if self.client.pinned else self.member

    # What an edge does with a passage.

    def _write_head(self, exchange: ClientExchange) -> bytes:
        head = self.head
        member = self.member
        assert member is not None
        terms = self.live.terms
        host = head.host if terms.wishes.preserve_host else None
        fields = self.down.outgoing.fields(
            head, self.client_is, terms.wishes, host or member.target.host_field, self._added
        )
        first_byte = terms.route.timeouts.first_byte
        if self._waited or self.client.quiet_seconds != first_byte:
            self.client.quiet_for(first_byte)
        ours = b"%b: %b\r\n" % (REQUEST_ID, self.request_id.encode("ascii"))
        return exchange.request(head.method, self.target, fields, head.length, ours)

    def _failed(self, error: DialError) -> None:
        again = self.state is DIALLING or (self.method in IDEMPOTENT and self._may_send_again())
        if self._was_closed_idle(error):
            if again:
                self.resent = True
                self.state = DIALLING
                self._dial()
                return
        elif self.member is not None and error.error not in _OURS:
            self.live.members.failed(self.member, error.error, self._term)
        if not (again and self._try_another(error)):
            self.fail(error)

    def _was_closed_idle(self, error: DialError) -> bool:
        """
        Whether it looks as if a kept connection was closed before the request came: that is no news
        of its backend.
        """
        upstream = self.upstream
        return (
            upstream is not None
            and upstream.reused
            and self.state is SENT
            and error.error == "connection_terminated"
            and not upstream.exchange.any_bytes_received
        )

    def _try_another(self, error: DialError) -> bool:
        member = self.member
        assert member is not None
        if error.error in _OURS or self.attempts > self.live.route.retries:
            return False
        tried = [*(self._tried or ()), member]
        if self.live.members.pick(self.client_is.address, tried) is None:
            return False
        if not self.proxy.budget.take():
            return False
        self._tried = tried
        self.live.retried += 1
        self._leave_member()
        upstream, self.upstream = self.upstream, None
        if upstream is not None and upstream.transport is not None:
            upstream.abort()
        self.state = DIALLING
        self.resent = False
        self._go()
        return True

    def timed_out(self) -> None:
        """Nothing moved for as long as this stage may take."""
        if self.state is DIALLING:
            # What it waits for has a deadline of its own.
            return
        error = DialError("http_response_timeout", 504, "The backend did not answer in time.")
        if self.state is SENT:
            self._failed(error)
        elif self._reads_slowly or (self._down is not None and self._down.stalled):
            self.cause = "client_gone"
            self.fail(error)
        else:
            self._failed(error)

    def _takes_answer(self, head: ResponseHead) -> bool:
        if head.informational:
            return False
        self.first_byte = self.proxy.clock() - self.began
        member = self.member
        assert member is not None
        sent = self.first_byte - self.queued
        self.live.members.answered(member, sent, head.status >= 500, self._term)
        if head.status == 101 or (head.length < 0 and _is_event_stream(head)):
            return not self._takes_stream()
        return False

    def _takes_stream(self) -> bool:
        """Leave the slot for a place among the streams; whether there is one."""
        live = self.live
        if live.streams >= live.route.max_streams:
            self._refuse(_STREAMS_FULL)
            return False
        live.streams += 1
        self._streaming = self.upgraded = True
        self._leave_slot()
        return True

    def _answer_fields(self, head: ResponseHead) -> typing.Sequence[Field]:
        return head.end_to_end()

    def _answer_begins(self, head: ResponseHead) -> None:
        self.status = head.status
        if head.status == 401 and head.authenticates_connection and self.upstream is not None:
            self.client.pinned = True
            assert self.member is not None
            self.down.pin(self.live, self.member)
            self.upstream.key = self._place()

    def _goes_on(self) -> None:
        idle = self.live.terms.route.timeouts.idle
        if self.state is ANSWERING and self.client.quiet_seconds != idle:
            self.client.quiet_for(idle)
        super()._goes_on()

    def request_data(self, data: bytes) -> None:
        """Some of the body, if it is not too much."""
        most = self.live.terms.route.max_body_bytes
        if most is not None and self._bytes_up + len(data) > most:
            if self.client.exchange.may_respond:
                self._refuse(_TOO_LARGE)
            else:
                self.fail(DialError("http_request_error", 413, _TOO_LARGE.detail))
            return
        super().request_data(data)

    def _request_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        return without(fields, GONE)

    def _keep(self, upstream: ClientConnection) -> None:
        if self.live.removed or self.member is None or self.member.health is Health.GONE:
            upstream.close()
        else:
            self.proxy.upstreams.put_idle(upstream)

    def _idle_timeout(self) -> float:
        return self.live.terms.route.timeouts.idle

    def pause_response(self) -> None:
        """The client reads slowly."""
        self._reads_slowly = True
        super().pause_response()

    def resume_response(self) -> None:
        """The client has caught up."""
        self._reads_slowly = False
        super().resume_response()

    # Its end.

    def _refuse(self, refusal: Refusal) -> None:
        """Answer it with this."""
        client = self.client
        head = self.head
        self.status = refusal.status
        self.let_go()
        self.release(refusal.error)
        self.proxy.tell(client, head, refusal, self.request_id)

    def fail(self, error: DialError) -> None:
        """Say what went wrong; if an answer has begun, by cutting it short."""
        if self.client.exchange.may_respond:
            self._refuse(
                Refusal(
                    error.status, error.error, error.detail, received_status=error.received_status
                )
            )
            return
        client = self.client
        self.let_go()
        self.release(error.error)
        client.abort()

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        if self.client.exchange.may_respond:
            self.status = violation.status
        super().request_broken(violation)

    def let_go(self) -> None:
        """Leave nothing of it anywhere."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
        if self._waits:
            self._waits = False
            self.live.admission.withdraw(self)
        super().let_go()

    def release(self, outcome: str) -> None:
        """Count it, and give back what it has."""
        if self.released:
            return
        self.total = self.proxy.clock() - self.began
        if outcome != "ok" and not self.cause:
            self.cause = outcome
        self._leave_member()
        live = self.live
        if self._streaming:
            self._streaming = False
            live.streams -= 1
        super().release(outcome)
        # Last: whoever has the slot next begins at once.
        self._leave_slot()

    def _leave_member(self) -> None:
        member, self.member = self.member, None
        if member is not None:
            self.live.members.ended(member, self._term)

    def _leave_slot(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self.live.admission.leave()


def _is_event_stream(head: ResponseHead) -> bool:
    """Whether it is ``text/event-stream``: it goes on until somebody has enough."""
    for name, value in head.fields:
        if name.lower() == b"content-type":
            return value.lower().startswith(b"text/event-stream")
    return False
