"""An edge in a program: its Python face, its API beside it, and what outlives it."""

from __future__ import annotations

import json
from pathlib import Path

import trustme

from aluvia.api.problems import Problem
from aluvia.edge.edge import Edge
from aluvia.edge.events import Event
from aluvia.edge.model import Backend, Certificate, KeyPair
from aluvia.edge.settings import Settings
from aluvia.edge.test.edge_case import HOST, reactor
from aluvia.edge.test.whole_edge_case import WholeEdgeCase
from aluvia.process.sources import SettingsError
from aluvia.store.errors import StoreError
from aluvia.testing.faults import Accepting, FaultPeer


class EdgeTests(WholeEdgeCase):
    """Its Python face, and what outlives it."""

    async def test_the_seeds_example(self) -> None:
        """A route is served as soon as it is added, and is there after a restart."""
        edge = await self.start()
        self.assertEqual((await self.ask(edge)).status, 404)
        added = await edge.router.add_route(self.route(v_host="EDGE.test."))
        self.assertEqual(added.v_host, HOST)
        self.assertGreater(added.revision, 0)
        self.assertEqual((await self.ask(edge)).status, 200)
        with self.assertRaises(Problem) as caught:
            await edge.router.add_route(self.route(id="another"))
        self.assertEqual(caught.exception.status, 409)
        await edge.stop()
        again = await self.start()
        self.assertEqual(again.router.routes, (added,))
        self.assertEqual((await self.ask(again)).status, 200)
        await again.router.remove_route(HOST)
        self.assertEqual((await self.ask(again)).status, 404)
        with self.assertRaises(Problem) as caught:
            await again.router.remove_route("service-a")
        self.assertEqual(caught.exception.status, 404)

    async def test_backends(self) -> None:
        """They come and go, and are marked."""
        edge = await self.start()
        router = edge.router
        await router.add_route(self.route())
        await router.add_backend("service-a", self.backend("node-2"))
        await router.mark_dead(HOST, "node-1")
        await router.mark_draining(HOST, "node-2")
        self.assertEqual((await self.ask(edge)).status, 503)
        await router.mark_ready(HOST, "node-2")
        self.assertEqual((await self.ask(edge)).status, 200)
        await router.remove_backend(HOST, "node-1")
        (route,) = router.routes
        self.assertEqual([each.id for each in route.backends], ["node-2"])
        for name, id in ((HOST, "node-1"), ("nobody.test", "node-2")):
            with self.assertRaises(Problem) as caught:
                await router.mark_dead(name, id)
            self.assertEqual(caught.exception.status, 404)

    async def test_what_cannot_be(self) -> None:
        """It is refused, with every fault, and nothing has changed."""
        edge = await self.start()
        port = edge.ingress.place("http")[1]
        assert edge.api_port is not None
        loop = Backend(id="self", hostname="127.0.0.1", port=port)
        named = Backend(id="named", hostname="localhost", port=port)
        api = Backend(id="api", hostname="127.0.0.1", port=edge.api_port)
        for backends in ((loop,), (named,), (api,)):
            with self.assertRaises(Problem) as caught:
                await edge.router.add_route(self.route(backends=backends))
            self.assertEqual(caught.exception.status, 422)
            (fault,) = caught.exception.faults
            self.assertEqual(fault.pointer, "/backends/0")
        with self.assertRaises(Problem):
            await edge.router.add_route(self.route(v_host="a.*.test", retries=-1))
        with self.assertRaises(Problem):
            await edge.router.add_route(self.route(auth_provider="nobody"))
        self.assertEqual(edge.router.routes, ())

    async def test_certificates(self) -> None:
        """They are shown at once, and told of."""
        told: list[Event] = []
        edge = Edge(http_port=None, https_port=0, reactor=reactor)
        self.addCleanup(edge.stop)
        await edge.start()
        edge.events.subscribe("certificate.changed", told.append)
        issued = trustme.CA().issue_cert(HOST)
        pair = KeyPair(
            cert=issued.cert_chain_pems[0].bytes().decode(),
            key=issued.private_key_pem.bytes().decode(),
        )
        await edge.router.put_certificate(Certificate(domain=HOST, pair=pair))
        self.assertIsNotNone(edge.ingress.certificates.map.find(HOST))
        await edge.router.remove_certificate(HOST)
        self.assertIsNone(edge.ingress.certificates.map.find(HOST))
        self.assertEqual([each.data["domain"] for each in told], [HOST, HOST])

    async def test_certificates_in_files(self) -> None:
        """What becomes of them is told, too."""
        told: list[Event] = []
        directory = Path(self.mktemp())
        place = directory / "shop"
        place.mkdir(parents=True)
        authority = trustme.CA()

        def issue() -> None:
            issued = authority.issue_cert(HOST)
            issued.private_key_pem.write_to_path(place / "privkey.pem")
            issued.cert_chain_pems[0].write_to_path(place / "fullchain.pem")

        issue()
        edge = Edge(Settings(http=None, https=None, certificates=directory), reactor=reactor)
        self.addCleanup(edge.stop)
        await edge.start()
        edge.events.subscribe("certificate.changed", told.append)
        edge.read_certificates()
        self.assertEqual(told, [])
        issue()
        edge.read_certificates()
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
        edge.read_certificates()
        self.assertEqual(
            [event.data for event in told],
            [{"domain": "shop", "change": change} for change in ("changed", "removed")],
        )

    async def test_events(self) -> None:
        """A backend that dies is told of, and shown by the API."""
        edge = await self.start()
        told: list[Event] = []
        edge.events.subscribe("backend.dead", told.append)
        peer = FaultPeer(reactor, [], accepting=Accepting.REFUSE)
        self.addCleanup(peer.stop)
        gone = Backend(id="gone", hostname="127.0.0.1", port=peer.port)
        await edge.router.add_route(self.route(backends=(gone, self.backend())))
        self.assertEqual((await self.ask(edge)).status, 200)
        (event,) = told
        self.assertEqual((event.data["route"], event.data["backend"]), ("service-a", "gone"))
        answer = await self.ask_api(edge, f"/api/v1/routes/{HOST}/backends")
        dead = {each["id"]: each["isDead"] for each in json.loads(answer.body)}
        self.assertEqual(dead, {"gone": True, "node-1": False})

    async def test_the_api(self) -> None:
        """What it changes is what Python sees; health, statistics and metrics are the edge's."""
        edge = await self.start()
        place = {"hostname": "127.0.0.1", "port": self.origin.port}
        body = json.dumps({"vHost": HOST, "backends": [place]})
        made = await self.ask_api(edge, "/api/v1/routes", "POST", body)
        self.assertEqual(made.status, 201)
        (route,) = edge.router.routes
        await self.ask(edge)
        stats = json.loads((await self.ask_api(edge, f"/api/v1/stats/{HOST}")).body)
        self.assertEqual(stats["windows"]["1m"]["requests"], 1)
        metrics = (await self.ask_api(edge, "/metrics")).body.decode()
        self.assertIn(f'route="{route.id}"', metrics)
        for path in ("/healthz", "/readyz"):
            self.assertEqual((await self.ask_api(edge, path)).status, 200)
        levelled = await self.ask_api(edge, "/api/v1/log-level", "PUT", '{"level": "debug"}')
        self.assertEqual(levelled.status, 200, levelled.body)
        shown = await self.ask_api(edge, "/api/v1/log-level")
        self.assertEqual(json.loads(shown.body), {"level": "debug"})

    async def test_a_routes_file(self) -> None:
        """It is put in force at the start, and again when it is read again; a bad one is not."""
        path = Path(self.mktemp() + ".json").absolute()
        place = {"hostname": "127.0.0.1", "port": self.origin.port}
        path.write_text(json.dumps({"routes": [{"vHost": HOST, "backends": [place]}]}))
        edge = await self.start(self.settings(routes=path))
        self.assertEqual((await self.ask(edge)).status, 200)
        path.write_text('{"routes": [{"vHost": 1}]}')
        with self.assertRaises(SettingsError) as caught:
            await edge.read_routes()
        self.assertIn("/routes/0/vHost", str(caught.exception))
        self.assertEqual((await self.ask(edge)).status, 200)
        path.write_text('{"routes": []}')
        await edge.read_routes()
        self.assertEqual((await self.ask(edge)).status, 404)

    async def test_a_damaged_store(self) -> None:
        """It is not started empty; it is said what can be done."""
        edge = await self.start()
        await edge.router.add_route(self.route())
        await edge.stop()
        self.db.write_bytes(b"\0" * 8192)
        for beside in ("-wal", "-shm"):
            self.db.with_name(self.db.name + beside).unlink(missing_ok=True)
        with self.assertRaises(StoreError) as caught:
            await self.start()
        self.assertIn(str(self.db), str(caught.exception))
