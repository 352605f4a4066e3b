"""
One request with its whole body, and the whole answer to it: where nothing needs to be streamed.

.. code-block:: text

    state      leaves on
    ---------  ----------------------------------------------------------------------------------
    DIALLING   connected -> ASKING;  failed, silence, cancelled -> OVER
    ASKING     the end of the answer, a body that is too long, a failure, silence, cancelled -> OVER
    OVER       the connection is kept, if it may be used again and somebody keeps it, or closed

A redirect or a coding of the answer is its own affair. Silence is that neither side has moved a
byte: what is long may take as long as it moves.
"""

from __future__ import annotations

import typing

import attrs
from twisted.internet.defer import Deferred

from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.resolve import Failed
from aluvia.wire.exchange import END, Event
from aluvia.wire.head import ResponseHead
from aluvia.wire.headers import Field

__all__ = ["Dial", "WholeAnswer", "WholeCall", "WholeRequest", "call"]

#: What is written at once of a body; bytes.
PIECE_BYTES = 65_536


class Dial(typing.Protocol):
    """Connects a protocol, as :meth:`aluvia.net.dial.Dialer.dial` does, to where it is to lead."""

    def __call__(self, protocol: typing.Any, failed: Failed) -> Dialing:
        """Begin."""


@attrs.frozen
class WholeRequest:
    """
    What is asked.

    :ivar fields: Host first, then end-to-end ones.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    fields: typing.Sequence[Field] = attrs.field(repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen
class WholeAnswer:
    """
    What is answered.

    :ivar head: the final one.
    """

    head: ResponseHead = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Bounds:
    """
    Of one call.

    :ivar most: of the answer's body; bytes.
    :ivar silence: seconds in which nothing moves.
    """

    most: int
    silence: float


def call(
    connection: ClientConnection,
    request: WholeRequest,
    sweep: Sweep,
    *,
    most: int,
    silence: float,
    dial: Dial | None = None,
    keep: typing.Callable[[ClientConnection], object] | None = None,
) -> Deferred[WholeAnswer]:
    """
    Ask.

    :param connection: fresh, or idle and used before.
    :param most: of the answer's body; bytes.
    :param silence: after which it is given up; seconds, noticed at the next look of the sweep.
    :param dial: connects a fresh one.
    :param keep: is given a connection that may be used again, behind a whole answer.
    :return: fires with the answer, or fails with :class:`~aluvia.net.errors.DialError`:
        ``http_response_body_size``, ``http_response_timeout``, or what the connection came to.
        Cancelled, it leaves nothing.
    :raises aluvia.wire.errors.LocalProtocolError: no request can be made of this.
    """
    made = WholeCall(connection, request, sweep, Bounds(most=most, silence=silence), keep)
    made.begin(dial)
    return made.done


class WholeCall:
    """Who waits for the answer; a :class:`~aluvia.net.http_client.Requester`."""

    def __init__(
        self,
        connection: ClientConnection,
        request: WholeRequest,
        sweep: Sweep,
        bounds: Bounds,
        keep: typing.Callable[[ClientConnection], object] | None,
    ) -> None:
        self.done: Deferred[WholeAnswer] = Deferred(lambda _: self._end())
        self._connection = connection
        self._exchange = connection.exchange
        self._head = self._exchange.request(
            request.method, request.target, request.fields, len(request.body)
        )
        self._body = request.body
        self._written = 0
        self._sweep = sweep
        self._bounds = bounds
        self._keep = keep
        self._dialing: Dialing | None = None
        self._connected = self._paused = self._asked = self._over = False
        self._response: ResponseHead | None = None
        self._taken: list[bytes] = []
        self._size = 0
        self.deadline = 0.0
        connection.requester = self

    def begin(self, dial: Dial | None) -> None:
        """Connect, or ask at once; it may be over before this returns."""
        self._moved()
        self._sweep.watch(self)
        if dial is None:
            self.upstream_connected()
            return
        dialing = dial(self._connection, self.upstream_failed)
        if not (self._connected or self._over):
            self._dialing = dialing

    # What the connection tells.

    def upstream_connected(self) -> None:
        """Ask."""
        self._connected = True
        self._dialing = None
        self._moved()
        self._connection.transport.write(self._head)
        self._write()

    def response_events(self, events: list[Event]) -> None:
        """Some of the answer."""
        self._moved()
        for event in events:
            if isinstance(event, bytes):
                self._size += len(event)
                if self._size > self._bounds.most:
                    self._too_long()
                    return
                self._taken.append(event)
            elif isinstance(event, ResponseHead) and not event.informational:
                self._response = event
                if event.length > self._bounds.most:
                    self._too_long()
                    return
            elif event is END:
                self._answered()

    def upstream_failed(self, error: DialError) -> None:
        """There is none."""
        self._fail(error)

    def pause_request(self) -> None:
        """It is read slowly."""
        self._paused = True

    def resume_request(self) -> None:
        """It was read."""
        self._paused = False
        self._moved()
        self._write()

    def deadline_passed(self, now: float) -> None:
        """Nothing moves."""
        self._fail(DialError("http_response_timeout", 504, "No answer came in time."))

    # Inside.

    def _moved(self) -> None:
        self.deadline = self._sweep.now + self._bounds.silence

    def _write(self) -> None:
        while not (self._paused or self._over) and self._written < len(self._body):
            piece = self._body[self._written : self._written + PIECE_BYTES]
            self._written += len(piece)
            self._connection.transport.write(self._exchange.data(piece))
        if self._written == len(self._body) and not (self._over or self._asked):
            self._asked = True
            self._exchange.end()

    def _answered(self) -> None:
        assert self._response is not None  # END comes behind a final head
        answer = WholeAnswer(self._response, b"".join(self._taken))
        self._rest()
        connection = self._connection
        if self._keep is not None and self._exchange.reusable:
            self._exchange.next_cycle()
            connection.requester = None
            connection.reused = True
            self._keep(connection)
        else:
            connection.close()
        self.done.callback(answer)

    def _too_long(self) -> None:
        self._fail(DialError("http_response_body_size", 502, "The response's body is too large."))

    def _fail(self, error: DialError) -> None:
        if not self._over:
            self._end()
            self.done.errback(error)

    def _end(self) -> None:
        self._rest()
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()
        self._connection.requester = None
        if self._connected:
            self._connection.abort()

    def _rest(self) -> None:
        self._over = True
        self._sweep.forget(self)
        self._taken.clear()
