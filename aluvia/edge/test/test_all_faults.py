"""All that is wrong is told at once: by the document, between its parts, and by what would run."""

from __future__ import annotations

import json
import typing
from pathlib import Path

from aluvia.api.problems import Problem
from aluvia.edge.edge import Edge
from aluvia.edge.model import Backend, KeyPair
from aluvia.edge.routes_file import RoutesFileError
from aluvia.edge.test import issuing
from aluvia.edge.test.edge_case import HOST
from aluvia.edge.test.whole_edge_case import WholeEdgeCase
from aluvia.testing.http import Response

Document = dict[str, typing.Any]


def pair(name: str, ends: float = 4e9) -> Document:
    """A certificate and its key."""
    made = issuing.issue(name, begins=0.0, ends=ends)
    return {"cert": made.cert, "key": made.key}


class FaultsCase(WholeEdgeCase):
    """An edge, and what is wrong with what it is sent."""

    async def setUp(self) -> None:  # type: ignore[override]
        """It has a routes file, which is empty."""
        super().setUp()
        self.routes = Path(self.mktemp()).absolute()
        self.routes.write_text("{}")
        self.edge: Edge = await self.start(self.settings(routes=self.routes))

    @property
    def loop(self) -> Document:
        """A backend that is the edge itself."""
        return {"hostname": "127.0.0.1", "port": self.edge.ingress.place("http")[1]}

    async def told(self, method: str, path: str, document: Document) -> list[str]:
        """What is told, by its places; nothing has changed."""
        before = self.edge._configuration.state
        answer: Response = await self.ask_api(self.edge, path, method, json.dumps(document))
        self.assertEqual(answer.status, 422, answer.body)
        self.assertIs(self.edge._configuration.state, before)
        return [each["pointer"] for each in json.loads(answer.body)["errors"]]

    def bad_route(self) -> Document:
        """One with a fault of every kind, and where they are."""
        return {
            "vHost": "a b",
            "retries": -1,
            "authProvider": "nobody",
            "ssl": {"cert": pair("a.test")["cert"], "key": pair("a.test")["key"]},
            "backends": [self.loop, {"hostname": "x y", "port": 1}],
        }

    PLACES = (
        *("/authProvider", "/backends/0", "/backends/1/hostname"),
        *("/retries", "/ssl/key", "/vHost"),
    )


class FaultsTests(FaultsCase):
    """What is told in one answer."""

    async def test_a_route(self) -> None:
        """Its fields, its certificate, its provider, and backends that are the edge itself."""
        for method, path in (("POST", "/api/v1/routes"), ("PUT", "/api/v1/routes/a.test")):
            document = self.bad_route()
            if method == "PUT":
                document |= {"vHost": "a.test", "pathPrefix": "x"}
            told = await self.told(method, path, document)
            expected = [place for place in self.PLACES if method == "POST" or place != "/vHost"]
            if method == "PUT":
                expected.append("/pathPrefix")
            self.assertCountEqual(told, expected)

    async def test_a_backend(self) -> None:
        """One that is the edge itself, with a fault besides."""
        await self.edge.router.add_route(self.route())
        path = "/api/v1/routes/service-a/backends"
        told = await self.told("POST", path, self.loop | {"weight": 0})
        self.assertCountEqual(told, ["", "/weight"])
        endpoint = f"tcp:127.0.0.1:{self.loop['port']}"
        told = await self.told("POST", path, {"endpoint": endpoint, "weight": 0})
        self.assertCountEqual(told, ["", "/weight"])

    def whole(self) -> tuple[Document, list[str]]:
        """A configuration with faults in two routes, a certificate and two providers."""
        second = {
            "vHost": HOST,
            "ssl": pair("other.test"),
            "authProvider": "nobody",
            "backends": [self.loop],
        }
        document: Document = {
            "routes": [self.bad_route(), {"vHost": "good.test"}, second],
            "certificates": [
                {"domain": "old.test", **pair("old.test", ends=1.0)},
                {"domain": "a b", **pair("a.test", ends=1.0)},
            ],
            "authProviders": [
                {"id": "users", "type": "basic", "users": [{"name": "a", "passwordHash": "x"}]},
                {"id": "code", "type": "entryPoint", "entryPoint": "nobody-has-this"},
            ],
        }
        places = [f"/routes/0{place}" for place in self.PLACES]
        places += ["/routes/2/ssl/cert", "/routes/2/authProvider", "/routes/2/backends/0"]
        places += ["/certificates/0/cert", "/certificates/1/domain", "/certificates/1/cert"]
        places += ["/authProviders/0/users/0/passwordHash", "/authProviders/1/entryPoint"]
        return document, places

    async def test_the_whole(self) -> None:
        """Faults in two routes, in certificates and in providers, and nothing of it is applied."""
        document, places = self.whole()
        told = await self.told("PUT", "/api/v1/config", document)
        self.assertCountEqual(told, places)

    async def test_the_routes_file(self) -> None:
        """The same."""
        document, places = self.whole()
        self.routes.write_text(json.dumps(document))
        with self.assertRaises(RoutesFileError) as caught:
            await self.edge.read_routes()
        self.assertCountEqual([fault.pointer for fault in caught.exception.faults], places)

    async def test_python(self) -> None:
        """So it is of what a program gives it."""
        loop = Backend(id="b", **self.loop)
        mixed = KeyPair(cert=pair(HOST)["cert"], key=pair(HOST)["key"])
        twice = (("X-A", "1"), ("X-A", "2"))
        route = self.route(v_host="a b", backends=(loop,), ssl=mixed, headers=twice)
        with self.assertRaises(Problem) as caught:
            await self.edge.router.add_route(route)
        self.assertCountEqual(
            [fault.pointer for fault in caught.exception.faults],
            ["/vHost", "/backends/0", "/ssl/key", "/headers"],
        )
