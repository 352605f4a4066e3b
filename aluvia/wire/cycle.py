"""The states of an exchange, the table of its steps, and what both of its ends do alike.

The whole is explained in ``exchange.py``.
"""

from __future__ import annotations

import abc
import enum
import re
import typing

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import (
    CHUNKED,
    END,
    UNTIL_CLOSE,
    BodyReader,
    EndOfMessage,
    ExactReader,
    Trailers,
    write_chunk,
    write_last_chunk,
)
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.headers import Field, owned
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "AGREED",
    "BODY",
    "BROKEN",
    "DONE",
    "HEAD_END",
    "IDLE",
    "NO_BODY",
    "OPAQUE",
    "TRANSITIONS",
    "Event",
    "Exchange",
    "State",
    "Step",
    "after",
    "completed",
]

Event = RequestHead | ResponseHead | bytes | Trailers | EndOfMessage


class State(enum.IntEnum):
    """Where one half of an exchange is. (IntEnum, because an Enum's hash is slow.)"""

    IDLE = enum.auto()
    """Before the end of the head of a message."""
    BODY = enum.auto()
    """The head is through, the rest goes on."""
    DONE = enum.auto()
    """The message is whole."""
    AGREED = enum.auto()
    """The server said that what follows is not HTTP."""
    OPAQUE = enum.auto()
    """It is not HTTP, and not ours."""
    BROKEN = enum.auto()
    """The peer broke the rules; whatever comes is dropped."""


class Step(enum.IntEnum):
    """What can happen to a half."""

    HEAD = enum.auto()
    AGREE = enum.auto()
    DATA = enum.auto()
    END = enum.auto()
    NEXT = enum.auto()
    SWITCH = enum.auto()
    BREAK = enum.auto()


IDLE, BODY, DONE = State.IDLE, State.BODY, State.DONE
AGREED, OPAQUE, BROKEN = State.AGREED, State.OPAQUE, State.BROKEN

TRANSITIONS: typing.Final[dict[Step, dict[State, State]]] = {
    # a head that is not informational; those change nothing
    Step.HEAD: {IDLE: BODY},
    # the head of a 2xx to a CONNECT, or of a 101
    Step.AGREE: {IDLE: AGREED},
    Step.DATA: {BODY: BODY},
    Step.END: {BODY: DONE},
    Step.NEXT: {DONE: IDLE},
    Step.SWITCH: {DONE: OPAQUE, AGREED: OPAQUE},
    # only the half that is read
    Step.BREAK: {IDLE: BROKEN, BODY: BROKEN, DONE: BROKEN, AGREED: BROKEN},
}

HEAD_END = b"\r\n\r\n"

# The length of a body that there never is, whatever the head declares: data for it is dropped.
NO_BODY = -3

_bare_line_end = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)").search


def after(step: Step, state: State) -> State:
    """Return the state that a step leads to.

    :raises LocalProtocolError: the table does not have it.
    """
    next_state = TRANSITIONS[step].get(state)
    if next_state is None:
        raise LocalProtocolError(f"{step.name} is not possible when {state.name}.")
    return next_state


def completed(
    head: bytes, fields: typing.Sequence[Field], framing: bytes, option: bytes = b""
) -> bytes:
    """Put our own fields behind the caller's.

    :param head: as the caller's fields make it.
    :param framing: a whole line, or nothing.
    :param option: for Connection, or nothing. ``Upgrade`` comes with an Upgrade field.
    :raises LocalProtocolError: a field of the caller's is one that only we may write, or the
        message could come to say two things about its own end.
    """
    ours = owned(fields)
    if ours:
        if len(ours) > 1 or b"upgrade" not in ours:
            raise LocalProtocolError("The exchange itself writes the framing and Connection.")
        option = option + b", Upgrade" if option else b"Upgrade"
    if option:
        framing = b"%bConnection: %b\r\n" % (framing, option)
    return b"%b%b\r\n" % (head[:-2], framing) if framing else head


class Exchange(abc.ABC):
    """What both ends do alike: find the end of a head, read a body, write a body."""

    __slots__ = (
        "_buffer",
        "_closing",
        "_left",
        "_line_judged",
        "_reader",
        "_searched",
        "limits",
        "reading",
        "writing",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self.reading = IDLE
        self.writing = IDLE
        # A head that is not whole, or bytes that came early; which one, reading tells.
        self._buffer = bytearray()
        # Where no end of a head can begin, so that a head that comes byte by byte is searched once.
        self._searched = 0
        self._line_judged = False
        self._reader: BodyReader | None = None
        # Of the body that is written: what is left of it, or one of the constants.
        self._left = 0
        self._closing = False

    @property
    def held(self) -> int:
        """How many bytes are kept that belong behind the current message."""
        return len(self._buffer) if self.reading is DONE or self.reading is AGREED else 0

    def data(self, chunk: bytes) -> bytes:
        """Return a piece of the body as it is sent; nothing where there is no body to send.

        :raises LocalProtocolError: the head is not written, or this is more than it declared.
        """
        if self.writing is not BODY:
            after(Step.DATA, self.writing)
        left = self._left
        if left >= 0:
            left -= len(chunk)
            if left < 0:
                raise LocalProtocolError("This is more than the declared length.")
            self._left = left
            return chunk
        if left == CHUNKED:
            return write_chunk(chunk) if chunk else b""
        return chunk if left == UNTIL_CLOSE else b""

    def end(self, trailers: typing.Sequence[Field] = ()) -> bytes:
        """Return the end of the message as it is sent. Every message has one, if it is empty.

        :param trailers: dropped where the framing has no place for them (RFC 9110 §6.5).
        :raises LocalProtocolError: the message has no head, or is shorter than it declared.
        """
        done = DONE if self.writing is BODY else after(Step.END, self.writing)
        if self._left > 0:
            raise LocalProtocolError("This is less than the declared length.")
        ending = write_last_chunk(trailers) if self._left == CHUNKED else b""
        self.writing = done
        return ending

    # A body of known length is opaque: its bytes may go from one connection to another without us.

    @property
    def unread(self) -> int:
        """How much of a body of known length has yet to be read; 0 for any other."""
        reader = self._reader
        return reader.left if isinstance(reader, ExactReader) else 0

    @property
    def unwritten(self) -> int:
        """How much of a body of known length has yet to be written; 0 for any other."""
        return self._left if self.writing is BODY and self._left > 0 else 0

    def was_read(self, count: int) -> list[Event]:
        """Somebody else has read so much of the body.

        :return: :data:`END`, if that was all.
        :raises LocalProtocolError: there is not so much :attr:`unread`.
        """
        reader = self._reader
        if not isinstance(reader, ExactReader) or count > reader.left:
            raise LocalProtocolError("There is not so much to be read.")
        reader.left -= count
        if reader.left:
            return []
        self._reader = None
        self.reading = DONE
        return [END]

    def was_written(self, count: int) -> None:
        """Somebody else has written so much of the body.

        :raises LocalProtocolError: there is not so much :attr:`unwritten`.
        """
        if count > self.unwritten:
            raise LocalProtocolError("There is not so much to be written.")
        self._left -= count

    def _cut_head(self) -> bytes | None:
        """Take a whole head from the front of the buffer, or None while it is not whole.

        :raises ProtocolViolation: it is too large, or what there is can no longer become a head.
            A peer that does not speak HTTP need not wait for its deadline to be told so.
        """
        buffer = self._buffer
        searched = self._searched
        end = buffer.find(HEAD_END, searched) + len(HEAD_END)
        if end < len(HEAD_END):
            if len(buffer) > self.limits.head_bytes:
                raise self._too_large()
            if not self._line_judged:
                line = buffer.find(b"\r\n", searched) + 2
                if line > 1:
                    self._judge_line(bytes(buffer[:line]))
                    self._line_judged = True
                else:
                    self._judge_opening(buffer)
            if _bare_line_end(buffer, searched):
                raise ProtocolViolation(400, "A line of the head ends with a bare CR or LF.")
            self._searched = max(0, len(buffer) - 3)
            return None
        if end > self.limits.head_bytes:
            raise self._too_large()
        raw = bytes(buffer[:end])
        del buffer[:end]
        self._searched = 0
        self._line_judged = False
        return raw

    def _too_large(self) -> ProtocolViolation:
        return ProtocolViolation(431, "The head is too large.", "http_response_header_section_size")

    @abc.abstractmethod
    def _judge_line(self, line: bytes) -> None:
        """Object to a first line that is none; it has its CRLF."""

    @abc.abstractmethod
    def _judge_opening(self, buffer: bytearray) -> None:
        """Object to a beginning that no first line has."""

    def _feed(self, data: bytes, events: list[Event]) -> list[Event]:
        """Read a body on."""
        assert self._reader is not None
        behind = self._reader.feed(data, events)
        if behind is not None:
            self._reader = None
            self.reading = DONE
            events.append(END)
            if behind:
                self._keep(behind)
        return events

    def _keep(self, data: bytes) -> None:
        """Keep what belongs behind the current message."""
        if len(self._buffer) + len(data) > self.limits.held_bytes:
            raise ProtocolViolation(400, "Too much came before its turn.")
        self._buffer += data

    def _break(self) -> None:
        self.reading = after(Step.BREAK, self.reading)
        self._reader = None
        self._buffer.clear()

    def _take_over(self) -> bytes:
        """Both halves become opaque; return what was kept."""
        self.reading, self.writing = (
            after(Step.SWITCH, self.reading),
            after(Step.SWITCH, self.writing),
        )
        early = bytes(self._buffer)
        self._buffer.clear()
        return early
