"""
What goes out on a stream: the bytes that wait for credit and for their turn, and who makes them.

Over :data:`HIGH_WATER` bytes the producer is paused; at :data:`LOW_WATER` it is resumed, before
there is nothing to send.
"""

from __future__ import annotations

import abc
import collections
import collections.abc
import typing

from aluvia.wire.frames import FRAME_DATA_BYTES, MOST_CREDIT, Code, FrameViolation, data_frame

if typing.TYPE_CHECKING:
    from aluvia.net.mux_stream import Stream

__all__ = ["HIGH_WATER", "LOW_WATER", "Muxed", "Outgoing"]

#: Above so many bytes that are queued a producer is paused; below so many it is resumed.
HIGH_WATER = 65_536
LOW_WATER = 32_768


class Muxed(typing.Protocol):
    """The mux, as its streams see it."""

    def to_send(self, stream: Outgoing) -> None:
        """It has something to send, and had nothing before."""

    def grant(self, stream: Stream, credit: int) -> None:
        """Let the peer send so much more."""

    def reset(self, stream: Stream, code: Code, reason: str) -> None:
        """Tell the peer that it is over. The stream is forgotten."""

    def finished(self, stream: Stream) -> None:
        """Both directions have ended. The stream is forgotten."""

    def closing(self, stream: Stream) -> None:
        """It is to end, and that takes the peer: it has so long from now on."""

    def later(self, call: collections.abc.Callable[[], object]) -> None:
        """Call it when this turn is through."""


class Outgoing(abc.ABC):
    """
    The sending half of a stream.

    :ivar id: its number.
    :ivar connected: whether bytes may be written: it was accepted, and is not over.
    :ivar disconnecting: whether its end was asked for.
    :ivar over: whether nothing of it comes or goes any more.
    :ivar in_line: the writer's: whether it waits for its turn.
    """

    __slots__ = (
        "_at",
        "_credit",
        "_fin_sent",
        "_mux",
        "_producer",
        "_producer_paused",
        "_queue",
        "_queued",
        "_streaming",
        "_write_ending",
        "connected",
        "disconnecting",
        "id",
        "in_line",
        "over",
    )

    def __init__(self, mux: Muxed, id: int) -> None:
        self.id = id
        self.connected = False
        self.disconnecting = False
        self.over = False
        self.in_line = False
        self._mux = mux
        # What may be sent; the peer says so with its first WINDOW, or its OPEN.
        self._credit = 0
        self._queue: collections.deque[bytes] = collections.deque()
        self._at = 0  # how much of the first one is out
        self._queued = 0
        self._producer: typing.Any = None
        self._streaming = False
        self._producer_paused = False
        self._write_ending = False
        self._fin_sent = False

    def write(self, data: bytes) -> None:
        """Send it, behind what was written before, as there is credit."""
        if not data or self.over or self.disconnecting or self._write_ending:
            return
        self._queue.append(data)
        self._queued += len(data)
        if self._credit and not self.in_line:
            self._mux.to_send(self)
        if self._queued > HIGH_WATER and self._producer is not None and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def writeSequence(self, iovec: collections.abc.Iterable[bytes]) -> None:
        """Write the parts as one."""
        self.write(b"".join(iovec))

    @property
    def queued(self) -> bool:
        """Whether something that was written is not out yet."""
        return self._queued > 0

    def registerProducer(self, producer: typing.Any, streaming: bool) -> None:
        """Tell it when to pause and when to resume; or ask it for more when nothing is queued."""
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        if self.over or self.disconnecting:
            producer.stopProducing()
            return
        self._producer = producer
        self._streaming = streaming
        self._producer_paused = not streaming
        if not streaming:
            producer.resumeProducing()
        elif self._queued > HIGH_WATER:
            self._producer_paused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Nobody produces any more."""
        self._producer = None
        self._producer_paused = False

    # What the writer and the mux tell.

    def may_send(self) -> bool:
        """Whether a turn would be of use."""
        if self._queued:
            return self._credit > 0
        return self._write_ending and not self._fin_sent

    @abc.abstractmethod
    def guarded(self, call: collections.abc.Callable[..., object], *args: object) -> None:
        """Call whoever it belongs to; what they raise costs the stream."""

    @abc.abstractmethod
    def take(self) -> bytes:
        """Its next frame: one turn's. Only where :meth:`may_send` says so."""

    def next_data(self) -> bytes:
        """One turn's frame of data. Only where something is queued, and there is credit."""
        data = self._next_piece(min(self._credit, FRAME_DATA_BYTES))
        self._queued -= len(data)
        self._credit -= len(data)
        if self._producer_is_due:
            self._mux.later(self._resume_producer)
        return data_frame(self.id, data)

    def _next_piece(self, most: int) -> bytes:
        """What is queued first, so many bytes of it at the most."""
        queue = self._queue
        parts = []
        while most and queue:
            first, at = queue[0], self._at
            if len(first) - at > most:
                parts.append(first[at : at + most])
                self._at = at + most
                break
            parts.append(first[at:] if at else first)
            most -= len(first) - at
            self._at = 0
            queue.popleft()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def credit_received(self, credit: int) -> None:
        """
        The peer takes so much more.

        :raises FrameViolation: that is more than there can be.
        """
        self._credit += credit
        if self._credit > MOST_CREDIT:
            raise FrameViolation("A stream was given too much credit.")
        if self._queued and not self.in_line:
            self._mux.to_send(self)

    @property
    def _producer_is_due(self) -> bool:
        return self._producer_paused and self._queued <= (LOW_WATER if self._streaming else 0)

    def _resume_producer(self) -> None:
        # What was queued since is somebody's who was resumed for the same frames.
        if self._producer_is_due and self._producer is not None and not self.over:
            if self._streaming:
                self._producer_paused = False
            self.guarded(self._producer.resumeProducing)
