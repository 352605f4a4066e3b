"""A site in memory, and what it answers."""

from __future__ import annotations

import json
import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from aluvia.api.site import BoundedChannel, BoundedSite


class MemoryTransport(StringTransport):
    """
    A connection that ends as TCP's do: asked to close, its protocol is told a turn later.

    :ivar cut: whether it was ended without waiting for what was written.
    :ivar settles: whether a client lets it close that is not cut.
    """

    protocol: BoundedChannel
    cut = False
    settles = True

    def loseConnection(self) -> None:
        """Close."""
        self.disconnecting = True

    def abortConnection(self) -> None:
        """Cut."""
        self.disconnecting = self.cut = True

    def unregisterProducer(self) -> None:
        """As often as one likes."""
        self.producer = None

    def settle(self) -> None:
        """Let the end be told."""
        if self.disconnecting and self.connected and (self.settles or self.cut):
            self.connected = False
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def leave(self) -> None:
        """The client closes."""
        self.disconnecting = True
        self.settle()

    def deliver(self, data: bytes) -> None:
        """Bytes of the client, which are not read any more once it is closing."""
        if not self.disconnecting:
            self.protocol.dataReceived(data)
        self.settle()


class Reply:
    """An answer, taken apart."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(line.split(" ")[1])
        self.fields = {
            name.lower(): value for name, _, value in (field.partition(": ") for field in fields)
        }

    def json(self) -> typing.Any:
        """The body, which is JSON."""
        return json.loads(self.body)


def connect(site: BoundedSite) -> MemoryTransport:
    """A connection to a site."""
    transport = MemoryTransport()
    transport.protocol = site.buildProtocol(None)
    transport.protocol.makeConnection(transport)
    return transport


def head(method: str, target: str, *fields: str, host: str | None = "127.0.0.1:8900") -> bytes:
    """The head of a request."""
    lines = [f"{method} {target} HTTP/1.1", *fields]
    if host is not None:
        lines.append(f"Host: {host}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
