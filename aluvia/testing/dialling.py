"""The client's side of a test: connect, and get a :class:`FaultConnection`."""

from __future__ import annotations

import errno
import socket

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.testing.connection import FaultConnection
from aluvia.testing.reactors import Clock, DescriptorReactor


async def dial(
    reactor: DescriptorReactor,
    host: str,
    port: int,
    *,
    clock: Clock | None = None,
    keep: int = 65_536,
    receive_buffer: int | None = None,
) -> FaultConnection:
    """
    Connect to an address (not a name), without a timeout: cancel the Deferred around it for that.

    :param receive_buffer: ``SO_RCVBUF``, for a reader whose window is small.
    :raises OSError: as the kernel says it; :exc:`ConnectionResetError` also where the connect went
        well and the RST that followed was quicker than we.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        code = sock.connect_ex((host, port))
        if code == errno.EINPROGRESS:
            await _Connecting(reactor, sock).done
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"{errno.errorcode.get(code, code)} from {host} port {port}")
    except BaseException:
        sock.close()
        raise
    return FaultConnection(reactor, sock, keep=keep, clock=clock)


@implementer(IWriteDescriptor)
class _Connecting:
    """A socket that is on its way; :attr:`done` fires when it arrived or failed."""

    def __init__(self, reactor: DescriptorReactor, sock: socket.socket) -> None:
        self._reactor = reactor
        self._socket = sock
        self.done: Deferred[None] = Deferred(lambda _: reactor.removeWriter(self))
        reactor.addWriter(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "FaultConnection (connecting)"

    def doWrite(self) -> None:
        self._arrived()

    def doRead(self) -> None:
        # Nobody asked to read; but an error shows itself in every way there is.
        self._arrived()

    def connectionLost(self, reason: Failure) -> None:
        self._arrived()

    def _arrived(self) -> None:
        self._reactor.removeWriter(self)
        if not self.done.called:
            self.done.callback(None)
