"""Tests for :mod:`aluvia.edge.rest_backends`: a real store, and connections in memory."""

from __future__ import annotations

from aluvia.edge.model import AdminState
from aluvia.edge.test.rest_case import CERT, RestCase, etag

NODE = {"hostname": "10.0.0.2", "port": 3000}


class BackendTests(RestCase):
    """Backends of a route."""

    async def setUp(self) -> None:  # type: ignore[override]
        """One route with one backend, and another route."""
        await super().setUp()
        await self.add_route("a.example", id="a")
        await self.add_route("b.example", id="b")

    def ids(self, route: str = "a") -> list[str]:
        """Those of a route, in force."""
        return [backend.id for backend in self.configuration.state.routes[route].backends]

    async def test_make(self) -> None:
        """As the seed says: a host and a port make a backend; it is in its route at once."""
        reply = await self.ask("POST", "routes/a.example/backends", body=NODE)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.fields["location"], "/api/v1/routes/a/backends/id-1")
        made = reply.json()
        self.assertEqual(
            (made["id"], made["hostname"], made["port"], made["weight"]),
            ("id-1", "10.0.0.2", 3000, 1),
        )
        self.assertFalse(made["isDead"])
        shown = await self.get(reply.fields["location"])
        self.assertEqual((shown.body, shown.fields["etag"]), (reply.body, reply.fields["etag"]))
        self.assertEqual((await self.get("routes/a/backends")).json()[1], made)
        self.assertEqual((await self.get("routes/a")).json()["backends"][1], made)
        self.assertEqual((self.ids(), self.ids("b")), (["node-1", "id-1"], ["node-1"]))
        last = self.live.applied[-1].routes["a"]
        self.assertEqual([each.id for each in last.backends], ["node-1", "id-1"])

    async def test_runtime(self) -> None:
        """What is known of a backend is shown, and changes no tag."""
        await self.done("POST", "routes/a/backends", body={**NODE, "id": "dead"}, status=201)
        first = await self.get("routes/a/backends/dead")
        self.assertEqual(
            {
                name: first.json()[name]
                for name in ("isDead", "deadSince", "failureCount", "active")
            },
            {"isDead": True, "deadSince": 90.0, "failureCount": 3, "active": 1},
        )
        self.patch(self.observed, "backend_runtime", lambda route, backend: {"isDead": False})
        second = await self.get("routes/a/backends/dead")
        self.assertFalse(second.json()["isDead"])
        self.assertEqual(first.fields["etag"], second.fields["etag"])

    async def test_not_there(self) -> None:
        """404, whether it is the route or the backend that is not there; 409 if it is."""
        for target in ("routes/x/backends", "routes/x/backends/node-1", "routes/a/backends/x"):
            self.assert_problem(await self.get(target), 404, "not_found")
        for target in ("routes/a/backends/x", "routes/x/backends/node-1"):
            self.assert_problem(await self.ask("DELETE", target), 404, "not_found")
            self.assert_problem(await self.ask("POST", f"{target}/dead"), 404, "not_found")
            self.assert_problem(await self.ask("PATCH", target, body={}), 404, "not_found")
        reply = await self.ask("POST", "routes/x/backends", body=NODE)
        self.assert_problem(reply, 404, "not_found")
        taken = {**NODE, "id": "node-1"}
        reply = await self.ask("POST", "routes/a/backends", body=taken)
        self.assert_problem(reply, 409, "exists")

    async def test_put(self) -> None:
        """A PUT makes one of the id in its path, or makes the one that there is what it says."""
        reply = await self.ask("PUT", "routes/a/backends/node-2", body=NODE)
        self.assertEqual((reply.status, reply.json()["id"]), (201, "node-2"))
        self.assertEqual(reply.fields["location"], "/api/v1/routes/a/backends/node-2")
        again = await self.done("PUT", "routes/a/backends/node-1", body={**NODE, "weight": 3})
        self.assertEqual((again["id"], again["weight"]), ("node-1", 3))
        self.assertEqual(self.ids(), ["node-1", "node-2"])
        reply = await self.ask("PUT", "routes/a/backends/node-1", body={**NODE, "id": "node-2"})
        self.assert_faults(reply, "/id")
        reply = await self.ask("PUT", "routes/a/backends/node-1", body={"endpoint": "tls:h:1"})
        self.assertEqual(reply.json()["hostname"], None)

    async def test_patch(self) -> None:
        """A PATCH changes what it names, and keeps a key that was never shown."""
        reply = await self.ask("PATCH", "routes/a/backends/node-1", body={"weight": 7})
        self.assertEqual((reply.json()["weight"], reply.json()["hostname"]), (7, "10.0.0.1"))
        body = {"tls": {"ca": "no PEM", "sni": "10.0.0.1"}, "wieght": 1, "isDead": True}
        reply = await self.ask("PATCH", "routes/a/backends/node-1", body=body)
        self.assert_faults(reply, "/tls/ca", "/tls/sni", "/wieght")
        reply = await self.ask(
            "PATCH", "routes/a/backends/node-1", body={"tls": {"clientCert": CERT}}
        )
        self.assertEqual(reply.status, 422)

    async def test_remove(self) -> None:
        """204, then 404; the others stay as they were."""
        await self.done("POST", "routes/a/backends", body={**NODE, "id": "two"}, status=201)
        before = await self.get("routes/a/backends/two")
        await self.done("DELETE", "routes/a/backends/node-1", status=204)
        reply = await self.ask("DELETE", "routes/a/backends/node-1")
        self.assert_problem(reply, 404, "not_found")
        self.assertEqual((self.ids(), self.ids("b")), (["two"], ["node-1"]))
        after = await self.get("routes/a/backends/two")
        self.assertEqual(before.fields["etag"], after.fields["etag"])

    async def test_states(self) -> None:
        """What an operator says of a backend is kept, and shown, and told."""
        for name, state in (
            ("dead", AdminState.MAINT),
            ("drain", AdminState.DRAIN),
            ("ready", AdminState.READY),
        ):
            self.events.clear()
            reply = await self.ask("POST", f"routes/a.example/backends/node-1/{name}")
            self.assertEqual((reply.status, reply.json()["admin"]), (200, state.value))
            shown = await self.get("routes/a/backends/node-1")
            self.assertEqual(shown.fields["etag"], reply.fields["etag"])
            self.assertIs(self.live.applied[-1].routes["a"].backends[0].admin, state)
            self.assertEqual([event.data["change"] for event in self.events], ["changed"])
            again = await self.ask("POST", f"routes/a/backends/node-1/{name}")
            self.assertEqual(again.fields["etag"], reply.fields["etag"])
        self.assertEqual(self.configuration.state.routes["b"].backends[0].admin, AdminState.READY)

    async def test_state_of_what_was_seen(self) -> None:
        """It can rest on what was seen, and be tried."""
        seen = await self.get("routes/a/backends/node-1")
        tried = await self.done("POST", "routes/a/backends/node-1/drain?dry_run=1")
        self.assertEqual(tried["admin"], "drain")
        reply = await self.ask("POST", "routes/a/backends/node-1/dead", etag(seen))
        self.assertEqual(reply.status, 200)
        reply = await self.ask("POST", "routes/a/backends/node-1/ready", etag(seen))
        self.assertEqual(
            self.assert_problem(reply, 412, "changed_meanwhile")["current"]["admin"], "maint"
        )

    async def test_tags(self) -> None:
        """
        A backend that changes changes its own tag, its collection's, its route's and that of all
        routes; and no other's.
        """
        await self.done("POST", "routes/a/backends", body={**NODE, "id": "two"}, status=201)
        targets = (
            "routes/a/backends/node-1",
            "routes/a/backends",
            "routes/a",
            "routes",
            "config",
            "routes/a/backends/two",
            "routes/b/backends",
            "routes/b/backends/node-1",
            "routes/b",
            "certificates",
            "auth-providers",
        )
        before = [(await self.get(target)).fields["etag"] for target in targets]
        await self.done("POST", "routes/a/backends/node-1/dead")
        after = [(await self.get(target)).fields["etag"] for target in targets]
        changed = [old != new for old, new in zip(before, after, strict=True)]
        self.assertEqual(changed, [True] * 5 + [False] * 6)

    async def test_order(self) -> None:
        """Two backends that change places are another collection, though neither has changed."""
        both = [{**NODE, "id": "one"}, {**NODE, "id": "two"}]
        await self.add_route("c.example", id="c", backends=both)
        before = await self.get("routes/c/backends")
        await self.done("PATCH", "routes/c", body={"backends": both[::-1]})
        after = await self.get("routes/c/backends")
        self.assertEqual([each["id"] for each in after.json()], ["two", "one"])
        self.assertNotEqual(before.fields["etag"], after.fields["etag"])
        for id in ("one", "two"):
            tag = (await self.get(f"routes/c/backends/{id}")).fields["etag"]
            self.assertEqual(tag, f'"{self.configuration.store_name}-3"')
