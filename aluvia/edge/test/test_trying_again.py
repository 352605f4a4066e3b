"""When a request goes to another backend, and when it must not."""

from __future__ import annotations

from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor
from aluvia.testing.ended import ConnectionEnded
from aluvia.testing.faults import Accepting, Close, FaultPeer, Read, Reset, Send, Stall, in_turn
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

HEAD = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class TryingAgainTests(EdgeCase):
    """A bad backend that is picked first, and a good one."""

    def refusing(self) -> FaultPeer:
        """A backend that is not there."""
        return self.peer(FaultPeer(reactor, [], accepting=Accepting.REFUSE))

    def playing(self, *steps: object) -> FaultPeer:
        """A backend that does this with each connection."""
        return self.peer(FaultPeer(reactor, [*steps]))  # type: ignore[list-item]

    async def test_refused(self) -> None:
        """No connection: any request goes to another one, and the first is dead."""
        bad, good = self.refusing(), self.origin()
        self.route(backend(bad), backend(good))
        answer = await self.ask("/", method="POST", body=b"x" * 1000)
        self.assertEqual(answer.status, 200)
        self.assertIn(b'"body": "' + b"x" * 1000, answer.body)
        dead = {member.id: member.is_dead for member in self.live.members}
        self.assertEqual(dead, {f"b{bad.port}": True, f"b{good.port}": False})
        self.assertEqual([member.active for member in self.live.members], [0, 0])

    async def test_a_large_body_waits_for_the_connection(self) -> None:
        """Nothing was sent, so nothing is lost."""
        self.route(backend(self.refusing()), backend(self.origin()))
        answer = await self.ask("/", method="POST", body=b"y" * 300_000)
        self.assertIn(b"y" * 300_000, answer.body)

    async def test_reset_after_it_was_sent(self) -> None:
        """A GET goes again, a POST does not: its first backend may have done something."""
        bad = self.playing(Read(until=HEAD), Reset())
        self.route(backend(bad), backend(self.origin()))
        self.assertEqual((await self.ask("/")).status, 200)
        # Made anew, so that it begins with the first again.
        self.use(routes={})
        bad = self.playing(Read(until=HEAD), Reset())
        self.route(backend(bad), backend(self.origin()))
        answer = await self.ask("/", method="POST", body=b"once")
        self.assertEqual(answer.status, 502)
        self.assertIn(b"connection_terminated", answer.header(b"proxy-status") or b"")

    async def test_a_body_that_is_not_kept_is_not_sent_cut(self) -> None:
        """A PUT that is longer than what is kept is not sent again."""
        bad = self.playing(Read(count=200_000), Reset())
        good = self.origin()
        self.route(backend(bad), backend(good))
        answer = await self.ask("/", method="PUT", body=b"z" * 200_000)
        self.assertEqual((answer.status, good.peer.accepted), (502, 0))

    async def test_a_short_put_is_sent_whole(self) -> None:
        """One that is kept is."""
        bad = self.playing(Read(until=b"end"), Reset())
        self.route(backend(bad), backend(self.origin()))
        answer = await self.ask("/", method="PUT", body=b"begin, end")
        self.assertIn(b'"body": "begin, end"', answer.body)

    async def test_never_after_a_byte_of_an_answer(self) -> None:
        """Not even for a GET."""
        bad = self.playing(Read(until=HEAD), Send(b"HTTP/1.1 2"), Reset())
        good = self.origin()
        self.route(backend(bad), backend(good))
        self.assertEqual((await self.ask("/")).status, 502)
        self.assertEqual(good.peer.accepted, 0)

    async def test_a_half_answer_does_not_look_whole(self) -> None:
        """The client's connection is cut; the backend is dead, and nothing stays behind."""
        for head in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
        ):
            bad = self.playing(Read(until=HEAD), Send(head), Close())
            self.route(backend(bad))
            client = await self.connect()
            await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            with self.assertRaises(ConnectionEnded):
                await read_response(client)
            await self.when(lambda: not self.edge.proxy.live)
            (member,) = self.live.members
            self.assertEqual((member.is_dead, member.active), (True, 0))

    async def test_no_http(self) -> None:
        """Bytes that are no answer: dead, and tried elsewhere only where nothing had come."""
        self.route(backend(self.playing(Read(until=HEAD), Send(b"SSH-2.0-x\r\n"), Stall())))
        answer = await self.ask("/")
        self.assertEqual(answer.status, 502)
        self.assertIn(b"http_protocol_error", answer.header(b"proxy-status") or b"")

    async def test_a_kept_connection_that_was_closed(self) -> None:
        """It is nobody's fault: sent again to the same backend, which stays alive."""
        closing = self.peer(
            FaultPeer(
                reactor,
                in_turn(
                    [Read(until=HEAD), Send(OK), Read(until=HEAD), Reset()],
                    [Read(until=HEAD), Send(OK)],
                ),
            )
        )
        self.route(backend(closing))
        client = await self.connect()
        for _ in range(2):
            self.assertEqual((await self.ask("/", client=client)).body, b"ok")
        self.assertEqual(closing.accepted, 2)
        (member,) = self.live.members
        self.assertFalse(member.is_dead)

    async def test_retries_are_counted(self) -> None:
        """No more than the route has."""
        self.route(*[backend(self.refusing()) for _ in range(5)], retries=2)
        answer = await self.ask("/")
        self.assertEqual(answer.status, 502)
        self.assertIn(b"connection_refused", answer.header(b"proxy-status") or b"")
        self.assertEqual(self.edge.tracker.total("r").tally.retries, 2)

    async def test_without_retries(self) -> None:
        """0 is none."""
        self.route(backend(self.refusing()), backend(self.origin()), retries=0)
        self.assertEqual((await self.ask("/")).status, 502)

    async def test_a_storm_is_stopped(self) -> None:
        """Behind the budget no request is sent again."""
        self.route(backend(self.refusing()), backend(self.refusing()))
        while self.edge.proxy.budget.take():
            pass
        self.assertEqual((await self.ask("/")).status, 502)
        self.assertEqual(self.edge.tracker.total("r").tally.retries, 0)

    async def test_all_dead(self) -> None:
        """Those that are ready are used rather than none; the first that answers is back."""
        origin = self.origin()
        bad = self.refusing()
        self.route(backend(bad), backend(origin))
        for member in self.live.members:
            self.live.members.failed(member, "a test")
        self.assertTrue(self.live.members.is_nobody_alive)
        self.assertEqual((await self.ask("/")).status, 200)
        self.assertFalse(self.live.members.is_nobody_alive)

    async def test_nobody(self) -> None:
        """A route without backends, or with none that is ready: 503, and when to come back."""
        self.route()
        answer = await self.ask("/")
        self.assertEqual((answer.status, answer.header(b"retry-after")), (503, b"5"))

    async def test_a_client_that_leaves(self) -> None:
        """Its backend's connection is closed, and the backend is not busy with it."""
        origin = self.origin()
        asked: list[Visit] = []
        left: list[Visit] = []

        async def never(visit: Visit) -> None:
            asked.append(visit)
            await visit.conversation.connection.until_closed()
            left.append(visit)

        origin.routes["/never"] = never
        self.route(backend(origin))
        client = await self.connect()
        await client.send(f"GET /never HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: asked)
        (member,) = self.live.members
        self.assertEqual((member.active, self.live.admission.active), (1, 1))
        client.reset()
        await self.when(lambda: not member.active)
        self.assertEqual((self.live.admission.active, member.is_dead), (0, False))
        await self.when(lambda: left)
