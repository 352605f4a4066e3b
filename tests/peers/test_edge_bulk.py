"""A gigabyte each way through the edge, and much of unknown length, with flat memory."""

from __future__ import annotations

import hashlib
import json
import os
import sys

from tests.peers.edge import HOST, Edge, EdgeCase
from tests.peers.edge_nginx import start_site
from tests.peers.support import HERE, forget_peak, free_port, need_module, peak_bytes
from tests.peers.test_bulk import GIGABYTE, Sink

#: What an edge may hold at its peak besides what it held before: pipes are the kernel's.
GROWTH = 4_000_000

#: Of unknown length, and inside TLS: what passes through Python.
MUCH = 200_000_000


class EdgeBulkTests(EdgeCase):
    """In the clear, where the kernel moves what has a length, and inside TLS."""

    async def start(self, port: int) -> Edge:
        """Start an edge with a route, a certificate, and all that its first requests leave."""
        edge = await self.edge()
        await edge.route(HOST, port)
        await self.certify(edge, HOST)
        return edge

    async def moves(self, edge: Edge, target: str, *options: str, tls: bool = False) -> str:
        """What curl says about a transfer; the edge's memory must have stayed where it was."""
        before = edge.resident_bytes()
        forget_peak(edge)
        got = await self.curl_site(edge, target, "--max-time", "100", *options, tls=tls)
        self.assertEqual(got.status, 0, got.stderr)
        self.assertLess(peak_bytes(edge) - before, GROWTH, (target, tls))
        return got.stdout

    async def test_download(self) -> None:
        """From nginx: 1 GB in the clear, less inside TLS, and to a reader that is slow."""
        site = await start_site(self, {"big": GIGABYTE, "much": MUCH})
        edge = await self.start(site.port)
        size = ("--output", os.devnull, "--write-out", "%{size_download}")
        self.assertEqual(await self.moves(edge, "/big", *size), str(GIGABYTE))
        self.assertEqual(await self.moves(edge, "/much", *size, tls=True), str(MUCH))
        for tls in (False, True):
            before = edge.resident_bytes()
            slow = ("--limit-rate", "1M", "--max-time", "2", "--output", os.devnull)
            got = await self.curl_site(edge, "/big", *slow, tls=tls)
            self.assertEqual(got.status, 28, got)
            self.assertLess(peak_bytes(edge) - before, GROWTH)
        self.assertEqual((await edge.since_start())["errors"]["byCause"], {})

    async def test_upload(self) -> None:
        """To an origin that counts: 1 GB in the clear, less inside TLS."""
        for count, tls in ((GIGABYTE, False), (MUCH, True)):
            sink = Sink(count)
            edge = await self.start(self.peer([sink], keep=1000).port)
            with open("big", "wb") as file:
                file.truncate(count)
            upload = ("--upload-file", os.path.abspath("big"))
            said = await self.moves(
                edge, "/", *upload, "--write-out", " %{http_code} %{size_upload}", tls=tls
            )
            self.assertEqual((said, sink.got), (f"read 200 {count}", count))

    async def test_unknown_length(self) -> None:
        """Chunked both ways, to and from aiohttp, which says what came."""
        need_module("aiohttp")
        port = free_port()
        await self.daemon(port, sys.executable, str(HERE / "edge_aiohttp.py"), str(port), ".")
        edge = await self.start(port)
        with open("big", "wb") as file:
            file.truncate(MUCH)
        digest = hashlib.sha256()
        for _ in range(MUCH // 1_000_000):
            digest.update(bytes(1_000_000))
        chunked = ("--header", "Transfer-Encoding: chunked", "--header", "Expect:")
        upload = ("--upload-file", os.path.abspath("big"))
        for tls in (False, True):
            said = json.loads(await self.moves(edge, "/upload", *chunked, *upload, tls=tls))
            self.assertEqual(said["sha256"], digest.hexdigest(), tls)
            self.assertIn(["Transfer-Encoding", "chunked"], said["fields"])
            size = ("--output", os.devnull, "--write-out", "%{size_download}")
            said = await self.moves(edge, f"/stream?bytes={MUCH}", *size, tls=tls)
            self.assertEqual(said, str(MUCH))
