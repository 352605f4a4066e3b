"""
One request at its backends, and its answer: tried, tried again, and passed on.

What is before that is in :mod:`aluvia.edge.entering`, which also has the table of the stages; while
it is PICKED its states are those of :mod:`aluvia.forwarding.passage`.

When it is tried again, on another member:

.. code-block:: text

    what happened                                       again
    --------------------------------------------------  ------------------------------------------
    no connection, or no TLS                            always
    the request went out, no byte of an answer came     if its method is idempotent and all of its
    (a reset, a time-out)                               body is kept (``Limits.replay_bytes``)
    ... on a connection that had been kept idle         the same, but on a new connection to the
                                                        same member: that it was closed meanwhile
                                                        is nobody's fault
    a byte of an answer came                            never

``retries`` bounds how often, and so does the :class:`~aluvia.edge.retry_budget.RetryBudget`. A
method that is not idempotent goes out on a connection that was used a moment ago, or on one of its
own, since it could not be sent a second time.

When nothing moves for as long as it may, it is somebody's turn:

.. code-block:: text

    it waits for                               then
    -----------------------------------------  --------------------------------------------------
    a verdict, a slot, a connection            nothing: each has a deadline of its own
    the rest of a request, behind an early     its end
    answer
    the client's body                          408
    a stream                                   its end
    the client's reading                       it is cut
    the backend                                that has failed: another try, 504, or a cut
"""

from __future__ import annotations

import math
import typing

from aluvia.edge.answers import REQUEST_ID, Refusal
from aluvia.edge.backends import Place
from aluvia.edge.entering import LATER, EnteringPassage, Stage
from aluvia.edge.live import LiveRoute
from aluvia.edge.request_fields import Client, belongs_to_us
from aluvia.forwarding.passage import ANSWERED, ANSWERING, DIALLING, SENT
from aluvia.forwarding.request_head import IDEMPOTENT
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.upstreams.members import Health, Member
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ClientExchange
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field

if typing.TYPE_CHECKING:
    from aluvia.edge.downstream import Downstream

__all__ = ["EdgePassage"]

#: How long ago a connection was used that a request may go out on which cannot be sent again;
#: seconds. Servers keep theirs longer than this.
FRESH = 1.0

#: After which a connection to a name is not kept any more, since the name may lead elsewhere;
#: seconds.
FOLLOW_SECONDS = 30.0

#: What goes wrong here, or with the request, and not at a backend.
_OURS = frozenset(
    [
        "connection_limit_reached",
        "http_request_error",
        "proxy_internal_error",
        "proxy_loop_detected",
    ]
)

_TOO_LARGE = Refusal(413, "http_request_error", "The request's body is too large.")
_NO_BODY = ProtocolViolation(408, "The request's body did not come in time.")
_STREAMS_FULL = Refusal(503, "connection_limit_reached", "There are too many streams.", LATER)
_NO_BACKEND = Refusal(503, "destination_unavailable", "There is no backend for this.", LATER)


class EdgePassage(EnteringPassage):
    """
    One request.

    :ivar authority: whom it is for, as the backend is told; None where it does not say.
    :ivar member: the backend that it is at.
    """

    member: Member[Place] | None = None
    #: What the backend is asked for, where that is not what the client asked for.
    sent_target: bytes | None = None
    _sent = 0.0
    _dialled = 0.0
    _term = 0
    _tried: typing.Sequence[Member[Place]] = ()
    _next: Member[Place] | None = None
    _going = False
    _reads_slowly = False

    def __init__(
        self,
        down: Downstream,
        client: typing.Any,
        head: RequestHead,
        live: LiveRoute,
        host: str,
        authority: bytes | None,
        target: bytes,
        client_is: Client,
        request_id: str,
        began: float,
    ) -> None:
        super().__init__(down.proxy, client, head, request_id)
        self.down = down
        self.live = live
        self.host = host
        self.authority = authority
        self.target = target
        self.client_is = client_is
        self.began = self.started = began

    # At a member.

    def _go(self) -> None:
        """To a member. Flat: one that fails at once leads to the next without nesting."""
        if self.head.upgrade == b"websocket" and self._streams_full:
            # Before a backend is asked: once it has agreed, it has begun something.
            self.refuse(_STREAMS_FULL)
            return
        self._next = self._first()
        if self._next is None:
            self.refuse(_NO_BACKEND)
            return
        if self._going:
            return
        self._going = True
        try:
            while self._next is not None:
                member, self._next = self._next, None
                self._begin_at(member)
        finally:
            self._going = False

    def _first(self) -> Member[Place] | None:
        if self._next is not None:
            return self._next
        member = self.down.pinned_to(self.live) if self.client.pinned else None
        if member is not None:
            return member
        return self.live.members.pick(self.client_is.address)

    def _begin_at(self, member: Member[Place]) -> None:
        self.member = member
        self.backend_id = member.id
        self.attempts += 1
        self._term = self.live.members.began(member)
        if self.client.pinned:
            self.down.pin(self.live, member)
        idle_at_most = math.inf if self.method in IDEMPOTENT else FRESH
        idle = self.proxy.upstreams.take_idle(self._place(), idle_at_most)
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
        fields = self.down.outgoing.fields(
            head,
            self.client_is,
            terms.wishes,
            self.authority,
            member.target.host_field,
            self._added,
        )
        self._sent = self.proxy.clock()
        self.client.quiet_for(terms.route.timeouts.first_byte, self._sent)
        ours = b"%b: %b\r\n" % (REQUEST_ID, self.request_id.encode("ascii"))
        return exchange.request(
            head.method, self.sent_target or self.target, fields, head.length, ours
        )

    def _failed(self, error: DialError) -> None:
        again = self.state is DIALLING or (self.method in IDEMPOTENT and self._may_send_again())
        if self._was_closed_idle(error):
            if again:
                self.state = DIALLING
                self._dial()
                return
        elif self.member is not None and not self._may_be_the_clients(error):
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

    def _may_be_the_clients(self, error: DialError) -> bool:
        """
        Whether it says nothing of the backend: it went wrong here, or the backend has closed while
        it waited for the client's body, of which a stranger may send as little as it likes.
        """
        return error.error in _OURS or (
            not self.request_complete
            and self.state is not DIALLING
            and error.error == "connection_terminated"
        )

    def _try_another(self, error: DialError) -> bool:
        member = self.member
        assert member is not None
        if error.error in _OURS or self.attempts > self.live.route.retries:
            return False
        tried = [*self._tried, member]
        another = self.live.members.pick(self.client_is.address, tried)
        if another is None or not self.proxy.budget.take():
            return False
        self._tried = tried
        self._leave_member()
        upstream, self.upstream = self.upstream, None
        if upstream is not None and upstream.transport is not None:
            upstream.abort()
        self.state = DIALLING
        self._next = another
        self._go()
        return True

    def timed_out(self) -> None:
        """Nothing moved for as long as this stage may take; see the table."""
        if self.state is DIALLING:
            return
        error = DialError("http_response_timeout", 504, "The backend did not answer in time.")
        if self.state is ANSWERED:
            # It has said what it had to say, and does not want the rest.
            self._finish_early()
        elif not self.request_complete and not self.client.held_up:
            self.request_broken(_NO_BODY)
        elif self.stage is Stage.STREAM:
            self.fail(error)
        elif self._reads_slowly or self.answer_held_up:
            self.cause = "client_gone"
            self.fail(error)
        else:
            self._failed(error)

    def client_ended(self) -> None:
        """
        The client's FIN behind a whole request: who leaves sends no more than that.

        Nobody who only half-closes can be told from one who has left. Until an answer has begun it
        is taken for that: or a slot, a place in line and a backend would be busy for nobody. Later
        on the answer is written, and whether anybody takes it shows; but for a stream, of which
        nothing may come for long.
        """
        if self.state is DIALLING or self.state is SENT or self.stage is Stage.STREAM:
            client = self.client
            self.client_lost()
            client.close_now()

    def _takes_answer(self, head: ResponseHead) -> bool:
        if head.status < 200 and head.status != 101:
            return False
        now = self.proxy.clock()
        self.first_byte = now - self.began
        member = self.member
        assert member is not None
        seconds = now - self._sent
        known = member.measured.seconds
        if not self.request_complete and known is not None:
            # A backend's time cannot be told from that of its client, who is not to steer.
            seconds = min(seconds, known)
        self.live.members.answered(member, seconds, head.status >= 500, self._term)
        if head.status == 101 or (head.length < 0 and _is_event_stream(head)):
            return not self._takes_stream()
        return False

    def _takes_stream(self) -> bool:
        """Leave the slot for a place among the streams; whether there is one."""
        if self._streams_full:
            self.refuse(_STREAMS_FULL)
            return False
        live = self.live
        live.streams += 1
        self.upgraded = True
        self.stage = Stage.STREAM
        if self._body_counts:
            self._count_no_more()
        live.admission.leave()
        return True

    @property
    def _streams_full(self) -> bool:
        live = self.live
        return live.streams >= live.route.max_streams

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
            self.client.quiet_for(idle, self.proxy.clock())
        super()._goes_on()

    def request_data(self, data: bytes) -> None:
        """Some of the body, if it is not too much."""
        most = self.live.terms.route.max_body_bytes
        if most is not None and self._bytes_up + len(data) > most:
            self.refuse(_TOO_LARGE)
        else:
            super().request_data(data)

    def _body_ended(self) -> None:
        super()._body_ended()
        if self.state is SENT:
            # How long the client took to send it is no latency of the backend's.
            self._sent = self.proxy.clock()

    def _request_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        replaced = self.live.terms.wishes.replaced
        return [field for field in fields if not belongs_to_us(field[0], replaced)]

    def _keep(self, upstream: ClientConnection) -> None:
        member = self.member
        if (
            self.live.removed
            or member is None
            or member.health is Health.GONE
            or (member.target.named and upstream.opened + FOLLOW_SECONDS < self.proxy.sweep.now)
        ):
            upstream.close()
        else:
            self.proxy.upstreams.put_idle(upstream, self.client)

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

    def let_go(self) -> None:
        """Leave nothing of it anywhere."""
        self._next = None
        super().let_go()

    def release(self, outcome: str) -> None:
        """Count it, and give back what it has."""
        if not self.released:
            self._leave_member()
            super().release(outcome)

    def _leave_member(self) -> None:
        member, self.member = self.member, None
        if member is not None:
            self.live.members.ended(member, self._term)


def _is_event_stream(head: ResponseHead) -> bool:
    """Whether it is ``text/event-stream``: it goes on until somebody has enough."""
    for name, value in head.fields:
        if name.lower() == b"content-type":
            return value.lower().startswith(b"text/event-stream")
    return False
