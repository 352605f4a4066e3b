"""Tests for :mod:`aluvia.edge.rest_routes`: a real store, and connections in memory."""

from __future__ import annotations

import typing

from aluvia.api.test.site_case import Reply
from aluvia.edge.test.rest_case import CERT, KEY, MERGE_PATCH, OTHER_CERT, RestCase

BACKENDS = [{"id": "node-1", "hostname": "10.0.0.1", "port": 3000}]


class RouteTests(RestCase):
    """Routes are made, shown, changed and removed."""

    async def names(self) -> list[tuple[str, str]]:
        """The ids and vhosts that are shown, in their order."""
        return [(each["id"], each["vHost"]) for each in (await self.get("routes")).json()]

    async def test_make(self) -> None:
        """A route is made: 201, where it is, and all of it, with its defaults and its backends."""
        body = {"vHost": "API.Example.com.", "backends": [{"hostname": "H.example", "port": 80}]}
        reply = await self.ask("POST", "routes", body=body)
        self.assertEqual(reply.status, 201)
        self.assertEqual(reply.fields["location"], "/api/v1/routes/id-2")
        self.assertEqual(reply.fields["cache-control"], "no-store")
        made = reply.json()
        self.assertEqual((made["id"], made["vHost"]), ("id-2", "api.example.com"))
        self.assertEqual((made["strategy"], made["reqActiveLength"]), ("ROUND_ROBIN", 50))
        (backend,) = made["backends"]
        self.assertEqual(
            {name: backend[name] for name in ("hostname", "admin", "isDead", "latencyMs")},
            {"hostname": "h.example", "admin": "ready", "isDead": False, "latencyMs": 2.5},
        )
        shown = await self.get(reply.fields["location"])
        self.assertEqual((shown.status, shown.body), (200, reply.body))
        self.assertEqual(shown.fields["etag"], reply.fields["etag"])
        self.assertEqual((await self.get("routes")).json(), [made])
        self.assertEqual(list(self.live.applied[-1].routes), ["id-2"])
        self.assertEqual(self.events[-1].data["change"], "added")

    async def test_found(self) -> None:
        """A route is found by its vhost, in any spelling, and by its id."""
        await self.add_route("api.example.com", id="service-a")
        await self.add_route("*.example.com", id="star")
        await self.add_route("bücher.example", id="idna")
        await self.add_route("*", id="all")
        for name, id in (
            ("api.example.com", "service-a"),
            ("API.example.COM.", "service-a"),
            ("api.example.com:8080", "service-a"),
            ("service-a", "service-a"),
            ("*.example.com", "star"),
            ("%2A.example.com", "star"),
            ("xn--bcher-kva.example", "idna"),
            ("b%C3%BCcher.example", "idna"),
            ("*", "all"),
            ("%2a", "all"),
        ):
            reply = await self.get(f"routes/{name}")
            self.assertEqual((reply.status, reply.json().get("id")), (200, id), name)
        for name in ("b.example.com", "Service-A", "%2A%2A", "%20", "a%5Cb"):
            self.assert_problem(await self.get(f"routes/{name}"), 404, "not_found")

    async def test_several(self) -> None:
        """
        Where a vhost has several routes its name is none: 409 lists their ids, whatever is asked.
        """
        await self.add_route("a.example", id="whole")
        await self.add_route("a.example", id="part", pathPrefix="/api")
        requests: list[tuple[str, str, object]] = [
            ("GET", "", None),
            ("PUT", "", {"backends": []}),
            ("PATCH", "", {}),
            ("DELETE", "", None),
            ("GET", "/backends", None),
            ("POST", "/backends", BACKENDS[0]),
            ("DELETE", "/backends/node-1", None),
            ("POST", "/backends/node-1/dead", None),
        ]
        for method, below, body in requests:
            reply = await self.ask(method, f"routes/a.example{below}", body=body)
            problem = self.assert_problem(reply, 409, "several_routes")
            self.assertEqual(problem["ids"], ["whole", "part"])
        self.assert_problem(await self.get("stats/a.example"), 409, "several_routes")
        self.assertEqual((await self.get("routes/part")).json()["pathPrefix"], "/api")
        await self.done("DELETE", "routes/part", status=204)
        self.assertEqual((await self.get("routes/a.example")).json()["id"], "whole")

    async def test_an_id_that_is_a_vhost(self) -> None:
        """It may be that of its own route; as another one's it would stand for two."""
        await self.add_route("a.example", id="a.example")
        body = {"id": "a.example", "vHost": "b.example"}
        reply = await self.ask("PUT", "routes/other", body=body | {"id": "other"})
        self.assertEqual(reply.status, 201)
        for id in ("a.example", "b.example"):
            reply = await self.ask("POST", "routes", body={"id": id, "vHost": "c.example"})
            self.assertIn(reply.status, (409, 422))

    async def test_exists(self) -> None:
        """What is in the way of another one is not made: neither its id nor its place."""
        await self.add_route("a.example", id="one")
        bodies: list[tuple[dict[str, typing.Any], list[str] | None]] = [
            ({"id": "one", "vHost": "b.example"}, None),
            ({"vHost": "A.example."}, ["one"]),
            ({"id": "two", "vHost": "a.example", "pathPrefix": "/"}, ["one"]),
        ]
        for body, ids in bodies:
            reply = await self.ask("POST", "routes", body=body)
            problem = self.assert_problem(reply, 409, "exists")
            self.assertEqual(problem.get("ids"), ids)
        await self.add_route("b.example", id="two")
        for method, body in (
            ("PUT", {"id": "two", "vHost": "a.example"}),
            ("PATCH", {"vHost": "a.example"}),
        ):
            reply = await self.ask(method, "routes/two", body=body)
            self.assertEqual(self.assert_problem(reply, 409, "exists")["ids"], ["one"])
        self.assertEqual(await self.names(), [("one", "a.example"), ("two", "b.example")])

    async def test_removed(self) -> None:
        """204, and 404 from then on."""
        await self.add_route("a.example")
        reply = await self.ask("DELETE", "routes/a.example")
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertNotIn("content-type", reply.fields)
        for method, body in (("DELETE", None), ("GET", None), ("PATCH", {})):
            reply = await self.ask(method, "routes/a.example", body=body)
            self.assert_problem(reply, 404, "not_found")
        self.assertEqual(await self.names(), [])
        self.assertEqual(self.events[-1].data["change"], "removed")

    async def test_faults(self) -> None:
        """422 with each fault and where it is; unknown fields are faults; nothing is changed."""
        await self.add_route("a.example")
        before, revision = (await self.get("config")).body, self.configuration.state
        cases: list[tuple[dict[str, typing.Any], list[str]]] = [
            ({}, ["/vHost"]),
            ({"vHost": "b", "retires": 1, "x/y": 2}, ["/retires", "/x~1y"]),
            (
                {"vHost": "b", "retries": -1, "backends": [{"hostname": "h"}, 5]},
                ["/retries", "/backends/0/port", "/backends/1"],
            ),
            ({"vHost": "b", "authProvider": "nobody"}, ["/authProvider"]),
            ({"vHost": "wrong.example", "ssl": {"cert": CERT, "key": KEY}}, ["/ssl/cert"]),
            ({"vHost": "\ud800.example"}, ["/vHost"]),
        ]
        for body, pointers in cases:
            self.assert_faults(await self.ask("POST", "routes", body=body), *pointers)
            reply = await self.ask("PUT", "routes/new", body=body | {"id": "new"})
            self.assert_faults(reply, *pointers)
        self.assertEqual((await self.get("config")).body, before)
        self.assertIs(self.configuration.state, revision)

    async def test_data_path(self) -> None:
        """What the data path cannot do is refused in its own words."""
        self.live.refuses = self.refusing("/routes/0/ssl/key", "is of no use")
        reply = await self.ask("POST", "routes", body={"vHost": "a.example"})
        # As a pointer into what was sent.
        self.assert_faults(reply, "/ssl/key")
        self.assertEqual(await self.names(), [])

    async def test_notes(self) -> None:
        """What is shown and not set is accepted, ignored, and noted; so a copy can be sent back."""
        backend = {**BACKENDS[0], "isDead": True, "failureCount": 0}
        made = await self.add_route("a.example", backends=[backend])
        self.assertEqual(len(made["notes"]), 2)
        self.assertIn("isDead", made["notes"][0])
        self.assertNotIn("notes", (await self.get("routes/a.example")).json())
        # What was answered is sent back as it is.
        again = await self.ask("PUT", "routes/a", body=made)
        self.assertEqual(again.status, 200, again.body)
        self.assertTrue(any(note.startswith("notes ") for note in again.json()["notes"]))
        shown = await self.get("routes/a")
        self.assertEqual(again.fields["etag"], shown.fields["etag"])
        self.assertEqual(shown.json()["backends"][0]["isDead"], False)
        self.assertEqual(len(self.live.applied), 2)

    async def test_keys(self) -> None:
        """A key is taken and never shown; it stays as long as its certificate is the same."""
        ssl = {"cert": CERT, "key": KEY}
        made = await self.add_route("a.example", ssl=ssl)
        self.assertEqual(made["ssl"], {"cert": CERT})
        for method, body in (
            ("PUT", {"vHost": "a.example", "ssl": {"cert": CERT}}),
            ("PATCH", {"retries": 1, "ssl": {"cert": CERT}}),
            ("PATCH", {"retries": 2}),
        ):
            reply = await self.ask(method, "routes/a", body=body)
            self.assertEqual(reply.status, 200, reply.body)
            self.assertNotIn(b"SECRET", reply.body)
            pair = self.configuration.state.routes["a"].ssl
            assert pair is not None
            self.assertEqual(pair.key, KEY)
        other = {"vHost": "a.example", "ssl": {"cert": OTHER_CERT}}
        self.assert_faults(await self.ask("PUT", "routes/a", body=other), "/ssl/key")
        for target in ("routes", "routes/a", "config"):
            self.assertNotIn(b"SECRET", (await self.get(target)).body)


class PutTests(RestCase):
    """A PUT makes a route what the body says."""

    async def put(self, name: str, **body: object) -> Reply:
        """Send it."""
        return await self.ask("PUT", f"routes/{name}", body=body)

    async def test_upsert(self) -> None:
        """201 where there was none, with the vhost of its path; then 200, with the same id."""
        reply = await self.put("A.example.", backends=BACKENDS)
        self.assertEqual((reply.status, reply.json()["vHost"]), (201, "a.example"))
        self.assertEqual(reply.fields["location"], "/api/v1/routes/id-1")
        again = await self.put("a.example", retries=1)
        self.assertEqual((again.status, again.json()["id"]), (200, "id-1"))
        self.assertEqual((again.json()["retries"], again.json()["backends"]), (1, []))
        self.assertEqual(again.fields["content-location"], "/api/v1/routes/id-1")
        self.assertNotEqual(again.fields["etag"], reply.fields["etag"])
        # What is not sent is as if it had never been.
        self.assertEqual((await self.put("a.example")).json()["retries"], 3)

    async def test_by_id(self) -> None:
        """By an id that the body says too a route is made, and by its id it gets another vhost."""
        reply = await self.put("service-a", id="service-a", vHost="a.example")
        self.assertEqual((reply.status, reply.json()["id"]), (201, "service-a"))
        moved = await self.put("service-a", vHost="b.example")
        self.assertEqual((moved.status, moved.json()["vHost"]), (200, "b.example"))
        self.assertEqual((await self.put("service-a")).json()["vHost"], "b.example")
        reply = await self.put("with_underscore~", id="with_underscore~", vHost="c.example")
        self.assertEqual(reply.status, 201)

    async def test_other_names(self) -> None:
        """What the body says and what the path says are one thing, or nothing is done."""
        await self.add_route("a.example", id="one")
        self.assert_faults(await self.put("a.example", vHost="b.example"), "/vHost")
        self.assert_faults(await self.put("b.example", vHost="c.example"), "/vHost")
        self.assert_faults(await self.put("a.example", id="two"), "/id")
        self.assert_faults(await self.put("one", id="two"), "/id")
        self.assert_problem(await self.put("b.example", id="one"), 409, "exists")
        self.assertEqual(len(self.configuration.state.routes), 1)

    async def test_place(self) -> None:
        """A route keeps its place among the others when it is changed."""
        for name in "bac":
            await self.add_route(f"{name}.example")
        await self.put("a", retries=0)
        shown = (await self.get("routes")).json()
        self.assertEqual([each["id"] for each in shown], ["b", "a", "c"])

    async def test_nothing_new(self) -> None:
        """What is so already keeps its tag, and nobody is told."""
        made = await self.put("a.example", backends=BACKENDS)
        self.events.clear()
        again = await self.put("a.example", backends=BACKENDS)
        self.assertEqual(again.status, 200)
        self.assertEqual(again.fields["etag"], made.fields["etag"])
        self.assertEqual(self.events, [])


class PatchTests(RestCase):
    """A PATCH changes what the body names."""

    async def test_merge(self) -> None:
        """What is named changes, null is the default, and what is not named stays."""
        await self.add_route("a.example", retries=1, pathPrefix="/x", headers={"X-A": "1"})
        patch = {
            "retries": None,
            "timeouts": {"idle": 1.5},
            "headers": {"X-A": None, "X-B": "2"},
            "strategy": "RANDOM",
        }
        for content_type in (MERGE_PATCH, "Content-Type: application/json; charset=utf-8"):
            reply = await self.ask("PATCH", "routes/a.example", content_type, body=patch)
            self.assertEqual(reply.status, 200, reply.body)
        route = reply.json()
        self.assertEqual((route["retries"], route["pathPrefix"]), (3, "/x"))
        self.assertEqual(route["timeouts"], {"connect": 5, "firstByte": 60, "idle": 1.5})
        self.assertEqual((route["headers"], route["strategy"]), ({"X-B": "2"}, "RANDOM"))
        self.assertEqual([each["id"] for each in route["backends"]], ["node-1"])
        shown = await self.get("routes/a")
        self.assertEqual((shown.body, shown.fields["etag"]), (reply.body, reply.fields["etag"]))

    async def test_vhost(self) -> None:
        """It may give a route another vhost, and never another id."""
        await self.add_route("a.example")
        reply = await self.ask("PATCH", "routes/a.example", body={"vHost": "b.example"})
        self.assertEqual((reply.status, reply.json()["vHost"]), (200, "b.example"))
        self.assertEqual(reply.fields["content-location"], "/api/v1/routes/a")
        self.assert_problem(await self.get("routes/a.example"), 404, "not_found")
        self.assert_faults(await self.ask("PATCH", "routes/a", body={"id": "b"}), "/id")

    async def test_types(self) -> None:
        """A PATCH takes a merge patch or JSON, all else takes JSON alone: 415."""
        await self.add_route("a.example")
        for method, target, content_type, accept in (
            ("PATCH", "routes/a", "text/plain", "accept-patch"),
            ("PATCH", "routes/a", "application/json-patch+json", "accept-patch"),
            ("PUT", "routes/a", "application/merge-patch+json", "accept"),
            ("POST", "routes", "application/merge-patch+json", "accept"),
            ("POST", "routes", "application/x-www-form-urlencoded", "accept"),
            ("PUT", "config", "", "accept"),
        ):
            reply = await self.ask(method, target, f"Content-Type: {content_type}", body={})
            self.assert_problem(reply, 415, "unsupported_media_type")
            self.assertIn("application/json", reply.fields[accept])

    async def test_no_object(self) -> None:
        """What is no object is no document: 400 and 422."""
        await self.add_route("a.example")
        for body, status, code in (
            (b"{", 400, "invalid_json"),
            (b"[" * 100_000, 400, "invalid_json"),
            (b"[]", 422, "invalid_fields"),
            (b"null", 422, "invalid_fields"),
        ):
            for method, target in (("POST", "routes"), ("PUT", "routes/a"), ("PATCH", "routes/a")):
                self.assert_problem(await self.ask(method, target, body=body), status, code)
