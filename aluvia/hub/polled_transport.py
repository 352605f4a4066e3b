"""
A connection to a tunnel's target that carries whole requests: what stands behind it is a pull.

To its protocol, the edge's :class:`~aluvia.net.http_client.ClientConnection`, it is a TCP
connection to an HTTP/1.1 server. A request that is written comes out as one
:class:`~aluvia.hub.polled.WholeRequest`, and one :class:`~aluvia.hub.polled.WholeAnswer` comes back
as bytes.

.. code-block:: text

    state     meaning                               leaves on
    --------  ------------------------------------  ---------------------------------------------
    READING   between two requests, or in one       its end -> ASKED;  too large, an upgrade, or
                                                    what is no HTTP -> ENDING
    ASKED     the agent has it, or will             the answer -> READING, or ENDING
    ENDING    the last bytes go to the protocol     all of them are there -> OVER
    OVER      nothing is called any more            (``connectionLost`` was, or is about to be)

Whatever goes to the protocol goes in a turn of its own, as with a socket: never from inside what it
calls. Where it fails, ``connectionLost`` is given a :class:`~aluvia.net.errors.DialError` that says
how.
"""

from __future__ import annotations

import collections
import enum
import typing
from http import HTTPStatus

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IProtocol, IPushProducer, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.hub.polled import WholeAnswer, WholeRequest, request_of
from aluvia.net.accept import Clock
from aluvia.net.errors import DialError
from aluvia.net.held import Held
from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.exchange import END, Event, ServerExchange
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["Asks", "PolledTransport"]

log = Logger()

#: What the protocol is given at once; bytes.
PIECE_BYTES = 65_536

_PLAIN: tuple[Field, ...] = ((b"Content-Type", b"text/plain; charset=utf-8"),)
_NO_UPGRADE = (
    "This tunnel's agent is connected by long-polling, which carries whole requests and answers: "
    "no WebSocket goes through it."
)
_TOO_LARGE = DialError("http_request_error", 413, "The request's body is too large.")
_FULL = DialError("connection_limit_reached", 503, "The tunnels hold as much as they may.")
_BAD_ANSWER = DialError("http_protocol_error", 502, "The agent's response is no response.")


class _State(enum.Enum):
    READING = enum.auto()
    ASKED = enum.auto()
    ENDING = enum.auto()
    OVER = enum.auto()


_READING, _ASKED, _ENDING, _OVER = _State


class Asks(typing.Protocol):
    """The session that a transport belongs to."""

    def ask(self, transport: PolledTransport, request: WholeRequest) -> None:
        """
        Have the agent answer a request.

        :raises DialError: it cannot be asked now.
        """

    def give_up(self, transport: PolledTransport) -> None:
        """Nobody waits for the answer any more."""

    def left(self, transport: PolledTransport) -> None:
        """It is over."""


@implementer(ITransport, IPushProducer)
class PolledTransport:
    """
    One connection.

    :param most: of a request's body; bytes.
    :param held: counts the bodies that are here.
    :ivar tunnel_id: where it leads.
    """

    def __init__(
        self,
        session: Asks,
        tunnel_id: str,
        protocol: IProtocol,
        clock: Clock,
        most: int,
        held: Held,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.tunnel_id = tunnel_id
        self.protocol: typing.Any = protocol
        self.connected = True
        self.disconnecting = False
        self._session = session
        self._clock = clock
        self._most = most
        self._held = held
        self._exchange = ServerExchange(limits)
        self._state = _READING
        self._body: list[bytes] = []
        self._request_bytes = 0
        self._answer_bytes = 0
        self._out: collections.deque[bytes] = collections.deque()
        self._at = 0
        self._paused = False
        self._last = False
        self._lost: Exception | None = None
        self._turn: IDelayedCall | None = None

    # What the session calls.

    def was_handed_out(self) -> None:
        """The agent has the whole request: it is not held here any more."""
        self._held.give_back(self._request_bytes)
        self._request_bytes = 0

    def answer(self, answer: WholeAnswer) -> None:
        """Answer the request that is under way."""
        if self._state is not _ASKED:
            return
        self.was_handed_out()
        if not self._held.take(len(answer.body)):
            self._lose(_FULL)
            return
        self._answer_bytes += len(answer.body)
        try:
            self._respond(answer.status, answer.fields, answer.body, answer.length)
        except LocalProtocolError:
            self._lose(_BAD_ANSWER)

    def fail(self, error: DialError) -> None:
        """There is no answer to what is under way, and why."""
        self._lose(error)

    def agent_gone(self, error: DialError) -> None:
        """End: in order between two requests, and behind an answer; else with the error."""
        if self._state is _ASKED or self.in_request:
            self._lose(error)
        elif self._state is _READING and self._out:
            self._state = _ENDING
        elif self._state is _READING:
            self._lose(ConnectionDone())

    @property
    def idle(self) -> bool:
        """Whether it is between two requests, and owes its protocol nothing."""
        return self._state is _READING and self._exchange.idle and not self._out

    @property
    def in_request(self) -> bool:
        """Whether some of a request has come, and not its end."""
        return self._state is _READING and self._exchange.mid_message

    # ITransport, as a protocol needs it.

    def write(self, data: bytes) -> None:
        """Some of a request."""
        if self._state is _ENDING or self._state is _OVER:
            return
        try:
            events = self._exchange.receive(data)
        except ProtocolViolation as violation:
            self._refuse(violation.status, violation.reason)
            return
        for event in events:
            if self._state is not _READING:
                break
            self._read(event)

    def writeSequence(self, data: typing.Iterable[bytes]) -> None:
        """Write them joined."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close. What was asked is not wanted any more."""
        self._lose(ConnectionDone())

    def loseWriteConnection(self) -> None:
        """No more requests come: close behind the answer that is under way, if there is one."""
        if self.idle or self._exchange.mid_message:
            self._lose(ConnectionDone())
        elif self._state is _READING:
            self._state = _ENDING
        else:
            self._last = True

    def abortConnection(self) -> None:
        """Close at once."""
        self._lose(ConnectionAborted())

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Nobody is asked to pause: what is held has a bound."""

    def unregisterProducer(self) -> None:
        """See above."""

    def pauseProducing(self) -> None:
        """Give the protocol nothing for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._paused = False
        self._take_a_turn()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def getPeer(self) -> IPv4Address:
        """No address: there is no connection of its own."""
        return IPv4Address("TCP", "0.0.0.0", 0)

    def getHost(self) -> IPv4Address:
        """Likewise."""
        return IPv4Address("TCP", "0.0.0.0", 0)

    # The request.

    def _read(self, event: Event) -> None:
        if isinstance(event, RequestHead):
            if event.upgrade == b"websocket":
                self._refuse(HTTPStatus.NOT_IMPLEMENTED, _NO_UPGRADE)
            elif event.length > self._most:
                self._lose(_TOO_LARGE)
            elif event.expect_continue:
                self._out.append(self._exchange.informational(100))
                self._take_a_turn()
        elif isinstance(event, bytes):
            self._read_body(event)
        elif event is END:
            self._ask()

    def _read_body(self, data: bytes) -> None:
        if self._request_bytes + len(data) > self._most:
            self._lose(_TOO_LARGE)
        elif not self._held.take(len(data)):
            self._lose(_FULL)
        else:
            self._request_bytes += len(data)
            self._body.append(data)

    def _ask(self) -> None:
        head = self._exchange.request
        assert head is not None
        body, self._body = b"".join(self._body), []
        self._state = _ASKED
        try:
            self._session.ask(self, request_of(head, body))
        except DialError as error:
            self._lose(error)

    # The answer.

    def _refuse(self, status: int, detail: str) -> None:
        body = f"{detail}\n".encode()
        self._last = True
        self._respond(status, _PLAIN, body, len(body))

    def _respond(
        self, status: int, fields: typing.Sequence[Field], body: bytes, length: int
    ) -> None:
        exchange = self._exchange
        try:
            reason = HTTPStatus(status).phrase.encode("ascii")
        except ValueError:
            # It is in use, if not in the registry.
            reason = b""
        head = exchange.respond(status, reason, fields, length, close=self._last)
        # Nothing of the body where there is none, as to a HEAD.
        self._out.append(head + exchange.data(body))
        exchange.end()
        if exchange.must_close:
            self._state = _ENDING
        else:
            exchange.next_cycle()
            self._state = _READING
        self._take_a_turn()

    def _take_a_turn(self) -> None:
        if self._turn is None and self._state is not _OVER:
            self._turn = self._clock.callLater(0, self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        while self._out and not self._paused and self._state is not _OVER:
            first = self._out[0]
            piece = first[self._at : self._at + PIECE_BYTES]
            self._at += len(piece)
            if self._at >= len(first):
                self._out.popleft()
                self._at = 0
            if not self._out:
                self._held.give_back(self._answer_bytes)
                self._answer_bytes = 0
            try:
                self.protocol.dataReceived(piece)
            except Exception:
                log.failure("The protocol of a polled connection failed, and it is closed")
                self._lose(ConnectionLost())
        if self._state is _ENDING and not self._out:
            self._lose(ConnectionDone())

    # The end.

    def _lose(self, why: Exception) -> None:
        state = self._state
        if state is _OVER:
            return
        self._state = _OVER
        self.disconnecting = True
        if state is _ASKED:
            self._session.give_up(self)
        self._held.give_back(self._request_bytes + self._answer_bytes)
        self._request_bytes = self._answer_bytes = 0
        self._out.clear()
        self._body = []
        self._lost = why
        if self._turn is not None:
            self._turn.cancel()
        self._turn = self._clock.callLater(0, self._tell)

    def _tell(self) -> None:
        self._turn = None
        self.connected = False
        self._session.left(self)
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(Failure(self._lost))
