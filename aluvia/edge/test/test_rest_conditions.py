"""Tests for :mod:`aluvia.edge.rest_collection`: tags, conditions, trying, waiting, failing."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred

from aluvia.api.test.site_case import MemoryTransport, Reply
from aluvia.edge.model import Route
from aluvia.edge.snapshots import with_route
from aluvia.edge.test.rest_case import RestCase, etag
from aluvia.store.errors import StoreError, StoreFullError


class ConditionTests(RestCase):
    """Tags, and what rests on them."""

    async def test_tags(self) -> None:
        """A tag is strong, of its store and of a revision; a collection's is of all in it."""
        await self.add_route("a.example")
        name = self.configuration.store_name
        self.assertEqual((await self.get("routes/a")).fields["etag"], f'"{name}-1"')
        self.assertRegex((await self.get("routes")).fields["etag"], f'^"{name}-[0-9a-f]{{32}}"$')

    async def test_not_modified(self) -> None:
        """304 to whoever has it."""
        await self.add_route("a.example")
        for target in ("routes", "routes/a", "routes/a/backends", "certificates", "config"):
            tag = (await self.get(target)).fields["etag"]
            for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
                reply = await self.get(target, f"If-None-Match: {known}")
                self.assertEqual((reply.status, reply.body), (304, b""), target)
                self.assertEqual(reply.fields["etag"], tag)
            self.assertEqual((await self.get(target, 'If-None-Match: "x"')).status, 200)

    async def test_two_writers(self) -> None:
        """Of two writers with one tag one wins; the other is shown what there is now."""
        await self.add_route("a.example")
        seen = await self.get("routes/a")
        begun = [
            self.begin("PATCH", "routes/a", etag(seen), body={"retries": number})
            for number in (7, 8)
        ]
        first, second = [await self.answered(each) for each in begun]
        self.assertEqual((first.status, first.json()["retries"]), (200, 7))
        problem = self.assert_problem(second, 412, "changed_meanwhile")
        self.assertEqual(second.fields["etag"], first.fields["etag"])
        self.assertEqual(problem["current"], first.json())
        again = await self.ask("PATCH", "routes/a", etag(second), body={"retries": 8})
        self.assertEqual(again.status, 200)

    async def test_stale(self) -> None:
        """Whatever changes a thing can rest on its tag, and says what there is instead."""
        await self.add_route("a.example")
        stale = 'If-Match: "stale"'
        requests: list[tuple[str, str, object]] = [
            ("PUT", "routes/a", {"vHost": "a.example"}),
            ("PATCH", "routes/a", {}),
            ("DELETE", "routes/a", None),
            ("PUT", "routes/a/backends/node-1", {"hostname": "h", "port": 1}),
            ("PATCH", "routes/a/backends/node-1", {}),
            ("DELETE", "routes/a/backends/node-1", None),
            ("POST", "routes/a/backends/node-1/dead", None),
        ]
        for method, target, body in requests:
            reply = await self.ask(method, target, stale, body=body)
            problem = self.assert_problem(reply, 412, "changed_meanwhile")
            shown = await self.get(target.removesuffix("/dead"))
            self.assertEqual(problem["current"], shown.json())
            self.assertEqual(reply.fields["etag"], shown.fields["etag"])
        for target in ("routes", "routes/a/backends"):
            reply = await self.ask("POST", target, stale, body={"vHost": "b", "hostname": "h"})
            self.assert_problem(reply, 412, "changed_meanwhile")
        self.assertEqual(len(self.live.applied), 2)

    async def test_not_there(self) -> None:
        """What is not there is as no If-Match says, and as If-None-Match: * says."""
        body = {"vHost": "a.example"}
        for field in ('If-Match: "x"', "If-Match: *"):
            reply = await self.ask("PUT", "routes/a.example", field, body=body)
            problem = self.assert_problem(reply, 412, "changed_meanwhile")
            self.assertNotIn("current", problem)
            self.assertNotIn("etag", reply.fields)
        only_new = "If-None-Match: *"
        reply = await self.ask("PUT", "routes/a.example", only_new, body=body)
        self.assertEqual(reply.status, 201)
        reply = await self.ask("PUT", "routes/a.example", only_new, body=body)
        self.assert_problem(reply, 412, "changed_meanwhile")

    async def test_collection(self) -> None:
        """One is made in the collection that was seen, or not at all."""
        seen = await self.get("routes")
        await self.add_route("a.example")
        reply = await self.ask("POST", "routes", etag(seen), body={"vHost": "b.example"})
        self.assert_problem(reply, 412, "changed_meanwhile")
        now = await self.get("routes")
        reply = await self.ask("POST", "routes", etag(now), body={"vHost": "b.example"})
        self.assertEqual(reply.status, 201)
        # That there is none is about what is made, and not about the collection.
        only_new = "If-None-Match: *"
        reply = await self.ask("POST", "routes", only_new, body={"vHost": "c.example"})
        self.assertEqual(reply.status, 201)


class DryRunTests(RestCase):
    """Trying."""

    async def test_nothing_changes(self) -> None:
        """Every change can be tried: 200, what would be, no tag, and nothing has changed."""
        await self.add_route("a.example")
        before, told = self.configuration.state, len(self.events)
        requests: list[tuple[str, str, object]] = [
            ("POST", "routes?dry_run=1", {"vHost": "b.example"}),
            ("PUT", "routes/b.example?dry_run", {}),
            ("PUT", "routes/a?dry_run=true", {"retries": 1}),
            ("PATCH", "routes/a?dry_run=1", {"retries": 1}),
            ("DELETE", "routes/a?dry_run=1", None),
            ("POST", "routes/a/backends?dry_run=1", {"hostname": "h", "port": 1}),
            ("DELETE", "routes/a/backends/node-1?dry_run=1", None),
            ("POST", "routes/a/backends/node-1/drain?dry_run=1", None),
            ("PUT", "auth-providers/x?dry_run=1", {"type": "basic"}),
        ]
        for method, target, body in requests:
            reply = await self.ask(method, target, body=body)
            self.assertEqual(reply.status, 200, (target, reply.body))
            self.assertIsInstance(reply.json()["id"], str)
            for name in ("etag", "location", "content-location"):
                self.assertNotIn(name, reply.fields)
        self.assertIs(self.configuration.state, before)
        self.assertEqual((len(self.events), len(self.live.applied)), (told, 2))

    async def test_refused(self) -> None:
        """What would be refused is refused."""
        await self.add_route("a.example")
        requests: list[tuple[str, str, object, int]] = [
            ("POST", "routes?dry_run=1", {"vHost": "a.example"}, 409),
            ("POST", "routes?dry_run=1", {"vHost": "b.example", "x": 1}, 422),
            ("DELETE", "routes/x?dry_run=1", None, 404),
        ]
        for method, target, body, status in requests:
            reply = await self.ask(method, target, body=body)
            self.assertEqual(reply.status, status)
        reply = await self.ask("DELETE", "routes/a?dry_run=1", 'If-Match: "x"')
        self.assertEqual(reply.status, 412)
        self.live.refuses = self.refusing("/ssl", "is none")
        reply = await self.ask("POST", "routes?dry_run=1", body={"vHost": "b.example"})
        self.assert_faults(reply, "/ssl")

    async def test_misspelled(self) -> None:
        """Who misspells it, or says something else, has not changed anything either."""
        for query in ("dryrun=1", "dry-run=1", "dry_run=yes", "dry_run=1&dry_run=0", "x"):
            reply = await self.ask("POST", f"routes?{query}", body={"vHost": "b.example"})
            self.assertEqual(reply.status, 400, query)
        self.assertEqual(self.configuration.state.routes, {})


class WaitTests(RestCase):
    """A GET that is held until what it shows has changed."""

    async def wait(self, target: str, query: str = "wait=25") -> MemoryTransport:
        """Begin to wait for what is there now to change."""
        tag = (await self.get(target)).fields["etag"]
        return self.begin("GET", f"{target}?{query}", f"If-None-Match: {tag}")

    async def test_change(self) -> None:
        """It is answered when just that has changed, and not when something else has."""
        await self.add_route("a.example")
        await self.add_route("b.example")
        waiting = {
            target: await self.wait(target)
            for target in ("routes/a", "routes", "config", "routes/b", "certificates")
        }
        self.assertEqual(self.configuration.watch.waiting, 5)
        changed = await self.ask("PATCH", "routes/a", body={"retries": 1})
        # One in each turn of the reactor.
        for _ in waiting:
            self.clock.advance(0)
        for target in ("routes/a", "routes", "config"):
            reply = Reply(waiting[target].value())
            self.assertEqual(reply.status, 200)
            self.assertIn(b'"retries": 1,', reply.body)
        self.assertEqual(Reply(waiting["routes/a"].value()).fields["etag"], changed.fields["etag"])
        for target in ("routes/b", "certificates"):
            self.assertEqual(waiting[target].value(), b"")
        self.clock.advance(25)
        for target in ("routes/b", "certificates"):
            self.assertEqual(Reply(waiting[target].value()).status, 304)

    async def test_not_all_in_one_turn(self) -> None:
        """So that others have theirs between two long answers."""
        waiting = [await self.wait("config") for _ in range(3)]
        route = Route(id="a", v_host="a.example")
        await self.configuration.change(lambda snapshot: with_route(snapshot, route))
        self.assertEqual([bool(each.value()) for each in waiting].count(True), 1)
        # The clock takes all the turns that there are.
        self.clock.advance(0)
        self.assertTrue(all(each.value() for each in waiting))

    async def test_removed(self) -> None:
        """What it becomes may be nothing: 404."""
        await self.add_route("a.example")
        waiting = await self.wait("routes/a/backends")
        await self.done("DELETE", "routes/a", status=204)
        self.assert_problem(Reply(waiting.value()), 404, "not_found")

    async def test_at_once(self) -> None:
        """Who has another state, or does not say what it has, is answered at once."""
        await self.add_route("a.example")
        for fields in ((), ('If-None-Match: "old"',)):
            reply = await self.get("routes/a?wait=25", *fields)
            self.assertEqual(reply.status, 200)
        self.assertEqual(Reply((await self.wait("routes/a", "wait=0")).value()).status, 304)
        self.assert_problem(await self.get("routes?wait=x"), 400, "bad_wait")

    async def test_gone(self) -> None:
        """Who leaves does not wait any more."""
        waiting = await self.wait("routes")
        self.assertEqual(self.configuration.watch.waiting, 1)
        waiting.leave()
        self.assertEqual(self.configuration.watch.waiting, 0)

    async def test_bound(self) -> None:
        """So many may wait; one more is told to come back."""
        self.patch(self.configuration.watch, "_most", 2)
        waiting = [await self.wait("routes") for _ in range(2)]
        reply = Reply((await self.wait("routes")).value())
        self.assert_problem(reply, 503, "busy")
        self.assertEqual(reply.fields["retry-after"], "5")
        await self.configuration.stop()
        for each in waiting:
            self.assertEqual(Reply(each.value()).status, 304)


class FailureTests(RestCase):
    """What a client is told where a change cannot be kept."""

    async def test_store(self) -> None:
        """507 where there is no room, 503 where it fails; nothing is other than it was."""
        self.patch(self.configuration._log, "observer", lambda event: None)
        before = await self.get("config")
        for error, status, code in (
            (StoreFullError("/db: full"), 507, "store_full"),
            (StoreError("/db: broken"), 503, "store_unavailable"),
        ):

            async def fail(job: object, error: StoreError = error) -> typing.NoReturn:
                raise error

            self.patch(self.store, "write", fail)
            reply = await self.ask("POST", "routes", body={"vHost": "a.example"})
            self.assert_problem(reply, status, code)
            self.assertNotIn(b"/db", reply.body)
        after = await self.get("config")
        self.assertEqual((after.body, after.fields["etag"]), (before.body, before.fields["etag"]))
        self.assertEqual(self.events, [])

    async def test_client_gone(self) -> None:
        """A client that leaves while its change is kept leaves it whole."""
        held: list[Deferred[None]] = []
        write = self.store.write

        def hold(job: typing.Any) -> Deferred[typing.Any]:
            held.append(Deferred())
            return held[-1].addCallback(lambda _: write(job))

        self.patch(self.store, "write", hold)
        transport = self.begin("POST", "routes", body={"vHost": "a.example"})
        transport.leave()
        self.assertEqual(self.configuration.state.routes, {})
        held[0].callback(None)
        while not self.events:
            await self.turn()
        shown = (await self.get("routes")).json()
        self.assertEqual([each["vHost"] for each in shown], ["a.example"])
