"""Tests for :mod:`aluvia.edge.tunnel_ports`: TCP tunnels, on ports of loopback."""

from __future__ import annotations

import contextlib
import typing

from aluvia.edge.settings import TunnelPlace
from aluvia.edge.test.edge_case import reactor
from aluvia.edge.test.tunnel_case import REFUSED, TOKEN, TunnelCase
from aluvia.edge.test.whole_edge_case import WholeEdgeCase
from aluvia.net.dial import Dialing
from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import Echo, FaultPeer, Finish, Read, Send

PORT = "tunnel db"


class PortTests(TunnelCase):
    """A port that leads into a tunnel."""

    def setUp(self) -> None:
        """A database, say."""
        self.app = self.origin()
        self.echoing = self.peer(FaultPeer(reactor, [Echo()]))

    def listen(self, **settings: typing.Any) -> None:
        """An edge with such a port."""
        self.open(tunnel_tcp=(TunnelPlace("db", "127.0.0.1", 0),), **settings)

    async def visit(self) -> FaultConnection:
        """A client of it."""
        return await self.connect(PORT)

    @property
    def visitors(self) -> typing.Any:
        """Those that there are."""
        return self.factory.live

    @property
    def factory(self) -> typing.Any:
        """Of the port."""
        return self.edge.ports[PORT].factory

    async def test_what_its_agent_is_told(self) -> None:
        """The port, and no page; without a port, nothing."""
        self.listen()
        self.publish("db", "more", to=self.app, kind="tcp")
        assert self.edge.hub is not None
        where = self.edge.place(PORT)[1]
        self.assertEqual(
            [self.edge.hub.where(id) for id in ("db", "more")],
            [{"id": "db", "url": f"tcp://127.0.0.1:{where}"}, {"id": "more"}],
        )

    async def test_relayed(self) -> None:
        """Bytes go both ways, and so does a FIN; it is counted when it is over."""
        self.listen()
        peer = self.peer(
            FaultPeer(reactor, [Send(b"hello "), Read(to_end=True), Send(b"bye"), Finish()])
        )
        self.publish("db", to=peer, kind="tcp")
        client = await self.visit()
        await client.send(b"ping")
        await client.read_until(b"hello ")
        meter = self.tunnel("db").meter
        self.assertEqual((meter.streams_open, meter.request_count), (1, 0))
        client.finish()
        self.assertEqual(await client.read_to_end(), b"bye")
        client.close()
        await self.when(lambda: meter.request_count)
        self.assertEqual((meter.streams_open, meter.error_count), (0, 0))
        self.assertEqual((meter.bytes_in, meter.bytes_out), (4, 9))
        self.assertEqual(self.visitors, set())

    async def test_early(self) -> None:
        """What is said before the target is there, and a FIN behind it, goes on in its order."""
        self.listen()
        self.publish("db", to=self.echoing, kind="tcp")
        client = await self.visit()
        await client.send(b"x" * 300_000)
        client.finish()
        self.assertEqual(len(await client.read_to_end()), 300_000)

    async def test_early_is_bounded(self) -> None:
        """A client is not read on while its target is not there."""
        self.listen()
        waiting: list[typing.Any] = []

        class Slow:
            """Never there."""

            def dial(self, host: str, port: int, protocol: typing.Any, failed: object) -> Dialing:
                waiting.append((host, protocol))
                return self

            def cancel(self) -> None:
                waiting.append("cancelled")

        self.factory.dialer = Slow()
        client = await self.visit()
        await client.send(b"x" * 200_000)
        await self.when(lambda: self.visitors and next(iter(self.visitors))._early_size >= 65_536)
        await self.turns(20)
        self.assertLess(next(iter(self.visitors))._early_size, 200_000)
        self.assertEqual(waiting[0][0], "db")
        next(iter(self.visitors)).drain()
        self.assertEqual((waiting[1:], self.visitors), (["cancelled"], set()))

    async def test_refused(self) -> None:
        """No agent, a target that refuses, HTTP, or a token that nobody can show: it is closed."""
        self.listen()
        cases: tuple[dict[str, typing.Any] | None, ...] = (
            None,
            {"to": REFUSED, "kind": "tcp"},
            {"kind": "http"},
            {"kind": "tcp", "token": TOKEN},
        )
        for more in cases:
            if more is not None:
                self.publish("db", **more)
            client = await self.visit()
            await client.read_away()
            self.assertEqual((client.received, self.visitors), (b"", set()))
        self.assertEqual(self.tunnel("db").meter.streams_open, 0)
        self.assertEqual(self.echoing.accepted, 0)

    async def test_most(self) -> None:
        """--tunnel-streams bounds its connections."""
        self.listen(tunnel_streams=1)
        self.publish("db", to=self.echoing, kind="tcp")
        first = await self.visit()
        await first.send(b"a")
        await first.read_until(b"a")
        await (await self.visit()).read_away()
        await first.send(b"b")
        await first.read_until(b"b")

    async def test_bytes_of_the_day(self) -> None:
        """They are cut, and nobody comes in any more."""
        self.listen(tunnel_bytes_per_day=6)
        self.publish("db", to=self.echoing, kind="tcp")
        client = await self.visit()
        await client.send(b"abc")
        await client.read_until(b"abc")
        tunnels: typing.Any = self.edge.proxy.tunnels
        tunnels.deadline_passed(0.0)
        await client.read_away()
        await (await self.visit()).read_away()
        await self.when(lambda: not self.visitors)
        self.assertEqual((tunnels.watched, self.tunnel("db").meter.request_count), (set(), 1))

    async def test_idle(self) -> None:
        """Where nothing moves it ends."""
        self.listen()
        self.publish("db", to=self.echoing, kind="tcp")
        client = await self.visit()
        await client.send(b"a")
        await client.read_until(b"a")
        joined = next(iter(self.visitors))._relay
        self.assertEqual(joined.idle_timeout, 300.0)
        joined.deadline_passed(0.0)
        joined.deadline_passed(301.0)
        await client.read_away()
        await self.when(lambda: not self.visitors)
        self.assertEqual(self.tunnel("db").meter.error_count, 1)

    async def test_connection_caps(self) -> None:
        """The edge's caps hold: its connections are counted with all others."""
        self.listen(max_connections_per_address=1)
        self.publish("db", to=self.echoing, kind="tcp")
        client = await self.visit()
        await client.send(b"a")
        await client.read_until(b"a")
        self.assertEqual(self.edge.connections_open, 1)
        with contextlib.suppress(ConnectionResetError):
            await (await self.connect("http")).read_away()
        self.assertEqual(self.edge.connections_refused, 1)


class WholeTests(WholeEdgeCase):
    """In a whole edge."""

    async def test_places(self) -> None:
        """It is no place for browsers: it has a port, and no URL."""
        places = (TunnelPlace("db", "127.0.0.1", 0),)
        edge = await self.start(self.settings(hub=("127.0.0.1", 0), tunnel_tcp=places))
        self.assertNotIn(PORT, edge.urls)
        self.assertIn(edge.ingress.place(PORT), edge.ingress.own)
        self.assertEqual((await self.ask(edge, "/t/none/")).status, 404)
