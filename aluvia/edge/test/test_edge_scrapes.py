"""Scrapes of a whole edge that has many routes, and who does not wait for their end."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred

from aluvia.edge.edge import Edge
from aluvia.edge.test.edge_case import reactor
from aluvia.edge.test.whole_edge_case import TOKEN, WholeEdgeCase
from aluvia.telemetry.exposition import Exposition, Families
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial

ROUTES = 800

#: Of each route there is a part of eight at least.
PARTS = ROUTES // 8


class EdgeScrapesTests(WholeEdgeCase):
    """``/metrics`` of 800 routes."""

    async def begin(self) -> tuple[Edge, FaultConnection]:
        """A scrape that has begun; :attr:`parts` are those that were made of it."""
        edge = await self.start()
        routes = [{"id": f"r{number}", "vHost": f"h{number}.test"} for number in range(ROUTES)]
        whole = {"routes": routes, "certificates": [], "authProviders": []}
        put = await self.ask_api(edge, "/api/v1/config", "PUT", json.dumps(whole))
        self.assertEqual(put.status, 200, put.body)
        self.parts = 0
        begun: Deferred[None] = Deferred()
        add = Exposition.add

        def counted(exposition: Exposition, families: Families) -> None:
            self.parts += 1
            if not begun.called:
                begun.callback(None)
            add(exposition, families)

        self.patch(Exposition, "add", counted)
        assert edge.api_port is not None
        client = await dial(reactor, "127.0.0.1", edge.api_port)
        fields = f"Host: a\r\nAuthorization: Bearer {TOKEN}"
        await client.send(f"GET /metrics HTTP/1.1\r\n{fields}\r\n\r\n".encode())
        await begun
        return edge, client

    async def turns(self) -> None:
        """Let the reactor turn more often than there are parts."""
        for _ in range(2 * PARTS):
            await self.turn()

    async def test_who_asked_has_left(self) -> None:
        """No more is made for it."""
        _, client = await self.begin()
        client.reset()
        await self.turns()
        self.assertLess(self.parts, PARTS)

    async def test_the_edge_ends(self) -> None:
        """It does not wait for that, and nothing is left behind."""
        edge, _ = await self.begin()
        await edge.stop()
        parts = self.parts
        await self.turns()
        self.assertLess(parts, PARTS)
        self.assertEqual(self.parts, parts)

    async def test_the_whole(self) -> None:
        """Who stays gets it."""
        _, client = await self.begin()
        head = await client.read_until(b"\r\n\r\n")
        self.assertIn(b" 200 OK", head)
        self.assertGreater(self.parts, PARTS)
        client.close()
