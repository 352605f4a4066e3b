"""Tests for :mod:`aluvia.edge.applied`: what fails, fails before anything is in use."""

from __future__ import annotations

import typing

import attrs

from aluvia.edge.live import LiveRoute, Terms
from aluvia.edge.model import BearerProvider, Route
from aluvia.edge.test.edge_case import HOST, EdgeCase
from aluvia.edge.test.whole_edge_case import WholeEdgeCase


def fail(*arguments: object, **named: object) -> typing.NoReturn:
    """A bug of ours."""
    raise RuntimeError("nobody has thought of this")


class PrepareTests(EdgeCase):
    """What is made before it is in force."""

    def test_nothing_is_in_use(self) -> None:
        """A route that was prepared is not there, nor is its provider asked."""
        self.open()
        provider = BearerProvider(id="p")
        route = Route(id="r", v_host=HOST, auth_provider="p")
        after = attrs.evolve(self.state, routes={"r": route}, providers={"p": provider})
        apply = self.edge.applied.prepare(self.state, after)
        self.assertEqual(self.edge.applied.routes, {})
        self.assertIsNone(self.edge.proxy.routes.find(HOST, b"/"))
        apply()
        live = self.edge.proxy.routes.find(HOST, b"/")
        self.assertIs(live, self.edge.applied.routes["r"])
        assert live is not None
        self.assertIsNotNone(live.terms.authenticator)

    def test_a_route_that_stays(self) -> None:
        """It is the same object, whatever else of it is new."""
        self.route()
        before = self.edge.applied.routes["r"]
        self.route(retries=7)
        self.assertIs(self.edge.applied.routes["r"], before)
        self.assertEqual(before.route.retries, 7)


class BugTests(WholeEdgeCase):
    """What fails that cannot fail."""

    async def test_what_fails_once_it_is_kept(self) -> None:
        """Nothing does: nothing is kept, nothing has changed, and the next change is made."""
        edge = await self.start()
        await edge.router.add_route(self.route())
        for place, name in ((Terms, "of"), (LiveRoute, "__init__")):
            patch = self.patch(place, name, fail)
            with self.assertRaises(RuntimeError):
                await edge.router.add_route(self.route(id="b", v_host="b.test"))
            patch.restore()
        self.assertEqual([route.id for route in edge.router.routes], ["service-a"])
        await edge.router.add_route(self.route(id="c", v_host="c.test"))
        await edge.stop()
        again = await self.start()
        self.assertEqual([route.id for route in again.router.routes], ["service-a", "c"])
