"""Where a body ends: one reader per framing, and the writing of chunks.

The length of a body is an int everywhere: zero or more is an exact count of bytes,
:data:`CHUNKED` and :data:`UNTIL_CLOSE` are the two that are known only when they are over.

A reader takes bytes as they come, however they are split, and appends events to a list:
``bytes`` for what is body, and :class:`Trailers`. It returns None while the body goes on, and at
its end what came behind it (RFC 9112 §6 and §7.1).
"""

from __future__ import annotations

import enum
import re
import typing

import attrs

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.headers import Field, is_look_alike, read_section, write_section
from aluvia.wire.limits import Limits

__all__ = [
    "CHUNKED",
    "END",
    "UNTIL_CLOSE",
    "BodyReader",
    "ChunkedReader",
    "EndOfMessage",
    "ExactReader",
    "Trailers",
    "UntilCloseReader",
    "body_reader",
    "write_chunk",
    "write_last_chunk",
]

CHUNKED: typing.Final = -1
"""The length of a body that ends with its last chunk."""

UNTIL_CLOSE: typing.Final = -2
"""The length of a response's body that ends with the connection."""


class EndOfMessage(enum.Enum):
    """The type of :data:`END`."""

    END = "end of message"


END: typing.Final = EndOfMessage.END
"""The message is whole: head, body and trailers."""


@attrs.frozen
class Trailers:
    """Fields that came behind a chunked body; those that must not come there are left out.

    :ivar fields: at least one field.
    """

    fields: list[Field]


class BodyReader(typing.Protocol):
    """Finds the end of one body."""

    def feed(self, data: bytes, events: list[typing.Any]) -> bytes | None:
        """Append what ``data`` brings to ``events``.

        :return: None while the body goes on; at its end, the bytes that came behind it.
        :raises ProtocolViolation: the framing is broken.
        """

    def end_of_input(self) -> None:
        """The connection ended while the body went on.

        :raises ProtocolViolation: unless that is how this body ends.
        """


class ExactReader:
    """A body of so many bytes (Content-Length).

    :ivar left: how many have yet to come.
    """

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes, events: list[typing.Any]) -> bytes | None:
        """See :meth:`BodyReader.feed`."""
        left = self.left - len(data)
        if left > 0:
            self.left = left
            if data:
                events.append(data)
            return None
        if left == 0:
            events.append(data)
            return b""
        events.append(data[:left])
        return data[left:]

    def end_of_input(self) -> None:
        """See :meth:`BodyReader.end_of_input`."""
        raise ProtocolViolation(
            400, "The connection ended in the middle of a body.", "http_response_incomplete"
        )


class UntilCloseReader:
    """A response's body that ends with the connection."""

    __slots__ = ()

    def feed(self, data: bytes, events: list[typing.Any]) -> bytes | None:
        """See :meth:`BodyReader.feed`."""
        if data:
            events.append(data)
        return None

    def end_of_input(self) -> None:
        """See :meth:`BodyReader.end_of_input`: this is the way it ends."""


# A size line: digits, an extension that we drop, CRLF. RFC 9112 §7.1.1 wants white space in front
# of the semicolon to be tolerated; anywhere else it is refused, as llhttp does.
_size_line = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[\t -~\x80-\xff]*)?\r\n").match
_size_line_so_far = re.compile(
    rb"[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}[ \t]*(?:;[\t -~\x80-\xff]*)?\r?"
).fullmatch

_GREATEST_LENGTH = 2**63 - 1

# RFC 9110 §6.5.1: what frames, routes, authenticates or says how the content is to be read is not
# believed behind the content. Forwarding fields are routing.
_NEVER_TRAILERS = frozenset(
    b"""transfer-encoding content-length host connection keep-alive proxy-connection upgrade te
    trailer expect max-forwards range cache-control pragma via location vary
    if-match if-none-match if-modified-since if-unmodified-since if-range
    authorization authentication-info www-authenticate cookie set-cookie
    proxy-authorization proxy-authenticate proxy-authentication-info
    content-encoding content-type content-range
    x-real-ip x-client-ip true-client-ip""".split()
)


class ChunkedReader:
    """A body in chunks, with trailers (RFC 9112 §7.1).

    .. code-block:: text

        waiting for     state                            then
        --------------  -------------------------------  ---------------------------------
        a size line     _left == 0, not _closing         the chunk's data, or the trailers
        chunk data      _left > 0                        the CRLF behind it
        that CRLF       _closing                         a size line
        the trailers    _section is not None             the end

    The chunks that one read brings are one event, so that a sender of one-byte chunks does not
    make us write as often.
    """

    __slots__ = ("_closing", "_extensions", "_left", "_limits", "_partial", "_searched", "_section")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._closing = False
        self._partial = b""
        self._extensions = 0
        self._section: bytearray | None = None
        self._searched = 0

    def feed(self, data: bytes, events: list[typing.Any]) -> bytes | None:
        """See :meth:`BodyReader.feed`."""
        if self._section is not None:
            return self._read_trailers(data, events)
        if self._partial:
            data = self._partial + data
            self._partial = b""
        pieces: list[bytes] = []
        at = self._read_chunks(data, pieces)
        if pieces:
            events.append(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if at is None:
            return None
        self._section = bytearray()
        return self._read_trailers(data[at:], events)

    def end_of_input(self) -> None:
        """See :meth:`BodyReader.end_of_input`."""
        raise ProtocolViolation(
            400, "The connection ended in the middle of a body.", "http_response_incomplete"
        )

    def _read_chunks(self, data: bytes, pieces: list[bytes]) -> int | None:
        """Collect chunk data; at the last chunk, return where the trailers begin."""
        at = 0
        end = len(data)
        left = self._left
        while at < end:
            if left:
                piece = data[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
                self._closing = not left
            elif self._closing:
                closing = data[at : at + 2]
                if closing == b"\r\n":
                    at += 2
                    self._closing = False
                elif closing == b"\r":
                    self._partial = closing
                    break
                else:
                    raise _broken("A chunk does not end where its size says.")
            else:
                match = _size_line(data, at)
                if match is None:
                    self._keep_size_line(data[at:])
                    break
                left = self._judge_size_line(match)
                at = match.end()
                if not left:
                    return at
        self._left = left
        return None

    def _keep_size_line(self, line: bytes) -> None:
        """Keep the beginning of a size line for the next read."""
        if not _size_line_so_far(line):
            raise _broken("A chunk size is malformed.")
        if len(line) > self._limits.chunk_line_bytes + 1:
            raise _broken("A chunk-size line is too long.")
        self._partial = line

    def _judge_size_line(self, match: re.Match[bytes]) -> int:
        digits, extension = match.groups()
        if extension is not None:
            if match.end() - match.start() - 2 > self._limits.chunk_line_bytes:
                raise _broken("A chunk-size line is too long.")
            self._extensions += len(extension)
            if self._extensions > self._limits.chunk_extension_bytes:
                raise _broken("The chunk extensions are too long together.")
        size = int(digits, 16)
        if size > _GREATEST_LENGTH:
            raise _broken("A chunk size is too large.")
        return size

    def _read_trailers(self, data: bytes, events: list[typing.Any]) -> bytes | None:
        section = self._section
        assert section is not None
        section += data
        if section.startswith(b"\r\n"):
            return bytes(section[2:])
        end = section.find(b"\r\n\r\n", self._searched) + 4
        if (end if end > 3 else len(section)) > self._limits.trailer_bytes:
            raise ProtocolViolation(431, "The trailers are too large.", _TRAILERS_TOO_LARGE)
        if end == 3:
            self._searched = max(0, len(section) - 3)
            return None
        fields = read_section(bytes(section[:end]), self._limits, _TRAILERS_TOO_LARGE)
        kept = [field for field in fields if _may_trail(field[0].lower())]
        if kept:
            events.append(Trailers(kept))
        return bytes(section[end:])


_TRAILERS_TOO_LARGE = "http_response_trailer_section_size"


def _may_trail(lowered: bytes) -> bool:
    return not (
        lowered in _NEVER_TRAILERS
        or lowered.startswith((b"x-forwarded", b"forwarded"))
        or is_look_alike(lowered)
    )


def _broken(reason: str) -> ProtocolViolation:
    return ProtocolViolation(400, reason, "http_response_transfer_coding")


def body_reader(length: int, limits: Limits) -> BodyReader:
    """Return the reader for a body of this length."""
    if length >= 0:
        return ExactReader(length)
    if length == CHUNKED:
        return ChunkedReader(limits)
    return UntilCloseReader()


def write_chunk(data: bytes) -> bytes:
    """Return ``data``, which must not be empty (that would end the body), as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def write_last_chunk(trailers: typing.Sequence[Field] = ()) -> bytes:
    """Return the end of a chunked body.

    :raises LocalProtocolError: for CR, LF or NUL in a trailer.
    """
    return write_section(b"0", trailers)
