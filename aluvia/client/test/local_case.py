"""A proxy in this process on a port of its own, and real peers on loopback around it."""

from __future__ import annotations

import typing

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.client.local import LocalProxy
from aluvia.client.settings import Settings
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin

reactor: typing.Any = installed

Peer = typing.TypeVar("Peer", FaultPeer, FakeGateway, FakeOrigin)


class LocalCase(TestCase):
    """Starts a proxy and peers, and ends them."""

    timeout = 60

    def start(self, **options: typing.Any) -> LocalProxy:
        """A proxy that listens, with settings of its own."""
        settings = Settings(**{"port": 0} | options)
        self.proxy = LocalProxy(settings, reactor)
        self.proxy.open(settings.port)
        self.addCleanup(self.proxy.stop)
        return self.proxy

    def peer(self, peer: Peer) -> Peer:
        """Stop it when the test is over."""
        self.addCleanup(peer.stop)
        return peer

    async def connect(self, address: str = "127.0.0.1") -> FaultConnection:
        """A client of the proxy."""
        client = await dial(reactor, address, self.proxy.port)
        self.addCleanup(client.close)
        return client

    async def get(self, client: FaultConnection, authority: str, path: str = "/") -> Response:
        """Ask for a page, and read the answer."""
        await client.send(f"GET http://{authority}{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return await read_response(client)

    async def open_tunnel(self, client: FaultConnection, authority: str) -> Response:
        """Ask for a tunnel, and read the answer."""
        await client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return await read_response(client, b"CONNECT")

    async def turns(self, count: int = 1) -> None:
        """Let the reactor turn, so many times."""
        for _ in range(count):
            await deferLater(reactor, 0)

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await self.turns()
