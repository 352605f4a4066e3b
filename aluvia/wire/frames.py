"""
Mux frames: many streams over one carrier, as bytes.

A frame is a head of eight bytes, in network order, and a payload:

.. code-block:: text

    kind      1 byte     one of :class:`Kind`
    flags     1 byte     0; anything else is refused, so that it can mean something one day
    length    2 bytes    of the payload
    stream    4 bytes    0 for the carrier as a whole

    kind      stream  payload                                      what it says
    --------  ------  -------------------------------------------  --------------------------------
    OPEN      n       capability (1), name (ASCII, 1-255)          a new stream, to what is named
    DATA      n       1-16 384 bytes                               bytes of the stream
    WINDOW    n       credit (4), 1 to 2**31 - 1                   so many more bytes may come; the
                                                                   first one says that the stream
                                                                   is connected
    FIN       n       none                                         no more bytes come this way
    RST       n       code (1), reason (UTF-8, 0-200)              the stream is over, both ways
    PING      0       8 bytes                                      answer it
    PONG      0       those 8 bytes                                the answer
    GOAWAY    0       last stream (4), code (1), reason (0-200)    open no more streams; those above
                                                                   the last one were not begun
    ACK       n       -                                            reserved; refused

The side that accepts connections (the hub) opens streams, with rising numbers from 1. Whoever opens
grants :data:`INITIAL_CREDIT` with that; the other side grants as much with its first WINDOW.

Frames stand one behind another. What carries them (binary messages of a WebSocket) may cut them
anywhere.
"""

from __future__ import annotations

import enum
import struct

__all__ = [
    "FRAME_DATA_BYTES",
    "HIGHEST_STREAM",
    "INITIAL_CREDIT",
    "MOST_CREDIT",
    "Capability",
    "Code",
    "Frame",
    "FrameReader",
    "FrameViolation",
    "Kind",
    "data_frame",
    "fin_frame",
    "goaway_frame",
    "open_frame",
    "ping_frame",
    "pong_frame",
    "read_credit",
    "read_goaway",
    "read_open",
    "read_rst",
    "rst_frame",
    "window_frame",
]

#: The most that one DATA frame carries; bytes.
FRAME_DATA_BYTES = 16_384

#: What may come on a stream before any WINDOW; bytes.
INITIAL_CREDIT = 262_144

#: The most credit that a stream ever has, and that one WINDOW gives; bytes.
MOST_CREDIT = 0x7FFF_FFFF

HIGHEST_STREAM = 0xFFFF_FFFF

#: The name in an OPEN; bytes.
NAME_BYTES = 255

#: The reason in an RST or a GOAWAY; bytes.
REASON_BYTES = 200

_head = struct.Struct(">BBHI")
HEAD_BYTES = _head.size

_pack = _head.pack
_unpack_from = _head.unpack_from
_pack_number = struct.Struct(">I").pack


class Kind(enum.IntEnum):
    """What a frame is."""

    OPEN = 1
    DATA = 2
    WINDOW = 3
    FIN = 4
    RST = 5
    PING = 6
    PONG = 7
    GOAWAY = 8
    ACK = 9


class Capability(enum.IntEnum):
    """
    What a stream asks of an agent.

    PUBLISH leads to a declared target, by the id of its tunnel; EXIT to a host and a port that the
    hub names.
    """

    PUBLISH = 1
    EXIT = 2


class Code(enum.IntEnum):
    """Why a stream or a carrier ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    REFUSED = 2
    TARGET_REFUSED = 3
    TARGET_TIMEOUT = 4
    TARGET_UNREACHABLE = 5
    TARGET_RESET = 6
    LIMIT = 7
    CANCELLED = 8
    INTERNAL_ERROR = 9
    REVOKED = 10
    REPLACED = 11


#: Its kind, its stream and its payload.
Frame = tuple[int, int, bytes]


class FrameViolation(Exception):
    """
    The peer sent what is no frame, or not in its turn. The carrier ends.

    The text is one sentence for people, and holds no bytes of the peer's.
    """


_DATA = int(Kind.DATA)

#: Of each kind: the least and the most bytes of its payload, and whether it is of a stream.
_SHAPES: dict[int, tuple[int, int, bool]] = {
    Kind.OPEN: (2, 1 + NAME_BYTES, True),
    Kind.DATA: (1, FRAME_DATA_BYTES, True),
    Kind.WINDOW: (4, 4, True),
    Kind.FIN: (0, 0, True),
    Kind.RST: (1, 1 + REASON_BYTES, True),
    Kind.PING: (8, 8, False),
    Kind.PONG: (8, 8, False),
    Kind.GOAWAY: (5, 5 + REASON_BYTES, False),
}


class FrameReader:
    """
    Bytes to frames. It holds less than one frame.
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    @property
    def held(self) -> int:
        """How much of a frame has come that is not whole; bytes."""
        return len(self._rest)

    def receive(self, data: bytes) -> list[Frame]:
        """
        The frames that are whole with this.

        :raises FrameViolation: it is no frame. The reader is of no more use.
        """
        if self._rest:
            data = self._rest + data
        frames: list[Frame] = []
        at, end = 0, len(data)
        while end - at >= HEAD_BYTES:
            kind, flags, length, stream = _unpack_from(data, at)
            if not (kind == _DATA and 0 < length <= FRAME_DATA_BYTES and stream and not flags):
                _judge(kind, flags, length, stream)
            begin = at + HEAD_BYTES
            if end - begin < length:
                break
            at = begin + length
            frames.append((kind, stream, data[begin:at]))
        self._rest = data[at:]
        return frames


def _judge(kind: int, flags: int, length: int, stream: int) -> None:
    shape = _SHAPES.get(kind)
    if shape is None:
        raise FrameViolation("There is no such kind of frame.")
    if flags:
        raise FrameViolation("A frame has flags, and there are none.")
    least, most, of_stream = shape
    if not least <= length <= most:
        raise FrameViolation(f"A frame of the kind {Kind(kind).name} has a bad length.")
    if of_stream != bool(stream):
        which = "a stream, and has none" if of_stream else "no stream, and has one"
        raise FrameViolation(f"A frame of the kind {Kind(kind).name} is for {which}.")


# Writing.


def data_frame(stream: int, data: bytes) -> bytes:
    """Bytes of a stream; 1 to :data:`FRAME_DATA_BYTES` of them."""
    return _pack(_DATA, 0, len(data), stream) + data


def open_frame(stream: int, capability: Capability, name: str) -> bytes:
    """
    A new stream.

    :param name: ASCII, 1 to :data:`NAME_BYTES`.
    """
    payload = bytes([capability]) + name.encode("ascii")
    return _frame(Kind.OPEN, stream, payload)


def window_frame(stream: int, credit: int) -> bytes:
    """So many more bytes may come."""
    return _frame(Kind.WINDOW, stream, _pack_number(credit))


def fin_frame(stream: int) -> bytes:
    """No more bytes come."""
    return _frame(Kind.FIN, stream, b"")


def rst_frame(stream: int, code: Code, reason: str = "") -> bytes:
    """The stream is over."""
    return _frame(Kind.RST, stream, bytes([code]) + _short(reason))


def ping_frame(payload: bytes) -> bytes:
    """Answer it."""
    return _frame(Kind.PING, 0, payload)


def pong_frame(payload: bytes) -> bytes:
    """The answer."""
    return _frame(Kind.PONG, 0, payload)


def goaway_frame(last: int, code: Code, reason: str = "") -> bytes:
    """Open no more streams."""
    return _frame(Kind.GOAWAY, 0, _pack_number(last) + bytes([code]) + _short(reason))


def _frame(kind: Kind, stream: int, payload: bytes) -> bytes:
    least, most, _ = _SHAPES[kind]
    if not least <= len(payload) <= most:
        raise ValueError(f"a frame of the kind {kind.name} cannot have {len(payload)} bytes")
    return _pack(kind, 0, len(payload), stream) + payload


def _short(reason: str) -> bytes:
    # What is cut in the middle of a character goes.
    return reason.encode("utf-8")[:REASON_BYTES].decode("utf-8", "ignore").encode("utf-8")


# Reading payloads.


def read_open(payload: bytes) -> tuple[int, str]:
    """
    What a stream is to be: the number of a :class:`Capability`, known or not, and a name.

    :raises FrameViolation: the name is not printable ASCII.
    """
    name = payload[1:]
    if not (name.isascii() and name.decode("ascii").isprintable()):
        raise FrameViolation("The name in an OPEN is no good.")
    return payload[0], name.decode("ascii")


def read_credit(payload: bytes) -> int:
    """
    How much credit a WINDOW gives.

    :raises FrameViolation: none, or too much.
    """
    credit = int.from_bytes(payload, "big")
    if not 1 <= credit <= MOST_CREDIT:
        raise FrameViolation("A WINDOW gives no credit, or too much.")
    return credit


def read_rst(payload: bytes) -> tuple[int, str]:
    """The number of a :class:`Code`, known or not, and a reason for people, fit for a log."""
    return payload[0], _reason(payload[1:])


def read_goaway(payload: bytes) -> tuple[int, int, str]:
    """The last stream that was begun, the number of a :class:`Code`, and a reason."""
    return int.from_bytes(payload[:4], "big"), payload[4], _reason(payload[5:])


def _reason(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "?" for char in text)
