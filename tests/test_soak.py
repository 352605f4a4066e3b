"""A long mix of everything, with faults in every phase, while the configuration changes."""

from __future__ import annotations

import itertools

from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Close, FaultPeer, Finish, Flood, Read, Reset, Script, Send
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin
from tests.aluvia_process import AluviaProcess, clean_environment, reactor
from tests.support import ProxyCase, in_parallel

HEAD_END = b"\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"

#: What an origin does, for one connection after the other: at accept, in the request, in the head,
#: in the body, behind it, and all well.
FAULTS: tuple[Script, ...] = (
    [Reset()],
    [Close()],
    [Read(count=20), Reset()],
    [Read(until=HEAD_END), Close()],
    [Read(until=HEAD_END), Reset()],
    [Read(until=HEAD_END), Send(ANSWER[:20]), Reset()],
    [Read(until=HEAD_END), Send(b"nonsense\r\n\r\n"), Close()],
    [Read(until=HEAD_END), Send(ANSWER + b"x" * 50), Reset()],
    [Read(until=HEAD_END), Send(ANSWER + b"x" * 50), Close()],
    [Read(until=HEAD_END), Send(ANSWER + b"x" * 100 + b"more"), Reset()],
    [Read(until=HEAD_END), Send(ANSWER), Flood(200_000), Reset()],
    [Read(until=HEAD_END), Send(ANSWER + b"x" * 100), Finish()],
)

REQUESTS = 10_000
TUNNELS = 2_000
ROUNDS = 4


class SoakTests(ProxyCase):
    """10 000 requests and 2 000 tunnels."""

    timeout = 400

    async def test_soak(self) -> None:
        """Afterwards there are as many descriptors as before, and as much memory."""
        self.site_ = FakeOrigin(reactor)
        self.addCleanup(self.site_.stop)
        self.faulty = FaultPeer(reactor, lambda number: FAULTS[number % len(FAULTS)])
        self.addCleanup(self.faulty.stop)
        self.gateway_ = FakeGateway(reactor)
        self.addCleanup(self.gateway_.stop)
        plane = FakeControlPlane(reactor, rules=["*.proxied.example"])
        plane.monitored = True
        self.addCleanup(plane.stop)
        proxy = AluviaProcess(
            *("--api-base-url", plane.base_url, "--gateway-host", "127.0.0.1"),
            *("--gateway-port", str(self.gateway_.port)),
            environment=clean_environment(ALUVIA_TOKEN=plane.token),
        )
        self.addCleanup(proxy.kill)
        await proxy.ready()
        changes = itertools.count()

        async def request(number: int) -> None:
            if number % 500 == 0:
                plane.change(rules=["*.proxied.example", f"*.n{next(changes)}.example"])
            await self.request_to(proxy, number)

        async def tunnel(number: int) -> None:
            await self.tunnel_to(proxy, number)

        sizes = []
        for _ in range(ROUNDS):
            await in_parallel(REQUESTS // ROUNDS, request)
            await in_parallel(TUNNELS // ROUNDS, tunnel)
            # Origins that are gone say so to what is kept of them.
            for peer in (self.site_.peer, self.gateway_.peer):
                for connection in tuple(peer.open):
                    connection.close()
            await proxy.at_rest()
            sizes.append(proxy.resident_bytes())
        self.assertLess(sizes[-1] - sizes[1], 4_000_000, sizes)
        metrics = await proxy.metrics()
        self.assertEqual(metrics["aluvia_tunnels_open"], 0)
        ended = sum(
            value for name, value in metrics.items() if name.startswith("aluvia_requests_total")
        )
        self.assertEqual(ended, REQUESTS + TUNNELS)
        self.assertGreater(metrics["aluvia_config_revision"], 2)
        await proxy.stop()

    def place(self, number: int) -> str:
        """Where the number goes: a good origin or a faulty one, direct or through the gateway."""
        host = "127.0.0.1" if number % 2 else "a.proxied.example"
        return f"{host}:{self.faulty.port if number % 3 else self.site_.port}"

    async def request_to(self, proxy: AluviaProcess, number: int) -> None:
        """One plain request; one client in seven leaves in the middle of it."""
        connection = await proxy.connect()
        place = self.place(number)
        try:
            body = b"x" * 1_000 if number % 5 == 0 else b""
            method = "POST" if body else "GET"
            head = f"{method} http://{place}/ HTTP/1.1\r\nHost: {place}\r\n"
            head += f"Content-Length: {len(body)}\r\n\r\n"
            await connection.send(head.encode() + body)
            if number % 7 == 0:
                connection.reset()
                return
            answer = await read_response(connection, method.encode())
            if number % 3 == 0:
                self.assertEqual(answer.status, 200)
        except ConnectionEnded:
            # An answer that broke off is passed on as such; a good origin's does not.
            self.assertNotEqual(number % 3, 0)
        except Exception as error:
            self.assertEqual(type(error).__name__, "RemoteProtocolError")
            self.assertNotEqual(number % 3, 0)
        finally:
            connection.close()

    async def tunnel_to(self, proxy: AluviaProcess, number: int) -> None:
        """One tunnel, with a request in it, left in one of four ways."""
        connection = await proxy.connect()
        place = self.place(number)
        try:
            await connection.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode())
            answer = await read_response(connection, b"CONNECT")
            if number % 3 == 0:
                self.assertEqual(answer.status, 200)
            if answer.status == 200 and number % 7:
                await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await connection.read_some()
        except ConnectionEnded:
            self.assertNotEqual(number % 3, 0)
        finally:
            if number % 4 == 0:
                connection.reset()
            elif number % 4 == 1 and not connection.closed and connection.ended is None:
                connection.finish()
            connection.close()
