"""Tests for :mod:`aluvia.edge.configuration`: changes that fail, and that nobody waits for."""

from __future__ import annotations

import functools
import typing

import attrs
from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from aluvia.api.problems import Fault, Problem
from aluvia.edge import bounds, configuration
from aluvia.edge.configuration import CHANGED, Edit
from aluvia.edge.model import Backend, BearerProvider, KeyPair, Route, Snapshot
from aluvia.edge.snapshots import with_certificate, with_provider, with_route
from aluvia.edge.test.configuration_case import (
    CERTIFICATE,
    ROUTE,
    ConfigurationCase,
    HeldStore,
    adding,
    reactor,
)
from aluvia.edge.test.rest_case import KEY
from aluvia.store import resources
from aluvia.store.errors import StoreBusyError, StoreError, StoreFullError


class RefusedTests(ConfigurationCase):
    """A change that does not go well leaves everything as it was."""

    async def refused(self, edit: Edit) -> Problem:
        """Why it is refused; nothing has become of it."""
        before, revision = self.configuration.state, await self.revision()
        applied, told = len(self.live.applied), len(self.events)
        with self.assertRaises(Problem) as caught:
            await self.configuration.change(edit)
        self.assertIs(self.configuration.state, before)
        self.assertEqual(await self.kept(), before)
        self.assertEqual(await self.revision(), revision)
        self.assertEqual((len(self.live.applied), len(self.events)), (applied, told))
        problem: Problem = caught.exception
        return problem

    async def test_edit(self) -> None:
        """The edit itself finds that it cannot be."""

        def edit(snapshot: Snapshot) -> Snapshot:
            raise Problem(404, "not_found", "There is no such route.")

        self.assertEqual((await self.refused(edit)).status, 404)
        await self.configuration.change(adding("b"))

    async def test_judged(self) -> None:
        """The parts do not go together: nothing is prepared."""
        problem = await self.refused(
            lambda snapshot: with_route(snapshot, attrs.evolve(ROUTE, auth_provider="nobody"))
        )
        self.assertEqual(problem.status, 422)
        self.assertEqual([fault.pointer for fault in problem.faults], ["/routes/0/authProvider"])
        self.assertEqual(len(self.live.prepared), 1)

    async def test_prepared(self) -> None:
        """The data path cannot do it."""
        self.live.refuses = Problem(422, "invalid_fields", "No.", [Fault("/ssl", "is none")])
        problem = await self.refused(lambda snapshot: with_route(snapshot, ROUTE))
        self.assertIs(problem, self.live.refuses)

    async def test_store(self) -> None:
        """It cannot be kept: 507 where there is no room, otherwise 503; the log says why."""
        logged: list[dict[str, typing.Any]] = []
        self.patch(self.configuration._log, "observer", logged.append)
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        for error, status, code in (
            (StoreFullError("/db: the disk is full"), 507, "store_full"),
            (StoreError("/db: disk I/O error"), 503, "store_unavailable"),
            (StoreBusyError("too much"), 503, "busy"),
        ):
            waiting = Deferred.fromCoroutine(self.refused(adding("b")))
            while not held.let:
                await deferLater(reactor, 0)
            held.let.pop().errback(error)
            problem = await waiting
            self.assertEqual((problem.status, problem.code), (status, code))
            self.assertNotIn("/db", problem.detail)
        self.assertEqual(len(logged), 2)

    async def test_full(self) -> None:
        """So it is with a disk that is full, and with one that has room again."""
        self.patch(self.configuration._log, "observer", lambda event: None)

        def limit(pages: str) -> typing.Callable[[Connection], object]:
            return lambda connection: connection.exec_driver_sql(
                f"PRAGMA max_page_count = {pages}"
            ).scalar_one()

        await self.store.write(limit("1"))
        many = adding(*(f"r{number}" for number in range(500)))
        self.assertEqual((await self.refused(many)).status, 507)
        await self.store.write(limit("100000"))
        await self.configuration.change(many)
        self.assertEqual(len((await self.kept()).routes), 500)

    async def test_second_part(self) -> None:
        """Of a change of several things none is kept if one cannot be."""
        self.patch(self.configuration._log, "observer", lambda event: None)
        await self.configuration.change(adding("b", "c"))
        # Somebody else, with a store that is not theirs.
        await self.store.write(lambda connection: resources.put(connection, "route", "c", {}, 9, 2))
        before = self.configuration.state

        def edit(snapshot: Snapshot) -> Snapshot:
            changed = attrs.evolve(snapshot.routes["c"], retries=0)
            return with_route(adding("d")(snapshot), changed)

        with self.assertRaises(Problem) as caught:
            await self.configuration.change(edit)
        self.assertEqual((caught.exception.status, self.configuration.state), (503, before))
        found = await self.store.read(resources.every)
        self.assertEqual([each.key for each in found], ["b", "c"])

    async def too_many(self, bound: str, edit: Edit) -> str:
        """Why a third thing is refused where two are as many as there may be."""
        self.patch(bounds, bound, 2)
        problem = await self.refused(edit)
        self.assertEqual((problem.status, problem.code), (409, "too_many"))
        return problem.detail

    async def test_too_many_routes(self) -> None:
        """There may be so many, and no more."""
        await self.configuration.change(adding("a", "b"))
        detail = await self.too_many("ROUTES", adding("c"))
        self.assertEqual(detail, "There may be 2 routes, and no more.")

    async def test_too_many_certificates(self) -> None:
        """Nor of these."""

        def edit(snapshot: Snapshot) -> Snapshot:
            domain = f"{len(snapshot.certificates)}.example"
            return with_certificate(snapshot, attrs.evolve(CERTIFICATE, domain=domain))

        for _ in range(2):
            await self.configuration.change(edit)
        detail = await self.too_many("CERTIFICATES", edit)
        self.assertEqual(detail, "There may be 2 certificates, and no more.")

    async def test_too_many_providers(self) -> None:
        """Nor of these."""

        def edit(snapshot: Snapshot) -> Snapshot:
            return with_provider(snapshot, BearerProvider(id=f"{len(snapshot.providers)}"))

        for _ in range(2):
            await self.configuration.change(edit)
        detail = await self.too_many("PROVIDERS", edit)
        self.assertEqual(detail, "There may be 2 providers, and no more.")

    async def test_too_many_backends(self) -> None:
        """Of one route; others have their own."""

        def with_backends(*ids: str) -> Edit:
            backends = tuple(Backend(id=id, hostname="10.0.0.1", port=80) for id in ids)
            route = Route(id="r", v_host="r.example", backends=backends)
            return lambda snapshot: with_route(snapshot, route)

        await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        await self.configuration.change(with_backends("one", "two"))
        detail = await self.too_many("BACKENDS", with_backends("one", "two", "three"))
        self.assertEqual(detail, "A route may have 2 backends, and no more.")

    async def test_what_could_not_be_read_again(self) -> None:
        """It would be found out at the next start, which it would keep from starting."""
        edits: tuple[Edit, ...] = (
            *(
                functools.partial(with_certificate, certificate=attrs.evolve(CERTIFICATE, **other))
                for other in (
                    {"domain": "A.example."},
                    {"domain": "*"},
                    {"pair": KeyPair(cert="x", key=KEY)},
                )
            ),
            *(
                functools.partial(with_route, route=attrs.evolve(ROUTE, **other))
                for other in (
                    {"v_host": "A.example"},
                    {"retries": -1},
                    {"headers": (("A", "1"), ("A", "2"))},
                )
            ),
            *(
                functools.partial(with_provider, provider=BearerProvider(**other))
                for other in ({"id": ""}, {"id": "b", "tokens": (("a", "A" * 64),)})
            ),
        )
        for edit in edits:
            problem = await self.refused(edit)
            self.assertEqual(problem.status, 422)
            self.assertIn("is not as it would be read again", problem.detail)

    async def test_bug(self) -> None:
        """What nobody has thought of leaves everything as it was as well, and the next works."""

        def edit(snapshot: Snapshot) -> Snapshot:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await self.configuration.change(edit)
        await self.configuration.change(adding("b"))


class GoneTests(ConfigurationCase):
    """Who asks for a change may leave, and so may the process."""

    async def test_in_line(self) -> None:
        """Who leaves the line has changed nothing; those behind go on."""
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        first, second, third = (self.begin(adding(id)) for id in "abc")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        held.let[0].callback(None)
        await first
        held.let[1].callback(None)
        await third
        self.assertEqual(list((await self.kept()).routes), ["a", "c"])

    async def test_while_it_is_kept(self) -> None:
        """Once it is being kept it goes to its end: store and memory are one."""
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        leaving = self.begin(adding("a"))
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        behind = self.begin(adding("b"))
        self.assertEqual(list(self.configuration.state.routes), [])
        held.let[0].callback(None)
        while len(held.let) < 2:
            await deferLater(reactor, 0)
        self.assertEqual(list(self.configuration.state.routes), ["a"])
        self.assertEqual(len(self.events), 1)
        held.let[1].callback(None)
        await behind
        self.assertEqual(await self.kept(), self.configuration.state)
        self.assertEqual(list(self.configuration.state.routes), ["a", "b"])

    async def test_failed_for_nobody(self) -> None:
        """What fails behind the back of who has left is logged, if it is a bug."""
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        for error, bugs in ((StoreError("no"), 0), (ZeroDivisionError(), 1)):
            leaving = self.begin(adding("a"))
            leaving.cancel()
            self.failureResultOf(leaving, CancelledError)
            held.let.pop().errback(error)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), bugs)
        self.assertEqual(self.configuration.state, Snapshot())

    async def test_bound(self) -> None:
        """So many may wait; one more is told to come back, and takes no place."""
        self.patch(configuration, "MOST_WAITING", 3)
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        waiting = [self.begin(adding(id)) for id in "abcd"]
        problem = self.failureResultOf(self.begin(adding("e")), Problem).value
        self.assertEqual((problem.status, problem.code), (503, "busy"))
        self.assertEqual(problem.fields, ((b"Retry-After", b"5"),))
        waiting[-1].cancel()
        self.failureResultOf(waiting.pop(), CancelledError)
        waiting.append(self.begin(adding("f")))
        while not waiting[-1].called:
            if held.let:
                held.let.pop().callback(None)
            await deferLater(reactor, 0)
        self.assertEqual(list(self.configuration.state.routes), ["a", "b", "c", "f"])

    async def test_stop(self) -> None:
        """At the end the change that is being kept comes to its end, and no other begins."""
        held = HeldStore(self.store)
        self.patch(self.store, "write", held.write)
        first, second = self.begin(adding("a")), self.begin(adding("b"))
        watching = Deferred.fromCoroutine(self.configuration.watch.wait(CHANGED, 10))
        stopped = Deferred.fromCoroutine(self.configuration.stop())
        self.assertFalse(self.successResultOf(watching))
        self.assertNoResult(stopped)
        held.let[0].callback(None)
        await stopped
        await first
        self.assertEqual(self.failureResultOf(second, Problem).value.code, "draining")
        self.assertEqual(self.failureResultOf(self.begin(adding("c")), Problem).value.status, 503)
        self.assertEqual(list((await self.kept()).routes), ["a"])
