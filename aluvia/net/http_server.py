"""
One client's connection, as the server sees it: requests in, answers out.

:class:`ServerConnection` is the adapter between a Twisted transport and
:class:`~aluvia.wire.exchange.ServerExchange`. It has no opinion about what a request means: an
:class:`Application` is given each request head and returns the :class:`Responder` that answers it.
Its phases, and how long it may be in each, are the table in :mod:`aluvia.net.pace`.

A connection that leaves HTTP (a CONNECT, an upgrade) is given up with
:meth:`ServerConnection.leave`: its transport goes to a relay, and this object with its codec
becomes garbage.

Requests are answered one at a time, in order; pipelined ones wait in the codec, and beyond
``Limits.pipelined_bytes`` the transport is paused. The loop in :meth:`_deliver` is flat: a thousand
pipelined requests that are answered at once do not nest.

No request is begun while the transport is full: until the client has read what was answered, that
request stays the current one, in the phase ANSWER. So what is queued for a client that asks and
does not read is bounded by the transport's mark and one answer, however short the answers are.
"""

from __future__ import annotations

import math
import typing

from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.net.hang_up import HangUpWatch
from aluvia.net.http_application import Application, Responder
from aluvia.net.pace import Pace, Phase
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import END, Event, ServerExchange, Trailers
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import Limits

# Module-level names: an enum's attribute look-up costs more than the rest of a phase check.
_WAITING, _HEAD, _BODY, _ANSWER, _LINGER, _CLOSING, _CLOSED = Phase


@implementer(IProtocol, IHalfCloseableProtocol, IPushProducer)
class ServerConnection:
    """
    One client's connection until it closes or leaves HTTP.

    :ivar exchange: the codec; a responder writes its answer with it (see :meth:`write`).
    :ivar pinned: whether it is authenticated as a whole, so that what it asks goes upstream on a
        connection of its own.
    """

    __slots__ = (
        "__weakref__",
        "_answered",
        "_delivering",
        "_full",
        "_gone",
        "_hang_up",
        "_pace",
        "_paused",
        "application",
        "closing",
        "deadline",
        "exchange",
        "factory",
        "input_ended",
        "limits",
        "phase",
        "pinned",
        "responder",
        "sweep",
        "transport",
    )

    def __init__(
        self, application: Application, sweep: Sweep, limits: Limits, idle_seconds: float
    ) -> None:
        self.application = application
        self.sweep = sweep
        self.limits = limits
        self.exchange = ServerExchange(limits)
        self.factory: typing.Any = None
        self.transport: typing.Any = None
        self.responder: Responder | None = None
        self.phase = _WAITING
        self.deadline = math.inf
        self.closing = self.input_ended = self.pinned = False
        self._answered = self._delivering = self._full = self._paused = False
        self._pace = Pace(limits, idle_seconds)
        self._hang_up: HangUpWatch | None = None
        self._gone: dict[typing.Hashable, typing.Callable[[], None]] | None = None

    # What the transport calls.

    def makeConnection(self, transport: typing.Any) -> None:
        """The client is connected."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Watch the deadline, and be told when the client reads slowly."""
        self.deadline = self.sweep.now + self.limits.head_seconds
        self.sweep.watch(self)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Feed the codec, and hand on what it read."""
        phase = self.phase
        if phase is _WAITING:
            self.phase = _HEAD
            self.deadline = self.sweep.now + self.limits.head_seconds
        elif phase is _LINGER or phase is _CLOSING or phase is _CLOSED:
            self._pace.read += len(data)
            if phase is _LINGER and self._pace.in_window > self.limits.discarded_bytes:
                self.abort()
            return
        try:
            events = self.exchange.receive(data)
        except ProtocolViolation as violation:
            self._violated(violation)
            return
        self._deliver(events)
        if self.exchange.held > self.limits.pipelined_bytes and not self._paused:
            self.pause_request()

    def readConnectionLost(self) -> None:
        """The client's FIN: what was asked whole is still answered."""
        self.input_ended = True
        if self.phase is _LINGER:
            self.close_now()
            return
        if self.phase is _CLOSING or self.phase is _CLOSED:
            return
        try:
            self.exchange.receive_eof()
        except ProtocolViolation as violation:
            self._violated(violation)
            return
        if self.responder is not None:
            self.responder.client_ended()
        elif self._answered:
            self._deliver([])
        else:
            self.close_now()

    def writeConnectionLost(self) -> None:
        """Our FIN is out, behind the answer: now the client has not long to close."""
        self.deadline = self.sweep.now + self.limits.linger_seconds

    def connectionLost(self, reason: Failure) -> None:
        """The transport is gone."""
        self.phase = _CLOSED
        self.sweep.forget(self)
        self._stop_watching()
        responder, self.responder = self.responder, None
        try:
            if responder is not None:
                responder.client_lost()
        finally:
            self._tell_gone()

    def pauseProducing(self) -> None:
        """The client reads slowly."""
        self._full = True
        if self.responder is not None:
            self.responder.pause_response()

    def resumeProducing(self) -> None:
        """The client has read what was queued: go on with its answer, or with its next request."""
        self._full = False
        if self.responder is not None:
            self.responder.resume_response()
        elif self._answered and not self._delivering:
            self._deliver([])

    def stopProducing(self) -> None:
        """Connection loss is told by :meth:`connectionLost`."""

    def deadline_passed(self, now: float) -> None:
        """What each phase does when its time is over; see the table in :mod:`aluvia.net.pace`."""
        phase = self.phase
        pace = self._pace
        try:
            if phase is _HEAD:
                self._violated(ProtocolViolation(408, "The request head did not come in time."))
            elif phase is _BODY and not self.held_up and pace.body_begun:
                if pace.too_slow:
                    self._violated(ProtocolViolation(408, "The request body came too slowly."))
                else:
                    self.deadline = pace.begin_window(now)
            elif phase is _ANSWER or phase is _BODY:
                # In a body too: while the upstream does not take it, or has not asked for it.
                quiet = pace.fell_quiet(now)
                self.deadline = pace.quiet_until
                # Last, since the answer that follows has a deadline behind it.
                if quiet and self.responder is not None:
                    self.responder.timed_out()
                elif quiet:
                    self.abort()
            elif phase is _WAITING:
                self.close_now()
            else:
                # A client that neither reads nor leaves has had its time.
                self.abort()
        except Exception:
            # A fault of ours must not make a connection immortal.
            self.abort()
            raise

    # What a responder calls.

    def write(self, data: bytes) -> None:
        """Send bytes that :attr:`exchange` made; they count as progress."""
        self._pace.written += len(data)
        self.transport.write(data)

    def respond(
        self,
        status: int,
        reason: bytes,
        fields: typing.Sequence[Field],
        length: int,
        *,
        close: bool = False,
    ) -> bytes:
        """The head of an answer, by :meth:`ServerExchange.respond`; it says so if we close."""
        close = close or self._last_request()
        return self.exchange.respond(status, reason, fields, length, close=close)

    def answer(
        self,
        status: int,
        reason: bytes,
        fields: typing.Sequence[Field],
        body: bytes = b"",
        *,
        close: bool = False,
    ) -> None:
        """A whole answer in one write; then :meth:`answered`."""
        exchange = self.exchange
        head = self.respond(status, reason, fields, len(body), close=close)
        self.write(head + exchange.data(body) + exchange.end())
        self.answered()

    def answered(self) -> None:
        """The answer is written whole: go on to the next request, or close."""
        self.responder = None
        self._answered = True
        if not self._delivering:
            self._deliver([])

    def pause_request(self) -> None:
        """Stop reading from the client, since what takes the bytes is full."""
        if not self._paused:
            self._paused = True
            self._hang_up = HangUpWatch(self.transport, self.abort)
            self.sweep.watch(self._hang_up)
            self.transport.pauseProducing()

    def resume_request(self) -> None:
        """Read from the client again, unless too much has come before its turn."""
        if self._paused and self.exchange.held <= self.limits.pipelined_bytes:
            self._resume()

    # A body that goes past us, from one transport to the other.

    def passed_up(self, count: int) -> None:
        """So much of the request's body has moved."""
        self._pace.read += count

    def passed_down(self, count: int) -> None:
        """So much of the answer has moved."""
        self._pace.written += count

    def was_read(self, count: int) -> None:
        """So much of the request's body was read; if that was all, its responder is told."""
        self._deliver(self.exchange.was_read(count))

    @property
    def held_up(self) -> bool:
        """Whether it is not the client that the rest of a request waits for."""
        past_us = getattr(self.transport, "source_of", None)
        return self._paused or (past_us is not None and past_us.stalled)

    @property
    def quiet_seconds(self) -> float:
        """How long it may be quiet before the responder is told."""
        return self._pace.idle_seconds

    def quiet_for(self, seconds: float, now: float) -> None:
        """
        Have it be quiet for so long, from now on.

        :param now: by the clock; the sweep's is up to a look behind, and would make it shorter.
        """
        self._pace.idle_seconds = seconds
        if self.phase is _ANSWER or not self._pace.body_begun:
            self.deadline = self._pace.begin(now)

    def when_gone(self, key: typing.Hashable, call: typing.Callable[[], None]) -> None:
        """Call this when the client asks nothing any more; for each key once."""
        if self._gone is None:
            self._gone = {}
        self._gone[key] = call

    def leave(self) -> bytes:
        """
        Give up the transport: bytes are opaque from here. The caller takes :attr:`transport`.

        :return: the bytes that the client sent behind the head.
        """
        early = self.exchange.switch()
        self._resume()
        self.sweep.forget(self)
        self.transport.unregisterProducer()
        self.phase = _CLOSED
        self.responder = None
        self._tell_gone()
        return early

    def drain(self) -> None:
        """Close when the current request is answered; at once if there is none."""
        self.closing = True
        if self.responder is None and self.phase in (_WAITING, _HEAD):
            self.close_now()

    def close_now(self) -> None:
        """Close after what is queued is written."""
        self.phase = _CLOSING
        self.deadline = self.sweep.now + self._pace.idle_seconds
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Reset: for an answer that cannot be finished and must not look finished."""
        self.phase = _CLOSED
        self.transport.abortConnection()

    # Inside.

    def _resume(self) -> None:
        if self._paused and self.phase is not _CLOSED:
            self._paused = False
            self._stop_watching()
            if self.phase is _BODY:
                # Its rate counts while we are ready to read it.
                self.deadline = self._pace.begin_window(self.sweep.now)
            self.transport.resumeProducing()

    def _tell_gone(self) -> None:
        gone, self._gone = self._gone, None
        if gone is not None:
            for call in gone.values():
                call()

    def _stop_watching(self) -> None:
        watch, self._hang_up = self._hang_up, None
        if watch is not None:
            self.sweep.forget(watch)

    def _last_request(self) -> bool:
        """Whether it closes behind this answer: in a drain, or for a client that asks no more."""
        return self.closing or (self.input_ended and not self.exchange.held)

    def _deliver(self, events: list[Event]) -> None:
        """Hand on events, request after request, without nesting."""
        self._delivering = True
        try:
            if events:
                self._hand_on(events)
            while self._answered:
                if self.exchange.must_close or self._last_request():
                    self._answered = False
                    self._finish()
                    return
                if self._full:
                    # Also where its body came in one piece with its head.
                    self.phase = _ANSWER
                    return
                self._answered = False
                if events := self._next_request():
                    self._hand_on(events)
        finally:
            self._delivering = False

    def _hand_on(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, RequestHead):
                self._begin(event)
            elif self.responder is None:
                # Answered before its body was read to the end: the rest is dropped, and the
                # codec's must_close holds.
                return
            elif event is END:
                if self.phase is _BODY:
                    self.phase = _ANSWER
                    self.deadline = self._pace.begin(self.sweep.now)
                self.responder.request_end()
            elif isinstance(event, bytes):
                pace = self._pace
                if not pace.body_begun:
                    pace.body_begun = True
                    self.deadline = pace.begin_window(self.sweep.now)
                pace.read += len(event)
                self.responder.request_data(event)
            elif isinstance(event, Trailers):
                self.responder.request_trailers(event.fields)

    def _begin(self, head: RequestHead) -> None:
        pace = self._pace
        now = self.sweep.now
        self.deadline = pace.begin(now)
        if head.length:
            self.phase = _BODY
            # A client that waits for a 100 is not slow.
            pace.body_begun = not head.expect_continue
            if pace.body_begun:
                self.deadline = pace.begin_window(now)
        else:
            self.phase = _ANSWER
        self.responder = self.application.request(self, head)

    def _next_request(self) -> list[Event]:
        self.phase = _WAITING
        self.deadline = self.sweep.now + self.limits.keep_alive_seconds
        exchange = self.exchange
        try:
            events = exchange.next_cycle()
        except ProtocolViolation as violation:
            self._violated(violation)
            return []
        if not exchange.idle and not events:
            if self.input_ended:
                # The rest of its head will not come.
                self.close_now()
                return []
            self.phase = _HEAD
            self.deadline = self.sweep.now + self.limits.head_seconds
        self.resume_request()
        return events

    def _violated(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long: answer if that can still be done."""
        responder, self.responder = self.responder, None
        if responder is not None:
            responder.request_broken(violation)
        elif self._answered:
            # In what came before its turn, behind an answer that is yet to be read.
            self._deliver([])
        else:
            self.application.bad_request(self, violation)

    def _finish(self) -> None:
        """
        Close after an answer.

        Closing a socket that holds unread bytes makes the kernel send a reset, which destroys the
        answer on its way (RFC 9112 section 9.6). So where some of the request was not read, we
        close our half and discard what comes, within bounds, until the client has closed.
        """
        if self.exchange.complete or self.input_ended:
            self.close_now()
            return
        self.phase = _LINGER
        self.deadline = self.sweep.now + self._pace.idle_seconds
        # Its bytes count from here; it is the limit on them that ends it, and not their rate.
        self._pace.begin_window(self.sweep.now)
        self.transport.unregisterProducer()
        self._resume()
        self.transport.loseWriteConnection()
