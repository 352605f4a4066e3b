"""
Our TCP transport: Twisted's, but it writes at once, closes without a detour, and can be relayed.

A stock ``write`` queues, asks epoll for writability, waits for the next turn, sends, and asks epoll
again: two system calls and a turn too many, when the kernel would have taken the bytes there and
then. A :class:`Wire` tries first. That is right only while nothing is in the way: nothing queued,
connected, not closing, no TLS of the transport's own, and no *pull* producer, which waits to be
called when its last write is out. Everything else is the stock path, unchanged, and so is every
error: a send that fails is queued like one that would block, and ``doWrite`` meets the error from
the reactor. Nothing is ever lost within ``write``.

What is written while wires are told of their events is **corked** until all of them were told
(:mod:`aluvia.net.readiness`): it stands in the stock queue meanwhile, without asking for a write
event. More than :data:`CORKED_BYTES` are not held back; and whatever else is done to a wire, a
close, a pull producer, a relay, uncorks it first.

Closing with nothing queued needs no epoll turn either. It is done when ``doRead`` returns, if it
was asked for from there, else in the next turn; never within ``loseConnection``.

**Relayed**: a wire that a relay has taken over (:mod:`aluvia.net.splice`) has two
:class:`Direction`, one that it feeds and one that it drains, and its events go to them instead of
to a protocol. It stays in the reactor's books, in its port's, and has the same ``connectionLost``:
a mode, and no theft of the socket. (Taking the sockets out of the transports was measured to be no
faster.) A wire may also have one of the two for a while, and its protocol the other
(:mod:`aluvia.net.body_splice`).
"""

from __future__ import annotations

import collections.abc
import contextlib
import socket
import struct
import typing

from twisted.internet import main, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure

from aluvia.net.readiness import READ, WRITE, readiness_of
from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = ["ABORTED", "DONE", "LOST", "Direction", "Wire", "close_abruptly"]

# One of each for all connections: making a Failure costs more than a system call.
DONE = Failure(main.CONNECTION_DONE)
LOST = Failure(main.CONNECTION_LOST)
ABORTED = Failure(ConnectionAborted())

#: What is written goes out at once if it is more than this.
CORKED_BYTES = 16_384

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Direction(typing.Protocol):
    """One direction of a relay, as the two wires see it that it goes from and to."""

    def source_ready(self) -> ConnectionLost | ConnectionDone | None:
        """
        The wire that feeds it can be read, or has ended.

        :return: its end, if that is its protocol's to hear.
        """

    def sink_ready(self) -> None:
        """The wire that drains it can be written to."""

    def write(self, data: bytes) -> None:
        """Bytes of ours, to go out behind what has gone this way so far."""

    def wire_lost(self, wire: Wire, reason: Failure) -> None:
        """One of its wires is lost; it releases both."""


class Wire(tcp.Connection):
    """
    A connected TCP socket.

    :ivar source_of: the direction that this wire feeds, while it is relayed.
    :ivar sink_of: the direction that this wire drains, while it is relayed.
    :ivar peer: the address of the other end, as the system gives it.
    :ivar watched: what is waited for: READ, WRITE, both or none.
    """

    # Class-level defaults of what a quiet connection does not need: an instance has a place only
    # for what was once set on it.
    source_of: Direction | None = None
    sink_of: Direction | None = None
    protocol: IProtocol | None = None  # type: ignore[assignment]
    reactor: typing.Any
    logstr = "Wire"
    bufferSize = DEFAULT_LIMITS.write_buffer_bytes
    # A tuple, so that no path can append to what all share; see _write_later.
    _tempDataBuffer: typing.Any = ()
    _tempDataLen = 0
    _reading = False
    _corked = False
    watched = 0
    _tlsClientDefault = False

    def __init__(
        self,
        skt: socket.socket,
        protocol: IProtocol | None,
        peer: tuple[typing.Any, ...],
        reactor: typing.Any,
    ) -> None:
        # Not the stock constructor, which would call setblocking again and make what is class-level
        # here.
        self.reactor = reactor
        self.socket = skt
        self.descriptor = skt.fileno()
        self.protocol = protocol
        self.peer = peer
        self.connected = 1
        self._readiness = readiness_of(reactor)

    def __repr__(self) -> str:
        """Name the protocol and the peer."""
        return f"<{type(self).__name__} {type(self.protocol).__name__} {self.peer[:2]}>"

    def switch_protocol(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol, without a ``makeConnection``.

        Nothing here holds on to the old one.
        """
        if self.TLS:
            # After startTLS our protocol is the TLS layer, and theirs is in it.
            layer: typing.Any = self.protocol
            layer.wrappedProtocol = protocol
        else:
            self.protocol = protocol

    def fileno(self) -> int:
        """Our descriptor; -1 when closed."""
        return self.descriptor

    def getHost(self) -> IPv4Address | IPv6Address:
        """Our own address."""
        return address_of(self.socket.getsockname())

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The other end's address."""
        return address_of(self.peer)

    # Writing

    def write(self, data: bytes) -> None:
        """Send what the kernel takes, now or when others were told, and queue the rest."""
        if (
            self._tempDataLen
            or self.dataBuffer
            or not self.connected
            or self.disconnecting
            or self._writeDisconnecting
            or self.sink_of is not None
            or self.TLS
            or (self.producer is not None and not self.streamingProducer)
            or type(data) is not bytes
            or not data
        ):
            self._write_later(data)
            return
        corked = self._readiness.corked
        if corked is None or len(data) > CORKED_BYTES:
            self._write_now(data)
        else:
            self._tempDataBuffer = [data]
            self._tempDataLen = len(data)
            self._corked = True
            corked.append(self)

    def _write_now(self, data: bytes) -> None:
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0
        if sent != len(data):
            self._write_later(data[sent:] if sent else data)

    def writeSequence(self, iovec: collections.abc.Iterable[bytes]) -> None:
        """Write the parts as one."""
        self.write(b"".join(iovec))

    def _write_later(self, data: bytes) -> None:
        """Behind what is queued, or corked; otherwise the stock path."""
        if self.sink_of is not None:
            self.sink_of.write(data)
        elif self._corked and type(data) is bytes and not self._writeDisconnecting:
            self._tempDataBuffer.append(data)
            self._tempDataLen += len(data)
            if self._tempDataLen > CORKED_BYTES:
                self.uncork()
        elif not self._aborting:
            if not self._tempDataBuffer:
                self._tempDataBuffer = []
            tcp.Connection.write(self, data)

    def registerProducer(self, producer: typing.Any, streaming: bool) -> None:
        """Twisted's; a pull producer is asked when what was written before is out."""
        self.uncork()
        tcp.Connection.registerProducer(self, producer, streaming)

    def uncork(self) -> None:
        """Send what is corked. Harmless if nothing is, any more."""
        if not self._corked:
            return
        self._corked = False
        if self.disconnected or self._aborting:
            return
        if self.dataBuffer:
            # A write event came first, and has not sent all of it.
            self.startWriting()
            return
        data = b"".join(self._tempDataBuffer)
        self._tempDataBuffer = ()
        self._tempDataLen = 0
        if data:
            self._write_now(data)

    def startTLS(self, ctx: typing.Any, normal: bool = True) -> None:
        """Twisted's ``startTLS``; its writes go around ours."""
        self.uncork()
        self._tempDataBuffer = list(self._tempDataBuffer)
        tcp.Connection.startTLS(self, ctx, normal)

    # Closing

    def loseConnection(self) -> None:
        """Close when what is queued is out; at once, as far as callers can tell, if nothing is."""
        self.uncork()
        if self.TLS or self._waits() or (self._writeDisconnecting and not self._writeDisconnected):
            tcp.Connection.loseConnection(self)
        elif self.connected and not self.disconnecting:
            self.disconnecting = 1
            if not self._reading:
                self.reactor.callLater(0, self._close)

    @property
    def queued(self) -> bool:
        """Whether something that was written is not out yet."""
        return bool(self._tempDataLen or self.dataBuffer)

    def _waits(self) -> bool:
        """Whether something has to be written before a close; as ``doWrite`` sees it."""
        return self.queued or (
            self.producer is not None and (not self.streamingProducer or self.producerPaused)
        )

    def _close(self) -> None:
        """The end of a close that had nothing to wait for."""
        if self.disconnected or self._aborting:
            return
        if self._waits():
            # Somebody wrote after all: from here it is the stock close.
            self.stopReading()
            self.startWriting()
        else:
            self.connectionLost(DONE)

    def abortConnection(self) -> None:
        """Reset, in the next turn."""
        if not self.disconnected and not self._aborting:
            self._aborting = True
            self.disconnecting = 1
            self._watch(0)
            self.reactor.callLater(0, self.connectionLost, ABORTED)

    # What is waited for

    def startReading(self) -> None:
        """Be told when it can be read."""
        self._watch(self.watched | READ)

    def stopReading(self) -> None:
        """No more."""
        self._watch(self.watched & ~READ)

    def startWriting(self) -> None:
        """Be told when it can be written."""
        self._watch(self.watched | WRITE)

    def stopWriting(self) -> None:
        """No more."""
        self._watch(self.watched & ~WRITE)

    def _watch(self, events: int) -> None:
        if events != self.watched:
            self._readiness.watch(self, events)
            self.watched = events

    # What it is told

    def doRead(self) -> ConnectionLost | ConnectionDone | None:  # type: ignore[override]
        """Read once, for the protocol or for the direction that this wire feeds."""
        direction = self.source_of
        if direction is not None:
            return direction.source_ready()
        if self.disconnecting:
            # An event of the turn in which we closed.
            return None
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if not data:
            return main.CONNECTION_DONE
        self._reading = True
        try:
            self.protocol.dataReceived(data)  # type: ignore[union-attr]
        finally:
            self._reading = False
        if self.disconnecting:
            self._close()
        return None

    def doWrite(self) -> typing.Any:
        """Send what is queued here, or what waits in the direction that this wire drains."""
        direction = self.sink_of
        if direction is not None:
            direction.sink_ready()
            return None
        if self.disconnected or self._aborting:
            return None
        return tcp.Connection.doWrite(self)

    def ended(self, why: BaseException, *, reading: bool) -> None:
        """
        It ended with an event.

        :param why: what was returned for it, or raised.
        :param reading: whether by reading; what is to be written may then go on.
        """
        if reading and why is main.CONNECTION_DONE:
            self.stopReading()
            self.readConnectionLost(DONE)
            return
        self._watch(0)
        if why is main.CONNECTION_DONE:
            self.connectionLost(DONE)
        else:
            self.connectionLost(LOST if why is main.CONNECTION_LOST else Failure(why))

    def broke(self) -> None:
        """Somebody who wrote to the socket past us was told that it is broken."""
        self.connectionLost(LOST)

    def readConnectionLost(self, reason: Failure) -> None:
        """The other side's FIN."""
        self.uncork()
        if self.source_of is not None:
            self.connectionLost(reason)
        else:
            tcp.Connection.readConnectionLost(self, reason)

    def connectionLost(self, reason: Failure) -> None:
        """It is over: close the socket, and tell whoever has the connection."""
        if self.disconnected:
            return
        if self.source_of is not None:
            self.source_of.wire_lost(self, reason)
            return
        protocol, self.protocol = self.protocol, None
        producer, self.producer = self.producer, None
        self.release(reset=issubclass(reason.type or Exception, ConnectionAborted))
        if producer is not None:
            producer.stopProducing()
        if protocol is not None:
            protocol.connectionLost(reason)

    # For a relay

    def take_over(self, source_of: Direction, sink_of: Direction) -> bytes:
        """
        Become relayed; there is no protocol any more.

        :return: what was written and is not out yet; it is the relay's now.
        """
        self.uncork()
        queued = self.dataBuffer[self.offset :] + b"".join(self._tempDataBuffer)
        if queued:
            self.dataBuffer = b""
            self.offset = 0
            self._tempDataBuffer = ()
            self._tempDataLen = 0
            self.stopWriting()
        self.protocol = self.producer = None
        self.source_of = source_of
        self.sink_of = sink_of
        return queued

    def release(self, *, reset: bool = False) -> None:
        """
        Leave the reactor and close the socket. Nobody is told.

        :param reset: with an RST, and what is on its way to the other end is lost.
        """
        if self.disconnected:
            return
        self.disconnected = 1
        self.connected = 0
        self._watch(0)
        self.source_of = self.sink_of = self.protocol = None
        self.descriptor = -1
        skt = self.socket
        del self.socket
        if reset:
            close_abruptly(skt)
        else:
            # No shutdown before it: the descriptor is ours alone.
            skt.close()


def close_abruptly(skt: socket.socket) -> None:
    """Close a socket with an RST; what is on its way to the other end is lost."""
    with contextlib.suppress(OSError):  # The kernel has reset it already.
        skt.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    skt.close()


def address_of(sockaddr: tuple[typing.Any, ...]) -> IPv4Address | IPv6Address:
    """Return Twisted's name of an address."""
    if len(sockaddr) == 2 and ":" not in sockaddr[0]:
        return IPv4Address("TCP", *sockaddr)
    host, port, *rest = sockaddr
    scope = rest[1] if rest else 0
    if scope and "%" not in host:
        host = socket.getnameinfo(sockaddr, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    return IPv6Address("TCP", host, port, rest[0] if rest else 0, scope)
