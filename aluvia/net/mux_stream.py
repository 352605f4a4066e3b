"""
One stream of a :class:`~aluvia.net.mux.Mux`: a transport for protocols, with credit in both ways.

.. code-block:: text

    each direction   state      leaves on
    ---------------  ---------  ------------------------------------------------------------------
    ours             OPENING    the first WINDOW -> OPEN;  RST -> over, ``failed``
                     OPEN       our end was asked for, and all before it is out -> ENDED, with FIN
    theirs           OPEN       FIN, and all before it was delivered -> ENDED

    both ENDED, an RST either way, or the carrier lost: over, and ``connectionLost``

What is written waits here until there is credit, and the mux's turn has come to it; over
:data:`HIGH_WATER` its producer is paused. What comes while the protocol reads nothing waits here as
well: there is no more of it than credit was given for, and credit is given again for what was
delivered, half a window at a time.

It has the manners of a TCP transport, so that whatever works over one works here: a protocol that
knows half-closes (``IHalfCloseableProtocol``) is told of a FIN, for another one a FIN is the end;
``loseConnection`` sends what is queued first, and then nothing that comes is heard;
``connectionLost`` is never called from within ``loseConnection`` or ``abortConnection``.
"""

from __future__ import annotations

import collections
import collections.abc
import typing

import attrs
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.transport import ABORTED, DONE
from aluvia.wire.frames import (
    FRAME_DATA_BYTES,
    INITIAL_CREDIT,
    MOST_CREDIT,
    Code,
    FrameViolation,
    data_frame,
    fin_frame,
)

__all__ = ["HIGH_WATER", "LOW_WATER", "Muxed", "Stream", "StreamAddress"]

#: Above so many bytes that are queued a producer is paused; below so many it is resumed.
HIGH_WATER = 65_536
LOW_WATER = 32_768

#: Credit is given again for so many bytes.
_CREDIT_STEP = INITIAL_CREDIT // 2


@implementer(IAddress)
@attrs.frozen
class StreamAddress:
    """
    Where a stream leads, as far as this side knows.

    :ivar host: the name in its OPEN.
    """

    host: str
    port: int = 0


class Muxed(typing.Protocol):
    """The mux, as its streams see it."""

    def to_send(self, stream: Stream) -> None:
        """It has something to send, and had nothing before."""

    def grant(self, stream: Stream, credit: int) -> None:
        """Let the peer send so much more."""

    def reset(self, stream: Stream, code: Code, reason: str) -> None:
        """Tell the peer that it is over. The stream is forgotten."""

    def finished(self, stream: Stream) -> None:
        """Both directions have ended. The stream is forgotten."""

    def closing(self, stream: Stream) -> None:
        """Its protocol is gone, and the peer's end has yet to come."""

    def later(self, call: collections.abc.Callable[[], object]) -> None:
        """Call it when this turn is through."""


@implementer(ITransport, IConsumer, IPushProducer, IHalfCloseableDescriptor)
class Stream:
    """
    One stream.

    :ivar id: its number.
    :ivar name: the name in its OPEN.
    :ivar protocol: to whom it belongs; None when it is over.
    :ivar connected: whether bytes may be written: it was accepted, and is not over.
    :ivar disconnecting: whether its end was asked for.
    :ivar over: whether nothing of it comes or goes any more.
    """

    __slots__ = (
        "_at",
        "_consumed",
        "_credit",
        "_deaf",
        "_delivering",
        "_end_told",
        "_fin_received",
        "_fin_sent",
        "_granted",
        "_inbox",
        "_inbox_later",
        "_mux",
        "_paused",
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
        "name",
        "over",
        "protocol",
    )

    def __init__(self, mux: Muxed, id: int, name: str) -> None:
        self.id = id
        self.name = name
        self.protocol: typing.Any = None
        self.connected = False
        self.disconnecting = False
        self.over = False
        #: The mux's: whether it waits for its turn.
        self.in_line = False
        self._mux = mux
        # What may be sent; the peer says so with its first WINDOW, or its OPEN.
        self._credit = 0
        # What may yet come.
        self._granted = INITIAL_CREDIT
        self._consumed = 0
        self._queue: collections.deque[bytes] = collections.deque()
        self._at = 0  # how much of the first one is out
        self._queued = 0
        self._inbox: collections.deque[bytes] = collections.deque()
        self._inbox_later = False
        self._delivering = False
        self._paused = False
        self._deaf = False
        self._producer: typing.Any = None
        self._streaming = False
        self._producer_paused = False
        self._write_ending = False
        self._fin_sent = False
        self._fin_received = False
        self._end_told = False

    def __repr__(self) -> str:
        """Name the protocol and the stream."""
        return f"<Stream {self.id} {self.name!r} {type(self.protocol).__name__}>"

    # Writing.

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

    def loseWriteConnection(self) -> None:
        """End what we send, behind what is queued."""
        if not (self.over or self._write_ending):
            self._write_ending = True
            if not self._queued and not self.in_line:
                self._mux.to_send(self)

    def loseConnection(self) -> None:
        """Send what is queued, and end."""
        if self.over or self.disconnecting:
            return
        self.disconnecting = True
        self._deaf = True
        self._inbox.clear()
        if not self.connected:
            self.abortConnection()
            return
        self.loseWriteConnection()
        if self._fin_sent:
            self._mux.later(self._ended_by_us)

    def abortConnection(self) -> None:
        """End at once: what is queued is lost."""
        if self.over:
            return
        self.disconnecting = True
        self._mux.reset(self, Code.CANCELLED, "")
        self._forget()
        self._mux.later(lambda: self._tell(ABORTED))

    # Reading.

    def pauseProducing(self) -> None:
        """Deliver nothing for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Deliver again; not from within this call."""
        self._paused = False
        if (self._inbox or self._fin_received) and not self._inbox_later:
            self._inbox_later = True
            self._mux.later(self._deliver_inbox)

    def stopProducing(self) -> None:
        """Who wrote it elsewhere has lost that."""
        self.loseConnection()

    def getPeer(self) -> StreamAddress:
        """Where it leads."""
        return StreamAddress(self.name)

    def getHost(self) -> StreamAddress:
        """The same: there is no address on this side."""
        return StreamAddress(self.name)

    def readConnectionLost(self, reason: Failure) -> None:
        """The reactor's, which has none of us."""

    def writeConnectionLost(self, reason: Failure) -> None:
        """The same."""

    # What the mux tells.

    def may_send(self) -> bool:
        """Whether a turn would be of use."""
        if self._queued:
            return self._credit > 0
        return self._write_ending and not self._fin_sent

    def take(self) -> bytes:
        """Its next frame: one turn's. Only where :meth:`may_send` says so."""
        if not self._queued:
            self._fin_sent = True
            if self.disconnecting or self._end_told:
                self._mux.later(self._ended_by_us)
            return fin_frame(self.id)
        data = self._next_piece(min(self._credit, FRAME_DATA_BYTES))
        self._queued -= len(data)
        self._credit -= len(data)
        if self._producer_paused and self._queued <= (LOW_WATER if self._streaming else 0):
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

    def accepted(self, protocol: IProtocol) -> None:
        """It is connected, and this protocol's."""
        self.protocol = protocol
        self.connected = True

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

    def data_received(self, data: bytes) -> None:
        """
        Bytes of the peer's.

        :raises FrameViolation: more than there was credit for, or behind a FIN.
        """
        self._granted -= len(data)
        if self._granted < 0:
            raise FrameViolation("A stream was sent more than its credit.")
        if self._fin_received:
            raise FrameViolation("There is data behind a FIN.")
        if not (self.connected or self.disconnecting):
            raise FrameViolation("There is data on a stream that is not connected.")
        if self._deaf:
            # As a closed socket does: nobody will ever read it.
            self._mux.reset(self, Code.CANCELLED, "")
            self._forget()
            self._mux.later(lambda: self._tell(DONE))
        elif self._paused or self._inbox or self._delivering:
            self._inbox.append(data)
        else:
            self._deliver(data)

    def fin_received(self) -> None:
        """
        The peer sends no more.

        :raises FrameViolation: it has said so before.
        """
        if self._fin_received:
            raise FrameViolation("A stream has two FINs.")
        if not (self.connected or self.disconnecting):
            raise FrameViolation("A stream ended that is not connected.")
        self._fin_received = True
        if not (self._inbox or self._delivering or self._paused):
            self._peer_ended()

    def lost(self, reason: Failure) -> None:
        """It is over, by the peer's RST or with the carrier."""
        if not self.over:
            self._forget()
            self._tell(reason)

    # Inside.

    def _deliver(self, data: bytes) -> None:
        self._delivering = True
        try:
            self.protocol.dataReceived(data)
        finally:
            self._delivering = False
        if self.over or self._fin_received:
            return
        self._consumed += len(data)
        if self._consumed >= _CREDIT_STEP:
            credit, self._consumed = self._consumed, 0
            self._granted += credit
            self._mux.grant(self, credit)

    def _deliver_inbox(self) -> None:
        self._inbox_later = False
        inbox = self._inbox
        while inbox and not (self._paused or self.over or self._deaf):
            self._deliver(inbox.popleft())
        if self._fin_received and not (inbox or self._paused or self.over or self._deaf):
            self._peer_ended()

    def _peer_ended(self) -> None:
        """All that the peer has sent was delivered, or nobody wants it."""
        if self._end_told:
            return
        self._end_told = True
        if self._deaf:
            if self._fin_sent:
                self._mux.later(self._ended_by_us)
        elif IHalfCloseableProtocol.providedBy(self.protocol):
            if self._fin_sent:
                self._mux.later(self._ended_by_us)
            self.protocol.readConnectionLost()
        elif self._fin_sent:
            self._mux.finished(self)
            self.lost(DONE)
        else:
            # Who knows no half-close has nothing to say to somebody who has left.
            self._mux.reset(self, Code.NO_ERROR, "")
            self.lost(DONE)

    def _ended_by_us(self) -> None:
        """Our FIN is out; and so is theirs, or nobody listens any more."""
        if self.over:
            return
        if self._fin_received:
            self._mux.finished(self)
            self.lost(DONE)
        else:
            # The peer may take its time, within bounds.
            self._mux.closing(self)
            self.connected = False
            self._tell(DONE)

    def _resume_producer(self) -> None:
        if self._producer_paused and self._producer is not None and not self.over:
            if self._streaming:
                self._producer_paused = False
            self._producer.resumeProducing()

    def _forget(self) -> None:
        self.over = True
        self.connected = False
        self._queue.clear()
        self._queued = 0
        self._inbox.clear()

    def _tell(self, reason: Failure) -> None:
        protocol, self.protocol = self.protocol, None
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if protocol is not None:
            protocol.connectionLost(reason)
