"""
A parent process that started us for itself: told when we are ready, and our end when it ends.

``aluvia run`` starts a proxy for one command. It makes a socket pair, gives us one end by number
in ``ALUVIA_PARENT_FD``, and keeps the other. When the proxy can be used, one line of JSON goes up,
the same object as in a port file. When the parent ends, however that happens, our end reads EOF,
and we stop.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import typing

from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

#: Names the descriptor. Taken out of the environment as soon as it is read.
VARIABLE = "ALUVIA_PARENT_FD"


class Lifeline(Protocol):
    """
    Our end of the pair.

    :param gone: called once, when the parent is no more.
    """

    def __init__(self, gone: typing.Callable[[], object]) -> None:
        self._gone: typing.Callable[[], object] | None = gone

    def ready(self, content: typing.Mapping[str, object]) -> None:
        """Tell the parent where the proxy is."""
        if self.transport is not None:
            self.transport.write(json.dumps(dict(content)).encode("ascii") + b"\n")

    def dataReceived(self, data: bytes) -> None:
        """A parent has nothing to say; what comes is dropped."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The parent is gone, or we let go ourselves."""
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    def release(self) -> None:
        """Let go, without :meth:`connectionLost` meaning anything any more."""
        self._gone = None
        if self.transport is not None:
            self.transport.loseConnection()


class Adopts(typing.Protocol):
    """What we need of a reactor: :class:`twisted.internet.interfaces.IReactorSocket`."""

    def adoptStreamConnection(
        self,
        fileDescriptor: int,
        addressFamily: int,
        factory: typing.Any,
    ) -> object:
        """Make a transport of a copy of this descriptor, for a protocol of this factory."""


class _Made(ServerFactory[Lifeline]):
    """Gives the protocol that there is; the reactor asks a factory even for one connection."""

    noisy = False

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline = lifeline

    def buildProtocol(self, addr: object) -> Lifeline:
        """Give it."""
        return self._lifeline


def adopt(reactor: Adopts, number: str, gone: typing.Callable[[], object]) -> Lifeline:
    """
    Take over a descriptor that the parent gave us.

    :param number: the value of :data:`VARIABLE`.
    :raises OSError: if it is no socket; with a sentence that says so.
    """
    descriptor = int(number) if re.fullmatch("[0-9]{1,9}", number) else -1
    try:
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        is_socket = False
    if not is_socket:
        raise OSError(f"{VARIABLE} is not the number of a socket")
    lifeline = Lifeline(gone)
    reactor.adoptStreamConnection(descriptor, socket.AF_UNIX, _Made(lifeline))
    # The reactor has a copy of its own, which children do not inherit.
    os.close(descriptor)
    return lifeline
