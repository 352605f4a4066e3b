"""``kill -9`` in the middle of writes: what was answered is there, and nothing is there by half."""

from __future__ import annotations

import random
import typing

import attrs
import h11
from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.ended import ConnectionEnded
from tests.aluvia_process import until
from tests.edge_case import SECONDS, EdgeCase, Pair, backend
from tests.edge_process import Api, EdgeProcess

Document = dict[str, typing.Any]

#: How many write routes at once, each its own.
WRITERS = 6

#: How many things each has.
THINGS = 3

#: What is in the way of a writer whose edge is killed.
GONE = (ConnectionEnded, OSError, h11.RemoteProtocolError)


@attrs.define
class Written:
    """
    What one writer knows.

    :ivar there: what it was told is there, by its id; None for what it was told is not.
    :ivar asked: what it has asked for and was not answered, by the same ids.
    """

    there: dict[str, Document | None] = attrs.Factory(dict)
    asked: dict[str, Document | None] = attrs.Factory(dict)

    def answered(self) -> None:
        """What was asked for is there."""
        self.there.update(self.asked)
        self.asked = {}

    def seen(self, found: dict[str, Document]) -> list[str]:
        """
        Take note of what there is after a restart; what is wrong with it.

        What was not answered is there or is not, all of it together.
        """
        before = {id: document for id, document in self.there.items() if document is not None}
        wanted = {**self.there, **self.asked}
        after = {id: document for id, document in wanted.items() if document is not None}
        self.there, self.asked = dict(found), {}
        return [] if found in (before, after) else [f"{found} is neither {before} nor {after}"]


class KillTests(EdgeCase):
    """
    Writers that change routes, backends, providers, certificates, and several routes in one.

    :cvar rounds: how often the edge is killed. (:mod:`tests.peers.test_edge_kill` has more.)
    """

    timeout = 900
    rounds = 20

    async def test_killed_while_it_is_written_to(self) -> None:
        """
        Killed again and again, at any moment: after each restart all is there that was answered
        2xx, and of the rest each change whole or not at all.
        """
        self.chance = random.Random(self.rounds)
        self.routes = [f"w{number}" for number in range(WRITERS)]
        names = [*self.routes, "backend", "provider", "certificate", "both"]
        self.written = {name: Written() for name in names}
        self.pairs = [self.pair("killed.example") for _ in range(3)]
        self.target = backend(self.origin())
        self.turns = 0
        first = edge = await self.edge()
        await self.route(self.api(edge), "held.example")
        for number in range(self.rounds):
            api = self.api(edge)
            await self.look(edge, api)
            if number % 4 == 3:
                writers = [self.write_all(api), self.write_routes(self.api(edge), "w0")]
            else:
                writers = [
                    *(self.write_routes(self.api(edge), name) for name in self.routes),
                    self.write_backends(self.api(edge)),
                    self.write_providers(self.api(edge)),
                    self.write_certificate(self.api(edge)),
                ]
            writing = [Deferred.fromCoroutine(each) for each in writers]
            enough = self.turns + self.chance.randrange(1, 40)
            await until(lambda n=enough: self.turns >= n, SECONDS, "it is written")  # type: ignore[misc]
            edge.kill()
            await gatherResults(writing)
            await edge.wait()
            self.assertEqual(edge.status, 137)
            edge = await self.edge(db=first.db)
        await self.look(edge, self.api(edge))
        self.assertGreater(self.turns, self.rounds)

    async def look(self, edge: EdgeProcess, api: Api) -> None:
        """See that all is there, and served."""
        config = await api.get("/config?secrets=1")
        routes = {route["id"]: route for route in config["routes"]}
        things = {
            **{id: shown(route) for id, route in routes.items()},
            **{each["id"]: shown(each) for each in routes["held"]["backends"]},
            **{each["id"]: shown(each) for each in config["authProviders"]},
            **{f"certificate-{each['domain']}": shown(each) for each in config["certificates"]},
        }
        wrong = []
        for name, written in self.written.items():
            wrong += written.seen(
                {id: each for id, each in things.items() if id.startswith(f"{name}-")}
            )
        self.assertEqual(wrong, [])
        for id, document in [*routes.items()][:3]:
            answer = await self.visit(edge, f"{id}.example")
            self.assertEqual(answer.status, 200 if document["backends"] else 503)

    async def write_routes(self, api: Api, name: str) -> None:
        """Make, change and remove routes until the edge is gone."""
        await self.write_things(api, name, "/routes", self.route_document)

    async def write_backends(self, api: Api) -> None:
        """The same with backends of one route."""

        def document(id: str) -> Document:
            return {**self.target, "id": id, "weight": self.chance.randrange(1, 1_000)}

        await self.write_things(api, "backend", "/routes/held/backends", document)

    async def write_providers(self, api: Api) -> None:
        """The same with providers."""

        def document(id: str) -> Document:
            turn = self.chance.randrange(1_000_000)
            tokens = [{"name": f"{turn}-{n}", "tokenHash": f"{turn:064x}"} for n in range(turn % 4)]
            return {"id": id, "type": "bearer", "realm": str(turn), "tokens": tokens}

        await self.write_things(api, "provider", "/auth-providers", document)

    async def write_things(
        self, api: Api, name: str, collection: str, make: typing.Callable[[str], Document]
    ) -> None:
        """Make, change and remove what is in a collection."""
        written = self.written[name]
        try:
            while True:
                id = f"{name}-{self.chance.randrange(THINGS)}"
                there = written.there.get(id)
                path = f"{collection}/{id}"
                if there is not None and self.chance.random() < 0.3:
                    await self.write(written, api, "DELETE", path, id, None)
                    continue
                document = make(id)
                method = "PUT" if there is None or self.chance.random() < 0.5 else "PATCH"
                if there is not None and method == "PATCH" and "headers" in document:
                    # What is not named stays: so all that there was is named.
                    document["headers"] = {
                        **dict.fromkeys(there["headers"]),
                        **document["headers"],
                    }
                await self.write(written, api, method, path, id, document)
        except GONE:
            pass

    async def write(
        self,
        written: Written,
        api: Api,
        method: str,
        path: str,
        id: str,
        document: Document | None,
    ) -> None:
        """Change one thing."""
        written.asked = {id: None if document is None else shown(document)}
        await api.done(method, path, document)
        written.answered()
        self.turns += 1

    async def write_certificate(self, api: Api) -> None:
        """Upload one pair after the other for one domain."""
        id, path = "certificate-killed.example", "/certificates/killed.example"
        try:
            while True:
                pair: Pair = self.chance.choice(self.pairs)
                document = {"cert": pair.cert, "key": pair.key}
                await self.write(self.written["certificate"], api, "PUT", path, id, document)
        except GONE:
            pass

    async def write_all(self, api: Api) -> None:
        """Change two routes in one, against somebody else who changes another one."""
        written = self.written["both"]
        try:
            while True:
                reply = await api("GET", "/config?secrets=1")
                whole = reply.json()
                turn = self.chance.randrange(1_000_000)
                both = [self.route_document(f"both-{end}", turn) for end in "ab"]
                others = [r for r in whole["routes"] if not r["id"].startswith("both-")]
                written.asked = {each["id"]: shown(each) for each in both}
                answer = await api(
                    "PUT",
                    "/config?secrets=1",
                    {**whole, "routes": [*others, *both]},
                    If_Match=reply.etag,
                )
                if answer.status == 200:
                    written.answered()
                    self.turns += 1
                else:
                    self.assertEqual(answer.status, 412)
                    written.asked = {}
        except GONE:
            pass

    def route_document(self, id: str, turn: int | None = None) -> Document:
        """A route that says in several places which one it is."""
        turn = self.chance.randrange(1_000_000) if turn is None else turn
        backends = [{**self.target, "id": f"{turn}-{n}"} for n in range(turn % 4)]
        headers = {"X-Turn": str(turn), f"X-{turn}": "x" * (turn % 5_000)}
        return {"id": id, "vHost": f"{id}.example", "headers": headers, "backends": backends}


def shown(document: Document) -> Document:
    """What is to be compared of a route, a backend, a provider or a certificate."""
    compared: Document = {name: document[name] for name in ("weight", "realm") if name in document}
    for name in ("cert", "key"):
        if name in document:
            compared[name] = document[name].strip()
    if "headers" in document:
        headers = document["headers"]
        compared["headers"] = {name: value for name, value in headers.items() if value is not None}
    if "backends" in document:
        compared["backends"] = [each["id"] for each in document["backends"]]
    if "tokens" in document:
        compared["tokens"] = [each["name"] for each in document["tokens"]]
    return compared
