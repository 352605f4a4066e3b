"""Whose fault it is, whose turn, and who is meant: faults that a reading found."""

from __future__ import annotations

import socket
import typing

from twisted.internet.task import Clock

from aluvia.edge.model import BearerProvider, RateLimit, Route, Timeouts
from aluvia.edge.test.edge_case import ANYWHERE, HOST, EdgeCase, backend, reactor, seen
from aluvia.edge.test.test_timing_out import TimingOutTests
from aluvia.net.dial import DialError
from aluvia.testing.faults import Accepting, Close, FaultPeer, Read, Send
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

HEAD = b"\r\n\r\n"


class TurnTests(TimingOutTests):
    """Silence, and who is silent."""

    async def test_a_body_that_is_waited_for(self) -> None:
        """A client that waits to be asked for its body, and sends none, kills no backend."""
        peers = [self.stalling(Read(until=HEAD)) for _ in range(3)]
        self.route(*map(backend, peers), timeouts=Timeouts(first_byte=20))
        client = await self.begin("PUT", "Content-Length: 5\r\nExpect: 100-continue\r\n")
        await self.when(lambda: any(each.connections for each in peers))
        self.wait(21)
        self.wait(42)
        self.assertEqual((await read_response(client)).status, 408)
        self.assertEqual([member.is_dead for member in self.live.members], [False] * 3)
        self.assertEqual(self.live.admission.active, 0)

    async def test_an_early_answer_to_who_waits(self) -> None:
        """What was not asked for need not come: the slot is free at once."""
        head = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"
        self.route(backend(self.stalling(Read(until=HEAD), Send(head))))
        client = await self.begin("PUT", "Content-Length: 5\r\nExpect: 100-continue\r\n")
        self.assertEqual((await read_response(client)).status, 401)
        (member,) = self.live.members
        self.assertEqual((self.live.admission.active, member.active), (0, 0))

    async def test_a_quiet_stream(self) -> None:
        """It ends when it has been quiet for long; its backend is well."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
        peer = self.stalling(Read(until=HEAD), Send(head))
        self.route(backend(peer), timeouts=Timeouts(idle=100))
        client = await self.begin()
        await client.read_until(b"data: 1\n\n")
        self.wait(101)
        await client.until_closed()
        (member,) = self.live.members
        self.assertEqual((member.is_dead, member.active, self.live.streams), (False, 0, 0))

    async def test_the_time_of_another_try(self) -> None:
        """It begins anew."""
        slow = self.stalling(Read(until=HEAD))
        second = self.stalling(Read(until=HEAD))
        self.route(backend(slow), backend(second), timeouts=Timeouts(first_byte=20))
        await self.begin()
        await self.when(lambda: slow.connections and slow.connections[0].received)
        self.wait(21)
        await self.when(lambda: second.connections and second.connections[0].received)
        (connection,) = self.connections
        self.assertGreaterEqual(connection.deadline, self.edge.sweep.now + 20)


class LeavingTests(EdgeCase):
    """A client that closes its side."""

    async def test_in_line(self) -> None:
        """A FIN is leaving: it is not in line any more, and is never sent."""
        origin = self.origin()
        asked: list[Visit] = []

        async def never(visit: Visit) -> None:
            asked.append(visit)
            await visit.conversation.connection.until_closed()

        origin.routes["/"] = never
        self.route(backend(origin), req_active_length=1)
        clients = [await self.connect() for _ in range(2)]
        for count, client in enumerate(clients):
            await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            await self.when(lambda: len(self.edge.proxy.live) == count + 1)  # noqa: B023
        await self.when(lambda: asked)
        clients[1].finish()
        await self.when(lambda: not self.live.admission.waiting)
        clients[0].finish()
        await self.when(lambda: not self.edge.proxy.live)
        (member,) = self.live.members
        self.assertEqual((self.live.admission.active, member.active), (0, 0))
        self.assertEqual(len(asked), 1)

    async def test_unread(self) -> None:
        """A reset is seen while the rest of its body waits: it is not in line any more."""
        origin = self.origin()
        asked: list[Visit] = []

        async def never(visit: Visit) -> None:
            asked.append(visit)
            await visit.conversation.connection.until_closed()

        origin.routes["/"] = never
        self.route(backend(origin), req_active_length=1)
        first = await self.connect()
        await first.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: asked)
        second = await self.connect()
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9000000\r\n\r\n"
        await second.send(head.encode() + b"b" * 300_000)
        await self.when(lambda: self.live.admission.waiting)
        second.reset()
        # The sweep looks once a second.
        await self.when(lambda: not self.live.admission.waiting)

    async def test_half_a_body(self) -> None:
        """A backend that gives up on it is not dead for that."""
        peer = self.peer(FaultPeer(reactor, [Read(until=HEAD), Close()]))
        self.route(backend(peer))
        client = await self.connect()
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n"
        await client.send(head.encode() + b"ab")
        self.assertEqual((await read_response(client)).status, 502)
        (member,) = self.live.members
        self.assertEqual((member.is_dead, member.active), (False, 0))

    async def test_what_was_its_own(self) -> None:
        """A connection that is authenticated as a whole goes with its client."""
        origin = self.origin()
        self.route(backend(origin))
        client = await self.connect()
        for _ in range(2):
            await self.echo("/", "Authorization: Negotiate abc", client=client)
        self.assertEqual((origin.peer.accepted, len(self.edge.idle)), (1, 1))
        client.reset()
        await self.when(lambda: not self.edge.idle)

    async def test_all_that_was_its_own(self) -> None:
        """At every route that it has asked, and not at the last one alone."""
        self.open()
        hosts = [f"{name}.test" for name in "abc"]
        self.use(
            routes={
                host: Route(id=host, v_host=host, backends=(backend(self.origin()),))
                for host in hosts
            }
        )
        client = await self.connect()
        for host in hosts * 2:
            await self.echo("/", "Authorization: Negotiate abc", client=client, host=host)
        self.assertEqual(len(self.edge.idle), 3)
        client.reset()
        await self.when(lambda: not self.edge.idle)

    async def test_what_was_its_own_before_an_upgrade(self) -> None:
        """One that has become a WebSocket asks nothing any more."""
        origin = self.origin()

        async def upgrade(visit: Visit) -> None:
            await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
            await visit.conversation.connection.until_closed()

        origin.routes["/ws"] = upgrade
        other = self.origin()
        self.open()
        self.use(
            routes={
                "a": Route(id="a", v_host="a.test", backends=(backend(origin),)),
                "b": Route(id="b", v_host="b.test", backends=(backend(other),)),
            }
        )
        client = await self.connect()
        await self.echo("/", "Authorization: Negotiate abc", client=client, host="b.test")
        self.assertEqual(len(self.edge.idle), 1)
        ask = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket"
        await client.send(f"{ask}\r\n\r\n".encode())
        await client.read_until(HEAD)
        self.assertEqual(len(self.edge.idle), 0)


class MeaningTests(EdgeCase):
    """Who is meant, and who is told."""

    async def test_the_host_of_a_target_is_the_host(self) -> None:
        """What was judged is what the backend gets; Host does not pass a guard by."""
        origin = self.origin()
        self.open()
        provider = BearerProvider(id="p", tokens=(("t", "0" * 64),))
        public = Route(id="p", v_host="public.test", backends=(backend(origin),))
        admin = Route(id="a", v_host="admin.test", auth_provider="p", backends=(backend(origin),))
        self.use(providers={"p": provider}, routes={"p": public, "a": admin})
        fields = await self.echo("http://public.test/", host="admin.test")
        self.assertEqual(seen(fields, "Host"), ["public.test"])
        self.assertEqual(seen(fields, "X-Forwarded-Host"), ["public.test"])
        self.assertNotIn("admin", str(fields))

    async def test_trailers(self) -> None:
        """What a head may not say, a trailer may not either, however it is spelled."""
        self.route(backend(self.origin()), headers=(("X-User", "nobody"),))
        client = await self.connect()
        head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        trailers = "X-User: admin\r\nX_User: admin\r\nX-Sum: 1"
        await client.send(f"{head}1\r\nx\r\n0\r\n{trailers}\r\n\r\n".encode())
        answer = await read_response(client)
        self.assertEqual(answer.status, 200)
        self.assertNotIn(b"admin", answer.body)

    async def test_many_retries(self) -> None:
        """A hundred backends that refuse at once: one after the other, and a 502."""
        self.route(retries=100)

        class Refusing:
            """Refuses before it returns."""

            def dial(self, host: str, port: int, protocol: object, failed: typing.Any) -> object:
                failed(DialError("connection_refused", 502, "No."))
                return self

            def cancel(self) -> None:
                """It is over."""

        peer = self.peer(FaultPeer(reactor, [], accepting=Accepting.REFUSE))
        self.route(*[backend(peer, f"b{n}") for n in range(90)], retries=100)
        for member in self.live.members:
            member.target.dialer = Refusing()
        self.assertEqual((await self.ask("/")).status, 502)
        self.assertEqual(self.edge.tracker.total("r").tally.retries, 89)

    async def test_a_backend_that_is_taken_away(self) -> None:
        """What it did last is its route's, and nothing is kept for it."""
        origin = self.origin()
        gate: list[Visit] = []

        async def slow(visit: Visit) -> None:
            gate.append(visit)
            while len(gate) < 2:
                await self.turns()
            await visit.answer(200, [])

        origin.routes["/slow"] = slow
        self.route(backend(origin, "old"))
        client = await self.connect()
        await client.send(f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: gate)
        self.route(backend(origin, "new"))
        gate.append(gate[0])
        self.assertEqual((await read_response(client)).status, 200)
        self.assertNotIn(("r", "old"), self.edge.tracker.places())

    async def test_another_timeout(self) -> None:
        """It makes no new backend: what is known of the old one stays."""
        origin = self.origin()
        self.route(backend(origin))
        (before,) = self.live.members
        self.live.members.failed(before, "a test")
        self.route(backend(origin), timeouts=Timeouts(connect=1))
        (after,) = self.live.members
        self.assertIs(after, before)
        self.assertTrue(after.is_dead)
        self.assertEqual(after.target.dialer.connect_timeout, 1)

    async def test_an_address_that_is_not_reached(self) -> None:
        """That a backend's name leads there is no fault of the client's: 502."""
        self.route(backend(self.origin()))
        (member,) = self.live.members

        def refused(host: str, port: int, protocol: object, failed: typing.Any) -> object:
            failed(DialError("destination_ip_prohibited", 403, "Link-local: 192.0.2.1"))
            return None

        member.target.dialer.dial = refused
        answer = await self.ask("/")
        self.assertEqual(answer.status, 502)
        self.assertNotIn(b"192.0.2", answer.body)

    async def test_one_client(self) -> None:
        """Whoever has an IPv6 network has all of its /64."""
        self.open(trusted_proxies=("127.0.0.1/32",))
        self.route(backend(self.origin()), rate_limit=RateLimit(per_second=0.01, burst=1))
        clients = ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1", "192.0.2.1", "192.0.2.2")
        answers = [await self.ask("/", f"X-Forwarded-For: {each}") for each in clients]
        self.assertEqual([each.status for each in answers], [200, 429, 200, 200, 200])

    async def test_a_port_of_both_families(self) -> None:
        """An IPv4 client is one there, too."""
        self.open(http=type(ANYWHERE)(address="::", port=0))
        self.route(backend(self.origin()))
        port = self.edge.place("http")[1]
        self.patch(self.edge, "place", lambda name: ("127.0.0.1", port))
        fields = await self.echo("/")
        self.assertEqual(seen(fields, "X-Real-IP"), ["127.0.0.1"])

    async def test_urgent_data(self) -> None:
        """In the middle of a body that is spliced: it is skipped, and the rest arrives."""
        origin = self.origin()
        body = b"u" * 3_000_000

        async def swallow(visit: Visit) -> None:
            await visit.answer(200, [], b"%d" % len(await visit.body()))

        origin.routes["/"] = swallow
        self.route(backend(origin))
        client = await self.connect()
        head = f"PUT / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        await client.send(head + body[:1_000_000])
        await self.when(lambda: self.edge.proxy.live)
        client._socket.send(b"!", socket.MSG_OOB)
        await client.send(body[1_000_000:])
        self.assertEqual((await read_response(client)).body, b"%d" % len(body))

    def test_a_line_that_waits_less_long(self) -> None:
        """Who comes once the time is shorter is not held by those before."""
        from aluvia.edge.admission import Admission  # noqa: PLC0415

        clock = Clock()
        told: list[str] = []

        class Waiting:
            """One in line."""

            def admitted(self) -> None:
                """Not here."""

            def waited_too_long(self) -> None:
                """Note it."""
                told.append("late")

        admission = Admission(clock, 0, 10, 3600)
        admission.enter(Waiting())
        admission.change(0, 10, 1)
        admission.enter(Waiting())
        clock.advance(2)
        self.assertEqual(told, ["late"])
