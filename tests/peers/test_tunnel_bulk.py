"""A gigabyte each way through a tunnel, with flat memory of the edge and of the agent."""

from __future__ import annotations

import os

from tests.peers.edge_nginx import start_site
from tests.peers.support import forget_peak, peak_bytes
from tests.peers.test_bulk import GIGABYTE, Sink
from tests.peers.tunnels import PeerTunnelCase

#: What either may hold at its peak besides what it held before: windows, and what is queued.
GROWTH = 12_000_000


class TunnelBulkTests(PeerTunnelCase):
    """From nginx, and to an origin that counts."""

    async def moves(self, base: str, target: str, *options: str) -> str:
        """What curl says about a transfer; memory must have stayed where it was."""
        both = (self.edge_process, self.app_agent)
        before = [each.resident_bytes() for each in both]
        for each in both:
            forget_peak(each)
        got = await self.curl_app(base, target, "--max-time", "200", *options)
        self.assertEqual(got.status, 0, got.stderr)
        grown = [peak_bytes(each) - at for each, at in zip(both, before, strict=True)]
        self.assertLess(max(grown), GROWTH, grown)
        return str(got.stdout)

    async def test_download(self) -> None:
        """To a reader that is quick, and to one that is slow."""
        site = await start_site(self, {"big": GIGABYTE, "first": 1000})
        edge = await self.publish_app(site.port)
        size = ("--output", os.devnull, "--write-out", "%{size_download}")
        for base in self.bases(edge):
            self.assertEqual(await self.moves(base, "/first", *size), "1000")
        self.assertEqual(await self.moves(self.bases(edge)[0], "/big", *size), str(GIGABYTE))
        before = edge.resident_bytes(), self.app_agent.resident_bytes()
        slow = ("--limit-rate", "1M", "--max-time", "3", "--output", os.devnull)
        got = await self.curl_app(self.bases(edge)[0], "/big", *slow)
        self.assertEqual(got.status, 28, got)
        self.assertLess(peak_bytes(edge) - before[0], GROWTH)
        self.assertLess(peak_bytes(self.app_agent) - before[1], GROWTH)

    async def test_upload(self) -> None:
        """To an origin that counts."""
        sink = Sink(GIGABYTE)
        edge = await self.publish_app(self.peer([sink], [sink], keep=1000).port)
        with open("big", "wb") as file:
            file.truncate(GIGABYTE)
        upload = ("--upload-file", os.path.abspath("big"))
        said = await self.moves(
            self.bases(edge)[0], "/", *upload, "--write-out", " %{http_code} %{size_upload}"
        )
        self.assertEqual((said, sink.got), (f"read 200 {GIGABYTE}", GIGABYTE))
