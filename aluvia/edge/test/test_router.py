"""What a program gives the edge is judged as the API judges it, and is there after a restart."""

from __future__ import annotations

import functools
import uuid

import attrs

from aluvia.api.problems import Problem
from aluvia.edge.edge import Edge
from aluvia.edge.fields import Judges
from aluvia.edge.key_pairs import judge_pair
from aluvia.edge.model import AdminState, Backend, Certificate, KeyPair, Route, Snapshot
from aluvia.edge.test import issuing
from aluvia.edge.test.edge_case import HOST
from aluvia.edge.test.whole_edge_case import WholeEdgeCase

#: Far from when this is run, either way.
BEGINS, ENDS = 0.0, 4_000_000_000.0


def issued(name: str = HOST, ends: float = ENDS) -> KeyPair:
    """A pair for a name."""
    return issuing.issue(name, begins=BEGINS, ends=ends)


def put(before: Snapshot, after: Snapshot) -> Snapshot:
    """Have something in place of all that there is."""
    return after


class RouterTests(WholeEdgeCase):
    """A router over a store in a file."""

    async def setUp(self) -> None:  # type: ignore[override]
        """There is nothing in it."""
        super().setUp()
        self.edge = await self.start()
        self.router = self.edge.router

    def state(self, edge: Edge | None = None) -> Snapshot:
        """What is in force."""
        return (edge or self.edge)._configuration.state

    def wait_until_they_end(self) -> None:
        """Have the certificates expire."""
        judge = functools.partial(judge_pair, now=ENDS + 1)
        self.patch(self.router, "_judges", Judges(pair=judge))

    async def assert_kept(self) -> None:
        """An edge that is started again has the same."""
        before = self.state()
        await self.edge.stop()
        self.edge = await self.start()
        self.router = self.edge.router
        self.assertEqual(self.state(), before)

    async def refused(self, change: object, *pointers: str) -> Problem:
        """Why a change is; nothing has become of it."""
        before = self.state()
        with self.assertRaises(Problem) as caught:
            await change  # type: ignore[misc]
        self.assertIs(self.state(), before)
        problem: Problem = caught.exception
        self.assertEqual(problem.status, 422)
        self.assertEqual([fault.pointer for fault in problem.faults], [*pointers])
        return problem

    async def test_without_ids(self) -> None:
        """Ids are made, as over the API, and each is another one; they stay."""
        backends = tuple(Backend(hostname="node.test", port=port) for port in (80, 81))
        made = [Route(v_host=name, backends=backends) for name in (HOST, "other.test")]
        for route in made:
            self.assertEqual(await self.router.add_route(route), route)
        ids = [*(route.id for route in made), *(backend.id for backend in backends)]
        self.assertEqual(len({str(uuid.UUID(id)) for id in ids}), 4)
        await self.router.add_backend(made[0].id, Backend(hostname="node.test", port=82))
        await self.router.mark_dead(HOST, backends[0].id)
        first = self.router.routes[0].backends
        self.assertEqual([each.admin for each in first][:2], [AdminState.MAINT, AdminState.READY])
        self.assertEqual([each.port for each in first], [80, 81, 82])
        await self.assert_kept()

    async def test_add_route(self) -> None:
        """In its canonical spelling, and only one that can be."""
        await self.refused(self.router.add_route(self.route(v_host="a b")), "/vHost")
        await self.refused(self.router.add_route(self.route(ssl=issued("other.test"))), "/ssl/cert")
        other = Backend(id="b", hostname="NODE.Test.", port=80)
        added = await self.router.add_route(
            self.route(v_host="EDGE.test:80", allow=("10.0.0.1",), backends=(other,))
        )
        self.assertEqual((added.v_host, added.allow), (HOST, ("10.0.0.1/32",)))
        self.assertEqual(added.backends[0].hostname, "node.test")
        await self.assert_kept()

    async def test_put_route(self) -> None:
        """As one that is added; a new one, or in place of the one of its id."""
        await self.refused(self.router.put_route(self.route(id="")), "/id")
        await self.router.put_route(self.route(v_host="EDGE.test."))
        put = await self.router.put_route(self.route(v_host="*.EDGE.test", path_prefix="/%2f/"))
        self.assertEqual((put.v_host, put.path_prefix), ("*.edge.test", "/%2F"))
        self.assertEqual(self.router.routes, (put,))
        await self.refused(self.router.put_route(self.route(retries=-1)), "/retries")
        twice = (("X-Key", "1"), ("x-key", "2"))
        await self.refused(self.router.put_route(self.route(headers=twice)), "/headers/x-key")
        await self.router.add_route(self.route(id="other"))
        with self.assertRaises(Problem) as caught:
            await self.router.put_route(self.route())
        self.assertEqual(caught.exception.status, 409)
        await self.assert_kept()

    async def test_a_route_whose_certificate_has_expired_meanwhile(self) -> None:
        """It can still be changed; another pair that has expired cannot be given to it."""
        known = self.route(ssl=issued())
        await self.router.add_route(known)
        moved = attrs.evolve(known, retries=1)
        self.wait_until_they_end()
        await self.router.put_route(moved)
        other = attrs.evolve(known, ssl=issued())
        await self.refused(self.router.put_route(other), "/ssl/cert")
        await self.router.add_backend(HOST, self.backend("node-2"))

    async def test_backends(self) -> None:
        """So is a backend; by whatever spelling its route is named."""
        await self.router.add_route(self.route())
        for name in ("service-a", "EDGE.Test:443"):
            await self.refused(
                self.router.add_backend(name, Backend(id="b", hostname="a b", port=0)),
                "/backends/1/hostname",
                "/backends/1/port",
            )
            await self.router.add_backend(name, Backend(id="b", hostname="NODE.test.", port=80))
            await self.router.mark_draining(name, "b")
            await self.router.mark_dead(name, "node-1")
            first, second = self.router.routes[0].backends
            self.assertEqual((first.admin, second.admin), (AdminState.MAINT, AdminState.DRAIN))
            self.assertEqual(second.hostname, "node.test")
            await self.assert_kept()
            await self.router.mark_ready(name, "node-1")
            await self.router.remove_backend(name, "b")
        await self.assert_kept()
        await self.router.remove_route("EDGE.Test.")
        self.assertEqual(self.router.routes, ())
        await self.assert_kept()

    async def test_certificates(self) -> None:
        """In their canonical spelling, and only those that can be used for their domain."""
        for certificate, pointer in (
            (Certificate(domain=HOST, pair=issued("other.test")), "/cert"),
            (Certificate(domain=HOST, pair=issued(ends=1.0)), "/cert"),
            (Certificate(domain="*", pair=issued()), "/domain"),
            (Certificate(domain=HOST, pair=KeyPair(cert=issued().cert, key="none")), "/key"),
            (Certificate(domain=HOST, pair=KeyPair(cert=issued().cert, key=issued().key)), "/key"),
        ):
            await self.refused(self.router.put_certificate(certificate), pointer)
        await self.router.put_certificate(Certificate(domain="EDGE.Test.", pair=issued()))
        self.assertEqual([*self.state().certificates], [HOST])
        await self.assert_kept()
        # Again, and when it has expired meanwhile.
        (known,) = self.state().certificates.values()
        self.wait_until_they_end()
        await self.router.put_certificate(attrs.evolve(known, domain="EDGE.test"))
        await self.router.remove_certificate("EDGE.TEST:443")
        self.assertEqual(self.state(), Snapshot())
        await self.router.remove_certificate("EDGE.TEST")


class OrderTests(WholeEdgeCase):
    """The order of a whole configuration, which says which certificate is the default."""

    async def test_after_a_restart(self) -> None:
        """It is that of what was put, whatever was there before; then, and after a restart."""
        names = {letter: f"{letter}.test" for letter in "abcd"}
        routes = {letter: Route(id=letter, v_host=name) for letter, name in names.items()}
        pairs = {name: issued(name) for name in names.values()}
        edge = await self.start()
        for order in ("ab", "cab", "cba", "bdc", "dbca", "acbd"):
            domains = [names[letter] for letter in order]
            wanted = Snapshot(
                routes={letter: routes[letter] for letter in order},
                certificates={name: Certificate(domain=name, pair=pairs[name]) for name in domains},
            )
            await edge._configuration.change(functools.partial(put, after=wanted))
            for _ in range(2):
                self.assertEqual([route.id for route in edge.router.routes], [*order])
                self.assertEqual([*edge._configuration.state.certificates], domains)
                shown = edge.ingress.certificates.map.default
                assert shown is not None
                self.assertEqual(shown.domain, domains[0])
                await edge.stop()
                edge = await self.start()
