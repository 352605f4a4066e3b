"""Every failure is answered: a status, ``Proxy-Status`` with RFC 9209's name, and a request id."""

from __future__ import annotations

import sys
from pathlib import Path

from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import Accepting, Close, Flood, Read, Reset, Send
from aluvia.testing.http import Response, read_response
from aluvia.testing.lies import LIES
from tests.aluvia_process import AluviaProcess, pause, reactor, until
from tests.support import ProxyCase, refused_lie, tell

ASKED = Read(until=b"\r\n\r\n")


class FailureCase(ProxyCase):
    """Asks for the same both in plain http and by CONNECT."""

    async def fails(
        self, proxy: AluviaProcess, authority: str, status: int, error: str
    ) -> list[Response]:
        """A GET and a CONNECT of *authority* both fail as said, with ids of their own."""
        plain = await self.get(proxy, f"http://{authority}/")
        self.assert_failed(plain, status, error)
        connection, tunnel = await self.tunnel(proxy, authority)
        connection.close()
        self.assert_failed(tunnel, status, error)
        ids = {answer.header(b"x-aluvia-request-id") for answer in (plain, tunnel)}
        self.assertEqual(len(ids), 2)
        return [plain, tunnel]


class DirectTests(FailureCase):
    """Direct requests."""

    async def test_connection_refused(self) -> None:
        """Nobody listens there: 502."""
        peer = self.peer(accepting=Accepting.REFUSE)
        proxy = await self.aluvia()
        await self.fails(proxy, peer.authority, 502, "connection_refused")
        await self.fails(proxy, f"localhost:{peer.port}", 502, "connection_refused")

    async def test_connection_timeout(self) -> None:
        """Nobody answers: 504 after the connect timeout, and not long after."""
        peer = self.peer(accepting=Accepting.IGNORE)
        proxy = await self.aluvia("--connect-timeout", "1")
        began = reactor.seconds()
        await self.fails(proxy, peer.authority, 504, "connection_timeout")
        self.assertLess(reactor.seconds() - began, 6)

    async def test_unknown_name(self) -> None:
        """A name that does not exist: 502, or 504 where no name server answers at all."""
        proxy = await self.aluvia()
        answer = await self.get(proxy, "http://no-such-name.invalid/")
        if answer.status == 504:
            self.assert_failed(answer, 504, "dns_timeout")
        else:
            self.assert_failed(answer, 502, "dns_error")

    async def test_connection_terminated(self) -> None:
        """The origin takes the request and ends, before a byte of an answer: 502."""
        proxy = await self.aluvia()
        for end in (Close(), Reset()):
            peer = self.peer([ASKED, end])
            answer = await self.get(proxy, f"http://{peer.authority}/")
            self.assert_failed(answer, 502, "(connection_terminated|http_response_incomplete)")
            self.assertEqual(peer.accepted, 1)
        peer = self.peer([ASKED, Send(b"HTTP/1.1 200 OK\r\nX: "), Close()])
        answer = await self.get(proxy, f"http://{peer.authority}/")
        self.assert_failed(answer, 502, "http_response_incomplete")

    async def test_proxy_loop_detected(self) -> None:
        """Our own listeners by any name: 502, the admin port among them."""
        proxy = await self.aluvia()
        for port in (proxy.port, proxy.ports["admin"]):
            for host in ("127.0.0.1", "localhost", "loop.localhost", "127.1", "0.0.0.0",
                         "[::ffff:127.0.0.1]", "2130706433", "LOCALHOST."):  # fmt: skip
                await self.fails(proxy, f"{host}:{port}", 502, "proxy_loop_detected")

    async def test_listener_by_name(self) -> None:
        """A proxy that was told to listen on ``localhost`` is itself there, by every name of it."""
        proxy = await self.aluvia("--listen", "localhost")
        for host in ("localhost", "127.0.0.1", "loop.localhost", "LOCALHOST."):
            await self.fails(proxy, f"{host}:{proxy.port}", 502, "proxy_loop_detected")

    async def test_listener_on_every_address(self) -> None:
        """A proxy that listens on 0.0.0.0 is itself at each address of this machine."""
        users = Path("users").absolute()
        users.write_text("me:mine\n")
        proxy = await self.aluvia("--listen", "0.0.0.0", "--local-auth-file", str(users))
        answer = await self.get(
            proxy, f"http://127.0.0.9:{proxy.port}/", b"Proxy-Authorization: Basic bWU6bWluZQ=="
        )
        self.assert_failed(answer, 502, "proxy_loop_detected")

    async def test_lies(self) -> None:
        """Answers with two readings, with none, or without a bound: 502, and it is closed."""
        peer = self.peer(*map(tell, LIES.values()))
        proxy = await self.aluvia()
        wrong = []
        for name in LIES:
            answer = await self.get(proxy, f"http://{peer.authority}/")
            if not refused_lie(answer, name):
                wrong.append((name, answer))
            await until(lambda: not peer.open, 5, f"the proxy has closed after {name}")
        self.assertEqual(wrong, [])

    async def test_bytes_on_an_idle_connection(self) -> None:
        """An answer that nobody asked for closes its connection, and is nobody's answer."""
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        peer = self.peer(tell(good + b"ok" + good + b"no"), tell(good + b"ok"))
        proxy = await self.aluvia()
        for _ in range(2):
            answer = await self.get(proxy, f"http://{peer.authority}/")
            self.assertEqual(answer.body, b"ok")
        self.assertEqual(peer.accepted, 2)


class DescriptorTests(FailureCase):
    """What is refused only because this machine has no more to give."""

    async def test_connection_limit_reached(self) -> None:
        """With no descriptor left for the upstream: 503 with Retry-After, and then it goes on."""
        origin, flood = self.origin(), self.peer([Flood()])
        proxy = await self.aluvia(before=("prlimit", "--nofile=64:64"))
        # Clients are let in as long as each can have an upstream. Streams that stand still hold
        # pipes on top of that (and where there are none of those, everybody is served).
        connections = [await self.connect(proxy) for _ in range(40)]
        await pause(0.5)
        clients = connections[: proxy.sockets() - proxy.sockets_at_rest]
        for client in clients[:12]:
            await self.open(client, flood.authority)
            client.pause()
        await pause(1)
        answers = [await self.open(client, f"127.0.0.1:{origin.port}") for client in clients[12:]]
        refused = [answer for answer in answers if answer.status != 200]
        if sys.platform == "linux":
            self.assertNotEqual(refused, [])
        for answer in refused:
            self.assert_failed(answer, 503, "connection_limit_reached")
            self.assertTrue(answer.header(b"retry-after"))
        for client in connections:
            client.reset()
        await proxy.at_rest()
        answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
        self.assertEqual(answer.status, 200)

    async def open(self, client: FaultConnection, authority: str) -> Response:
        """Ask for a tunnel."""
        await client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return await read_response(client, b"CONNECT")

    async def test_accepting_pauses_and_resumes(self) -> None:
        """At 90 % of the descriptor limit new clients wait; they are served when others leave."""
        origin = self.origin()
        proxy = await self.aluvia(before=("prlimit", "--nofile=64:64"))
        clients = [await self.connect(proxy) for _ in range(100)]
        await pause(0.5)
        self.assertLessEqual(proxy.descriptors(), 59)
        for client in clients[:90]:
            client.close()
        answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/")
        self.assertEqual(answer.status, 200)
