"""
A request before it is at a backend: asked about, and admitted.

.. code-block:: text

    stage     leaves on
    --------  --------------------------------------------------------------------------------
    ASKED     admitted -> QUEUED;  denied -> OVER, answered with that
              but its client has its share of those whose body is on its way -> OVER, 429
    QUEUED    a slot -> PICKED;  no room in line, or too long -> OVER, 503
    PICKED    see :mod:`aluvia.edge.passage`; an answer that is a stream -> STREAM
    STREAM    its end, either side's -> OVER
    OVER      never

A request has a slot of its route while it is PICKED. A stream (a WebSocket, or events) has given it
back, and has a place among the route's streams.
"""

from __future__ import annotations

import abc
import enum
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.admission import LineFull
from aluvia.edge.answers import Refusal
from aluvia.edge.told import ToldPassage
from aluvia.edge.verdicts import Admitted, Asked, Denied, Verdict
from aluvia.net.errors import DialError
from aluvia.wire.headers import Field

__all__ = ["LATER", "EnteringPassage", "Stage"]

log = Logger()

#: When to come back to what is full, and to what is not there.
SOON = ((b"Retry-After", b"1"),)
LATER = ((b"Retry-After", b"5"),)

_LINE_FULL = Refusal(503, "connection_limit_reached", "Too many requests wait.", SOON)
_BODIES = Refusal(
    429, "http_request_denied", "Too many requests of this client are on their way.", SOON
)
_LATE = Refusal(503, "connection_limit_reached", "It waited too long for its turn.", SOON)


class Stage(enum.Enum):
    """How far a request is; the table is above."""

    ASKED = enum.auto()
    QUEUED = enum.auto()
    PICKED = enum.auto()
    STREAM = enum.auto()
    OVER = enum.auto()


_ASKED, _QUEUED, _PICKED, _STREAM, _OVER = Stage


class EnteringPassage(ToldPassage):
    """
    A request on its way to a slot.

    :ivar stage: how far it is.
    :ivar host: whom it is for; canonical.
    """

    stage = _ASKED
    host: str
    _added: typing.Sequence[Field] = ()
    _asking: Deferred[typing.Any] | None = None
    #: Whether it is counted as one whose body is on its way.
    _body_counts = False

    @abc.abstractmethod
    def _go(self) -> None:
        """It has a slot: to a backend."""

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
            fields = tuple(denied.fields)
            self.refuse(Refusal(denied.status, denied.cause, denied.detail, fields))
            return
        client = self.client
        self.status = denied.status
        self._bytes_down += len(denied.body)
        self.let_go()
        self.release(denied.cause)
        client.answer(denied.status, denied.reason, denied.fields, denied.body)

    def _enter(self) -> None:
        """Take a slot, or a place in line."""
        if self.head.length and self.client.exchange.mid_message:
            if not self.live.admission.body_begins(self.client_is.address):
                self.refuse(_BODIES)
                return
            self._body_counts = True
        self.stage = _QUEUED
        try:
            if self.live.admission.enter(self):
                self.stage = _PICKED
                self.queued = 0.0
                self._go()
        except LineFull:
            self.refuse(_LINE_FULL)

    def admitted(self) -> None:
        """It has a slot now."""
        self.stage = _PICKED
        self.queued = self.proxy.clock() - self.began
        try:
            self._go()
        except Exception:
            # One request's fault, and not that of the others in line.
            self._broke(Failure())

    def waited_too_long(self) -> None:
        """It has no slot, and will have none."""
        self.queued = self.proxy.clock() - self.began
        self.refuse(_LATE)

    def _body_ended(self) -> None:
        if self._body_counts:
            self._count_no_more()

    def _count_no_more(self) -> None:
        self._body_counts = False
        self.live.admission.body_is_over(self.client_is.address)

    def let_go(self) -> None:
        """Leave nothing of it anywhere."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
        if self.stage is _QUEUED:
            self.live.admission.withdraw(self)
        super().let_go()

    def release(self, outcome: str) -> None:
        """Count it, and give back what it has."""
        if self.released:
            return
        stage, self.stage = self.stage, _OVER
        if self._body_counts:
            self._count_no_more()
        if stage is _STREAM:
            self.live.streams -= 1
        try:
            super().release(outcome)
        finally:
            if stage is _PICKED:
                # Last: whoever has the slot next begins at once.
                self.live.admission.leave()
