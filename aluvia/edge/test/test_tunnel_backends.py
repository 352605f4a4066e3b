"""Tests for tunnels as backends of routes."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from aluvia.api.problems import Problem
from aluvia.edge.model import Backend, BackendTLS, HealthCheck
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor, seen
from aluvia.edge.test.tunnel_case import REFUSED, TunnelCase, tunnel_backend
from aluvia.testing.faults import Accepting, FaultPeer, Read, Reset
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

FAULT = "is a tunnel, and there is no hub here: --hub"


class WithoutHubTests(EdgeCase):
    """No hub."""

    def test_no_hub(self) -> None:
        """It cannot be put to work, and that is said, by the document's reader, too."""
        self.open()
        with self.assertRaises(Problem) as caught:
            self.route(tunnel_backend())
        (fault,) = caught.exception.faults
        self.assertEqual((fault.pointer, fault.detail), ("/routes/0/backends/0", FAULT))
        judge = self.edge.applied.judges.tunnel
        assert judge is not None
        self.assertEqual(judge("app"), FAULT)


class BackendTests(TunnelCase):
    """A route with tunnels."""

    async def test_a_route(self) -> None:
        """It is served like any backend, counted at the tunnel, and each answer has the id."""
        self.publish("app")
        self.route(tunnel_backend())
        got = await self.echo("/echo?a=1", "X-Request-ID: mine")
        self.assertEqual((got["target"], seen(got, "Host")), ("/echo?a=1", [HOST]))
        self.assertEqual(seen(got, "X-Forwarded-Prefix"), [])
        answer = await self.ask("/echo", "X-Request-ID: mine")
        self.assertEqual(answer.header(b"x-proxer-request-id"), b"mine")
        self.assertEqual(self.tunnel().meter.request_count, 2)

    async def test_what_the_route_itself_refuses(self) -> None:
        """Such an answer has the id as well."""
        self.publish("app")
        self.route(tunnel_backend(), max_body_bytes=1)
        answer = await self.ask("/echo", "X-Request-ID: mine", "Content-Length: 2", method="POST")
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.header(b"x-proxer-request-id"), b"mine")

    async def test_its_own_host(self) -> None:
        """Where the client's Host does not go on, the app is called by its tunnel's id."""
        self.publish("app")
        self.route(tunnel_backend(), preserve_host=False)
        self.assertEqual(seen(await self.echo("/echo"), "Host"), ["app"])

    async def test_who_waits_for_a_turn_when_the_edge_goes_down(self) -> None:
        """They were admitted, and are served: agents are let go behind them."""
        session = self.publish("app")
        live = self.route(tunnel_backend(), req_active_length=1)
        answers: Deferred[None] = Deferred()
        asked = []

        async def slow(visit: Visit) -> None:
            asked.append(visit)
            if len(asked) == 1:
                await answers
            await visit.answer(200, [], b"served")

        self.app.routes["/slow"] = slow
        visitors = [await self.connect() for _ in range(2)]
        for visitor in visitors:
            await visitor.send(f"GET /slow HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
            await self.when(lambda: asked)
        await self.when(lambda: self.edge.applied.routes[live.id].admission.waiting)
        stopped = self.edge.stop(10.0)
        self.assertFalse(session.draining)
        answers.callback(None)
        statuses = [(await read_response(visitor)).status for visitor in visitors]
        self.assertEqual(statuses, [200, 200])
        await stopped

    async def test_no_tls(self) -> None:
        """What its target speaks is the agent's to say."""
        self.open()
        with self.assertRaises(Problem) as caught:
            self.route(tunnel_backend(tls=BackendTLS()))
        self.assertIn("no tls", caught.exception.faults[0].detail)

    async def test_not_http(self) -> None:
        """A TCP tunnel is none for requests."""
        self.publish("db", kind="tcp")
        self.route(tunnel_backend("db"))
        answer = await self.ask("/echo")
        self.assertEqual(answer.status, 404)
        self.assertIn(b"TCP", answer.body)

    async def test_offline(self) -> None:
        """502 at once, and it is served at once when its agent is back."""
        self.open()
        self.route(tunnel_backend())
        for _ in range(3):
            answer = await self.ask("/echo")
            self.assertIn(b"destination_not_found", answer.header(b"proxy-status") or b"")
        session = self.publish("app")
        self.assertEqual((await self.ask("/echo")).status, 200)
        self.registry.withdraw(session)
        self.edge.idle.close_all()
        for _ in range(3):
            answer = await self.ask("/echo")
            self.assertIn(b"destination_unavailable", answer.header(b"proxy-status") or b"")
        self.publish("app")
        self.assertEqual((await self.ask("/echo")).status, 200)

    async def test_offline_beside_another(self) -> None:
        """The other backend serves; when the agent is back its tunnel has its share at once, and
        not after an ejection."""
        session = self.publish("app")
        self.route(tunnel_backend(), backend(self.app))
        self.registry.withdraw(session)
        for _ in range(4):
            self.assertEqual((await self.ask("/echo")).status, 200)
        dead = self.live.members["b-app"]
        self.assertTrue(dead.is_dead)
        self.publish("app")
        for _ in range(2):
            self.assertEqual((await self.ask("/echo")).status, 200)
        self.assertFalse(dead.is_dead)
        self.assertEqual(self.tunnel().meter.request_count, 1)

    async def test_down_beside_another(self) -> None:
        """One whose agent is there, and whose target refuses, is out like any backend."""
        session = self.publish("app", to=REFUSED)
        self.route(tunnel_backend(), backend(self.app))
        for _ in range(6):
            self.assertEqual((await self.ask("/echo")).status, 200)
        self.assertEqual(session.opened, 1)

    async def test_held_down(self) -> None:
        """A configured check's word stands until its own next one."""
        self.publish("app")
        self.route(tunnel_backend(), backend(self.app), health_check=HealthCheck(path="/up"))
        member = self.live.members["b-app"]
        self.live.members.probed_bad(member, "503")
        self.publish("app")
        for _ in range(4):
            await self.ask("/echo")
        self.assertTrue(member.is_dead)
        self.assertEqual(self.tunnel().meter.request_count, 0)

    async def test_probes(self) -> None:
        """A check goes through the tunnel."""
        session = self.publish("app")
        self.answering(path="/up")
        self.route(tunnel_backend(), health_check=HealthCheck(path="/up"))
        await self.when(lambda: self.app.visits)
        self.assertEqual((self.app.visits[0].path, session.opened), ("/up", 1))

    async def test_a_lost_carrier(self) -> None:
        """It takes its streams along, and that is nothing of the backend's."""
        peer = self.peer(FaultPeer(reactor, [Read(until=b"\r\n\r\n"), Reset()]))
        self.publish("app", to=peer)
        self.route(tunnel_backend(), backend(self.app))
        statuses = {(await self.ask("/echo", method="POST")).status for _ in range(2)}
        self.assertEqual(statuses, {200, 502})
        self.assertFalse(self.live.members["b-app"].is_dead)

    async def test_mixed(self) -> None:
        """A vhost can have direct backends and tunnels; a refused connection goes to the other."""
        peer = self.peer(FaultPeer(reactor, [], accepting=Accepting.REFUSE))
        self.publish("app")
        self.route(backend(peer), tunnel_backend())
        for _ in range(3):
            self.assertEqual((await self.ask("/echo")).status, 200)
        self.assertEqual(self.tunnel().meter.request_count, 3)


class MeterTests(TunnelCase):
    """What is counted."""

    async def test_requests(self) -> None:
        """Each that is over, however the tunnel was reached; errors are 500 and more, and cuts."""
        self.publish("app")
        self.route(tunnel_backend())
        meter = self.tunnel().meter
        await self.ask("/t/app/echo", host="elsewhere.test", method="POST", body=b"12345")
        self.assertEqual((meter.request_count, meter.error_count, meter.bytes_in), (1, 0, 5))
        self.assertGreater(meter.bytes_out, 5)
        self.assertGreater(meter.average_latency, 0.0)
        self.assertEqual(meter.last_status, 200)
        self.answering(status=404)
        await self.ask("/x")
        self.assertEqual((meter.request_count, meter.error_count), (2, 0))
        self.answering(status=500)
        await self.ask("/x")
        self.assertEqual((meter.error_count, meter.last_status), (1, 500))

        async def cut(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Length", b"10")])
            visit.conversation.connection.reset()

        self.app.routes["/x"] = cut
        client = await self.connect()
        await client.send(f"GET /x HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: meter.request_count == 4)
        self.assertEqual((meter.error_count, meter.streams_open), (2, 0))

    async def test_streams(self) -> None:
        """A WebSocket is counted when it ends; while it goes on it is one that is open."""
        self.publish("app")
        meter = self.tunnel().meter

        async def upgrade(visit: Visit) -> None:
            await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
            connection = visit.conversation.connection
            await connection.send(await connection.read_exactly(4))
            await connection.read_to_end()
            connection.finish()

        self.app.routes["/ws"] = upgrade
        client = await self.connect()
        ask = "GET /t/app/ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket"
        await client.send(f"{ask}\r\n\r\n".encode())
        head = await client.read_until(b"\r\n\r\n")
        self.assertIn(b"x-proxer-request-id", head.lower())
        await client.send(b"ping")
        await client.read_until(b"ping")
        self.assertEqual((meter.request_count, meter.streams_open), (0, 1))
        client.close()
        await self.when(lambda: meter.request_count)
        self.assertEqual((meter.streams_open, meter.last_status), (0, 101))
        self.assertEqual((meter.bytes_in, meter.bytes_out), (4, 4))

    async def test_refused(self) -> None:
        """What was never at a tunnel is not its: a route without a slot, a backend of another
        kind."""
        self.publish("app")
        self.route(backend(self.app), tunnel_backend(weight=1))
        await self.ask("/echo")
        await self.ask("/echo")
        self.assertEqual(self.tunnel().meter.request_count, 1)
        self.route(tunnel_backend(), req_active_length=0, req_queue_length=0)
        self.assertEqual((await self.ask("/echo")).status, 503)
        self.assertEqual(self.tunnel().meter.request_count, 1)

    def test_a_backend_of_another_name(self) -> None:
        """An endpoint that is no tunnel has none of its rules."""
        self.open()
        self.route(Backend(endpoint="tcp:127.0.0.1:1"))
        self.assertFalse(self.live.tunnelled)
