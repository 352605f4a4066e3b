"""Whole edges over one store, a backend, and what asks them and their API."""

from __future__ import annotations

import typing
from pathlib import Path

import attrs
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.edge.edge import Edge
from aluvia.edge.listeners import Listener
from aluvia.edge.model import Backend, BalancingStrategy, Route
from aluvia.edge.settings import Settings
from aluvia.edge.test.edge_case import HOST, connect_to_loopback, reactor
from aluvia.testing.dialling import dial
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin

TOKEN = "a-token-of-some-length"


class WholeEdgeCase(TestCase):
    """Edges over one store."""

    timeout = 60

    def setUp(self) -> None:
        """No store yet; a backend."""
        self.db = Path(self.mktemp()).absolute()
        self.origin = FakeOrigin(reactor)
        self.addCleanup(self.origin.stop)

    async def start(self, settings: Settings | None = None) -> Edge:
        """One more edge."""
        edge = Edge(settings, token=TOKEN, db=self.db, reactor=reactor, connect=connect_to_loopback)
        self.addCleanup(edge.stop)
        await edge.start()
        return edge

    def backend(self, id: str = "node-1") -> Backend:
        """The backend."""
        return Backend(id=id, hostname="127.0.0.1", port=self.origin.port)

    def route(self, **values: typing.Any) -> Route:
        """As the seed's example has it."""
        route = Route(
            id="service-a",
            v_host=HOST,
            strategy=BalancingStrategy.ROUND_ROBIN,
            req_active_length=50,
            req_queue_length=100,
            backends=(self.backend(),),
        )
        return attrs.evolve(route, **values)

    async def ask(self, edge: Edge, path: str = "/", host: str = HOST) -> Response:
        """Ask the edge."""
        return await self.ask_at(edge.ingress.place("http"), path, f"Host: {host}")

    async def ask_api(self, edge: Edge, path: str, method: str = "GET", body: str = "") -> Response:
        """Ask its API."""
        fields = [f"Authorization: Bearer {TOKEN}", "Host: a"]
        if body:
            fields += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        assert edge.api_port is not None
        place = "127.0.0.1", edge.api_port
        return await self.ask_at(place, path, *fields, method=method, body=body)

    async def ask_at(
        self, place: tuple[str, int], path: str, *fields: str, method: str = "GET", body: str = ""
    ) -> Response:
        """Ask somebody."""
        client = await dial(reactor, *place)
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""])
        await client.send((head + body).encode())
        answer = await read_response(client, method.encode())
        client.close()
        return answer

    def settings(self, **more: typing.Any) -> Settings:
        """On loopback, over the store."""
        return Settings(
            **{
                "http": Listener(address="127.0.0.1"),
                "https": None,
                "api": ("127.0.0.1", 0),
                "db": self.db,
            }
            | more
        )

    async def turn(self) -> None:
        """Let the reactor turn."""
        await deferLater(reactor, 0)
