"""Caps: how many clients at once, how many bytes of each, and what becomes of those above."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from aluvia.testing.faults import ConnectionEnded, FaultConnection, Flood, Read, Send, Stall
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.aluvia_process import AluviaProcess, pause
from tests.support import ProxyCase


class ConnectionCapTests(ProxyCase):
    """``--max-connections``."""

    async def test_tunnels_count_once(self) -> None:
        """Eight tunnels fill a cap of eight; a ninth client waits, and is served when one ends."""
        peer = self.peer([Read(until=b"x"), Send(b"y")])
        proxy = await self.aluvia("--max-connections", "8")
        tunnels = [(await self.tunnel(proxy, peer.authority))[0] for _ in range(8)]
        waiting = await self.connect(proxy)
        await waiting.send(b"CONNECT %b HTTP/1.1\r\nHost: a\r\n\r\n" % peer.authority.encode())
        await pause(0.5)
        self.assertEqual(waiting.bytes_received, 0)
        self.assertEqual(peer.accepted, 8)
        tunnels.pop().close()
        self.assertEqual((await read_response(waiting, b"CONNECT")).status, 200)
        for tunnel in [*tunnels, waiting]:
            await tunnel.send(b"x")
            self.assertEqual(await tunnel.read_exactly(1), b"y")

    async def test_idle_clients_count(self) -> None:
        """Clients that ask for nothing count too; when they leave, others come in."""
        origin = self.origin()
        proxy = await self.aluvia("--max-connections", "8")
        idle = [await self.connect(proxy) for _ in range(30)]
        await pause(0.3)
        self.assertLessEqual(proxy.sockets(), proxy.sockets_at_rest + 8)
        for connection in idle:
            connection.close()
        for _ in range(20):
            answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
            self.assertEqual(answer.status, 200)

    async def test_admin_port_does_not_wait(self) -> None:
        """A full proxy still answers its supervisor."""
        peer = self.peer([])
        proxy = await self.aluvia("--max-connections", "2")
        for _ in range(2):
            await self.tunnel(proxy, peer.authority)
        await self.connect(proxy)
        self.assertEqual((await proxy.admin("/healthz")).status, 200)

    async def test_a_thousand_at_once(self) -> None:
        """A thousand clients at once, in the default cap, are all served."""
        origin = self.origin()
        proxy = await self.aluvia()
        connections = [await self.connect(proxy) for _ in range(1000)]
        request = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port
        for connection in connections:
            await connection.send(request)
        for connection in connections:
            self.assertEqual((await read_response(connection)).status, 200)


class BufferTests(ProxyCase):
    """A client that sends and does not read, or an origin that does not: memory is bounded."""

    async def stuck(self, proxy: AluviaProcess, connection: FaultConnection, data: bytes) -> None:
        """Send *data* over and over until it is no longer taken; the proxy has not grown much."""
        before = proxy.resident_bytes()
        sending = Deferred.fromCoroutine(Flood(block=data).play(connection))
        sending.addErrback(lambda failure: failure.trap(CancelledError, ConnectionEnded) and None)
        last = -1
        while last != connection.bytes_sent:
            last = connection.bytes_sent
            await pause(0.5)
        sending.cancel()
        self.assertGreater(last, 100_000)
        self.assertLess(proxy.resident_bytes() - before, 8_000_000)

    async def test_pipelined_requests(self) -> None:
        """Requests without end, whose answers nobody reads."""

        async def answer(visit: Visit) -> None:
            await visit.answer(200, [], b"x" * 10_000)

        origin = self.origin()
        origin.routes["/"] = answer
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        connection.pause()
        request = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port
        await self.stuck(proxy, connection, request * 500)

    async def test_refusals(self) -> None:
        """Requests without end that are refused at once, by somebody who does not read that."""
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        connection.pause()
        await self.stuck(proxy, connection, b"GET / HTTP/1.1\r\nHost:a\r\n\r\n" * 2_000)
        connection.resume()
        answers = await connection.read_exactly(1_000_000)
        self.assertEqual(answers.count(b"HTTP/1.1 "), answers.count(b"HTTP/1.1 400 "))

    async def test_bodies_that_nobody_reads(self) -> None:
        """A body of known length, a chunked one, and the bytes of a tunnel."""
        peer = self.peer([Read(until=b"\r\n\r\n"), Stall(reading=False)])
        proxy = await self.aluvia(gateway=self.gateway())
        for host in ("127.0.0.1", "www.example.com"):
            for framing, block in (
                (b"Content-Length: 99999999999", b"x" * 65_536),
                (b"Transfer-Encoding: chunked", b"8000\r\n" + b"x" * 32_768 + b"\r\n"),
            ):
                connection = await self.connect(proxy)
                url = f"http://{host}:{peer.port}/".encode()
                await connection.send(b"POST %b HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (url, framing))
                await self.stuck(proxy, connection, block)
                connection.reset()

    async def test_early_bytes_behind_a_connect_that_hangs(self) -> None:
        """Bytes behind a CONNECT wait in the client once 64 KiB of them are here."""
        peer = self.peer([Read(until=b"\r\n\r\n"), Stall()])
        proxy = await self.aluvia(gateway=peer)
        connection = await self.connect(proxy)
        await connection.send(b"CONNECT a.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n")
        await self.stuck(proxy, connection, b"x" * 65_536)
        self.assertNotIn(b"xxxx", peer.connections[0].received)
        connection.reset()
