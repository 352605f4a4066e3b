"""Tests for :mod:`aluvia.edge.rest_tunnels`, :mod:`aluvia.edge.tunnel_view` and the ways in."""

from __future__ import annotations

import typing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.model import Route
from aluvia.edge.settings import TunnelPlace
from aluvia.edge.slices import BATCH
from aluvia.edge.test.fake_hub import NOW, FakeHub
from aluvia.edge.test.rest_case import RestCase
from aluvia.edge.test.tunnel_case import TunnelCase, tunnel_backend
from aluvia.edge.tunnel_view import TunnelView
from aluvia.hub.registry import Tunnel


class TunnelResourceTests(RestCase):
    """What the API shows."""

    async def test_none(self) -> None:
        """There is no tunnel, or no hub."""
        self.assertEqual((await self.get("tunnels")).json(), [])
        self.observed.tunnels._hub = None
        self.assertEqual((await self.get("tunnels")).json(), [])
        self.assert_problem(await self.get("tunnels/app"), 404, "not_found")

    async def test_all(self) -> None:
        """By their ids, those that are offline too; with no tag, since they are what runs."""
        hub = self.observed.hub
        session = hub.publish("web", "app", agent_id="home")
        hub.registry.withdraw(hub.publish("gone", agent_id="away"))
        hub.registry.tunnels["app"].meter.record(503, 0.25, 10, 20, ok=True, now=NOW + 5)
        reply = await self.get("tunnels")
        self.assertNotIn("etag", reply.fields)
        app, gone, web = reply.json()
        self.assertEqual((app["id"], gone["id"], web["id"]), ("app", "gone", "web"))
        self.assertEqual((app["online"], gone["online"], gone["agents"]), (True, False, []))
        self.assertEqual((app["agent"], app["agents"][0]["key"]), ("home", session.permit.name))
        self.assertEqual((app["error_count"], app["avg_latency_ms"]), (1, 250.0))
        self.assertEqual(app["reached_at"], ["/t/app/"])
        self.assertEqual((await self.get("tunnels/APP")).json(), app)

    async def test_not_there(self) -> None:
        """404, also for what can be no id."""
        for name in ("app", "-", "a%20b", "x" * 100):
            self.assert_problem(await self.get(f"tunnels/{name}"), 404, "not_found")

    async def test_nothing_to_change(self) -> None:
        """It is only looked at: 405."""
        self.observed.hub.publish("app")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            reply = await self.ask(method, "tunnels/app", body={})
            self.assert_problem(reply, 405, "method_not_allowed")

    async def test_ten_thousand_tunnels_do_not_hold_the_reactor(self) -> None:
        """They are written a few in each of its turns."""
        for number in range(100):
            self.observed.hub.publish(*(f"t{number}-{each}" for each in range(100)))
        slices = self.count_slices()
        self.assertEqual(len((await self.get("tunnels")).json()), 10_000)
        self.assertEqual(len(slices), 10_000 // BATCH)


class TunnelViewTests(SynchronousTestCase):
    """What is found."""

    def test_find(self) -> None:
        """By a part of an id, or of an agent's, in either case."""
        hub = FakeHub()
        hub.publish("shop", "api", agent_id="Office Mac")
        hub.publish("db", agent_id="server")
        view = TunnelView(hub, lambda: lambda tunnel: [])
        for text, ids in (
            ("", ["api", "db", "shop"]),
            ("HO", ["shop"]),
            ("mac", ["api", "shop"]),
            ("b", ["db"]),
            ("nothing", []),
        ):
            self.assertEqual([each.id for each in view.find(text)], ids, text)

    def test_ways_are_looked_up_once(self) -> None:
        """However many tunnels are shown: there may be thousands of routes to look through."""
        hub = FakeHub()
        hub.publish("a", "b", "c")
        looks = Clock()

        def ways() -> typing.Callable[[Tunnel], list[str]]:
            looks.advance(1)
            return lambda tunnel: []

        self.assertEqual(len([*TunnelView(hub, ways).documents(hub.registry.tunnels.values())]), 3)
        self.assertEqual(looks.seconds(), 1)


class WaysTests(TunnelCase):
    """How a visitor gets there."""

    def ways(self, id: str) -> list[str]:
        """Into a tunnel."""
        return self.edge.ways_into_tunnels()(self.tunnel(id))

    async def test_by_path_name_and_route(self) -> None:
        """The URL first; a route as its host, with its prefix."""
        self.open(tunnel_domain="t.example.com")
        self.publish("app", "web")
        backends = (tunnel_backend("app"),)
        one = Route(id="a", v_host="a.example", backends=backends)
        other = Route(id="b", v_host="*.b.example", path_prefix="/x", backends=backends)
        self.use(routes={"a": one, "b": other})
        url = f"http://app.t.example.com:{self.edge.place('http')[1]}/"
        self.assertEqual(self.ways("app"), [url, "/t/app/", "a.example", "*.b.example/x"])
        self.assertEqual(self.ways("web")[1:], ["/t/web/"])

    async def test_tcp(self) -> None:
        """Its port, if there is one."""
        self.open(tunnel_tcp=(TunnelPlace("db", "127.0.0.1", 0),), tunnel_paths=False)
        self.publish("db", "other", kind="tcp")
        self.publish("app", instance="instance-2")
        port = self.edge.place("tunnel db")[1]
        self.assertEqual(self.ways("db"), [f"127.0.0.1:{port}"])
        self.assertEqual((self.ways("other"), self.ways("app")), ([], []))
