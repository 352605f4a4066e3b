"""Many requests leave no descriptor and no memory behind: 1 and 2 of what must not happen."""

from __future__ import annotations

import typing

import attrs

from aluvia.testing.faults import Close, FaultConnection, FaultPeer, Read, Reset, Script, Send
from tests.aluvia_process import AluviaProcess, pause, reactor
from tests.support import AT_ONCE, ProxyCase, in_parallel


@attrs.frozen
class Answer:
    """A step: the same answer for every head, or one answer that is the last."""

    close: bool

    async def play(self, connection: FaultConnection) -> None:
        """Answer."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
        head += b"Connection: close\r\n\r\n" if self.close else b"\r\n"
        while not connection.closed:
            await connection.read_until(b"\r\n\r\n")
            await connection.send(head + b"ok")
            if self.close:
                connection.close()


class TenThousandTests(ProxyCase):
    """1 and 2: many requests leave nothing behind, and no memory."""

    timeout = 300
    rounds = 4
    requests = 2_500

    async def flat(self, proxy: AluviaProcess, one: typing.Any) -> None:
        """10 000 of *one*; after the first round neither memory nor descriptors grow."""
        await in_parallel(self.requests, one)
        await proxy.at_rest()
        memory, descriptors = proxy.resident_bytes(), proxy.descriptors()
        for _ in range(self.rounds - 1):
            await in_parallel(self.requests, one)
        await proxy.at_rest()
        self.assertLessEqual(proxy.descriptors(), descriptors + 8)
        self.assertLess(proxy.resident_bytes() - memory, 4_000_000)

    async def test_must_not_happen_1_ten_thousand_tunnels_client_closes_first(self) -> None:
        """10 000 tunnels that the client closes, or resets, first."""
        peer = self.peer([Read(), Send(b"pong")])
        proxy = await self.aluvia()
        request = f"CONNECT {peer.authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

        async def one(number: int) -> None:
            connection = await proxy.connect()
            await connection.send(request)
            await connection.read_until(b"\r\n\r\n")
            await connection.send(b"ping")
            await connection.read_exactly(4)
            if number % 2:
                connection.reset()
            else:
                connection.close()

        await self.flat(proxy, one)

    async def test_must_not_happen_1_ten_thousand_tunnels_other_side_closes_first(self) -> None:
        """10 000 tunnels that the other side closes, or resets, first."""
        ends: tuple[Script, Script] = (
            [Read(), Send(b"pong"), Close()],
            [Read(), Send(b"pong"), Reset()],
        )
        peer = FaultPeer(reactor, lambda number: ends[number % 2])
        self.addCleanup(peer.stop)
        proxy = await self.aluvia()
        request = f"CONNECT {peer.authority} HTTP/1.1\r\nHost: a\r\n\r\n".encode()

        async def one(number: int) -> None:
            connection = await proxy.connect()
            await connection.send(request)
            await connection.read_until(b"\r\n\r\n")
            await connection.send(b"ping")
            await connection.read_away()
            connection.close()

        await self.flat(proxy, one)

    async def test_must_not_happen_1_ten_thousand_requests_either_side_closing(self) -> None:
        """10 000 plain requests, a connection each; now the origin says close, now the client."""
        peer = FaultPeer(reactor, lambda number: [Answer(close=number % 2 == 0)])
        self.addCleanup(peer.stop)
        proxy = await self.aluvia()
        request = f"GET http://{peer.authority}/ HTTP/1.1\r\nHost: a\r\n".encode()

        async def one(number: int) -> None:
            connection = await proxy.connect()
            close = b"Connection: close\r\n" if number % 3 else b""
            await connection.send(request + close + b"\r\n")
            await connection.read_until(b"\r\n\r\nok")
            connection.close()

        await in_parallel(self.requests, one)
        await pause(0.5)
        memory, descriptors = proxy.resident_bytes(), proxy.descriptors()
        for _ in range(self.rounds - 1):
            await in_parallel(self.requests, one)
        await pause(0.5)
        # Connections of the pool may stand, as many as were used at once.
        self.assertLessEqual(proxy.descriptors(), descriptors + AT_ONCE)
        self.assertLess(proxy.resident_bytes() - memory, 4_000_000)

    async def test_must_not_happen_2_memory_growing_on_a_keep_alive_connection(self) -> None:
        """20 000 requests on one connection, pipelined in part: memory is where it was."""
        peer = self.peer([Answer(close=False)])
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        request = f"GET http://{peer.authority}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        memory = 0
        for batch in range(2_000):
            await connection.send(request * 10)
            for _ in range(10):
                await connection.read_until(b"\r\n\r\nok")
            if batch == 200:
                memory = proxy.resident_bytes()
        self.assertLess(proxy.resident_bytes() - memory, 2_000_000)
        self.assertEqual(peer.accepted, 1)
