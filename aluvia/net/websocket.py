"""
A WebSocket over one of our transports (RFC 6455): wsproto's, with a thin adapter.

.. code-block:: text

    state     leaves on
    --------  ------------------------------------------------------------------------------------
    OPENING   the handshake is agreed on -> OPEN;  it is refused, late, or no handshake -> OVER
    OPEN      close(), the peer's CLOSE, a violation -> CLOSING, our CLOSE is on its way;  the
              connection is lost -> OVER
    CLOSING   the peer's CLOSE or its FIN, or :data:`CLOSE_SECONDS` -> OVER
    OVER      the owner was told

Nothing is compressed: what is carried is frames of a mux, mostly of what is compressed already. A
message of bytes is handed on as it comes, in pieces: whoever takes it knows where it ends. A text
is handed on as a whole, and is bounded. A ping is answered; of those that come while the peer does
not read, the last one.
"""

from __future__ import annotations

import enum
import math
import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.wire.headers import Field

__all__ = ["CLOSE_SECONDS", "HandshakeRefused", "WebSocket", "WebSocketOwner", "accept_websocket"]

#: For the peer to answer our CLOSE; seconds.
CLOSE_SECONDS = 5.0

#: For the whole of a handshake, once the connection is up; seconds.
HANDSHAKE_SECONDS = 10.0

#: RFC 6455 section 7.4.1.
NORMAL, GOING_AWAY, PROTOCOL_ERROR, TOO_BIG = 1000, 1001, 1002, 1009


class HandshakeRefused(Exception):
    """
    The server did not agree to a WebSocket.

    :ivar status: its answer's; 0 if there was none.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail

    def __str__(self) -> str:
        """Return the sentence."""
        return self.detail


class WebSocketOwner(typing.Protocol):
    """What a WebSocket is for."""

    def websocket_open(self) -> None:
        """The handshake is agreed on."""

    def data_received(self, data: bytes) -> None:
        """Bytes of binary messages, in order; where messages end does not show."""

    def text_received(self, text: str) -> None:
        """A whole text message."""

    def websocket_ended(self, why: BaseException) -> None:
        """
        It is over; called once.

        :param why: HandshakeRefused, a ConnectionDone whose text is the peer's reason, or what the
            connection was lost with.
        """


class _State(enum.Enum):
    OPENING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()
    OVER = enum.auto()


@implementer(IProtocol, IPushProducer)
class WebSocket:
    """
    One end of one, the protocol of its transport.

    :param request: as a client, what to ask for; None as a server.
    :param text_bytes: the most that one text message has.
    """

    def __init__(
        self,
        owner: WebSocketOwner,
        sweep: Sweep,
        *,
        request: Request | None = None,
        text_bytes: int = 65_536,
    ) -> None:
        self.transport: typing.Any = None
        self.factory: typing.Any = None
        self.deadline = math.inf
        self._owner = owner
        self._sweep = sweep
        self._request = request
        self._text_bytes = text_bytes
        self._text: list[str] = []
        self._text_size = 0
        self._state = _State.OPENING
        self._why: BaseException | None = None
        self._producer: IPushProducer | None = None
        self._paused = False
        self._ping: Ping | None = None
        self._connection = WSConnection(
            ConnectionType.SERVER if request is None else ConnectionType.CLIENT
        )

    def makeConnection(self, transport: typing.Any) -> None:
        """The connection is up: as a client, ask."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self.deadline = self._sweep.now + HANDSHAKE_SECONDS
        self._sweep.watch(self)
        if self._request is not None:
            self.transport.write(self._connection.send(self._request))

    def use_producer(self, producer: IPushProducer) -> None:
        """Who writes is told when to pause and when to resume."""
        self._producer = producer
        self.transport.registerProducer(self, True)

    # Sending.

    def send(self, message: bytes) -> None:
        """Send bytes, as one message. Nothing if it is not open."""
        if self._state is _State.OPEN:
            self.transport.write(self._connection.send(BytesMessage(message)))

    def send_text(self, text: str) -> None:
        """Send a text. Nothing if it is not open."""
        if self._state is _State.OPEN:
            self.transport.write(self._connection.send(TextMessage(text)))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """
        End it in order; the owner is told when it is over.

        :param reason: for people; of it 123 bytes are sent.
        """
        if self._state is _State.OPEN:
            self._close(code, reason)
        elif self._state is _State.OPENING:
            self.abort()

    def abort(self) -> None:
        """End it at once; the owner is told."""
        if self._state is not _State.OVER and self.transport is not None:
            self.transport.abortConnection()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        """Read it, and hand it on."""
        connection = self._connection
        try:
            connection.receive_data(data)
            for event in connection.events():
                if type(event) is BytesMessage and self._state is _State.OPEN:
                    self._owner.data_received(bytes(event.data))
                else:
                    self._event(event)
        except RemoteProtocolError as error:
            self._violated(error)

    def connectionLost(self, reason: Failure) -> None:
        """It is over."""
        if self._state is _State.OVER:
            return
        opening = self._state is _State.OPENING
        self._state = _State.OVER
        self._sweep.forget(self)
        why = self._why
        if why is None and opening and self._request is not None:
            why = HandshakeRefused(0, "The connection closed before the handshake was through.")
        self._owner.websocket_ended(why or reason.value or ConnectionDone())

    def pauseProducing(self) -> None:
        """The peer reads slowly."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._paused = False
        ping, self._ping = self._ping, None
        if ping is not None and self._state is _State.OPEN:
            self._answer(ping)
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Loss is told by :meth:`connectionLost`."""

    def deadline_passed(self, now: float) -> None:
        """The handshake, or the end, has taken too long."""
        if self._state is _State.OPENING:
            self._why = HandshakeRefused(0, "The handshake took too long.")
        self.deadline = math.inf
        self.transport.abortConnection()

    # Inside.

    def opened(self) -> None:
        """As a server: the answer is written."""
        self._state = _State.OPEN
        self.deadline = math.inf
        self._sweep.forget(self)
        self._owner.websocket_open()

    def _event(self, event: Event) -> None:
        if self._state is _State.CLOSING:
            if isinstance(event, CloseConnection):
                self.transport.loseConnection()
        elif isinstance(event, TextMessage):
            self._text_received(event)
        elif isinstance(event, Ping):
            if self._paused:
                self._ping = event
            else:
                self._answer(event)
        elif isinstance(event, CloseConnection):
            self._peer_closed(event)
        elif isinstance(event, AcceptConnection):
            self.opened()
        elif isinstance(event, RejectConnection):
            self._refused(event.status_code)
        elif not isinstance(event, Pong | RejectData | BytesMessage):
            raise RemoteProtocolError("an event out of turn")

    def _answer(self, ping: Ping) -> None:
        self.transport.write(self._connection.send(ping.response()))

    def _text_received(self, event: TextMessage) -> None:
        self._text_size += len(event.data)
        if self._text_size > self._text_bytes:
            self._close(TOO_BIG, "The text is too long.")
            return
        self._text.append(event.data)
        if event.message_finished:
            text = "".join(self._text)
            self._text = []
            self._text_size = 0
            self._owner.text_received(text)

    def _peer_closed(self, event: CloseConnection) -> None:
        reason = "".join(char if char.isprintable() else "?" for char in event.reason or "")
        self._why = ConnectionDone(reason or f"The other side closed, with {event.code}.")
        self._state = _State.CLOSING
        if self._connection.state is ConnectionState.REMOTE_CLOSING:
            self.transport.write(self._connection.send(event.response()))
        self._wait_for_the_end()
        self.transport.loseConnection()

    def _refused(self, status: int) -> None:
        self._why = HandshakeRefused(status, f"The server answered {status}, and not with 101.")
        self.transport.abortConnection()

    def _violated(self, error: RemoteProtocolError) -> None:
        if self._state is _State.OPENING:
            self._why = HandshakeRefused(0, "The answer is no handshake of a WebSocket.")
            self.transport.abortConnection()
        elif self._state is _State.OPEN:
            hint = error.event_hint
            code = hint.code if isinstance(hint, CloseConnection) else PROTOCOL_ERROR
            self._why = ConnectionDone("The other side broke the rules of WebSockets.")
            self._close(int(code), "That is no WebSocket.")
        else:
            self.transport.abortConnection()

    def _close(self, code: int, reason: str) -> None:
        self._state = _State.CLOSING
        try:
            data = self._connection.send(CloseConnection(code, reason))
        except LocalProtocolError:
            # What came has ended it for wsproto.
            self.transport.abortConnection()
            return
        self.transport.write(data)
        self._wait_for_the_end()

    def _wait_for_the_end(self) -> None:
        # Whoever writes would hold up our end.
        self.transport.unregisterProducer()
        self.deadline = self._sweep.now + CLOSE_SECONDS
        self._sweep.watch(self)


def accept_websocket(
    websocket: WebSocket, target: bytes, fields: typing.Sequence[Field]
) -> list[Field]:
    """
    Agree to a client's request for a WebSocket.

    :param fields: of the request's head.
    :return: the fields of a 101, to be written; then :meth:`WebSocket.opened` is to be called.
    :raises RemoteProtocolError: it is no such request (RFC 6455 section 4.2.1).
    """
    connection = websocket._connection
    connection.initiate_upgrade_connection([*fields], target.decode("ascii"))
    for event in connection.events():
        if isinstance(event, Request):
            # wsproto writes the head as well; we have our own way to do that.
            lines = connection.send(AcceptConnection()).split(b"\r\n")[1:-2]
            pairs = [line.partition(b": ")[::2] for line in lines]
            return [(name.title(), value) for name, value in pairs]
    raise RemoteProtocolError("there is no request")
