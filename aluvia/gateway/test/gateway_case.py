"""A gateway in this process: a real store, real threads, and ports on loopback."""

from __future__ import annotations

import base64
import ipaddress
import typing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.gateway.accounts import Accounts
from aluvia.gateway.egress import Egress
from aluvia.gateway.settings import Settings
from aluvia.net.connecting import ClientWire, Connecting
from aluvia.net.tls_port import Certificate
from aluvia.store import accounts as stored
from aluvia.store.accounts import Credentials
from aluvia.store.engine import Store
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin

reactor: typing.Any = installed

Peer = typing.TypeVar("Peer", FaultPeer, FakeOrigin)
T = typing.TypeVar("T")


def connect_to_loopback(
    reactor: typing.Any,
    family: int,
    sockaddr: tuple[typing.Any, ...],
    connected: typing.Callable[[ClientWire], None],
    failed: typing.Callable[[OSError], None],
) -> Connecting:
    """Connect; but where a guard fails, its test must not reach anybody."""
    assert ipaddress.ip_address(sockaddr[0]).is_loopback, sockaddr
    return ClientWire.connect(reactor, family, sockaddr, connected, failed)


class StoreCase(TestCase):
    """A store of its own for each test."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        """It is open, and empty."""
        self.path = Path(self.mktemp()).absolute()
        self.store = await self.open()

    async def open(self) -> Store:
        """Open it once more, as another process would."""
        store = Store(self.path, reactor.callFromThread)
        self.addCleanup(store.close)
        await store.open()
        return store

    async def add(self, name: str = "alice", **changes: object) -> Credentials:
        """Make an account, with these fields."""

        def write(connection: Connection) -> Credentials:
            made = stored.add(connection, name, 0.0)
            stored.change(connection, stored.find(connection, name), 0.0, changes)
            return made

        return await self.store.write(write)

    async def turns(self, count: int = 1) -> None:
        """Let the reactor turn, so many times."""
        for _ in range(count):
            await deferLater(reactor, 0)

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await self.turns()


class GatewayCase(StoreCase):
    """Starts a gateway's data path and peers, and ends them."""

    async def start(self, certificate: Certificate | None = None, **options: object) -> Egress:
        """A proxy that listens, with one account; private addresses may be reached."""
        self.made = await self.add()
        settings: dict[str, typing.Any] = {"proxy": ("127.0.0.1", 0), "allow_private": True}
        self.accounts = Accounts(self.store, reactor)
        self.addCleanup(self.accounts.stop)
        await self.accounts.start()
        self.egress = Egress(
            Settings(**settings | options),
            self.accounts,
            reactor,
            certificate,
            connect=connect_to_loopback,
        )
        self.addCleanup(self.egress.stop)
        self.egress.open()
        return self.egress

    def peer(self, peer: Peer) -> Peer:
        """Stop it when the test is over."""
        self.addCleanup(peer.stop)
        return peer

    async def connect(self) -> FaultConnection:
        """A client of the proxy."""
        client = await dial(reactor, *self.egress.place("proxy"))
        self.addCleanup(client.close)
        return client

    def credentials(self, options: str = "", password: str | None = None) -> str:
        """The field with them."""
        right = self.made.proxy_password if password is None else password
        pair = f"{self.made.proxy_username}{options}:{right}"
        return "Proxy-Authorization: Basic " + base64.b64encode(pair.encode()).decode()

    async def ask(self, start: str, *fields: str) -> Response:
        """The answer to a request, on a new connection."""
        client = await self.connect()
        head = "\r\n".join([f"{start} HTTP/1.1", "Host: a", *fields, "", ""])
        await client.send(head.encode("latin-1"))
        answer = await read_response(client, start.partition(" ")[0].encode())
        client.close()
        return answer


def asked(coroutine: typing.Coroutine[Deferred[typing.Any], typing.Any, T]) -> Deferred[T]:
    """What will come of a coroutine that has begun."""
    return Deferred.fromCoroutine(coroutine)
