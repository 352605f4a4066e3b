"""An edge's data path in this process, on ports of loopback, with real peers around it."""

from __future__ import annotations

import functools
import ipaddress
import json
import typing

import attrs
from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.edge.ingress import Ingress
from aluvia.edge.listeners import Listener
from aluvia.edge.model import Backend, Route, Snapshot
from aluvia.edge.settings import Settings
from aluvia.hub.fixed_keys import FixedKeys
from aluvia.net.connecting import ClientWire, Connecting
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

reactor: typing.Any = installed

Peer = typing.TypeVar("Peer", FaultPeer, FakeOrigin)

HOST = "edge.test"
ANYWHERE = Listener(address="127.0.0.1", port=0)


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


def backend(peer: FaultPeer | FakeOrigin, id: str = "", **values: typing.Any) -> Backend:
    """A backend that is this peer."""
    return Backend(id=id or f"b{peer.port}", hostname="127.0.0.1", port=peer.port, **values)


class EdgeCase(TestCase):
    """Starts an edge's data path and peers, and ends them."""

    timeout = 60
    state = Snapshot()
    keys: FixedKeys | None = None

    def open(self, *, limits: Limits = DEFAULT_LIMITS, **settings: typing.Any) -> Ingress:
        """An edge that listens."""
        self.edge = Ingress(
            Settings(**{"http": ANYWHERE, "https": None} | settings),
            reactor,
            connect=connect_to_loopback,
            limits=limits,
            keys=self.keys,
        )
        self.addCleanup(self.edge.closed)
        self.addCleanup(self.edge.stop)
        self.edge.open()
        return self.edge

    def use(self, **parts: typing.Any) -> None:
        """Change the configuration: routes, certificates, providers, each by id."""
        after = attrs.evolve(self.state, **parts)
        self.edge.applied.prepare(self.state, after)()
        self.state = after

    def route(self, *backends: Backend, **values: typing.Any) -> Route:
        """Serve :data:`HOST`, and nothing else, by these backends."""
        if not hasattr(self, "edge"):
            self.open()
        route = Route(**{"id": "r", "v_host": HOST, "backends": backends} | values)
        self.use(routes={"r": route})
        return route

    def peer(self, peer: Peer) -> Peer:
        """Stop it when the test is over."""
        self.addCleanup(peer.stop)
        return peer

    def origin(self) -> FakeOrigin:
        """A backend that answers."""
        return self.peer(FakeOrigin(reactor))

    async def connect(self, port: str = "http") -> FaultConnection:
        """A client of the edge."""
        client = await dial(reactor, *self.edge.place(port))
        self.addCleanup(client.close)
        return client

    async def ask(
        self,
        path: str = "/",
        *fields: str,
        client: FaultConnection | None = None,
        method: str = "GET",
        host: str = HOST,
        body: bytes = b"",
    ) -> Response:
        """Ask, and read the answer."""
        connection = client or await self.connect()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await connection.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = await read_response(connection, method.encode("ascii"))
        if client is None:
            connection.close()
        return answer

    async def echo(
        self, path: str = "/", *fields: str, **more: typing.Any
    ) -> dict[str, typing.Any]:
        """Ask, and return what the backend has seen."""
        answer = await self.ask(path, *fields, **more)
        self.assertEqual(answer.status, 200, answer.body)
        seen: dict[str, typing.Any] = json.loads(answer.body)
        return seen

    @functools.cached_property
    def live(self) -> typing.Any:
        """The one route."""
        return self.edge.applied.routes["r"]

    async def turns(self, count: int = 1) -> None:
        """Let the reactor turn, so many times."""
        for _ in range(count):
            await deferLater(reactor, 0)

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await self.turns()


def seen(fields: dict[str, typing.Any], name: str) -> list[str]:
    """The values of a field that a backend has seen."""
    return [value for key, value in fields["headers"] if key.lower() == name.lower()]
