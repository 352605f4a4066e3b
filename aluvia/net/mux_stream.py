"""
One stream of a :class:`~aluvia.net.mux.Mux`: a transport for protocols, with credit in both ways.

.. code-block:: text

    each direction   state      leaves on
    ---------------  ---------  ------------------------------------------------------------------
    ours             OPENING    the first WINDOW -> OPEN;  RST -> over, ``failed``
                     OPEN       our end was asked for, and all before it is out -> ENDED, with FIN
    theirs           OPEN       FIN, and all before it was delivered -> ENDED

    both ENDED, an RST either way, or the carrier lost: over, and ``connectionLost``

What is written waits until there is credit, and the mux's turn has come to it
(:mod:`aluvia.net.mux_outgoing`). What comes while the protocol reads nothing waits here: there is
no more of it than credit was given for, and credit is given again for what was delivered, half a
window at a time.

It has the manners of a TCP transport, so that whatever works over one works here: a protocol that
knows half-closes (``IHalfCloseableProtocol``) is told of a FIN, for another one a FIN is the end;
``loseConnection`` sends what is queued first, and then nothing that comes is heard;
``connectionLost`` is never called from within ``loseConnection`` or ``abortConnection``.
Whatever a protocol raises costs its own stream, and not the others of the carrier.
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
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.mux_outgoing import Muxed, Outgoing
from aluvia.net.transport import ABORTED, DONE, LOST
from aluvia.wire.frames import INITIAL_CREDIT, Code, FrameViolation, fin_frame

__all__ = ["Stream", "StreamAddress"]

_log = Logger()

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


@implementer(ITransport, IConsumer, IPushProducer, IHalfCloseableDescriptor)
class Stream(Outgoing):
    """
    One stream.

    :ivar name: the name in its OPEN.
    :ivar protocol: to whom it belongs; None when it is over.
    """

    __slots__ = (
        "_consumed",
        "_deaf",
        "_delivering",
        "_end_told",
        "_fin_received",
        "_granted",
        "_inbox",
        "_inbox_later",
        "_paused",
        "name",
        "protocol",
    )

    def __init__(self, mux: Muxed, id: int, name: str) -> None:
        super().__init__(mux, id)
        self.name = name
        self.protocol: typing.Any = None
        # What may yet come.
        self._granted = INITIAL_CREDIT
        self._consumed = 0
        self._inbox: collections.deque[bytes] = collections.deque()
        self._inbox_later = False
        self._delivering = False
        self._paused = False
        self._deaf = False
        self._fin_received = False
        self._end_told = False

    def __repr__(self) -> str:
        """Name the protocol and the stream."""
        return f"<Stream {self.id} {self.name!r} {type(self.protocol).__name__}>"

    # Ending.

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
        else:
            # For what is queued there has to be credit, which may never come.
            self._mux.closing(self)

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

    def take(self) -> bytes:
        """Its next frame: one turn's. Only where :meth:`may_send` says so."""
        if self._queued:
            if self.disconnecting:
                self._mux.closing(self)
            return self.next_data()
        self._fin_sent = True
        if self.disconnecting or self._end_told:
            self._mux.later(self._ended_by_us)
        return fin_frame(self.id)

    def accepted(self, protocol: IProtocol) -> None:
        """It is connected, and this protocol's."""
        self.protocol = protocol
        self.connected = True

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
        if self._deaf or not (self._inbox or self._delivering or self._paused):
            self._peer_ended()

    def lost(self, reason: Failure) -> None:
        """It is over, by the peer's RST or with the carrier."""
        if not self.over:
            self._forget()
            self._tell(reason)

    def guarded(self, call: collections.abc.Callable[..., object], *args: object) -> None:
        """Call whoever it belongs to, or shall belong to."""
        try:
            call(*args)
        except Exception:
            self._failed()

    # Inside.

    def _failed(self) -> None:
        """Its protocol has raised something."""
        _log.failure("The protocol of a stream failed, and the stream is closed")
        if not self.over:
            self._mux.reset(self, Code.INTERNAL_ERROR, "")
            self._forget()
            self._mux.later(lambda: self._tell(LOST))

    def _deliver(self, data: bytes) -> None:
        self._delivering = True
        try:
            self.protocol.dataReceived(data)
        except Exception:
            self._failed()
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
            self.guarded(self.protocol.readConnectionLost)
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
            self.guarded(producer.stopProducing)
        if protocol is not None:
            self.guarded(protocol.connectionLost, reason)
