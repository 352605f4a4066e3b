"""The other ends of what a process tells its supervisors."""

from __future__ import annotations

import contextlib
import socket
import typing

from twisted.internet import reactor
from twisted.internet.defer import Deferred


class Supervisor:
    """The other end of ``NOTIFY_SOCKET``."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(address)

    def heard(self) -> list[str]:
        """What was said since the last time."""
        said = []
        with contextlib.suppress(BlockingIOError):
            while True:
                said.append(self.socket.recv(4096).decode())
        return said


def turn() -> Deferred[None]:
    """Let the reactor look at its descriptors."""
    later: Deferred[None] = Deferred()
    typing.cast(typing.Any, reactor).callLater(0.02, later.callback, None)
    return later
