"""``aluvia agent-key`` on the file of an edge that runs, and before there is one."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from tests.agent_keys import AgentKeyCase
from tests.edge_case import backend


class RunningEdgeTests(AgentKeyCase):
    """An edge has its store alone; keys come into it all the same."""

    async def test_running_edge(self) -> None:
        """Keys are added, rotated, listed and revoked while an edge runs on the file."""
        edge, api, origin = await self.start()
        key = await self.add(edge.db, "laptop", "--publish", "web", "--expires", "30d")
        self.assertRegex(key, r"^alv_agent_[\w-]{43}$")
        await self.add(edge.db, "exits", "--exit")
        rotated = await self.call(edge.db, "rotate", "laptop", "--json")
        self.secrets.append(json.loads(rotated.stdout)["key"])
        self.assertNotIn(key, self.secrets[-1])
        self.assertEqual(await self.names(edge.db), ["exits", "laptop"])
        self.assertEqual((await self.call(edge.db, "revoke", "exits")).status, 0)
        self.assertEqual((await self.call(edge.db, "revoke", "exits")).status, 65)
        self.assertEqual(await self.names(edge.db), ["laptop"])
        # The edge's own changes go on, behind those.
        await self.route(api, "b.example", backend(origin))
        self.assertEqual((await self.visit(edge, "b.example")).status, 200)
        for secret in self.secrets[1:]:
            for each in edge.db.parent.glob("edge.db*"):
                self.assertNotIn(secret.encode(), each.read_bytes())

    async def test_two_writers(self) -> None:
        """Of keys and routes that are made at one time none is lost, by a restart neither."""
        edge, api, origin = await self.start()
        made = [Deferred.fromCoroutine(self.add(edge.db, f"key{number}")) for number in range(4)]
        for number in range(30):
            await self.route(api, f"r{number}.example", backend(origin))
        await gatherResults(made)
        await edge.stop()
        again = await self.edge(db=edge.db)
        self.assertEqual(len(await self.api(again).get("/routes")), 31)
        self.assertEqual(await self.names(again.db), [f"key{number}" for number in range(4)])

    async def test_before_an_edge(self) -> None:
        """The first key makes the file, and an edge begins with it."""
        db = Path(self.mktemp() + ".db").absolute()
        self.assertEqual((await self.call(db, "list")).status, 78)
        self.assertFalse(db.exists())
        await self.add(db, "laptop")
        edge = await self.edge(db=db)
        self.assertEqual(await self.names(edge.db), ["laptop"])
        await self.route(self.api(edge), "a.example", backend(self.origin()))
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
