"""An admin port with a fake client behind it, and connections in memory."""

from __future__ import annotations

import typing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.test.site_case import MemoryTransport, Reply, connect
from aluvia.client.admin import admin_site
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


class AdminCase(SynchronousTestCase):
    """An admin port with a fake client behind it."""

    def setUp(self) -> None:
        """A client with a configuration, at second 100."""
        self.transports: list[MemoryTransport] = []
        self.clock = Clock()
        self.clock.advance(100)
        self.observed = FakeObserved(started_at=90.0)
        self.observed.now = Snapshot(
            gateway=ParentProxy.from_url("http://canary-user:canary-pass@gate.example:3128"),
            rules=RuleSet.compile(["*.example", "-www.example", "*"], 3),
            revision=3,
            fetched_at=95.0,
        )
        self.site = admin_site(self.observed, typing.cast(typing.Any, self.clock))

    def connect(self) -> MemoryTransport:
        """A connection."""
        transport = connect(self.site)
        self.transports.append(transport)
        return transport

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
        transport.leave()
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
