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

#: How many write at once, each what is its own.
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
    Writers that change routes, certificates, and several routes in one.

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
        self.written = [Written() for _ in range(WRITERS + 2)]
        self.pairs = [self.pair("killed.example") for _ in range(3)]
        self.target = backend(self.origin())
        self.turns = 0
        first = edge = await self.edge()
        for number in range(self.rounds):
            api = self.api(edge)
            await self.look(edge, api)
            if number % 4 == 3:
                writers = [
                    self.write_all(self.api(edge), self.written[-1]),
                    self.write_routes(self.api(edge), 0),
                ]
            else:
                writers = [
                    *(self.write_routes(self.api(edge), n) for n in range(WRITERS)),
                    self.write_certificate(self.api(edge), self.written[-2]),
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
        routes = {route["id"]: shown(route) for route in config["routes"]}
        wrong = []
        for number in range(WRITERS):
            mine = {id: each for id, each in routes.items() if id.startswith(f"w{number}-")}
            wrong += self.written[number].seen(mine)
        pairs = {
            each["domain"]: {"cert": each["cert"].strip(), "key": each["key"].strip()}
            for each in config["certificates"]
        }
        wrong += self.written[-2].seen(pairs)
        both = {id: each for id, each in routes.items() if id.startswith("both-")}
        wrong += self.written[-1].seen(both)
        self.assertEqual(wrong, [])
        for id, document in [*routes.items()][:2]:
            answer = await self.visit(edge, f"{id}.example")
            self.assertEqual(answer.status, 200 if document["backends"] else 503)

    async def write_routes(self, api: Api, number: int) -> None:
        """Make, change and remove routes until the edge is gone."""
        written = self.written[number]
        try:
            while True:
                id = f"w{number}-{self.chance.randrange(THINGS)}"
                there = written.there.get(id)
                path = f"/routes/{id}"
                if there is not None and self.chance.random() < 0.3:
                    await self.write(written, api, "DELETE", path, id, None)
                    continue
                document = self.route_document(id)
                method = "PUT" if there is None or self.chance.random() < 0.5 else "PATCH"
                if method == "PATCH":
                    # What is not named stays: so all that there was is named.
                    gone = dict.fromkeys(there["headers"]) if there else {}
                    document["headers"] = {**gone, **document["headers"]}
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

    async def write_certificate(self, api: Api, written: Written) -> None:
        """Upload one pair after the other for one domain."""
        try:
            while True:
                pair: Pair = self.chance.choice(self.pairs)
                document = {"cert": pair.cert, "key": pair.key}
                written.asked = {
                    "killed.example": {name: text.strip() for name, text in document.items()}
                }
                await api.done("PUT", "/certificates/killed.example", document)
                written.answered()
                self.turns += 1
        except GONE:
            pass

    async def write_all(self, api: Api, written: Written) -> None:
        """Change two routes in one, against somebody else who changes another one."""
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


def shown(route: Document) -> Document:
    """What is to be compared of a route."""
    return {
        "headers": {name: value for name, value in route["headers"].items() if value is not None},
        "backends": [each["id"] for each in route["backends"]],
    }
