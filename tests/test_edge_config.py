"""Following and changing the configuration of the edge: tags, conditions, waiting, events."""

from __future__ import annotations

import contextlib
import json
import typing

from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import Accepting
from tests.aluvia_process import until
from tests.edge_case import SECONDS, EdgeCase, backend
from tests.edge_process import BASE, Api, EdgeProcess, Reply

ADDED = {"X-Added": "1"}


def later(coroutine: typing.Coroutine[Deferred[typing.Any], object, Reply]) -> Deferred[Reply]:
    """An answer that is waited for later."""
    return Deferred.fromCoroutine(coroutine)


class TagTests(EdgeCase):
    """Entity tags, and what rests on them."""

    async def test_tags_follow_the_configuration_alone(self) -> None:
        """
        Every resource has one, collections too. A change of one thing changes its own tag and those
        of what it is in; what happens at run time changes none.
        """
        edge, api, origin = await self.start()
        await self.route(api, "b.example", backend(self.origin(), "one"))
        paths = ("/config", "/routes", "/routes/a", "/routes/a/backends", "/routes/a/backends/one")
        await api.done("PATCH", "/routes/a", {"headers": ADDED})
        others = ("/routes/b", "/routes/b/backends/one", "/certificates", "/auth-providers")

        async def tags(paths: typing.Iterable[str]) -> list[str]:
            found = [(await api("GET", path)).etag for path in paths]
            for tag in found:
                self.assertRegex(tag, r'^"[!-~]+"$')
            return found

        before, beside = await tags(paths), await tags(others)
        self.assertEqual(len({*before}), len(paths))
        for path, tag in zip(paths, before, strict=True):
            reply = await api("GET", path, If_None_Match=tag)
            self.assertEqual((reply.status, reply.text, reply.etag), (304, "", tag))
        origin.peer.set_accepting(Accepting.REFUSE)
        await self.visit(edge, "a.example")
        await self.until_dead(api, "a", "one")
        self.assertEqual(await tags(paths), before)
        await api.done("PATCH", "/routes/a/backends/one", {"weight": 2})
        after = await tags(paths)
        self.assertEqual(len({*after} & {*before}), 0)
        self.assertEqual(await tags(others), beside)
        await api.done("PATCH", "/routes/a/backends/one", {"weight": 2})
        self.assertEqual(await tags(paths), after)

    async def test_stale_condition(self) -> None:
        """412 says what there is now; nothing is changed by it, in any method."""
        _, api, _ = await self.start()
        stale = (await api("GET", "/routes/a")).etag
        current = await api.done("PATCH", "/routes/a", {"headers": ADDED}, If_Match=stale)
        for method, path, document in (
            ("PATCH", "/routes/a", {"retries": 9}),
            ("PUT", "/routes/a", {"vHost": "a.example"}),
            ("DELETE", "/routes/a", None),
            ("PUT", "/config", {"routes": [], "certificates": [], "authProviders": []}),
            ("POST", "/routes", {"vHost": "b.example"}),
            ("POST", "/routes/a/backends/one/dead", None),
        ):
            stale = '"none-1"' if "one" in path else stale
            reply = await api(method, path, document, If_Match=stale)
            self.assertEqual(reply.status, 412, (method, path))
            if path == "/routes/a":
                self.assertEqual(reply.etag, current.etag)
                self.assertEqual(reply.json()["current"]["headers"], ADDED)
        reply = await api("PUT", "/routes/a", {"vHost": "a.example"}, If_None_Match="*")
        self.assertEqual(reply.status, 412)
        reply = await api("PUT", "/routes/new.example", {}, If_None_Match="*")
        self.assertEqual(reply.status, 201)
        self.assertEqual((await api("PUT", "/routes/x.example", {}, If_Match="*")).status, 412)
        self.assertEqual((await api("GET", "/routes/a")).etag, current.etag)
        await api.done("DELETE", "/routes/a", If_Match=current.etag)

    async def test_two_writers_with_one_tag_one_wins(self) -> None:
        """Fifty times, over connections of their own: one is answered 200, and the other 412."""
        _, api, _ = await self.start()
        writers = [self.api(edge) for edge in (self._last_edge(),) * 4]
        for turn in range(50):
            tag = (await api("GET", "/routes/a")).etag
            replies = await gatherResults(
                [
                    later(
                        writer(
                            "PATCH",
                            "/routes/a",
                            {"headers": {"X-Turn": f"{turn}", "X-Writer": f"{number}"}},
                            If_Match=tag,
                        )
                    )
                    for number, writer in enumerate(writers)
                ]
            )
            self.assertEqual(sorted(reply.status for reply in replies), [200, 412, 412, 412])
            winner = [reply.status for reply in replies].index(200)
            shown = await api.get("/routes/a")
            self.assertEqual(shown["headers"], {"X-Turn": f"{turn}", "X-Writer": f"{winner}"})
            for reply in replies:
                self.assertEqual(reply.etag, replies[winner].etag)

    async def test_writers_without_a_tag_lose_nothing(self) -> None:
        """Changes that come at one moment are made one after the other; each is there."""
        _, api, _ = await self.start()
        edge = self._last_edge()
        writers = [self.api(edge) for _ in range(8)]

        async def write(number: int, writer: Api) -> None:
            for turn in range(5):
                document = {"id": f"{number}-{turn}", "hostname": "127.0.0.1", "port": 9}
                await writer.done("POST", "/routes/a/backends", document)

        await gatherResults([Deferred.fromCoroutine(write(*each)) for each in enumerate(writers)])
        self.assertEqual(len(await api.get("/routes/a/backends")), 41)

    async def test_dry_run(self) -> None:
        """It says what would be, or what is wrong, and changes nothing."""
        edge, api, _ = await self.start()
        before = await api("GET", "/config")
        empty: dict[str, object] = {"routes": [], "certificates": [], "authProviders": []}
        for method, path, document in (
            ("POST", "/routes", {"vHost": "b.example"}),
            ("PUT", "/routes/b.example", {}),
            ("PATCH", "/routes/a", {"retries": 7}),
            ("DELETE", "/routes/a", None),
            ("POST", "/routes/a/backends", {"hostname": "h", "port": 1}),
            ("DELETE", "/routes/a/backends/one", None),
            ("POST", "/routes/a/backends/one/dead", None),
            ("PUT", "/config", empty),
            ("PUT", "/log-level", {"level": "silent"}),
        ):
            reply = await api(method, f"{path}?dry_run=1", document)
            self.assertEqual(reply.status, 200, (method, path, reply.text))
            self.assertTrue(reply.json(), path)
        self.assertEqual(
            (await api("POST", "/routes?dry_run=1", {"vHost": "a.example"})).status, 409
        )
        self.assertEqual((await api("DELETE", "/routes/b?dry_run=1")).status, 404)
        after = await api("GET", "/config")
        self.assertEqual((after.etag, after.text), (before.etag, before.text))
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        self.assertEqual(await api.get("/log-level"), {"level": "debug"})

    def _last_edge(self) -> EdgeProcess:
        edge = self._processes[-1]
        assert isinstance(edge, EdgeProcess)
        return edge


class WatchTests(EdgeCase):
    """Waiting for a change, and hearing of it."""

    async def test_wait_holds_until_it_changes(self) -> None:
        """A GET with the tag that there is is held, and answered with what there is then."""
        _, api, _ = await self.start()
        paths = ("/config", "/routes", "/routes/a", "/routes/a/backends/one")
        waiting = []
        for path in paths:
            tag = (await api("GET", path)).etag
            waiting.append(later(api("GET", f"{path}?wait=25", If_None_Match=tag)))
        done = await api("GET", "/routes/a?wait=25", If_None_Match='"other"')
        self.assertEqual(done.status, 200)
        # A change of another thing moves what is of all alone.
        await self.route(api, "b.example")
        first = await waiting[0]
        self.assertEqual(len(first.json()["routes"]), 2)
        self.assertEqual(len((await waiting[1]).json()), 2)
        self.assertEqual([each.called for each in waiting], [True, True, False, False])
        await api.done("PATCH", "/routes/a/backends/one", {"weight": 5})
        self.assertEqual((await waiting[2]).json()["backends"][0]["weight"], 5)
        self.assertEqual((await waiting[3]).json()["weight"], 5)
        tag = (await api("GET", "/routes/b")).etag
        gone = later(api("GET", "/routes/b?wait=25", If_None_Match=tag))
        over = await api("GET", "/routes/b?wait=1", If_None_Match=tag)
        self.assertEqual(over.status, 304)
        await api.done("DELETE", "/routes/b")
        self.assertEqual((await gone).status, 404)

    async def event(self, connection: FaultConnection) -> tuple[str, dict[str, typing.Any]]:
        """The next event's name, and what it is about."""
        text = (await connection.read_until(b"}\n\n")).decode()
        name, _, data = text.partition("event: ")[2].partition("\n")
        told = json.loads(data.partition("data: ")[2])
        self.assertEqual(told["name"], name)
        return name, told["data"]

    async def test_events(self) -> None:
        """What is changed, who dies and who is back is heard by all who listen for it."""
        edge, api, origin = await self.start(healthCheck={"tcp": True, "interval": 1})
        await until(lambda: origin.peer.accepted, SECONDS, "it is probed")
        everything, deaths = await self.listen(edge), await self.listen(edge, "?name=backend.dead")
        requests = await self.listen(edge, "?name=request.completed&name=certificate.changed")
        await self.route(api, "b.example")
        await api.done("PATCH", "/routes/b", {"retries": 1})
        await api.done("DELETE", "/routes/b")
        for change in ("added", "changed", "removed"):
            told = await self.event(everything)
            self.assertEqual(
                told, ("route.changed", {"id": "b", "vHost": "b.example", "change": change})
            )
        origin.peer.set_accepting(Accepting.REFUSE)
        for listener in (everything, deaths):
            name, data = await self.event(listener)
            self.assertEqual((name, data["route"], data["backend"]), ("backend.dead", "a", "one"))
            self.assertTrue(data["cause"])
        origin.peer.set_accepting(Accepting.ACCEPT)

        async def is_back() -> bool:
            # A good probe lets a request through, and that finds it alive.
            await self.visit(edge, "a.example")
            return not (await api.get("/routes/a/backends/one"))["isDead"]

        await self.until_true(is_back, "it is back")
        name, data = await self.event(everything)
        while name == "request.completed":
            name, data = await self.event(everything)
        self.assertEqual((name, data), ("backend.alive", {"route": "a", "backend": "one"}))
        name, data = await self.event(requests)
        self.assertEqual(
            (name, data["route"], data["vHost"]), ("request.completed", "a", "a.example")
        )
        self.assertEqual((await api("GET", "/events?name=nothing")).status, 400)

    async def test_many_listeners(self) -> None:
        """There is a bound of them, which says so; one who leaves makes room."""
        edge, api, _ = await self.start()
        listeners = [await self.listen(edge) for _ in range(32)]
        refused = await api("GET", "/events")
        self.assertEqual((refused.status, refused.field("retry-after")), (503, "5"))
        listeners[0].reset()

        async def there_is_room() -> bool:
            with contextlib.suppress(AssertionError):
                await self.listen(edge)
                return True
            return False

        await self.until_true(there_is_room, "there is room")


class WholeTests(EdgeCase):
    """All of it at once."""

    async def test_backup_and_roll_back(self) -> None:
        """What was read is put back whole, keys and hashes with it, and works as before."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin, other = self.api(edge), self.origin(), self.origin()
        pair = self.pair("a.example")
        await api.done("PUT", "/certificates/a.example", {"cert": pair.cert, "key": pair.key})
        self.secrets.append("canary-user-password")
        user = {"name": "u", "password": "canary-user-password"}
        await api.done("POST", "/auth-providers", {"id": "p", "type": "basic", "users": [user]})
        await self.route(api, "a.example", backend(origin, "one"))
        await self.route(api, "b.example", backend(origin, "one"), authProvider="p")
        shown, secret = await api.get("/config"), await api.get("/config?secrets=1")
        self.assert_no_secret(json.dumps(shown))
        self.assertNotIn("passwordHash", json.dumps(shown))
        self.assertIn(pair.key, secret["certificates"][0]["key"])

        await api.done("PATCH", "/routes/a", {"backends": [backend(other, "two")]})
        await api.done("DELETE", "/routes/b")
        # Keys are not in this one, and stay with what they belong to.
        await api.done(
            "PUT", "/config", {**shown, "authProviders": [], "routes": shown["routes"][:1]}
        )
        self.assertEqual([r["id"] for r in await api.get("/routes")], ["a"])
        await api.done("DELETE", "/certificates/a.example")
        reply = await api("PUT", "/config", shown)
        self.assertEqual(reply.status, 422)
        self.assertIn("/certificates/0/key", reply.pointers)
        self.assertIn("/authProviders/0/users/0/passwordHash", reply.pointers)

        back = await api.done("PUT", "/config?secrets=1", secret)
        self.assertEqual(back.json(), secret)
        connection = await self.secure(edge, "a.example")
        self.assertEqual((await self.say(connection, "a.example")).status, 200)
        self.assertEqual((await self.visit(edge, "b.example")).status, 401)
        right = "Authorization: Basic dTpjYW5hcnktdXNlci1wYXNzd29yZA=="
        self.assertEqual((await self.visit(edge, "b.example", "/", right)).status, 200)
        self.assertEqual(len(other.visits), 0)

    async def test_all_or_nothing(self) -> None:
        """One fault in the last of many routes, and none of them is there."""
        edge, api, _ = await self.start()
        before = await api("GET", "/config")
        routes = [{"vHost": f"r{number}.example"} for number in range(100)]
        for wrong in (
            {"vHost": "r5.example"},
            {"vHost": "new.example", "authProvider": "nobody"},
            {"vHost": "new.example", "backends": [{"hostname": "127.0.0.1", "port": edge.port}]},
        ):
            whole = {"routes": [*routes, wrong], "certificates": [], "authProviders": []}
            reply = await api("PUT", "/config", whole)
            self.assertEqual(reply.status, 422, wrong)
            self.assertTrue(all(each.startswith("/routes/100/") for each in reply.pointers))
        self.assertEqual((await api("PUT", "/config", {"routes": []})).status, 422)
        self.assertEqual((await api("GET", "/config")).etag, before.etag)
        self.assertEqual((await self.visit(edge, "r1.example")).status, 404)
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)

    async def test_log_level(self) -> None:
        """It is another one from its answer on: what is only told at debug is not told before."""
        edge, api, origin = await self.start("--log-level", "silent")
        await api.done("PUT", "/log-level", {"level": "info"})
        self.assertEqual(await api.get("/log-level"), {"level": "info"})
        origin.peer.set_accepting(Accepting.REFUSE)
        await self.visit(edge, "a.example")
        await until(lambda: "Backend one of a is dead" in edge.output, SECONDS, "it is logged")
        self.assertNotIn("The API's token", edge.output)

    async def test_description(self) -> None:
        """OpenAPI describes every path that there is; the page for people needs no token."""
        edge, api, _ = await self.start()
        described = await api.get("/openapi.json")
        self.assertTrue(described["openapi"].startswith("3."))
        paths = set(described["paths"])
        for path in ("/routes", "/routes/{vHost}", "/config", "/events", "/certificates/{domain}"):
            self.assertTrue(paths & {path, BASE + path}, path)
        page = await self.curl("--include", f"{edge.api_url}/docs")
        self.assertIn(" 200 OK", page.stdout)
        self.assertIn("content-security-policy: default-src 'none'", page.stdout.lower())
