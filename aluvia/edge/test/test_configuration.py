"""Tests for :mod:`aluvia.edge.configuration`: changes that go well, and what is read at start."""

from __future__ import annotations

import typing

import attrs
from twisted.internet.defer import Deferred, gatherResults

from aluvia.api.problems import Problem
from aluvia.edge.configuration import CHANGED, Configuration, Edit
from aluvia.edge.model import (
    Backend,
    Snapshot,
)
from aluvia.edge.snapshots import (
    with_backend,
    with_certificate,
    with_provider,
    with_route,
    without_certificate,
    without_provider,
    without_route,
)
from aluvia.edge.test.configuration_case import (
    CERTIFICATE,
    PROVIDER,
    ROUTE,
    ConfigurationCase,
    adding,
)
from aluvia.edge.test.rest_case import KEY, FakeLive
from aluvia.store import resources
from aluvia.store.errors import StoreDamagedError


class ChangeTests(ConfigurationCase):
    """A change that goes well."""

    async def test_order_of_things(self) -> None:
        """It is prepared, kept, put in force, and told, in that order."""
        told: list[str] = []
        write, prepare = self.store.write, self.live.prepare

        def noted_prepare(before: Snapshot, after: Snapshot) -> typing.Callable[[], None]:
            told.append("prepared")
            prepare(before, after)

            def apply() -> None:
                self.assertEqual(self.configuration.state, after)
                told.append("applied")

            return apply

        def noted_write(job: typing.Any) -> Deferred[typing.Any]:
            told.append("kept")
            return write(job)

        self.patch(self.live, "prepare", noted_prepare)
        self.patch(self.store, "write", noted_write)
        self.bus.subscribe(None, lambda event: told.append(event.name))
        await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        self.assertEqual(told, ["prepared", "kept", "applied", "route.changed"])

    async def test_kept(self) -> None:
        """What was changed is there after a start, with its secrets, revisions and order."""
        for edit in (
            adding("z"),
            lambda snapshot: with_route(snapshot, ROUTE),
            lambda snapshot: with_certificate(snapshot, CERTIFICATE),
            lambda snapshot: with_provider(snapshot, PROVIDER),
            adding("b", "x", "c"),
            lambda snapshot: with_route(snapshot, attrs.evolve(ROUTE, auth_provider="staff")),
            lambda snapshot: without_route(snapshot, "x"),
        ):
            state = await self.configuration.change(edit)
        self.assertIs(state, self.configuration.state)
        before, name = self.configuration.state, self.configuration.store_name
        await self.store.close()
        again = await self.started()
        self.assertEqual(again.state, before)
        self.assertEqual(again.store_name, name)
        self.assertEqual(list(again.state.routes), ["z", "a", "b", "c"])
        self.assertEqual(list(again.state.routes), list(before.routes))
        self.assertEqual(again.state.certificates["a.example"].pair.key, KEY)
        for kind in ("routes", "certificates", "providers"):
            for key, thing in getattr(before, kind).items():
                self.assertEqual(getattr(again.state, kind)[key].revision, thing.revision, key)
        self.assertEqual([applied == before for applied in self.live.applied], [True])

    async def test_revisions(self) -> None:
        """Only what differs has a new revision; so it is with a route's backends."""
        first = await self.configuration.change(
            lambda snapshot: with_certificate(with_route(snapshot, ROUTE), CERTIFICATE)
        )
        route = first.routes["a"]
        self.assertEqual([each.revision for each in route.backends], [route.revision] * 2)
        changed = attrs.evolve(route.backends[1], weight=9)
        second = await self.configuration.change(
            lambda snapshot: with_backend(snapshot, snapshot.routes["a"], changed)
        )
        now = second.routes["a"]
        self.assertGreater(now.revision, route.revision)
        self.assertEqual(now.backends[0].revision, route.revision)
        self.assertEqual(now.backends[1].revision, now.revision)
        self.assertEqual(second.certificates["a.example"].revision, 2)
        await self.store.close()
        again = await self.started()
        self.assertEqual(
            [each.revision for each in again.state.routes["a"].backends],
            [each.revision for each in now.backends],
        )

    async def test_nothing(self) -> None:
        """What changes nothing writes nothing, applies nothing, and tells nobody."""
        before = await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        revision = await self.revision()
        self.events.clear()
        after = await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        self.assertIs(after, before)
        self.assertEqual((await self.revision(), self.events), (revision, []))
        self.assertEqual(len(self.live.applied), 2)

    async def test_told(self) -> None:
        """Each route and certificate that is other is told of, and what became of it."""
        await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        await self.configuration.change(lambda snapshot: with_certificate(snapshot, CERTIFICATE))
        await self.configuration.change(lambda snapshot: with_provider(snapshot, PROVIDER))
        other = attrs.evolve(ROUTE, retries=0)
        await self.configuration.change(
            lambda snapshot: adding("b")(
                without_certificate(with_route(snapshot, other), "a.example")
            )
        )
        await self.configuration.change(lambda snapshot: without_route(snapshot, "a"))
        told = [(event.name, event.at, dict(event.data)) for event in self.events]
        a = {"id": "a", "vHost": "a.example"}
        certificate = {"domain": "a.example"}
        self.assertEqual(
            told,
            [
                ("route.changed", 100, a | {"change": "added"}),
                ("certificate.changed", 100, certificate | {"change": "added"}),
                ("certificate.changed", 100, certificate | {"change": "removed"}),
                ("route.changed", 100, a | {"change": "changed"}),
                (
                    "route.changed",
                    100,
                    {"id": "b", "vHost": "b.example", "change": "added"},
                ),
                ("route.changed", 100, a | {"change": "removed"}),
            ],
        )

    async def test_watched(self) -> None:
        """Who waits for a change is told of any, also of a provider's."""
        for edit in (
            lambda snapshot: with_provider(snapshot, PROVIDER),
            lambda snapshot: without_provider(snapshot, "staff"),
        ):
            waiting = Deferred.fromCoroutine(self.configuration.watch.wait(CHANGED, 10))
            await self.configuration.change(edit)
            self.assertTrue(self.successResultOf(waiting))

    async def test_one_at_a_time(self) -> None:
        """Of many at once each sees what those before it have made, and none is lost."""
        seen: list[int] = []

        def count(id: str) -> Edit:
            def edit(snapshot: Snapshot) -> Snapshot:
                seen.append(len(snapshot.routes))
                return adding(id)(snapshot)

            return edit

        await gatherResults([self.begin(count(f"r{number}")) for number in range(20)])
        self.assertEqual(seen, list(range(20)))
        self.assertEqual(list((await self.kept()).routes), [f"r{n}" for n in range(20)])

    async def test_dry_run(self) -> None:
        """It goes as far as can be, and changes nothing."""
        revision = await self.revision()
        would_be = await self.configuration.change(adding("b"), dry_run=True)
        self.assertEqual(list(would_be.routes), ["b"])
        self.assertEqual(self.configuration.state, Snapshot())
        self.assertEqual((await self.revision(), self.events), (revision, []))
        self.assertEqual((len(self.live.prepared), len(self.live.applied)), (2, 1))
        self.live.refuses = Problem(422, "invalid_fields", "No.")
        with self.assertRaises(Problem):
            await self.configuration.change(adding("b"), dry_run=True)


class StartTests(ConfigurationCase):
    """What is in the store is good, or it is refused."""

    async def refused(self, kind: str, key: str, body: dict[str, typing.Any]) -> str:
        """What is said when this is in the store."""
        await self.store.write(
            lambda connection: resources.put(connection, kind, key, body, 1, None)
        )
        await self.store.close()
        with self.assertRaises(StoreDamagedError) as caught:
            await self.started()
        self.assertEqual(self.live.applied, [])
        text = str(caught.exception)
        self.assertTrue(text.startswith(f"{self.path}: "), text)
        self.assertIn("put a backup of the file in its place", text)
        return text

    async def test_unreadable_document(self) -> None:
        """A document that does not read is named, with what is wrong in it."""
        document = {"id": "a", "vHost": "a.example", "retries": "SECRET"}
        text = await self.refused("route", "a", {"document": document})
        self.assertIn("the route 'a' cannot be read (/retries must be", text)
        self.assertNotIn("SECRET", text)

    async def test_no_document(self) -> None:
        """So is a row that has none."""
        self.assertIn("the certificate 'x'", await self.refused("certificate", "x", {}))

    async def test_other_key(self) -> None:
        """So is a document that is not the one that its row is for."""
        document = {"id": "a", "vHost": "a.example"}
        text = await self.refused("route", "b", {"document": document})
        self.assertIn("the route 'b' cannot be read (it is of another name)", text)

    async def test_other_kind(self) -> None:
        """So is what nobody knows: it was written by a later aluvia, maybe."""
        text = await self.refused("tunnel", "a", {"document": {}})
        self.assertIn("the tunnel 'a' cannot be read", text)

    async def test_parts(self) -> None:
        """Documents that are good each by itself and do not go together are refused too."""
        document = {"id": "a", "vHost": "a.example", "authProvider": "nobody"}
        text = await self.refused("route", "a", {"document": document})
        self.assertIn("/routes/0/authProvider is no provider that there is", text)

    async def test_data_path(self) -> None:
        """What the data path cannot do any more is refused."""
        await self.configuration.change(lambda snapshot: with_route(snapshot, ROUTE))
        await self.store.close()

        def refuse(live: FakeLive, before: Snapshot, after: Snapshot) -> typing.NoReturn:
            raise Problem(422, "invalid_fields", "There is no such entry point.")

        self.patch(FakeLive, "prepare", refuse)
        with self.assertRaises(StoreDamagedError) as caught:
            await self.started()
        self.assertIn("There is no such entry point.", str(caught.exception))

    async def test_a_change_during_the_start(self) -> None:
        """It waits, and is made of what was read."""
        await self.configuration.change(adding("a"))
        again = Configuration(self.store, self.live, self.bus, self.clock)
        starting = Deferred.fromCoroutine(again.start())
        await again.change(adding("b"))
        await starting
        self.assertEqual(list(again.state.routes), ["a", "b"])
        self.assertEqual(await self.kept(), again.state)

    async def test_a_change_during_a_start_that_fails(self) -> None:
        """Nothing comes of it: there is nothing that it could change."""
        await self.configuration.change(adding("a"))
        document = {"id": "a", "vHost": "a.example", "authProvider": "nobody"}
        await self.store.write(
            lambda connection: resources.put(connection, "route", "a", {"document": document}, 1, 1)
        )
        before = await self.revision()
        again = Configuration(self.store, self.live, self.bus, self.clock)
        starting = Deferred.fromCoroutine(again.start())
        changing = Deferred.fromCoroutine(again.change(adding("b")))
        with self.assertRaises(StoreDamagedError):
            await starting
        with self.assertRaises(Problem):
            await changing
        self.assertEqual(await self.revision(), before)

    async def test_dialers(self) -> None:
        """What an endpoint begins with is known by whoever starts."""
        route = attrs.evolve(ROUTE, backends=(Backend(id="t", endpoint="exit:x"),))
        with self.assertRaises(Problem):
            await self.configuration.change(lambda snapshot: with_route(snapshot, route))
        dialers = ("tcp", "tls", "exit")
        await self.store.close()
        with_tunnels = await self.started(dialers=dialers)
        await with_tunnels.change(lambda snapshot: with_route(snapshot, route))
        await self.store.close()
        with self.assertRaises(StoreDamagedError):
            await self.started()
        again = await self.started(dialers=dialers)
        self.assertEqual(again.state.routes["a"].backends, route.backends)
