"""Where a fault-injecting peer is reached: one bound socket, in one of three states."""

from __future__ import annotations

import collections.abc
import contextlib
import socket

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.testing.reactors import DescriptorReactor


@implementer(IReadDescriptor)
class Door:
    """The bound socket: listening, or only bound (then it refuses), or full (then it ignores)."""

    def __init__(
        self,
        reactor: DescriptorReactor,
        accepted: collections.abc.Callable[[socket.socket], None],
        address: str,
        port: int,
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind((address, port))
        self._reactor = reactor
        self._accepted = accepted
        self.port: int = self._socket.getsockname()[1]

    def listen(self) -> None:
        """Accept what comes."""
        self._socket.listen(1024)
        self._reactor.addReader(self)

    def fill(self) -> list[socket.socket]:
        """Listen with no backlog, and take what place there is: the kernel drops further SYNs."""
        self._socket.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket(self._socket.family, socket.SOCK_STREAM)
            filler.setblocking(False)
            filler.connect_ex(self._socket.getsockname())
            fillers.append(filler)
        return fillers

    def close(self) -> None:
        """Give the port up."""
        self._reactor.removeReader(self)
        self._socket.close()

    def fileno(self) -> int:
        """Our descriptor; -1 when closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """Our name in logs."""
        return "FaultPeer"

    def doRead(self) -> None:
        """Accept one."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            sock, _ = self._socket.accept()
            self._accepted(sock)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gave us up."""
        self.close()
