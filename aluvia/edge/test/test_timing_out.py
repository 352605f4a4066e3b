"""What takes too long, at each stage of a request."""

from __future__ import annotations

import math
import typing

from aluvia.edge.model import Timeouts
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor
from aluvia.net.http_server import ServerConnection
from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import FaultPeer, Read, Send, Stall
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

HEAD = b"\r\n\r\n"


class TimingOutTests(EdgeCase):
    """A backend that stalls; time is what the test says."""

    def stalling(self, *steps: typing.Any) -> FaultPeer:
        """A backend that does this, and then nothing."""
        return self.peer(FaultPeer(reactor, [*steps, Stall()]))

    @property
    def connections(self) -> list[ServerConnection]:
        """Of clients, on this side."""
        return [wire.protocol for wire in self.edge.ports["http"].wires]  # type: ignore[misc]

    def wait(self, seconds: float) -> None:
        """Let each connection see that so much time has passed."""
        now = self.edge.sweep.now + seconds
        for connection in self.connections:
            if connection.deadline <= now:
                connection.deadline_passed(now)

    async def begin(self, method: str = "GET", more: str = "") -> FaultConnection:
        """Ask, and wait for nothing."""
        client = await self.connect()
        await client.send(f"{method} / HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n".encode())
        return client

    async def test_no_first_byte(self) -> None:
        """504 when the time for it is over, and not before; the backend is dead."""
        peer = self.stalling(Read(until=HEAD))
        self.route(backend(peer), timeouts=Timeouts(first_byte=20), retries=0)
        client = await self.begin()
        await self.when(lambda: peer.connections and peer.connections[0].received)
        self.wait(19)
        self.assertEqual(len(self.edge.proxy.live), 1)
        self.wait(21)
        answer = await read_response(client)
        self.assertEqual(answer.status, 504)
        self.assertIn(b"http_response_timeout", answer.header(b"proxy-status") or b"")
        (member,) = self.live.members
        self.assertEqual((member.is_dead, member.active), (True, 0))

    async def test_no_first_byte_of_a_get(self) -> None:
        """It goes to another one."""
        peer = self.stalling(Read(until=HEAD))
        self.route(backend(peer), backend(self.origin()), timeouts=Timeouts(first_byte=20))
        client = await self.begin()
        await self.when(lambda: peer.connections and peer.connections[0].received)
        self.wait(21)
        self.assertEqual((await read_response(client)).status, 200)

    async def test_nothing_more_of_an_answer(self) -> None:
        """Its client is cut off, by the time between two bytes."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
        peer = self.stalling(Read(until=HEAD), Send(head))
        self.route(backend(peer), timeouts=Timeouts(first_byte=20, idle=100))
        client = await self.begin()
        await client.read_until(b"half")
        self.wait(99)
        self.assertEqual(len(self.edge.proxy.live), 1)
        self.wait(101)
        await client.until_closed()
        await self.when(lambda: not self.edge.proxy.live)
        (member,) = self.live.members
        self.assertTrue(member.is_dead)

    async def test_a_client_that_does_not_read(self) -> None:
        """It is cut off, and its backend is not blamed."""
        origin = self.origin()

        async def flood(visit: Visit) -> None:
            await visit.answer(200, [], b"f" * 30_000_000)

        origin.routes["/"] = flood
        self.route(backend(origin), timeouts=Timeouts(idle=100))
        client = await self.begin()
        client.pause()
        await self.when(lambda: self.edge.proxy.live and self._is_stuck())
        # The first look sees that something has moved since the one before.
        self.wait(101)
        self.assertEqual(len(self.edge.proxy.live), 1)
        self.wait(202)
        await self.when(lambda: not self.edge.proxy.live)
        (member,) = self.live.members
        self.assertEqual((member.is_dead, member.active), (False, 0))

    def _is_stuck(self) -> bool:
        (flow,) = self.edge.proxy.live
        before = getattr(self, "moved", -1)
        self.moved: int = flow.bytes_down
        return self.moved > 1_000_000 and self.moved == before

    async def test_a_slow_head(self) -> None:
        """It holds no slot, and is cut off at its deadline, however it drips."""
        self.route(backend(self.origin()), req_active_length=1)
        client = await self.connect()
        await client.send(b"GET / HTTP/1.1\r\nHo")
        await self.when(lambda: self.connections and self.connections[0].exchange.mid_message)
        self.assertEqual(self.live.admission.active, 0)
        self.assertLess(self.connections[0].deadline, math.inf)
        self.wait(self.edge.limits.head_seconds + 1)
        self.assertEqual((await read_response(client)).status, 408)
        self.assertEqual((await self.ask("/")).status, 200)

    async def test_a_slow_body(self) -> None:
        """The same; what it had is free."""
        self.route(backend(self.origin()))
        client = await self.begin("POST", "Content-Length: 100\r\n")
        await client.send(b"drip")
        await self.when(lambda: self.live.admission.active)
        self.wait(self.edge.limits.body_window_seconds + 1)
        self.assertEqual((await read_response(client)).status, 408)
        await self.when(lambda: not self.live.admission.active)
        (member,) = self.live.members
        self.assertEqual((member.is_dead, member.active), (False, 0))
