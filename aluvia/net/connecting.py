"""
Connecting: one socket, one ``connect`` that does not block.

The state is looked at once right after it: to this machine, and sometimes next door, the connection
is through by then, and the turn of the reactor that would tell is saved, with two calls of epoll.
"""

from __future__ import annotations

import collections.abc
import errno
import os
import socket
import sys
import typing

from twisted.internet.interfaces import IProtocol, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.transport import Wire

__all__ = ["ClientWire", "Connecting"]

_SOCK_NONBLOCK = getattr(socket, "SOCK_NONBLOCK", 0)
_STREAM = socket.SOCK_STREAM | _SOCK_NONBLOCK

# The first byte of TCP_INFO is the state, and asking for one byte is cheap (Linux, tcp(7)).
_TCP_INFO: int | None = socket.TCP_INFO if sys.platform == "linux" else None
_SYN_SENT = 2
_SYN_RECEIVED = 3
_CLOSED = 7


#: Reads of what came before a connection broke; more than the kernel keeps for us of one.
LAST_READS = 256


class ClientWire(Wire):
    """
    A connection that we dialled.

    When its other end has reset it, what that said before still counts: a server that refuses an
    upload answers, and closes, which is a reset for whoever goes on sending. We may meet that in
    writing, before what came was read; Linux keeps it for us, and it is read then.
    """

    _tlsClientDefault = True

    @staticmethod
    def connect(
        reactor: typing.Any,
        family: int,
        sockaddr: tuple[typing.Any, ...],
        connected: collections.abc.Callable[[ClientWire], None],
        failed: collections.abc.Callable[[OSError], None],
    ) -> Connecting:
        """
        Connect one socket.

        One of the two is called, once, unless the handle is cancelled before. **Either may be
        called before this returns**: a connection to this machine usually is through at once, and
        an address without a route fails at once. Then the handle is spent, and cancelling it does
        nothing.

        :param family: ``AF_INET`` or ``AF_INET6``.
        :param sockaddr: host and port, the host a literal: nothing is resolved here.
        :param connected: called with the connection, which reads nothing until its :meth:`start`.
        :param failed: called with the system's error as it is.
        """
        connecting = Connecting(reactor, sockaddr, connected, failed)
        connecting.begin(family)
        return connecting

    def start(self, protocol: IProtocol) -> None:
        """Read for a protocol, and tell it that it is connected."""
        self.protocol = protocol
        self.startReading()
        protocol.makeConnection(self)

    def doWrite(self) -> typing.Any:
        """As for any; if the connection is broken, hear what came before it was."""
        broken = super().doWrite()
        if isinstance(broken, Exception):
            self._hear_out()
        return broken

    def broke(self) -> None:
        """Hear what came before."""
        self._hear_out()
        super().broke()

    def _hear_out(self) -> None:
        for _ in range(LAST_READS):
            # An end is not to be told from a cut any more: who calls us says that it broke.
            if self.disconnecting or self.disconnected or self.doRead() is not None:
                return


@implementer(IWriteDescriptor)
class Connecting:
    """
    A ``connect`` under way.

    It is a descriptor of its own, and not a state of the wire. An event that was meant for an
    earlier owner of the same descriptor number, in the turn in which that one closed, is recognised
    by the state of the socket, and we wait on.
    """

    __slots__ = ("_connected", "_failed", "_reactor", "_sockaddr", "_socket")

    def __init__(
        self,
        reactor: typing.Any,
        sockaddr: tuple[typing.Any, ...],
        connected: collections.abc.Callable[[ClientWire], None],
        failed: collections.abc.Callable[[OSError], None],
    ) -> None:
        self._reactor = reactor
        self._sockaddr = sockaddr
        self._connected = connected
        self._failed = failed
        self._socket: socket.socket | None = None

    def begin(self, family: int) -> None:
        """Connect, and see whether that was all."""
        try:
            self._socket = skt = socket.socket(family, _STREAM)
            if not _SOCK_NONBLOCK:
                skt.setblocking(False)
            skt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            result = skt.connect_ex(self._sockaddr)
        except OSError as error:
            self._fail(error)
            return
        if result not in (0, errno.EINPROGRESS):
            self._fail(OSError(result, os.strerror(result)))
        elif _TCP_INFO is None or not self._settled():
            self._reactor.addWriter(self)

    def cancel(self) -> None:
        """Close the socket; nobody is called any more."""
        if self._socket is not None:
            skt = self._leave()
            assert skt is not None
            skt.close()

    # What the reactor calls

    def fileno(self) -> int:
        """Our descriptor; -1 when it is not ours any more."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Our name in logs."""
        return "Connecting"

    def doWrite(self) -> None:
        """It is through, or has failed."""
        if self._socket is not None:
            self._settled()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the socket in error, and has removed us."""
        if self._socket is not None and not self._settled():
            self._reactor.addWriter(self)

    # Within

    def _settled(self) -> bool:
        """Whether it is over, one way or the other; then that has been told."""
        skt = self._socket
        assert skt is not None
        if _TCP_INFO is not None:
            state = skt.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0]
            if state in (_SYN_SENT, _SYN_RECEIVED):
                return False
            if state != _CLOSED:
                self._succeed()
                return True
        code = skt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code or _TCP_INFO is not None:
            code = code or errno.ECONNRESET
            self._fail(OSError(code, os.strerror(code)))
        else:
            self._succeed()
        return True

    def _succeed(self) -> None:
        connected = self._connected
        skt = self._leave()
        assert skt is not None
        connected(ClientWire(skt, None, self._sockaddr, self._reactor))

    def _fail(self, error: OSError) -> None:
        failed = self._failed
        skt = self._leave()
        if skt is not None:
            skt.close()
        failed(error)

    def _leave(self) -> socket.socket | None:
        """Let go of those who wait, since they hold us: a cycle would be left to the collector."""
        skt = self._socket
        if skt is not None:
            self._reactor.removeWriter(self)
            self._socket = None
        del self._connected, self._failed
        return skt
