"""A gateway in this process: a real store, real threads, and ports on loopback."""

from __future__ import annotations

import base64
import ipaddress
import typing

from sqlalchemy import Connection
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from aluvia.gateway.accounts import Accounts
from aluvia.gateway.egress import Egress
from aluvia.gateway.settings import Settings
from aluvia.net.connecting import ClientWire, Connecting
from aluvia.net.tls_port import Certificate
from aluvia.store import accounts as stored
from aluvia.store.accounts import Credentials
from aluvia.store.test.store_case import StoreCase
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


class AccountStoreCase(StoreCase):
    """A store that accounts can be put in."""

    async def add(self, name: str = "alice", **changes: object) -> Credentials:
        """Make an account, with these fields."""

        def write(connection: Connection) -> Credentials:
            made = stored.add(connection, name, 0.0)
            stored.change(connection, stored.find(connection, name), 0.0, changes)
            return made

        return await self.store.write(write)


class GatewayCase(AccountStoreCase):
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
