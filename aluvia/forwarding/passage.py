"""
One request on its way to an upstream, and its answer back.

.. code-block:: text

    state      meaning                                     leaves on
    ---------  ------------------------------------------  ------------------------------------
    DIALLING   no upstream connection yet; the body waits  connected -> SENT;  failed -> DONE
    SENT       the request is going out, no answer yet     its head -> ANSWERING;  failed ->
                                                           DIALLING (another try) or DONE
    ANSWERING  the answer is on its way to the client      its end -> DONE, or ANSWERED if the
                                                           request goes on;  failed -> DONE, and
                                                           the client's connection is cut
    ANSWERED   an answer came early (as nginx's to a POST  the request's end, or the upstream's
               of a static page); the body still goes out  -> DONE
    DONE       released

What an upstream is, how it is found, and when another try is right, is for those who derive from
this: :class:`~aluvia.forwarding.forward.Forward` for a forward proxy, and a reverse proxy's own.

The body is kept while another try may need it, ``Limits.replay_bytes`` of it at most. A body of
known length goes from socket to socket by itself when much of it is left
(:mod:`aluvia.net.body_splice`), either way.
"""

from __future__ import annotations

import abc
import enum
import typing

from aluvia.forwarding.flow import Flow
from aluvia.net.body_splice import BodySplice, can_splice
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import END, ClientExchange, Event, Trailers
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field

__all__ = ["ANSWERED", "ANSWERING", "DIALLING", "DONE", "SENT", "Passage", "State"]


class State(enum.Enum):
    """Where a request is; the table is in the module's docstring."""

    DIALLING = enum.auto()
    SENT = enum.auto()
    ANSWERING = enum.auto()
    ANSWERED = enum.auto()
    DONE = enum.auto()


DIALLING, SENT, ANSWERING, ANSWERED, DONE = State

NOT_MODIFIED = 304


class Passage(Flow):
    """
    One request and its answer: the :class:`~aluvia.net.http_application.Responder` of the one side,
    the :class:`~aluvia.net.http_client.Requester` of the other.
    """

    # What most requests leave as it is stands on the class: an instance has only what is its own.
    state: State = DIALLING
    upstream: ClientConnection | None = None
    dialing: Dialing | None = None
    kept_bytes = 0
    request_trailer_fields: typing.Sequence[Field] = ()
    response_trailer_fields: typing.Sequence[Field] = ()
    request_complete = False
    #: What is on its way past us.
    _up: BodySplice | None = None
    _down: BodySplice | None = None

    def __init__(
        self, proxy: typing.Any, client: ServerConnection, head: RequestHead, request_id: str
    ) -> None:
        super().__init__(proxy, client, request_id, head.method)
        self.head = head
        #: The body so far, while it may be needed (again); None once it is too long for that.
        self.kept: list[bytes] | None = []

    @property
    def bytes_up(self) -> int:
        """Payload bytes from the client to the upstream."""
        if self._up is not None:
            return self._bytes_up + self._up.total
        return self._bytes_up if self.relay is None else self._bytes_up + self.relay.bytes_from_left

    @property
    def bytes_down(self) -> int:
        """Payload bytes from the upstream to the client."""
        if self._down is not None:
            return self._bytes_down + self._down.total
        if self.relay is not None:
            return self._bytes_down + self.relay.bytes_from_right
        return self._bytes_down

    @property
    def answer_held_up(self) -> bool:
        """Whether an answer that goes past us waits for its client to read."""
        return self._down is not None and self._down.stalled

    # What is a proxy's own.

    @abc.abstractmethod
    def _write_head(self, exchange: ClientExchange) -> bytes:
        """The request's head, as it goes out."""

    @abc.abstractmethod
    def _failed(self, error: DialError) -> None:
        """The upstream did not answer, or not to the end: try another way, or :meth:`fail`."""

    @abc.abstractmethod
    def _answer_fields(self, head: ResponseHead) -> typing.Sequence[Field]:
        """What the client is told of the upstream's fields; for an informational answer, too."""

    @abc.abstractmethod
    def _keep(self, upstream: ClientConnection) -> None:
        """Keep its connection for the next request."""

    @abc.abstractmethod
    def _idle_timeout(self) -> float:
        """Of the tunnel that it becomes; seconds."""

    def _takes_answer(self, head: ResponseHead) -> bool:
        """Whether this answer ends here, and is dealt with."""
        return False

    def _answer_begins(self, head: ResponseHead) -> None:
        """The head of the final answer is about to go to the client."""

    def _body_ended(self) -> None:
        """The request is whole, and has a body."""

    def _request_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        """Those of the client's trailers that go out."""
        return fields

    def _response_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        """Those of the upstream's trailers that go to the client."""
        return fields

    # The requester's side.

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
                if self._takes_answer(event):
                    return
                self._respond(event, out)
            elif event is END:
                out.append(exchange.end(self.response_trailer_fields))
                self.client.write(b"".join(out))
                if self.request_complete:
                    self._finish()
                elif self.head.expect_continue and not self._bytes_up:
                    # RFC 9110 section 10.1.1: it need not send the body now.
                    self._finish_early()
                else:
                    self.state = ANSWERED
                return
            elif isinstance(event, Trailers):
                self.response_trailer_fields = self._response_trailers(event.fields)
        if out:
            self.client.write(b"".join(out) if len(out) > 1 else out[0])
        self._goes_on()

    def upstream_failed(self, error: DialError) -> None:
        """It is gone, or could not be reached."""
        self.dialing = None
        if self.state is ANSWERED:
            # It has said what it had to say, and does not want the rest.
            self._finish_early()
        else:
            self._failed(error)

    def pause_request(self) -> None:
        """The upstream is slower than the client's body."""
        self.client.pause_request()

    def resume_request(self) -> None:
        """The upstream has caught up."""
        self.client.resume_request()

    # The responder's side.

    def request_data(self, data: bytes) -> None:
        """Some of the body: sent on, and kept while it is short."""
        self._bytes_up += len(data)
        limit = self.proxy.limits.replay_bytes
        if self.kept is not None:
            self.kept_bytes += len(data)
            if self.state is DIALLING or self.kept_bytes <= limit:
                self.kept.append(data)
            else:
                self.kept = None
        if self.state is DIALLING:
            if self.kept_bytes >= limit:
                self.client.pause_request()
        elif self.upstream is not None:
            self.upstream.transport.write(self.upstream.exchange.data(data))
            self._let_request_flow()

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """Trailers of a chunked body; they go out with its end."""
        self.request_trailer_fields = self._request_trailers(fields)

    def request_end(self) -> None:
        """The request is whole."""
        self.request_complete = True
        if self.head.length:
            self._body_ended()
        if self.state is not DIALLING and self.upstream is not None:
            data = self.upstream.exchange.end(self.request_trailer_fields)
            if data:
                self.upstream.transport.write(data)
        if self.state is ANSWERED:
            self._finish()

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or left; if it has its answer, it owes us nothing."""
        if self.state is not ANSWERED:
            super().request_broken(violation)
            return
        client = self.client
        self.let_go()
        self.release("ok")
        # What is queued of the answer goes out, and the connection closes behind it.
        client.answered()

    def client_ended(self) -> None:
        """The client's FIN behind a whole request: the answer is still wanted."""

    def client_lost(self) -> None:
        """Nobody waits for the answer any more."""
        self.let_go()
        self.release("client_gone")

    def pause_response(self) -> None:
        """The client reads slowly: stop reading from the upstream."""
        # While dialling there is nothing to pause: what is written later pauses again.
        if self.upstream is not None and self.state is not DIALLING:
            self.upstream.pause()

    def resume_response(self) -> None:
        """The client has caught up."""
        if self.upstream is not None and self.state is not DIALLING:
            self.upstream.resume()

    def timed_out(self) -> None:
        """No byte moved for the idle timeout."""
        self.fail(DialError("http_response_timeout", 504, "The upstream did not answer in time."))

    # Inside.

    def _may_send_again(self) -> bool:
        """
        Whether nothing of an answer has come, and all of the request that went out is still here.
        """
        upstream = self.upstream
        return (
            self.state is SENT
            and self.kept is not None
            and (upstream is None or not upstream.exchange.any_bytes_received)
        )

    def _send(self) -> None:
        """Send what there is of the request on the upstream connection."""
        upstream = self.upstream
        assert upstream is not None
        self.state = SENT
        exchange = upstream.exchange
        data = self._write_head(exchange)
        if self.kept:
            data = b"".join([data, *map(exchange.data, self.kept)])
        if self.request_complete:
            data += exchange.end(self.request_trailer_fields)
        if self.kept_bytes > self.proxy.limits.replay_bytes:
            self.kept = None
        # First, because the write may well ask to pause again.
        self.client.resume_request()
        upstream.transport.write(data)

    def _respond(self, head: ResponseHead, out: list[bytes]) -> None:
        fields = self._answer_fields(head)
        if head.informational:
            out.append(self.client.exchange.informational(head.status, fields))
            return
        self.state = ANSWERING
        # It will not be sent again.
        self.kept = None
        self._answer_begins(head)
        # To a HEAD, and with a 304, what is passed on is what would have followed.
        bodiless = self.method == b"HEAD" or head.status == NOT_MODIFIED
        length = head.declared_length if bodiless else head.length
        out.append(self.client.respond(head.status, head.reason, fields, length))

    def _switch(self, head: ResponseHead) -> None:
        """101: the upgrade that the client asked for was accepted."""
        if not self.request_complete or head.upgrade != self.head.upgrade:
            # RFC 9110 section 7.8: to what was offered, and not before the request is whole.
            self.fail(DialError("http_protocol_error", 502, "The upstream switched out of turn."))
            return
        if self._takes_answer(head):
            return
        upstream = self.upstream
        assert upstream is not None
        self.upstream = None
        self.state = DONE
        client = self.client
        self._answer_begins(head)
        client.write(client.respond(101, head.reason, self._answer_fields(head), 0))
        early_down = upstream.leave()
        self.open_relay(upstream.transport, self._idle_timeout(), client.leave(), early_down)

    def _finish(self) -> None:
        """Both halves are through."""
        upstream, self.upstream = self.upstream, None
        assert upstream is not None
        self.state = DONE
        if upstream.exchange.reusable and not upstream.closed:
            self._keep(upstream)
        else:
            upstream.abort()
        self.release("ok")
        self.client.answered()

    def _finish_early(self) -> None:
        """The answer is through, and the rest of the request goes nowhere."""
        client = self.client
        self.let_go()
        self.release("ok")
        client.answered()

    @abc.abstractmethod
    def fail(self, error: DialError) -> None:
        """Say what went wrong; if an answer has begun, by cutting it short."""

    def let_go(self) -> None:
        """Leave nothing of it upstream."""
        self.state = DONE
        self._drop_flows()
        if self.dialing is not None:
            self.dialing.cancel()
            self.dialing = None
        upstream, self.upstream = self.upstream, None
        if upstream is not None and upstream.transport is not None:
            upstream.abort()

    # Bodies that go past us.

    def _drop_flows(self) -> None:
        for splice in (self._up, self._down):
            if splice is not None:
                splice.drop()

    def _goes_on(self) -> None:
        """Some of the answer has gone to the client, and there is more to come."""
        self._let_answer_flow()

    def _let_answer_flow(self) -> None:
        upstream = self.upstream
        if upstream is None or upstream.exchange.unread < self.proxy.limits.splice_least_bytes:
            return
        client = self.client
        left = upstream.exchange.unread
        if left == client.exchange.unwritten and can_splice(upstream.transport, client.transport):
            self._down = BodySplice(
                upstream.transport,
                client.transport,
                left,
                client.passed_down,
                self._answer_flowed,
                self.proxy.limits,
            )

    def _answer_flowed(self, count: int) -> None:
        self._down = None
        self._bytes_down += count
        upstream = self.upstream
        assert upstream is not None
        self.client.exchange.was_written(count)
        events = upstream.exchange.was_read(count)
        if events:
            self.response_events(events)

    def _let_request_flow(self) -> None:
        client = self.client
        left = client.exchange.unread
        upstream = self.upstream
        if left < self.proxy.limits.splice_least_bytes or self.kept is not None or upstream is None:
            return
        if left == upstream.exchange.unwritten and can_splice(client.transport, upstream.transport):
            self._up = BodySplice(
                client.transport,
                upstream.transport,
                left,
                client.passed_up,
                self._request_flowed,
                self.proxy.limits,
            )

    def _request_flowed(self, count: int) -> None:
        self._up = None
        self._bytes_up += count
        upstream = self.upstream
        assert upstream is not None
        upstream.exchange.was_written(count)
        self.client.was_read(count)
