"""wrk, for a few seconds: not one error, whatever is changed meanwhile."""

from __future__ import annotations

import re

from twisted.internet.defer import Deferred

from tests.aluvia_process import pause
from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import start_site
from tests.peers.support import need_program
from tests.support import Curled

SECONDS = 2
CONNECTIONS = 32


class EdgeLoadTests(EdgeCase):
    """Two nginx, and wrk on kept connections."""

    async def start(self, *options: str) -> Edge:
        """Start all three."""
        self.wrk = need_program("wrk", "wrk")
        self.sites = [await start_site(self, {"a.txt": b"here\n" * 200}) for _ in range(2)]
        edge = await self.edge(*options)
        await edge.route(HOST, *(site.port for site in self.sites))
        await self.certify(edge, HOST)
        return edge

    async def load(self, url: str, *options: str) -> Curled:
        """Run it."""
        return await self.run_command(
            *(self.wrk, "--threads", "1", "--connections", str(CONNECTIONS)),
            *("--duration", f"{SECONDS}s", "--header", f"Host: {HOST}", *options, url),
        )

    def assert_no_error(self, ran: Curled) -> int:
        """All were answered with 200; how many there were."""
        self.assertEqual(ran.status, 0, ran)
        self.assertNotIn("Socket errors", ran.stdout)
        self.assertNotIn("Non-2xx", ran.stdout)
        requests = re.search(r"(\d+) requests in", ran.stdout)
        assert requests is not None
        return int(requests[1])

    async def test_no_error(self) -> None:
        """In the clear and inside TLS; as many are counted as there were."""
        edge = await self.start()
        count = 0
        for url in (f"http://127.0.0.1:{edge.port}", f"https://127.0.0.1:{edge.https}"):
            count += self.assert_no_error(await self.load(f"{url}/a.txt"))
        self.assertGreater(count, 1000)
        told = await edge.since_start()
        self.assertEqual(told["errors"]["byCause"], {})
        # wrk leaves in the middle of what it has just asked for.
        self.assertLess(told["requests"] - count, 2 * CONNECTIONS + 1)

    async def test_changes_meanwhile(self) -> None:
        """Routes, members, certificates and settings change under load, and nobody notices."""
        edge = await self.start()
        running = Deferred.fromCoroutine(self.load(f"http://127.0.0.1:{edge.port}/a.txt"))
        for number in range(6):
            one, other = (member["id"] for member in await edge.members(HOST))
            at = f"/routes/{HOST}/backends"
            await edge.change("POST", f"{at}/{one}/drain")
            await edge.route(f"r{number}.example.com", self.sites[0].port)
            await pause(0.1)
            await edge.change("POST", f"{at}/{one}/ready")
            await edge.change("DELETE", f"{at}/{other}")
            await edge.change("PATCH", f"/routes/{HOST}", {"reqActiveLength": 40 + number})
            await self.certify(edge, HOST)
            backend = {"hostname": "127.0.0.1", "port": self.sites[1].port}
            await edge.change("POST", at, backend)
            await edge.change("DELETE", f"/routes/r{number}.example.com")
        self.assert_no_error(await running)
        self.assertEqual((await edge.since_start())["errors"]["byCause"], {})

    async def test_a_backend_ends_meanwhile(self) -> None:
        """One of two nginx is killed under load: the other one has it all, without an error."""
        edge = await self.start()
        running = Deferred.fromCoroutine(self.load(f"http://127.0.0.1:{edge.port}/a.txt"))
        await pause(0.7)
        self._daemons[0].kill()
        self.assert_no_error(await running)
        self.assertEqual([m["isDead"] for m in await edge.members(HOST)], [True, False])
