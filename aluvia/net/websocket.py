"""
A WebSocket over one of our transports (RFC 6455): a thin adapter of what ``websockets`` has without
I/O. (It masks in C; in Python that costs more than TLS and all the rest of a tunnel together.)

.. code-block:: text

    state     leaves on
    --------  ------------------------------------------------------------------------------------
    OPENING   the handshake is agreed on -> OPEN;  it is refused, late, or no handshake -> OVER
    OPEN      close(), the peer's CLOSE, a violation -> CLOSING, our CLOSE is on its way;  the
              connection is lost -> OVER
    CLOSING   the peer's CLOSE or its FIN, or :data:`CLOSE_SECONDS` -> OVER
    OVER      the owner was told

Nothing is compressed: what is carried is frames of a mux, mostly of what is compressed already.
Messages are bounded. Pings are answered; a peer that sends many and does not read is cut off.
"""

from __future__ import annotations

import enum
import logging
import math
import typing

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.wire.headers import Field

__all__ = [
    "CLOSE_SECONDS",
    "HANDSHAKE_SECONDS",
    "MESSAGE_BYTES",
    "MOST_UNANSWERED_PINGS",
    "Asked",
    "Close",
    "HandshakeRefused",
    "WebSocket",
    "WebSocketClosed",
    "WebSocketOwner",
]

#: For the peer to answer our CLOSE; seconds.
CLOSE_SECONDS = 5.0

#: For the whole of a handshake, once the connection is up; seconds.
HANDSHAKE_SECONDS = 10.0

#: The most that one message has, or one piece of it.
MESSAGE_BYTES = 65_536

#: Pings that come while the peer reads nothing.
MOST_UNANSWERED_PINGS = 64

#: It would have keys in it: theirs is told nothing of ours.
_SILENT = logging.Logger("aluvia.net.websocket", logging.CRITICAL + 1)


class Close(enum.IntEnum):
    """Why a WebSocket is closed (RFC 6455 section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    INVALID_DATA = 1007
    TOO_BIG = 1009


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


class WebSocketClosed(Exception):
    """
    The other side has closed it.

    :ivar code: of RFC 6455 section 7.4; 1005 where it said none, 1002 where it broke the rules.
    """

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        """Return the sentence."""
        return self.detail


@attrs.frozen
class Asked:
    """
    What a client asks for.

    :ivar url: ``ws:`` or ``wss:``.
    :ivar fields: besides those of the handshake; there may be a key in them.
    """

    url: str
    fields: typing.Sequence[tuple[str, str]] = attrs.field(default=(), repr=False)


class WebSocketOwner(typing.Protocol):
    """What a WebSocket is for."""

    def websocket_open(self) -> None:
        """The handshake is agreed on."""

    def data_received(self, data: bytes) -> None:
        """A message of bytes, or a piece of one; where messages end does not show."""

    def text_received(self, text: str) -> None:
        """A whole text message."""

    def websocket_ended(self, why: BaseException) -> None:
        """
        It is over; called once, if the connection was made.

        :param why: HandshakeRefused, WebSocketClosed, or what the connection was lost with.
        """


class State(enum.Enum):
    """The table is in the module's docstring."""

    OPENING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()
    OVER = enum.auto()


@implementer(IProtocol, IPushProducer)
class WebSocket:
    """
    One end of one, the protocol of its transport.

    :param asked: by us, as a client; None as a server.
    """

    def __init__(self, owner: WebSocketOwner, sweep: Sweep, asked: Asked | None = None) -> None:
        self.transport: typing.Any = None
        self.factory: typing.Any = None
        self.state = State.OPENING
        self.deadline = math.inf
        self._owner = owner
        self._sweep = sweep
        self._asked = asked
        self._text: bytearray | None = None
        self._why: BaseException | None = None
        self._producer: IPushProducer | None = None
        self._paused = False
        self._pings = 0
        self._protocol: ClientProtocol | ServerProtocol = (
            # Its reader begins behind the request, which is read elsewhere.
            ServerProtocol(state=OPEN, max_size=MESSAGE_BYTES, logger=_SILENT)
            if asked is None
            else ClientProtocol(parse_uri(asked.url), max_size=MESSAGE_BYTES, logger=_SILENT)
        )

    # The handshake.

    def makeConnection(self, transport: typing.Any) -> None:
        """The connection is up: as a client, ask."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Begin the handshake."""
        self.deadline = self._sweep.now + HANDSHAKE_SECONDS
        self._sweep.watch(self)
        if isinstance(self._protocol, ClientProtocol) and self._asked is not None:
            request = self._protocol.connect()
            for name, value in self._asked.fields:
                request.headers[name] = value
            self._protocol.send_request(request)
            self._flush()

    def agree(self, target: bytes, fields: typing.Sequence[Field]) -> list[Field] | None:
        """
        As a server: see whether a client's request can be agreed to.

        :param fields: of the request's head.
        :return: the fields of the 101, without Connection; :meth:`opened` is to be called when that
            is written. None if it is no such request (RFC 6455 section 4.2.1).
        """
        protocol = self._protocol
        assert isinstance(protocol, ServerProtocol)
        headers = Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in fields)
        response = protocol.accept(Request(target.decode("ascii"), headers))
        if response.status_code != 101:
            return None
        pairs = response.headers.raw_items()
        kept = [pair for pair in pairs if pair[0].lower() not in ("connection", "date", "server")]
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in kept]

    def opened(self) -> None:
        """It is agreed on."""
        self.state = State.OPEN
        self._rest()
        # Whether there is anybody who writes or not: what is answered to pings is bounded by it.
        self.transport.registerProducer(self, True)
        self._owner.websocket_open()

    # Sending.

    @property
    def _may_send(self) -> bool:
        # The peer's CLOSE may have been read, and the messages before it are told first.
        return self.state is State.OPEN and self._protocol.state is OPEN

    def use_producer(self, producer: IPushProducer) -> None:
        """Who writes is told when to pause and when to resume."""
        self._producer = producer
        if self._paused:
            producer.pauseProducing()

    def send(self, messages: typing.Sequence[bytes]) -> None:
        """Send messages of bytes. Nothing if it is not open."""
        if self._may_send:
            for message in messages:
                self._protocol.send_binary(message)
            self.transport.write(b"".join(self._protocol.data_to_send()))

    def send_text(self, text: str) -> None:
        """Send a text. Nothing if it is not open."""
        if self._may_send:
            self._protocol.send_text(text.encode("utf-8"))
            self._flush()

    def close(self, code: Close = Close.NORMAL, reason: str = "") -> None:
        """
        End it in order; the owner is told when it is over.

        :param reason: for people; of it 120 bytes are sent.
        """
        if self._may_send:
            self._protocol.send_close(int(code), _short(reason))
            self._flush()
            self._closing()
        elif self.state is State.OPENING:
            self.abort()

    def abort(self) -> None:
        """End it at once; the owner is told."""
        if self.state is not State.OVER and self.transport is not None:
            self.transport.abortConnection()

    # What the transport tells.

    def dataReceived(self, data: bytes) -> None:
        """Read it, and hand it on."""
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Frame):
                if self.state is State.OPEN:
                    self._frame(event)
            elif isinstance(event, Response):
                self._answered(event)
        if self.state is State.OPENING and protocol.handshake_exc is not None:
            self._refused(HandshakeRefused(0, "The answer is no handshake of a WebSocket."))
        elif protocol.writes:
            self._flush()
        if protocol.close_expected() and self.state is State.OPEN:
            self._peer_closed()

    def pauseProducing(self) -> None:
        """The peer reads slowly."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """It has caught up."""
        self._paused = False
        self._pings = 0
        if self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """Loss is told by :meth:`connectionLost`."""

    def connectionLost(self, reason: Failure) -> None:
        """It is over."""
        if self.state is State.OVER:
            return
        opening = self.state is State.OPENING
        self.state = State.OVER
        self._rest()
        why = self._why
        if why is None and opening:
            why = HandshakeRefused(0, "The connection closed before the handshake was through.")
        self._owner.websocket_ended(why or reason.value or ConnectionDone())

    def deadline_passed(self, now: float) -> None:
        """The handshake, or the end, has taken too long."""
        if self.state is State.OPENING:
            self._why = HandshakeRefused(0, "The handshake took too long.")
        self._rest()
        self.transport.abortConnection()

    # Inside.

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY or (opcode is Opcode.CONT and self._text is None):
            self._owner.data_received(bytes(frame.data))
        elif opcode in (Opcode.TEXT, Opcode.CONT):
            if self._text is None:
                self._text = bytearray()
            # Not a list of the fragments: empty ones count nothing against the length of a
            # message, and there may be any number of them.
            self._text += frame.data
            if frame.fin:
                text, self._text = bytes(self._text), None
                self._text_received(text)
        elif opcode is Opcode.PING and self._paused:
            self._pings += 1
            if self._pings > MOST_UNANSWERED_PINGS:
                self.abort()

    def _text_received(self, data: bytes) -> None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            self.close(Close.INVALID_DATA, "A text is UTF-8.")
        else:
            self._owner.text_received(text)

    def _answered(self, response: Response) -> None:
        if self._protocol.handshake_exc is None:
            self.opened()
        else:
            status = response.status_code
            said = f"The server answered {status}, and not 101."
            if status == 101:
                said = "The server's 101 is no answer to our handshake."
            self._refused(HandshakeRefused(status, said))

    def _refused(self, why: HandshakeRefused) -> None:
        self._why = self._why or why
        self.transport.abortConnection()

    def _peer_closed(self) -> None:
        """It has sent its CLOSE, or what is no WebSocket; our CLOSE is on its way."""
        protocol = self._protocol
        said = protocol.close_rcvd
        if protocol.parser_exc is not None:
            detail = "The other side broke the rules of WebSockets."
            self._why = WebSocketClosed(int(Close.PROTOCOL_ERROR), detail)
        elif said is not None:
            reason = "".join(char if char.isprintable() else "?" for char in said.reason)
            detail = reason or f"The other side closed it, with {said.code}."
            self._why = WebSocketClosed(said.code, detail)
        self._closing()
        if self._asked is None:
            self.transport.loseConnection()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                # Behind our CLOSE nothing is sent: theirs would go on to answer pings.
                if self.state is not State.CLOSING:
                    self.transport.write(data)
            elif self.state is not State.OPENING:
                self.transport.loseConnection()

    def _closing(self) -> None:
        self.state = State.CLOSING
        # Whoever writes would hold up our end.
        self.transport.unregisterProducer()
        self.deadline = self._sweep.now + CLOSE_SECONDS
        self._sweep.watch(self)

    def _rest(self) -> None:
        self.deadline = math.inf
        self._sweep.forget(self)


def _short(reason: str) -> str:
    return reason.encode("utf-8")[:120].decode("utf-8", "ignore")
