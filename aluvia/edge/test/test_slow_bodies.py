"""A client whose body is long on its way: what it must not cost anybody else."""

from __future__ import annotations

import typing

from aluvia.edge.model import BalancingStrategy
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor
from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import FaultPeer, Read, Send, Stall
from aluvia.testing.http import read_response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class SlowBodyCase(EdgeCase):
    """Clients that send a part of a body, and time that passes when the test says so."""

    def open(self, **more: typing.Any) -> typing.Any:
        """With a clock of our own for what is measured."""
        edge = super().open(**more)
        self.passed = 0.0
        edge.proxy.clock = lambda: reactor.seconds() + self.passed
        return edge

    def answering(self, until: bytes) -> FaultPeer:
        """A backend that answers when it has read this, at once."""
        return self.peer(FaultPeer(reactor, [Read(until=until), Send(OK), Stall()]))

    async def begin(self, body: bytes = b"01234", length: int = 10) -> FaultConnection:
        """Send a part of it, until it is at a backend, or refused."""
        client = await self.connect()
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"
        await client.send(head.encode() + body)
        return client


class LatencyTests(SlowBodyCase):
    """What is then known of the backend."""

    async def measured(self, until: bytes) -> float | None:
        """The latency of a backend that answers at this, of a client that takes a minute."""
        peer = self.answering(until)
        self.route(backend(peer), strategy=BalancingStrategy.LEAST_LATENCY)
        client = await self.begin()
        await self.when(lambda: peer.connections and peer.connections[0].received)
        self.passed = 60.0
        if until != b"\r\n\r\n":
            await client.send(b"56789")
        self.assertEqual((await read_response(client, b"POST")).status, 200)
        (member,) = self.live.members
        return typing.cast("float | None", member.measured.seconds)

    async def test_the_clients_time_is_not_the_backends(self) -> None:
        """It is measured from when the request was whole."""
        seconds = await self.measured(b"56789")
        assert seconds is not None
        self.assertLess(seconds, 30.0)

    async def test_an_answer_before_the_request_is_whole(self) -> None:
        """It is an answer, and no measurement."""
        self.assertIsNone(await self.measured(b"\r\n\r\n"))
        (member,) = self.live.members
        self.assertFalse(member.is_dead)

    async def test_a_body_that_came_with_its_head_is_measured(self) -> None:
        """As every other request is."""
        self.route(backend(self.answering(b"56789")))
        self.assertEqual((await self.ask("/", method="POST", body=b"0123456789")).status, 200)
        (member,) = self.live.members
        self.assertIsNotNone(member.measured.seconds)
