"""
The plain relay: any two transports, by Twisted's own producers and consumers.

It is what runs over TLS and in memory, and the measure of the fast one: both pass the same tests.
"""

from __future__ import annotations

import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
)
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.joined import IDLE, Ended, Relay
from aluvia.net.tls_wire import TLSWire
from aluvia.net.transport import ABORTED, DONE, LOST, Wire
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["PlainRelay", "Tap"]

#: Looks at bytes that pass.
Tap = typing.Callable[[bytes], object]


@implementer(IProtocol, IHalfCloseableProtocol, IPushProducer)
class _End:
    """
    One of the two connections of a :class:`PlainRelay`: its protocol, and the producer of what the
    other one writes.
    """

    __slots__ = (
        "count",
        "factory",
        "finished",
        "half_closes",
        "lost",
        "other",
        "relay",
        "transport",
    )

    other: _End

    def __init__(self, relay: PlainRelay, transport: typing.Any, finished: bool) -> None:
        self.relay = relay
        self.transport = transport
        self.factory: typing.Any = None
        self.count = 0
        self.finished = finished
        self.lost = not getattr(transport, "connected", True) or bool(
            getattr(transport, "disconnecting", False)
        )
        self.half_closes = isinstance(transport, TLSWire) or (
            IHalfCloseableDescriptor.providedBy(transport)
            and not isinstance(transport, ProtocolWrapper)
            and not getattr(transport, "TLS", False)
        )

    def makeConnection(self, transport: typing.Any) -> None:
        """Not called: the transport was connected before."""

    def connectionMade(self) -> None:
        """Not called either."""

    def dataReceived(self, data: bytes) -> None:
        """Pass it on."""
        self.count += len(data)
        self.other.transport.write(data)

    def readConnectionLost(self) -> None:
        """Pass the FIN on, behind what is queued."""
        self.finished = True
        other = self.other
        # A transport with a paused producer would wait for it, and neither close nor half-close.
        other.transport.unregisterProducer()
        if other.finished:
            self.transport.loseConnection()
            other.transport.loseConnection()
        elif other.half_closes:
            other.transport.loseWriteConnection()
        else:
            other.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """The FIN that we passed on is out."""

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone; so must be the other one."""
        self.lost = True
        relay, other = self.relay, self.other
        if self.finished:
            # It had sent all, and is gone because we sent on. The other one still gets what is
            # queued for it, and a FIN, and can take its time: what it sends now is dropped.
            reason = DONE
            if not other.finished and not other.lost:
                _switch_protocol(other.transport, _Unheard(other, relay.linger_bytes))
                other.transport.resumeProducing()
        elif other.lost:
            pass
        elif reason.check(ConnectionDone):
            other.transport.unregisterProducer()
            other.transport.loseConnection()
        else:
            other.transport.abortConnection()
        relay.lost(reason)

    def pauseProducing(self) -> None:
        """The other one has enough to write."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The other one has written it."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other one is lost, which its ``connectionLost`` tells."""


class _TappedEnd(_End):
    """An end whose bytes somebody else looks at as well."""

    __slots__ = ("tap",)

    def __init__(self, relay: PlainRelay, transport: typing.Any, finished: bool, tap: Tap) -> None:
        super().__init__(relay, transport, finished)
        self.tap = tap

    def dataReceived(self, data: bytes) -> None:
        """Pass it on, and then show it."""
        self.count += len(data)
        self.other.transport.write(data)
        self.tap(data)


@implementer(IProtocol, IHalfCloseableProtocol)
class _Unheard:
    """
    The protocol of an end whose other one is gone.

    An RST at once would destroy what was sent to it and is yet to be read. But whoever sends on is
    not heard without end: then it is a download that nobody waits for, or an upload for nobody.
    """

    __slots__ = ("_end", "_left", "factory")

    def __init__(self, end: _End, most: int) -> None:
        self._end = end
        self._left = most
        self.factory: typing.Any = None

    def makeConnection(self, transport: typing.Any) -> None:
        """Not called: the transport was connected before."""

    def connectionMade(self) -> None:
        """Not called either."""

    def dataReceived(self, data: bytes) -> None:
        """Drop it."""
        end = self._end
        end.count += len(data)
        self._left -= len(data)
        if self._left < 0:
            end.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """It has ended too."""
        self._end.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """The FIN that we passed on is out."""

    def connectionLost(self, reason: Failure) -> None:
        """It is gone too."""
        self._end.connectionLost(reason)


class PlainRelay(Relay):
    """
    A relay over any two transports.

    What one of them is behind with is held by Twisted's transports, above whose high-water mark
    (``bufferSize``) the other is not read.

    :param left_tap: called with what comes from the left one, after it was passed on; it must not
        raise.
    :param right_tap: the same for the right one.
    :ivar linger_bytes: how much is read of one for which there is nobody any more; then it is
        reset.
    """

    __slots__ = ("_failure", "_left", "_right", "linger_bytes")

    def __init__(
        self,
        left: typing.Any,
        right: typing.Any,
        *,
        ended: Ended,
        limits: Limits = DEFAULT_LIMITS,
        left_eof: bool = False,
        left_tap: Tap | None = None,
        right_tap: Tap | None = None,
    ) -> None:
        super().__init__(ended)
        self.linger_bytes = limits.linger_bytes
        self._failure: Failure | None = None
        self._left = self._end_of(left, left_eof, left_tap)
        self._right = self._end_of(right, False, right_tap)
        self._left.other = self._right
        self._right.other = self._left

    def _end_of(self, transport: typing.Any, eof: bool, tap: Tap | None) -> _End:
        if tap is None:
            return _End(self, transport, eof)
        return _TappedEnd(self, transport, eof, tap)

    def start(self, left_bytes: bytes = b"", right_bytes: bytes = b"") -> None:
        """Take over both; see :meth:`Relay.start`."""
        left, right = self._left, self._right
        if left.lost or right.lost:
            self._failure = LOST
            for end in (left, right):
                if not end.lost:
                    _switch_protocol(end.transport, end)
                    end.transport.abortConnection()
            self.lost(LOST)
            return
        for end in (left, right):
            _switch_protocol(end.transport, end)
            if not end.finished:
                end.transport.resumeProducing()
            end.transport.registerProducer(end.other, True)
        for end, data in ((left, left_bytes), (right, right_bytes)):
            if data:
                end.dataReceived(data)
        if left.finished:
            left.readConnectionLost()

    def abort(self) -> None:
        """Reset both; ``ended`` is called when they are gone."""
        self._abort(ABORTED)

    @property
    def bytes_from_left(self) -> int:
        """How many bytes the left one has sent."""
        return self._left.count

    @property
    def bytes_from_right(self) -> int:
        """How many bytes the right one has sent."""
        return self._right.count

    def moved(self) -> int:
        """What both have sent; what is written from a transport's own queue cannot be seen."""
        return self._left.count + self._right.count

    def lost(self, reason: Failure) -> None:
        """One connection is gone. After the second it is over."""
        if self._failure is None and not reason.check(ConnectionDone):
            self._failure = reason
        if self._left.lost and self._right.lost and not self.over:
            self._end(self._failure)
            # Nothing comes any more; left as they are they would wait for the collector.
            for end in (self._left, self._right):
                del end.relay, end.other

    def _timed_out(self) -> None:
        self._abort(IDLE)

    def _abort(self, why: Failure) -> None:
        if not self.over:
            self._failure = self._failure or why
            for end in (self._left, self._right):
                if not end.lost:
                    end.transport.abortConnection()


def _switch_protocol(transport: typing.Any, protocol: _End | _Unheard) -> None:
    """Make a transport deliver to another protocol."""
    if isinstance(transport, Wire):
        transport.switch_protocol(protocol)
    elif isinstance(transport, ProtocolWrapper):
        # TLS: a protocol to the transport below it, a transport to the one above.
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
