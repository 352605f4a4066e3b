"""A gigabyte each way, with flat memory."""

from __future__ import annotations

import os

import attrs

from aluvia.testing.faults import FaultConnection
from tests.aluvia_process import AluviaProcess
from tests.peers.nginx import start_nginx
from tests.peers.support import PeerCase

GIGABYTE = 1_000_000_000

#: What a proxy may hold more during a transfer than before it: pipes are the kernel's.
GROWTH = 8_000_000


@attrs.define(eq=False)
class Sink:
    """A step: an origin that counts a body and then answers."""

    expected: int
    got: int = 0

    async def play(self, connection: FaultConnection) -> None:
        """Read whole, answer, and be ready for the next."""
        while True:
            head = await connection.read_until(b"\r\n\r\n")
            if b"expect:" in head.lower():
                await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.got = 0
            while self.got < self.expected:
                self.got += len(await connection.read_some())
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nread")


class BulkTests(PeerCase):
    """Direct, by CONNECT and in plain http, and through a gateway by CONNECT."""

    ways = (
        ("127.0.0.1", ()),
        ("127.0.0.1", ("--proxytunnel",)),
        ("www.example.com", ("--proxytunnel",)),
    )

    async def moves(self, proxy: AluviaProcess, *options: str) -> str:
        """What curl says about a transfer; the proxy's memory must be where it was."""
        before = proxy.resident_bytes()
        curled = await self.curl(
            "--proxy", proxy.url, "--max-time", "200", "--output", "/dev/null", *options
        )
        self.assertEqual(curled.status, 0, curled)
        self.assertLess(proxy.resident_bytes() - before, GROWTH)
        return curled.stdout

    async def test_download(self) -> None:
        """1 GB from nginx."""
        nginx = await start_nginx(self, {"big": GIGABYTE})
        proxy = await self.plain_proxy()
        for host, options in self.ways:
            said = await self.moves(
                proxy, *options, "--write-out", "%{size_download}",
                f"http://{host}:{nginx.port}/big",
            )  # fmt: skip
            self.assertEqual(said, str(GIGABYTE))

    async def test_upload(self) -> None:
        """1 GB to an origin that counts."""
        sink = Sink(GIGABYTE)
        peer = self.peer([sink], keep=1000)
        proxy = await self.plain_proxy()
        with open("big", "wb") as file:
            file.truncate(GIGABYTE)
        for host, options in self.ways:
            said = await self.moves(
                proxy, *options, "--write-out", "%{http_code} %{size_upload}",
                "--upload-file", os.path.abspath("big"), f"http://{host}:{peer.port}/big",
            )  # fmt: skip
            self.assertEqual(said, f"200 {GIGABYTE}")
            self.assertEqual(sink.got, GIGABYTE)
