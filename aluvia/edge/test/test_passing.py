"""Requests through the edge, when all is well."""

from __future__ import annotations

import uuid

from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor, seen
from aluvia.testing.ended import Ended
from aluvia.testing.faults import FaultPeer, in_turn
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from aluvia.testing.steps import Close, Read, Script, Send


class PassingTests(EdgeCase):
    """One route, one backend."""

    async def test_a_request(self) -> None:
        """It goes to the backend as it came, but for what says who is behind it."""
        self.route(backend(self.origin()))
        fields = await self.echo("/a%20b/../c?q=1#".rstrip("#"), "Accept: */*", "X-Mine: 1")
        self.assertEqual((fields["method"], fields["target"]), ("GET", "/a%20b/../c?q=1"))
        self.assertEqual(seen(fields, "Host"), [HOST])
        self.assertEqual(seen(fields, "X-Mine"), ["1"])
        self.assertEqual(seen(fields, "X-Forwarded-For"), ["127.0.0.1"])
        self.assertEqual(seen(fields, "X-Real-IP"), ["127.0.0.1"])
        self.assertEqual(seen(fields, "X-Forwarded-Proto"), ["http"])
        self.assertEqual(seen(fields, "X-Forwarded-Host"), [HOST])
        port = str(self.edge.place("http")[1])
        self.assertEqual(seen(fields, "X-Forwarded-Port"), [port])
        (request_id,) = seen(fields, "X-Request-ID")
        self.assertEqual(str(uuid.UUID(request_id)), request_id)
        self.assertEqual(seen(fields, "Forwarded"), [])

    async def test_connections_are_kept(self) -> None:
        """On both sides; each request has an id of its own."""
        origin = self.origin()
        self.route(backend(origin))
        client = await self.connect()
        answers = [await self.echo("/", client=client) for _ in range(5)]
        self.assertEqual({each["connection"] for each in answers}, {0})
        self.assertEqual(len({*map(str, (seen(each, "X-Request-ID") for each in answers))}), 5)

    async def test_a_post_goes_out_on_a_fresh_connection(self) -> None:
        """One used a moment ago is; its body arrives."""
        self.route(backend(self.origin()))
        client = await self.connect()
        first = await self.echo("/", client=client)
        second = await self.echo("/", client=client, method="POST", body=b"hello")
        self.assertEqual((second["body"], second["method"]), ("hello", "POST"))
        self.assertEqual(first["connection"], second["connection"])

    async def test_http_1_0(self) -> None:
        """A client of old is answered, and its connection closes."""
        self.route(backend(self.origin()))
        client = await self.connect()
        await client.send(f"GET /old HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
        answer = await client.read_to_end()
        self.assertIn(b"200 OK", answer)
        self.assertIn(b'"target": "/old"', answer)

    async def test_absolute_form(self) -> None:
        """The target's host wins over Host; the backend gets a path."""
        self.route(backend(self.origin()))
        fields = await self.echo(f"http://{HOST}/x?y", host="other.test")
        self.assertEqual(fields["target"], "/x?y")

    async def test_options_is_the_backends(self) -> None:
        """The proxy does not answer OPTIONS itself; about everything, too."""
        self.route(backend(self.origin()))
        for target in ("/x", "*"):
            fields = await self.echo(target, "Origin: http://a.test", method="OPTIONS")
            self.assertEqual((fields["method"], fields["target"]), ("OPTIONS", target))

    async def test_events_come_at_once(self) -> None:
        """Each event is passed on when it comes; they have no slot of the route."""
        origin = self.origin()
        told: list[Visit] = []

        async def events(visit: Visit) -> None:
            await visit.begin(
                200, [(b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked")]
            )
            await visit.send(b"data: 1\n\n")
            told.append(visit)
            await visit.conversation.connection.until_closed()

        origin.routes["/events"] = events
        self.route(backend(origin), req_active_length=1)
        client = await self.connect()
        await client.send(f"GET /events HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        self.assertIn(b"200 OK", await client.read_until(b"data: 1\n\n"))
        self.assertEqual((self.live.admission.active, self.live.streams), (0, 1))
        await told[0].send(b"data: 2\n\n")
        await client.read_until(b"data: 2\n\n")
        self.assertEqual((await self.ask("/")).status, 200)
        client.reset()
        await self.when(lambda: not self.live.streams)

    async def test_a_websocket(self) -> None:
        """It is upgraded, has no slot, and ends with its ends."""
        origin = self.origin()

        async def upgrade(visit: Visit) -> None:
            await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
            connection = visit.conversation.connection
            await connection.send(b"hello ")
            await connection.send(await connection.read_exactly(4))
            connection.finish()
            await connection.read_to_end()

        origin.routes["/ws"] = upgrade
        self.route(backend(origin), req_active_length=1)
        client = await self.connect()
        ask = f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket"
        await client.send(f"{ask}\r\n\r\n".encode())
        await client.read_until(b"\r\n\r\n")
        self.assertEqual((self.live.admission.active, self.live.streams), (0, 1))
        await client.send(b"ping")
        self.assertEqual(await client.read_to_end(), b"hello ping")
        client.close()
        await self.when(lambda: not self.live.streams)
        self.assertEqual(sum(member.active for member in self.live.members), 0)

    async def test_too_many_streams(self) -> None:
        """One more is 503, whether it would be a WebSocket or events; nothing stays behind."""
        origin = self.origin()

        async def upgrade(visit: Visit) -> None:
            await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
            await visit.conversation.connection.until_closed()

        async def events(visit: Visit) -> None:
            fields = [(b"Content-Type", b"text/event-stream"), (b"Transfer-Encoding", b"chunked")]
            await visit.begin(200, fields)
            await visit.conversation.connection.until_closed()

        origin.routes |= {"/ws": upgrade, "/events": events}
        self.route(backend(origin), max_streams=1)
        client = await self.connect()
        ask = f"GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket"
        await client.send(f"{ask}\r\n\r\n".encode())
        await client.read_until(b"\r\n\r\n")
        more = ("Connection: Upgrade", "Upgrade: websocket")
        self.assertEqual((await self.ask("/ws", *more)).status, 503)
        self.assertEqual((await self.ask("/events")).status, 503)
        self.assertEqual((self.live.admission.active, self.live.streams), (0, 1))
        client.reset()
        await self.when(lambda: not self.live.streams)
        self.assertEqual(sum(member.active for member in self.live.members), 0)

    async def test_no_place_for_a_websocket(self) -> None:
        """It is refused before a backend has agreed to anything."""
        origin = self.origin()
        self.route(backend(origin), max_streams=0)
        answer = await self.ask("/ws", "Connection: Upgrade", "Upgrade: websocket")
        self.assertEqual((answer.status, len(origin.visits)), (503, 0))
        self.assertEqual((self.live.admission.active, origin.peer.accepted), (0, 0))

    async def test_another_upgrade(self) -> None:
        """What is no WebSocket is no upgrade: the field is removed, and the request goes on."""
        self.route(backend(self.origin()))
        fields = await self.echo("/", "Connection: Upgrade", "Upgrade: h2c")
        self.assertEqual((seen(fields, "Upgrade"), seen(fields, "Connection")), ([], []))

    async def test_pipelined(self) -> None:
        """Answers come in order."""
        self.route(backend(self.origin()))
        client = await self.connect()
        ask = "".join(f"GET /{n} HTTP/1.1\r\nHost: {HOST}\r\n\r\n" for n in range(20))
        await client.send(ask.encode())
        for number in range(20):
            answer = await read_response(client)
            self.assertIn(f'"target": "/{number}"'.encode(), answer.body)

    async def test_large_bodies(self) -> None:
        """Of known length, both ways: every byte is there, and both connections are kept."""
        origin = self.origin()
        body = bytes(range(256)) * 8192

        async def swallow(visit: Visit) -> None:
            took = await visit.body()
            await visit.answer(200, [], took)

        origin.routes["/big"] = swallow
        self.route(backend(origin))
        client = await self.connect()
        for _ in range(3):
            answer = await self.ask("/big", client=client, method="PUT", body=body)
            self.assertEqual(answer.body == body, True)
        self.assertEqual(origin.peer.accepted, 1)
        self.assertEqual(self.edge.proxy.live, set())
        self.assertEqual(self.edge.tracker.total("r").tally.bytes_up, 3 * len(body))

    async def test_a_client_that_has_its_answer(self) -> None:
        """One that was answered early and leaves in the middle of its body has done no wrong."""
        answer = b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nearly"
        ways: tuple[Script, ...] = (
            [Read(until=b"\r\n\r\n"), Send(answer), Read(to_end=True)],
            [Read(until=b"\r\n\r\n"), Send(answer), Close()],
        )
        for script in ways:
            peer = self.peer(FaultPeer(reactor, in_turn(script)))
            self.route(backend(peer))
            client = await self.connect()
            ask = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\nhalf"
            await client.send(ask.encode())
            self.assertEqual((await read_response(client, b"POST")).body, b"early")
            client.finish()
            await client.read_to_end()
            self.assertIs(client.ended, Ended.FIN)
        self.assertEqual(self.edge.proxy.live, set())
        self.assertEqual(self.edge.tracker.causes, [])
