"""The REST API of the edge from outside: what each thing answers, by curl and by Python."""

from __future__ import annotations

import json
import typing

from tests.edge_case import EdgeCase, backend
from tests.edge_process import BASE, TOKEN, EdgeProcess, Reply

MERGE_PATCH = "application/merge-patch+json"

#: The object of the seed's own example, as it stands there.
SEED: dict[str, typing.Any] = {
    "id": "service-a",
    "vHost": "api.myapp.com",
    "strategy": "ROUND_ROBIN",
    "autoHttps": True,
    "reqActiveLength": 50,
    "reqQueueLength": 100,
    "backends": [
        {
            "id": "node-1",
            "hostname": "10.0.0.1",
            "port": 3000,
            "isDead": False,
            "failureCount": 0,
        },
        {
            "id": "node-2",
            "hostname": "10.0.0.2",
            "port": 3000,
            "isDead": False,
            "failureCount": 0,
        },
    ],
}


class SeedTests(EdgeCase):
    """All that the seed asks for, as somebody types it."""

    async def curled(
        self, edge: EdgeProcess, method: str, path: str, document: object = None
    ) -> tuple[int, str, typing.Any]:
        """What curl printed: the status, the head, and what is in the body."""
        json_type = ("--header", "Content-Type: application/json")
        body = () if document is None else (*json_type, "--data", json.dumps(document))
        done = await self.curl(
            *("--include", "--request", method, *body),
            *("--header", f"Authorization: Bearer {TOKEN}", edge.api_url + path),
        )
        self.assertEqual(done.status, 0, done)
        head, _, text = done.stdout.partition("\r\n\r\n")
        return int(head.split(" ")[1]), head, json.loads(text) if text else None

    async def test_endpoints(self) -> None:
        """Each endpoint of the seed with curl, and with the seed's own example."""
        edge = await self.edge("--https", "127.0.0.1:0")
        status, head, made = await self.curled(edge, "POST", "/routes", SEED)
        self.assertEqual(status, 201)
        self.assertIn(f"Location: {BASE}/routes/service-a", head)
        self.assertEqual(len(made.pop("notes")), 2)
        for name in set(SEED) - {"backends"}:
            self.assertEqual(made[name], SEED[name], name)
        for sent, shown in zip(SEED["backends"], made["backends"], strict=True):
            self.assertEqual({name: shown[name] for name in sent}, sent)

        self.assertEqual((await self.curled(edge, "GET", "/routes"))[2], [made])
        for name in ("api.myapp.com", "API.MyApp.com.", "service-a"):
            self.assertEqual((await self.curled(edge, "GET", f"/routes/{name}"))[2], made)

        within = "/routes/api.myapp.com/backends"
        status, head, added = await self.curled(
            edge, "POST", within, {"hostname": "10.0.0.3", "port": 3000}
        )
        self.assertEqual((status, added["weight"], added["admin"]), (201, 1, "ready"))
        self.assertIn(f"Location: {BASE}/routes/service-a/backends/{added['id']}", head)
        status, _, dead = await self.curled(edge, "POST", f"{within}/node-1/dead")
        self.assertEqual((status, dead["admin"]), (200, "maint"))
        self.assertEqual((await self.curled(edge, "DELETE", f"{within}/{added['id']}"))[0], 204)
        self.assertEqual((await self.curled(edge, "DELETE", f"{within}/{added['id']}"))[0], 404)
        _, _, route = await self.curled(edge, "GET", "/routes/service-a")
        self.assertEqual(
            [(each["id"], each["admin"]) for each in route["backends"]],
            [("node-1", "maint"), ("node-2", "ready")],
        )

        pair = self.pair("api.myapp.com")
        upload = {"domain": "api.myapp.com", "key": pair.key, "cert": pair.cert}
        for wanted in (201, 200):
            status, _, shown = await self.curled(edge, "POST", "/certificates", upload)
            self.assertEqual((status, "key" in shown), (wanted, False))
        (await self.secure(edge, "api.myapp.com")).close()

        _, _, stats = await self.curled(edge, "GET", "/stats")
        self.assertEqual(stats["sinceStart"]["requests"], 0)
        self.assertIn("api.myapp.com", [each["domain"] for each in stats["certificates"]])
        _, _, stats = await self.curled(edge, "GET", "/stats/api.myapp.com")
        self.assertEqual((stats["route"], len(stats["backends"])), ("service-a", 2))

        self.assertEqual((await self.curled(edge, "DELETE", "/routes/api.myapp.com"))[0], 204)
        for method in ("GET", "DELETE"):
            status, head, _ = await self.curled(edge, method, "/routes/api.myapp.com")
            self.assertEqual(status, 404)
            self.assertIn("application/problem+json", head)

    async def test_route_works_from_its_201_on(self) -> None:
        """A route is served when its POST is answered, and no more when its DELETE is."""
        edge, api, origin = await self.start()
        for number in range(10):
            host = f"fresh{number}.example"
            await self.route(api, host, backend(origin))
            self.assertEqual((await self.visit(edge, host)).status, 200)
            await api.done("PATCH", f"/routes/{host}", {"headers": {"X-Number": str(number)}})
            self.assertEqual((await self.seen(edge, host))["x-number"], str(number))
            await api.done("DELETE", f"/routes/{host}")
            self.assertEqual((await self.visit(edge, host)).status, 404)
        stats = await api.get("/stats/a.example")
        self.assertEqual(stats["sinceStart"]["requests"], 0)
        total = await api.get("/stats")
        self.assertEqual(total["sinceStart"]["requests"], 30)


class AnswerTests(EdgeCase):
    """Statuses, and what an answer says besides."""

    def told(self, reply: Reply, status: int, *pointers: str) -> None:
        """The answer is a problem of this status, with these faults."""
        self.assertEqual(reply.status, status, reply.text)
        self.assertEqual(reply.field("content-type"), "application/problem+json")
        problem = reply.json()
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["detail"])
        if pointers:
            self.assertEqual(sorted(reply.pointers), sorted(pointers), reply.text)

    async def test_methods_of_a_resource(self) -> None:
        """POST makes, PUT puts, PATCH changes, DELETE removes; each says so in its status."""
        _, api, _ = await self.start()
        place = f"{BASE}/routes/b"
        reply = await api("POST", "/routes", {"id": "b", "vHost": "b.example"})
        self.assertEqual((reply.status, reply.field("location")), (201, place))
        self.told(await api("POST", "/routes", {"id": "b", "vHost": "c.example"}), 409)
        self.told(await api("POST", "/routes", {"vHost": "B.example."}), 409)
        reply = await api("PUT", "/routes/c.example", {"retries": 1})
        self.assertEqual((reply.status, reply.json()["vHost"]), (201, "c.example"))
        self.assertEqual((await api("PUT", "/routes/c.example", {"retries": 2})).status, 200)
        self.assertEqual((await api.get("/routes/c.example"))["retries"], 2)
        for content_type in (MERGE_PATCH, "application/json"):
            reply = await api(
                "PATCH", "/routes/b", {"headers": {"X": "1"}}, content_type=content_type
            )
            self.assertEqual((reply.status, reply.json()["headers"]), (200, {"X": "1"}))
            reply = await api(
                "PATCH", "/routes/b", {"headers": {"X": None}}, content_type=content_type
            )
            self.assertEqual((reply.status, reply.json()["headers"]), (200, {}))
            self.assertEqual((await api("GET", "/routes/b")).etag, reply.etag)
        await api.done("DELETE", "/routes/b")
        for method, body in (("DELETE", None), ("GET", None), ("PATCH", {}), ("HEAD", None)):
            reply = await api(method, "/routes/b", body)
            self.assertEqual(reply.status, 404, method)
        head = await api("HEAD", "/routes/a")
        self.assertEqual((head.status, head.text), (200, ""))
        self.assertEqual(head.etag, (await api("GET", "/routes/a")).etag)

    async def test_requests_that_are_refused(self) -> None:
        """415, 413, 411, 405 with what is allowed, 400, and 404 for what is no path."""
        _, api, _ = await self.start()
        self.told(await api("POST", "/routes", {}, content_type="text/plain"), 415)
        self.told(await api("POST", "/routes", {}, content_type=MERGE_PATCH), 415)
        refused = await api("PATCH", "/routes/a", {}, content_type="application/json-patch+json")
        self.told(refused, 415)
        self.assertIn(MERGE_PATCH, refused.field("accept-patch"))
        self.told(await api("PUT", "/config", Content_Length="99999999"), 413)
        self.told(await api("POST", "/routes", Transfer_Encoding="chunked"), 411)
        for body in (b"{", b"\xff", b'{"vHost": 1, "vHost": 2}', b"NaN", b"[" * 100_000, b""):
            reply = await api("POST", "/routes", body=body)
            self.assertIn(reply.status, (400, 422), reply.text)
            self.told(reply, reply.status)
        for method, path, allowed in (
            ("PATCH", "/routes", "GET, HEAD, POST"),
            ("POST", "/routes/a", "DELETE, GET, HEAD, PATCH, PUT"),
            ("GET", "/routes/a/backends/one/dead", "POST"),
            ("DELETE", "/config", "GET, HEAD, PUT"),
            ("PATCH", "/certificates/a", "DELETE, GET, HEAD, PUT"),
            ("POST", "/stats", "GET, HEAD"),
        ):
            reply = await api(method, path)
            self.told(reply, 405)
            self.assertEqual(sorted(reply.field("allow").split(", ")), allowed.split(", "))
        for path in ("/nothing", "/routes/a/b", "//x", "/routes/%ff", "/routes/a%2Fb", "/routes//"):
            self.told(await api("GET", path), 404)
        self.told(await api("GET", "/routes?no=1"), 400)
        self.assertEqual(await self._hosts(api.get), ["a.example"])

    async def test_every_fault_has_its_pointer(self) -> None:
        """422 lists all that is wrong, each with its place; an unknown field is a fault."""
        _, api, _ = await self.start()
        before = await api("GET", "/config")
        route = {
            "vHost": "a b",
            "strategy": "FASTEST",
            "retries": -1,
            "reqActiveLength": 0,
            "reqQueueLength": "many",
            "timeouts": {"connect": 0, "never": 1},
            "headers": {"X-Forwarded-For": "me", "Good": "a\r\nb", "bad name": ""},
            "healthCheck": {"path": "no-slash", "rise": 0},
            "allow": ["10.0.0.0/99"],
            "backends": [
                {"hostname": "10.0.0.1"},
                {"hostname": "10.0.0.1", "port": 70_000, "weight": 0},
                {"endpoint": "nothing:x", "port": 1},
                {"id": "x", "hostname": "h", "port": 1, "colour": "red"},
                {"id": "x", "hostname": "h", "port": 2},
            ],
            "ssl": {"cert": "no certificate", "key": "canary-no-key"},
            "vhost": "a.example",
        }
        self.secrets.append("canary-no-key")
        expected = [
            *("/vHost", "/strategy", "/retries", "/reqActiveLength", "/reqQueueLength"),
            *("/timeouts/connect", "/timeouts/never", "/headers/X-Forwarded-For"),
            *("/headers/Good", "/headers/bad name", "/healthCheck/path", "/healthCheck/rise"),
            *("/allow/0", "/backends/0/port", "/backends/1/port", "/backends/1/weight"),
            *("/backends/2/endpoint", "/backends/2/port", "/backends/3/colour", "/backends/4/id"),
            *("/ssl/cert", "/ssl/key", "/vhost"),
        ]
        for method, path in (("POST", "/routes"), ("POST", "/routes?dry_run=1")):
            reply = await api(method, path, route)
            self.told(reply, 422, *expected)
            self.assert_no_secret(reply.text)
        whole = {"routes": [{"vHost": "a.example"}, route], "certificates": [], "authProviders": []}
        self.told(
            await api("PUT", "/config", whole), 422, *(f"/routes/1{each}" for each in expected)
        )
        self.told(await api("PATCH", "/routes/a", {"backends": None, "retries": 1.5}), 422)
        self.told(await api("PUT", "/log-level", {"level": "loud", "x": 1}), 422, "/level", "/x")
        self.told(
            await api("POST", "/auth-providers", {"id": "p", "type": "basic", "users": [{}]}),
            *(422, "/users/0/name", "/users/0/passwordHash"),
        )
        after = await api("GET", "/config")
        self.assertEqual((after.etag, after.json()), (before.etag, before.json()))

    async def test_certificates_are_looked_at(self) -> None:
        """A key that is another's, a name that is not in it, and a PEM that is none: 422."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api = self.api(edge)
        one, other = self.pair("one.example"), self.pair("other.example")
        for cert, key, domain, pointer in (
            (one.cert, other.key, "one.example", "/key"),
            (one.cert, one.key, "two.example", "/cert"),
            (one.cert, one.key, "*.example", "/cert"),
            (one.key, one.key, "one.example", "/cert"),
            (one.cert, one.cert, "one.example", "/key"),
        ):
            reply = await api("PUT", f"/certificates/{domain}", {"cert": cert, "key": key})
            self.assertEqual(reply.status, 422, (domain, pointer))
            self.assertIn(pointer, reply.pointers, reply.text)
            self.assert_no_secret(reply.text)
        self.assertEqual(await api.get("/certificates"), [])

    async def test_several_routes_of_one_v_host(self) -> None:
        """By its vhost alone none of them is meant: 409, with their ids."""
        edge, api, origin = await self.start()
        part = {"id": "part", "vHost": "a.example", "pathPrefix": "/part"}
        await api.done("POST", "/routes", {**part, "backends": [backend(self.origin())]})
        reply = await api("GET", "/routes/a.example")
        self.told(reply, 409)
        self.assertEqual(sorted(reply.json()["ids"]), ["a", "part"])
        self.told(await api("DELETE", "/routes/a.example"), 409)
        self.told(await api("GET", "/stats/a.example"), 409)
        self.assertEqual((await api.get("/routes/part"))["pathPrefix"], "/part")
        for path, here in (("/part", 0), ("/part/x", 0), ("/party", 1), ("/", 1)):
            count = len(origin.visits)
            self.assertEqual((await self.visit(edge, "a.example", path)).status, 200)
            self.assertEqual(len(origin.visits) - count, here, path)

    async def test_provider_that_is_in_use(self) -> None:
        """It is not taken away from under a route, nor named by one before it is there."""
        _, api, _ = await self.start()
        self.told(await api("PATCH", "/routes/a", {"authProvider": "p"}), 422, "/authProvider")
        hook = {"id": "p", "type": "hook", "url": "http://127.0.0.1:9/"}
        self.assertEqual((await api("POST", "/auth-providers", hook)).status, 201)
        self.told(await api("POST", "/auth-providers", hook), 409)
        await api.done("PATCH", "/routes/a", {"authProvider": "p"})
        reply = await api("DELETE", "/auth-providers/p")
        self.told(reply, 409)
        self.assertEqual(reply.json()["ids"], ["a"])
        await api.done("PATCH", "/routes/a", {"authProvider": None})
        await api.done("DELETE", "/auth-providers/p")

    async def _hosts(self, get: typing.Any) -> list[str]:
        return [route["vHost"] for route in await get("/routes")]
