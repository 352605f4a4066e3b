"""An admin port with a fake client behind it, and connections in memory."""

from __future__ import annotations

import json
import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.admin import admin_site
from aluvia.client.admin_site import LocalChannel, LocalSite
from aluvia.client.config import Snapshot
from aluvia.client.test.fake_observed import FakeObserved
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet

PAGES = (
    "/",
    "/?host=a.example",
    "/style.css",
    "/icon.svg",
    "/healthz",
    "/readyz",
    "/metrics",
    "/explain?host=a.example",
    "/connections",
    "/ledger",
    "/proxy.pac",
)

#: What a browser sends for a page.
BROWSER = (
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
    "image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
)


class Transport(StringTransport):
    """
    A connection in memory that ends as TCP's do: asked to close, it says that it is closing, and
    its protocol is told once it has returned.
    """

    protocol: LocalChannel

    def loseConnection(self) -> None:
        """Close."""
        self.disconnecting = True

    def abortConnection(self) -> None:
        """Close."""
        self.disconnecting = True

    def unregisterProducer(self) -> None:
        """As often as one likes."""
        self.producer = None

    def settle(self) -> None:
        """Let the end be told."""
        if self.disconnecting and self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(ConnectionDone()))

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


class AdminCase(SynchronousTestCase):
    """An admin port with a fake client behind it."""

    def setUp(self) -> None:
        """A client with a configuration, at second 100."""
        self.transports: list[Transport] = []
        self.clock = Clock()
        self.clock.advance(100)
        self.observed = FakeObserved(started_at=90.0)
        self.observed.now = Snapshot(
            gateway=ParentProxy.from_url("http://canary-user:canary-pass@gate.example:3128"),
            rules=RuleSet.compile(["*.example", "-www.example", "*"], 3),
            revision=3,
            fetched_at=95.0,
        )
        self.site: LocalSite = admin_site(self.observed, typing.cast(typing.Any, self.clock))

    def connect(self) -> Transport:
        """A connection."""
        transport = Transport()
        transport.protocol = self.site.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        self.transports.append(transport)
        return transport

    def leave(self, transport: Transport) -> None:
        """The client closes."""
        transport.disconnecting = True
        transport.settle()

    def advance(self, seconds: float) -> None:
        """Let time pass, and connections end."""
        self.clock.advance(seconds)
        for transport in self.transports:
            transport.settle()

    def send(self, raw: bytes) -> bytes:
        """What comes back for these bytes on a new connection."""
        transport = self.connect()
        transport.deliver(raw)
        value: bytes = transport.value()
        self.leave(transport)
        return value

    def ask(
        self,
        target: str,
        *fields: str,
        method: str = "GET",
        host: str | None = "127.0.0.1:18788",
        body: bytes = b"",
    ) -> Reply:
        """The answer to one request."""
        lines = [f"{method} {target} HTTP/1.1", *fields]
        if host is not None:
            lines.append(f"Host: {host}")
        return Reply(self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body))
