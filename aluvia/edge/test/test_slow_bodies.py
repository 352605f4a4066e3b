"""A client whose body is long on its way: what it must not cost anybody else."""

from __future__ import annotations

import typing

from aluvia.edge.model import BalancingStrategy, Route
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor
from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import FaultPeer, Read, Send, Stall
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import Visit

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

    def begun(self) -> int:
        """How many requests have begun, those among them that are over."""
        return self.edge.tracker.total("r").tally.requests + len(self.edge.proxy.live)

    async def begin(self, *fields: str, of: str = "192.0.2.1") -> FaultConnection:
        """
        Send a part of it; it has begun, or was refused.

        :param of: whose it is, where we are a proxy that is trusted.
        """
        before = self.begun()
        client = await self.connect()
        lines = [f"X-Forwarded-For: {of}", "Content-Length: 10", *fields]
        head = "\r\n".join([f"POST / HTTP/1.1\r\nHost: {HOST}", *lines, "", ""])
        await client.send(head.encode() + b"01234")
        await self.when(lambda: self.begun() > before)
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
        """It counts for no more than is known of the backend; but it is known from then on."""
        seconds = await self.measured(b"\r\n\r\n")
        assert seconds is not None
        (member,) = self.live.members
        self.assertFalse(member.is_dead)
        member.measured.seconds = 1.0
        self.passed = 0.0
        client = await self.begin()
        self.passed = 60.0
        self.assertEqual((await read_response(client, b"POST")).status, 200)
        self.assertLessEqual(member.measured.seconds, 1.0)

    async def test_a_body_that_came_with_its_head_is_measured(self) -> None:
        """As every other request is."""
        self.route(backend(self.answering(b"56789")))
        self.assertEqual((await self.ask("/", method="POST", body=b"0123456789")).status, 200)
        (member,) = self.live.members
        self.assertIsNotNone(member.measured.seconds)


class SlotTests(SlowBodyCase):
    """Whose slots they take, of a route that has few."""

    def setUp(self) -> None:
        """Be a proxy that is trusted, so that there are several clients."""
        self.open(trusted_proxies=("127.0.0.1/32",))

    async def finish(self, client: FaultConnection) -> Response:
        """Send the rest, and be answered."""
        await client.send(b"56789")
        return await read_response(client, b"POST")

    def counted(self) -> int:
        """Of how many clients bodies are on their way."""
        return len(self.live.admission._bodies)

    async def test_one_client_closes_no_route(self) -> None:
        """It has half of the slots; one more is 429, others are served."""
        self.route(backend(self.origin()), req_active_length=4)
        slow = [await self.begin() for _ in range(3)]
        answer = await read_response(slow[2], b"POST")
        self.assertEqual((answer.status, answer.header(b"retry-after")), (429, b"1"))
        self.assertEqual(self.live.admission.active, 2)
        self.assertEqual((await self.ask("/")).status, 200)
        # Nor does what came whole count, whoever sends it.
        mine = "X-Forwarded-For: 192.0.2.1"
        self.assertEqual((await self.ask("/", mine, method="POST", body=b"all")).status, 200)
        other = await self.begin(of="192.0.2.2")
        for client in (*slow[:2], other):
            self.assertEqual((await self.finish(client)).status, 200)
        self.assertEqual((self.live.admission.active, self.counted()), (0, 0))

    async def test_an_ipv6_network_is_one_client(self) -> None:
        """Whoever has one address has all that are beside it."""
        self.route(backend(self.origin()), req_active_length=2)
        one = await self.begin(of="2001:db8::1")
        two = await self.begin(of="2001:db8::2")
        self.assertEqual((await read_response(two, b"POST")).status, 429)
        self.assertEqual((await self.finish(one)).status, 200)

    async def test_what_waits_counts_too(self) -> None:
        """In line and at a backend together; what has come whole meanwhile does not."""
        self.route(backend(self.origin()), req_active_length=2)
        first = await self.begin(of="192.0.2.2")
        second = await self.begin(of="192.0.2.3")
        waiting = await self.begin()
        self.assertEqual((self.live.admission.active, self.live.admission.waiting), (2, 1))
        self.assertEqual((await read_response(await self.begin(), b"POST")).status, 429)
        await waiting.send(b"56789")
        await self.when(lambda: self.counted() == 2)
        again = await self.begin()
        self.assertEqual(self.live.admission.waiting, 2)
        for client in (first, second, again):
            self.assertEqual((await self.finish(client)).status, 200)
        self.assertEqual((await read_response(waiting, b"POST")).status, 200)
        self.assertEqual((self.live.admission.active, self.counted()), (0, 0))

    async def test_one_slot_is_for_anybody(self) -> None:
        """A route that runs one at a time takes a slow body, too."""
        self.route(backend(self.origin()), req_active_length=1)
        client = await self.begin()
        self.assertEqual((await self.finish(client)).status, 200)

    async def test_who_leaves_counts_no_more(self) -> None:
        """From a slot, from the line, and behind an answer that came early."""
        self.route(backend(self.answering(b"\r\n\r\n")), req_active_length=1)
        client = await self.begin()
        self.assertEqual((await read_response(client, b"POST")).status, 200)
        self.assertEqual((self.live.admission.active, self.counted()), (1, 1))
        waiting = await self.begin(of="192.0.2.2")
        self.assertEqual(self.counted(), 2)
        waiting.reset()
        await self.when(lambda: self.counted() == 1)
        client.reset()
        await self.when(lambda: self.counted() == 0)
        self.assertEqual(self.live.admission.active, 0)

    async def test_a_stream_has_no_slot(self) -> None:
        """An answer that is a stream counts no more, though its request goes on."""
        origin = self.origin()

        async def events(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Type", b"text/event-stream")])
            await visit.conversation.connection.until_closed()

        origin.routes["/"] = events
        self.route(backend(origin), req_active_length=2)
        client = await self.begin()
        await client.read_until(b"\r\n\r\n")
        self.assertEqual((self.live.streams, self.counted()), (1, 0))
        client.reset()
        await self.when(lambda: not self.live.streams)
        self.assertEqual(self.counted(), 0)

    async def test_a_websocket_with_a_body(self) -> None:
        """Where there is no place for one it is refused at once, and counts for nothing."""
        origin = self.origin()
        self.route(backend(origin), max_streams=0)
        client = await self.begin("Connection: Upgrade", "Upgrade: websocket")
        self.assertEqual((await read_response(client, b"POST")).status, 503)
        self.assertEqual((origin.peer.accepted, self.counted()), (0, 0))

    async def test_a_route_with_fewer_slots(self) -> None:
        """Nobody who has a slot loses it; the share is that of what there is now."""
        peer = self.origin()
        self.route(backend(peer), req_active_length=8)
        slow = [await self.begin() for _ in range(4)]
        before = self.edge.applied.routes["r"]
        self.use(
            routes={"r": Route(id="r", v_host=HOST, backends=(backend(peer),), req_active_length=4)}
        )
        self.assertIs(self.edge.applied.routes["r"], before)
        self.assertEqual((await read_response(await self.begin(), b"POST")).status, 429)
        for client in slow:
            self.assertEqual((await self.finish(client)).status, 200)
        self.assertEqual(self.counted(), 0)
