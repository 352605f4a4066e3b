"""What is changed at the edge while it serves: nobody notices whom it is not about."""

from __future__ import annotations

import json
import ssl
import typing

from twisted.internet.defer import Deferred

from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin, Visit, echo
from tests.aluvia_process import until
from tests.edge_case import SECONDS, EdgeCase, backend, issue, request
from tests.edge_load import usual_load
from tests.edge_process import Api, EdgeProcess
from tests.support import Certificates

STRATEGIES = ("ROUND_ROBIN", "RANDOM", "IP_HASH", "LEAST_LATENCY")

#: How often everything is changed.
TIMES = 100


class ChangeTests(EdgeCase):
    """A load of all kinds of clients, and an operator who is never content."""

    timeout = 240

    async def serve(self, *hosts: str) -> tuple[EdgeProcess, Api, FakeOrigin]:
        """Start an edge with these hosts, in the clear and inside TLS, on one origin."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin = self.api(edge), self.origin()
        for host in hosts:
            await self.route(api, host, backend(origin, "one"), reqActiveLength=200)
            await self.certify(api, host)
        return edge, api, origin

    async def certify(self, api: Api, host: str, certificates: Certificates | None = None) -> None:
        """Give a host a new certificate; by this authority, if it is not that of the test."""
        pair = issue(certificates or self.certificates, host)
        self.secrets += pair.secrets
        await api.done("PUT", f"/certificates/{host}", {"cert": pair.cert, "key": pair.key})

    async def shown(self, edge: EdgeProcess, host: str, certificates: Certificates) -> None:
        """Connect anew: what is shown there is of this authority."""
        connection = await self.secure(edge, host, certificates)
        connection.reset()

    async def test_others_do_not_notice(self) -> None:
        """
        Routes, backends and certificates are made, changed and deleted a hundred times. Not one
        request fails of those who ask for what was not touched, and no WebSocket ends.
        """
        edge, api, origin = await self.serve("steady.example", "other.example")
        load = await usual_load(self, edge, "steady.example", "other.example")
        others = Certificates()
        pair = self.pair("made.example")
        made: dict[str, typing.Any] = {
            "vHost": "made.example",
            "ssl": {"cert": pair.cert, "key": pair.key},
        }
        for number in range(TIMES):
            made["strategy"] = STRATEGIES[number % 4]
            made["backends"] = [
                backend(origin, "a"),
                {"id": "b", "hostname": "127.0.0.1", "port": 9},
            ]
            await api.done("POST", "/routes", {**made, "id": f"made-{number}"})
            name = f"/routes/made-{number}"
            await api.done("PATCH", name, {"headers": {"X-Number": str(number)}})
            await api.done("POST", f"{name}/backends", backend(origin, "c", weight=number + 1))
            await api.done("POST", f"{name}/backends/c/dead")
            await api.done("POST", f"{name}/backends/c/ready")
            await api.done("DELETE", f"{name}/backends/a")
            host = f"c{number}.example"
            for authority in (self.certificates, others):
                await self.certify(api, host, authority)
                await self.shown(edge, host, authority)
            await api.done("DELETE", f"/certificates/{host}")
            with self.assertRaises(ssl.SSLCertVerificationError):
                await self.shown(edge, host, others)
            if number % 5 == 0:
                self.assertEqual((await self.visit(edge, "made.example")).status, 200)
                whole = await api.get("/config?secrets=1")
                await api.done("PUT", "/config?secrets=1", whole)
                await load.turn()
            await api.done("DELETE", name)
        await load.turn()
        self.assertGreater(await load.stop(), 12 * 20)

    async def test_route_that_is_changed_goes_on(self) -> None:
        """
        What is changed itself is served all the while: its fields, its strategy, its certificate,
        and all of it at once.
        """
        edge, api, origin = await self.serve("moving.example")
        load = await usual_load(self, edge, "moving.example")
        for number in range(TIMES):
            await api.done(
                "PATCH",
                "/routes/moving",
                {"headers": {"X-Number": str(number)}, "strategy": STRATEGIES[number % 4]},
            )
            seen = await self.seen(edge, "moving.example")
            self.assertEqual(seen["x-number"], str(number))
            document = {"vHost": "moving.example", "reqActiveLength": 200 + number}
            await api.done(
                "PUT", "/routes/moving", {**document, "backends": [backend(origin, "one")]}
            )
            if number % 5 == 0:
                await self.certify(api, "moving.example")
                whole = await api.get("/config")
                whole["routes"][0]["id"] = f"moving-{number}"
                await api.done("PUT", "/config", whole)
                whole["routes"][0]["id"] = "moving"
                await api.done("PUT", "/config", whole)
                await load.turn()
        await load.turn()
        await load.stop()

    async def test_backends_come_and_go(self) -> None:
        """
        Backends are added, drained, made ready and removed. No request fails; a drained one gets
        none from the answer on, and neither does one that is removed.
        """
        edge, api, _ = await self.serve("moving.example")
        load = await usual_load(self, edge, "moving.example")
        leaving = self.origin()
        asked = 0

        async def count(visit: Visit) -> None:
            nonlocal asked
            asked += 1
            await echo(visit)

        leaving.fallback = count
        place = "/routes/moving/backends"
        for number in range(TIMES // 4):
            await api.done("PATCH", "/routes/moving", {"strategy": STRATEGIES[number % 2]})
            await api.done("POST", place, backend(leaving, "leaving", weight=3))
            await load.turn()
            for word in ("drain", "dead", "removed"):
                before = asked
                await api.done("POST", f"{place}/leaving/ready")
                await until(
                    lambda n=before: load.failures or asked > n,  # type: ignore[misc]
                    SECONDS,
                    "it is asked",
                )
                if word == "removed":
                    await api.done("DELETE", f"{place}/leaving")
                else:
                    await api.done("POST", f"{place}/leaving/{word}")
                # What was on its way then has arrived.
                await load.turn()
                before = asked
                await load.turn()
                self.assertEqual(asked, before, word)
        await load.stop()


class UnderWayTests(EdgeCase):
    """What is under way where a backend or a route is taken away."""

    async def test_it_comes_to_its_end(self) -> None:
        """Answers become whole, and WebSockets go on; whatever is done with what they are at."""
        ways = {
            "drained": ("POST", "/backends/one/drain", None),
            "dead": ("POST", "/backends/one/dead", None),
            "removed": ("DELETE", "/backends/one", None),
            "elsewhere": ("PATCH", "/backends/one", {"port": 9}),
            "route-removed": ("DELETE", "", None),
        }
        edge = await self.edge()
        api, origin = self.api(edge), self.origin()
        held: list[tuple[Visit, Deferred[None]]] = []

        async def hold(visit: Visit) -> None:
            await visit.begin(200, [(b"Content-Length", b"10")])
            await visit.send(b"first")
            release: Deferred[None] = Deferred()
            held.append((visit, release))
            await release
            await visit.send(b"-last")
            await visit.end()

        origin.routes["/held"] = hold
        clients = {}
        for name in ways:
            host = f"{name}.example"
            await self.route(api, host, backend(origin, "one"))
            asking, stream = await self.connect(edge), await self.connect(edge)
            await asking.send(request(host, "/held"))
            await asking.read_until(b"\r\n\r\n")
            asking.give_back(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            self.assertEqual((await self.upgrade(stream, host)).status, 101)
            clients[name] = asking, stream
        await until(lambda: len(held) == len(ways), SECONDS, "all are asked")
        for name, (method, path, document) in ways.items():
            await api.done(method, f"/routes/{name}{path}", document)
        for _, release in held:
            release.callback(None)
        for name, (asking, stream) in clients.items():
            self.assertEqual((await read_response(asking)).body, b"first-last", name)
            await stream.send(b"hello")
            self.assertEqual(await stream.read_exactly(5), b"hello", name)
        self.assertEqual((await self.visit(edge, "route-removed.example")).status, 404)
        self.assertEqual((await self.visit(edge, "removed.example")).status, 503)

    async def test_waiting_for_a_turn(self) -> None:
        """Who waits in line keeps the place when the route is changed, and has it sooner if so."""
        edge, api, origin = await self.start(reqActiveLength=1)
        release: Deferred[None] = Deferred()

        async def hold(visit: Visit) -> None:
            await release
            await visit.answer(200, [], b"held")

        origin.routes["/held"] = hold
        first, second = await self.connect(edge), await self.connect(edge)
        await first.send(request("a.example", "/held"))
        await until(lambda: len(origin.visits) == 1, SECONDS, "it is asked")
        await second.send(request("a.example", "/second"))

        async def is_in_line() -> bool:
            return bool((await api.get("/stats/a"))["queued"] == 1)

        await self.until_true(is_in_line, "it waits")
        await api.done("PATCH", "/routes/a", {"headers": {"X-Changed": "yes"}})
        self.assertTrue(await is_in_line())
        await api.done("PATCH", "/routes/a", {"reqActiveLength": 2})
        seen = json.loads((await read_response(second)).body)
        self.assertEqual(dict(seen["headers"])["X-Changed"], "yes")
        release.callback(None)
        self.assertEqual((await read_response(first)).body, b"held")
