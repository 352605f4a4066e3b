"""Tests for what a tunnel may move, and how often it may be asked."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.model import RateLimit
from aluvia.edge.settings import Settings
from aluvia.edge.test.edge_case import HOST
from aluvia.edge.test.tunnel_case import ELSEWHERE, TOKEN, TunnelCase, tunnel_backend
from aluvia.edge.tunnels import route_of
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

DAY = 86_400
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket"


class RouteTests(SynchronousTestCase):
    """What the options come to."""

    def test_defaults(self) -> None:
        """There are bounds where there must be, and none that would surprise."""
        route = route_of("app", Settings())
        self.assertEqual((route.rate_limit, route.max_body_bytes), (None, None))
        self.assertEqual((route.max_streams, route.auth_provider), (256, None))

    def test_burst(self) -> None:
        """A page may ask for ten seconds' worth at once."""
        route = route_of("app", Settings(tunnel_rate=0.5))
        self.assertEqual(route.rate_limit, RateLimit(per_second=0.5, burst=5))
        route = route_of("app", Settings(tunnel_rate=0.01))
        self.assertEqual(route.rate_limit, RateLimit(per_second=0.01, burst=1))


class LimitTests(TunnelCase):
    """On the way."""

    async def test_rate(self) -> None:
        """429 with Retry-After, for each tunnel by itself; who guesses tokens is slowed down."""
        self.open(tunnel_rate=0.1)
        self.publish("app", token=TOKEN)
        self.publish("b", instance="instance-2")
        self.assertEqual((await self.ask("/t/app/x", host=ELSEWHERE)).status, 403)
        answer = await self.ask("/t/app/x", host=ELSEWHERE)
        self.assertEqual(answer.status, 429)
        self.assertIsNotNone(answer.header(b"retry-after"))
        self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        self.assertEqual((await self.ask("/t/b/x", host=ELSEWHERE)).status, 200)

    async def test_body(self) -> None:
        """413, whether its length is told or not."""
        self.open(tunnel_body_bytes=4)
        self.publish("app")
        answer = await self.ask("/t/app/x", host=ELSEWHERE, method="POST", body=b"12345")
        self.assertEqual(answer.status, 413)
        self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        client = await self.connect()
        head = f"POST /t/app/x HTTP/1.1\r\nHost: {ELSEWHERE}\r\nTransfer-Encoding: chunked"
        await client.send(f"{head}\r\n\r\n5\r\n12345\r\n0\r\n\r\n".encode())
        self.assertEqual((await read_response(client)).status, 413)
        answer = await self.ask("/t/app/x", host=ELSEWHERE, method="POST", body=b"1234")
        self.assertEqual(answer.status, 200)

    async def test_streams(self) -> None:
        """One more WebSocket is 503."""
        self.open(tunnel_streams=1)
        self.publish("app")
        self.app.routes["/ws"] = upgrade
        first, second = await self.connect(), await self.connect()
        for client, status in ((first, b"101"), (second, b"503")):
            ask = f"GET /t/app/ws HTTP/1.1\r\nHost: {ELSEWHERE}\r\n{UPGRADE}\r\n\r\n"
            await client.send(ask.encode())
            self.assertIn(b" %b " % status, await client.read_until(b"\r\n\r\n"))

    async def test_queue_full(self) -> None:
        """503, in the words of the line, with the id."""
        self.publish("app")
        await self.ask("/t/app/x", host=ELSEWHERE)
        assert self.edge.proxy.tunnels is not None
        live = self.edge.proxy.tunnels._routes["app"]
        live.admission.change(0, 0, 1.0)
        answer = await self.ask("/t/app/x", host=ELSEWHERE)
        self.assertEqual(answer.status, 503)
        self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        self.assertEqual(self.tunnel().meter.last_status, 503)

    async def test_bytes_of_the_day(self) -> None:
        """What is on its way is cut, visibly; from then on it is 429, by a route too."""
        self.open(tunnel_bytes_per_day=1_000)
        self.publish("app")
        self.route(tunnel_backend())

        async def long(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Length", b"100000")])
            await visit.send(b"x" * 600)
            await visit.send(b"x" * 600)
            await visit.conversation.connection.until_closed()

        self.app.routes["/long"] = long
        client = await self.connect()
        await client.send(f"GET /t/app/long HTTP/1.1\r\nHost: {ELSEWHERE}\r\n\r\n".encode())
        await client.until_closed()
        meter = self.tunnel().meter
        self.assertEqual((meter.request_count, meter.error_count), (1, 1))
        for path, host in (("/t/app/x", ELSEWHERE), ("/x", HOST)):
            answer = await self.ask(path, host=host)
            self.assertEqual(answer.status, 429)
            self.assertLessEqual(int(answer.header(b"retry-after") or 0), DAY)
            self.assertIsNotNone(answer.header(b"x-proxer-request-id"))
        self.assertEqual((meter.request_count, meter.error_count), (3, 1))

    async def test_an_upload(self) -> None:
        """A body that goes past it has 429 in place of an answer."""
        self.open(tunnel_bytes_per_day=10)
        self.publish("app")
        answer = await self.ask("/t/app/x", host=ELSEWHERE, method="POST", body=b"x" * 1_000)
        self.assertEqual(answer.status, 429)

    async def test_a_websocket(self) -> None:
        """So is a WebSocket, when somebody looks, which is once a second."""
        self.open(tunnel_bytes_per_day=10)
        self.publish("app")
        self.app.routes["/ws"] = upgrade
        client = await self.connect()
        ask = f"GET /t/app/ws HTTP/1.1\r\nHost: {ELSEWHERE}\r\n{UPGRADE}\r\n\r\n"
        await client.send(ask.encode())
        await client.read_until(b"\r\n\r\n")
        tunnels: typing.Any = self.edge.proxy.tunnels
        tunnels.deadline_passed(0.0)
        self.assertEqual(len(tunnels.watched), 1)
        await client.send(b"x" * 10)
        (flow,) = self.edge.proxy.live
        await self.when(lambda: flow.bytes_up == 10)
        tunnels.deadline_passed(0.0)
        await client.until_closed()
        await self.when(lambda: not self.edge.proxy.live)
        self.assertEqual((tunnels.watched, self.tunnel().meter.streams_open), (set(), 0))


async def upgrade(visit: Visit) -> None:
    """Take a WebSocket, and say nothing."""
    await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
    await visit.conversation.connection.read_away()
