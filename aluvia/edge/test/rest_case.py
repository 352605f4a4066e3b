"""An edge's API in memory: a real store, and a data path that only remembers what it was told."""

from __future__ import annotations

import json
import typing

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from aluvia.api.problems import Fault, Problem
from aluvia.api.test.site_case import MemoryTransport, Reply, connect, head
from aluvia.edge.configuration import Apply, Configuration
from aluvia.edge.events import Event, EventBus
from aluvia.edge.fields import Judges
from aluvia.edge.model import AuthProvider, KeyPair, Snapshot
from aluvia.edge.passwords import hash_token
from aluvia.edge.rest import EdgeAPI
from aluvia.edge.rest_documents import Documents
from aluvia.edge.test.fake_hub import FakeHub
from aluvia.edge.test.fields_case import SCRYPT
from aluvia.edge.tunnel_view import TunnelView
from aluvia.store.database import MEMORY
from aluvia.store.engine import Store
from aluvia.telemetry.exposition import Exposition, Families

reactor: typing.Any = installed

TOKEN = "a-token-of-some-length"
JSON = "Content-Type: application/json"
MERGE_PATCH = "Content-Type: application/merge-patch+json"

CERT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
OTHER_CERT = "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n"


class FakeLive:
    """
    A data path.

    :ivar applied: what was put in force, in its order.
    :ivar refuses: raised by the next ones that are prepared, if it is set.
    """

    def __init__(self) -> None:
        self.applied: list[Snapshot] = []
        self.prepared: list[tuple[Snapshot, Snapshot]] = []
        self.refuses: Problem | None = None

    def prepare(self, before: Snapshot, after: Snapshot) -> Apply:
        """Remember it."""
        if self.refuses is not None:
            raise self.refuses
        self.prepared.append((before, after))
        return lambda: self.applied.append(after)


class FakeObserved:
    """What runs: one backend of each is dead."""

    log_level = "info"
    ready = True

    def __init__(self) -> None:
        self.hub = FakeHub()
        self.tunnels = TunnelView(self.hub, lambda: lambda tunnel: [f"/t/{tunnel.id}/"])

    def backend_runtime(self, route_id: str, backend_id: str) -> dict[str, object]:
        """``dead`` is."""
        dead = backend_id == "dead"
        return {
            "isDead": dead,
            "deadSince": 90.0 if dead else None,
            "failureCount": 3 if dead else 0,
            "active": 1,
            "latencyMs": 2.5,
        }

    def health(self) -> dict[str, object]:
        """Alive."""
        return {"status": "ok"}

    def readiness(self) -> dict[str, object]:
        """As it is said."""
        return {"ready": self.ready, "reason": None if self.ready else "It is draining."}

    async def scrape(self, accept: str) -> Exposition:
        """One number."""
        families = Families()
        families.gauge("aluvia_edge_routes", "Routes that there are.", 7)
        exposition = Exposition(accept)
        exposition.add(families)
        return exposition

    def stats(self, route_id: str | None) -> dict[str, object]:
        """Whose they are."""
        return {"route": route_id}

    def certificate(self, domain: str) -> dict[str, object]:
        """Its names."""
        return {"names": [domain], "notAfter": "2030-01-01T00:00:00Z"}

    def set_log_level(self, level: str) -> None:
        """Remember it."""
        self.log_level = level


async def hash_secrets(document: object, known: typing.Mapping[str, AuthProvider]) -> typing.Any:
    """Hash passwords, without taking long: the fake hash of each is of its length."""
    text = json.dumps(document)
    made = json.loads(text, object_hook=_hashed)
    await _at_once()
    return made


def fake_hash(length: int) -> str:
    """What :func:`hash_secrets` makes of a password of this length."""
    return f"{SCRYPT}{chr(length + 64) * 42}A"


def _hashed(entry: dict[str, typing.Any]) -> dict[str, typing.Any]:
    if "password" in entry:
        entry["passwordHash"] = fake_hash(len(entry.pop("password")))
    if isinstance(entry.get("token"), str):
        entry["tokenHash"] = hash_token(entry.pop("token"))
    return entry


def _at_once() -> Deferred[None]:
    done: Deferred[None] = Deferred()
    done.callback(None)
    return done


def judge_pair(pair: KeyPair, domain: str) -> list[str]:
    """Nothing is wrong, but where the name says so."""
    return ["The certificate is for another name."] if domain == "wrong.example" else []


class RestCase(TestCase):
    """An API over an empty configuration."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        """At second 100."""
        self.clock: typing.Any = Clock()
        self.clock.advance(100)
        self.store = Store(MEMORY, reactor.callFromThread)
        self.addCleanup(self.store.close)
        await self.store.open()
        self.live = FakeLive()
        self.observed = FakeObserved()
        self.bus = EventBus()
        self.events: list[Event] = []
        self.bus.subscribe("route.changed", self.events.append)
        self.bus.subscribe("certificate.changed", self.events.append)
        self.configuration = Configuration(self.store, self.live, self.bus, self.clock)
        await self.configuration.start()
        self._made = 0
        documents = Documents(
            make_id=self.make_id, hash_secrets=hash_secrets, judges=Judges(pair=judge_pair)
        )
        self.api = EdgeAPI(
            self.configuration, documents, self.observed, self.bus, TOKEN, self.clock
        )
        self.site = self.api.site()
        self.addCleanup(self.site.close)
        self.addCleanup(self.configuration.stop)

    def make_id(self) -> str:
        """One after the other."""
        self._made += 1
        return f"id-{self._made}"

    def begin(
        self,
        method: str,
        target: str,
        *fields: str,
        body: object = None,
        token: str | None = TOKEN,
    ) -> MemoryTransport:
        """Send a request on a new connection; a path without a root is below the base."""
        transport = connect(self.site)
        self.addCleanup(transport.leave)
        target = target if target.startswith("/") else f"/api/v1/{target}"
        if token is not None:
            fields = (*fields, f"Authorization: Bearer {token}")
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields = (*fields, f"Content-Length: {len(data)}")
            if not any(field.startswith("Content-Type") for field in fields):
                fields = (*fields, JSON)
        transport.deliver(head(method, target, *fields) + data)
        return transport

    def count_slices(self) -> list[float]:
        """Note from now on when work goes on in the next turn."""
        begun: list[float] = []
        call_later = self.clock.callLater

        def counted(delay: float, *call: typing.Any, **more: typing.Any) -> typing.Any:
            if not delay:
                begun.append(self.clock.seconds())
            return call_later(delay, *call, **more)

        self.patch(self.clock, "callLater", counted)
        return begun

    async def turn(self) -> None:
        """Let the reactor turn."""
        await deferLater(reactor, 0)

    async def answered(self, transport: MemoryTransport) -> Reply:
        """What is answered to it; the test's timeout is the bound."""
        while not transport.value():
            # What is much at once is done in slices.
            self.clock.advance(0)
            await self.turn()
        return Reply(transport.value())

    async def ask(
        self,
        method: str,
        target: str,
        *fields: str,
        body: object = None,
        token: str | None = TOKEN,
    ) -> Reply:
        """The answer to a request."""
        return await self.answered(self.begin(method, target, *fields, body=body, token=token))

    async def get(self, target: str, *fields: str) -> Reply:
        """What is shown there."""
        return await self.ask("GET", target, *fields)

    async def done(
        self, method: str, target: str, *fields: str, body: object = None, status: int = 200
    ) -> typing.Any:
        """What a change that is taken answers."""
        reply = await self.ask(method, target, *fields, body=body)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json() if reply.body else None

    async def add_route(self, v_host: str = "a.example", **fields: object) -> typing.Any:
        """Make a route, with one backend if nothing else is said."""
        backends = [{"id": "node-1", "hostname": "10.0.0.1", "port": 3000}]
        document = {"id": v_host.partition(".")[0], "vHost": v_host, "backends": backends}
        return await self.done("POST", "routes", body=document | fields, status=201)

    def assert_problem(self, reply: Reply, status: int, code: str) -> typing.Any:
        """It is an error as clients read it; return its body."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.fields["content-type"], "application/problem+json")
        body = reply.json()
        self.assertEqual((body["status"], body["error"]["code"]), (status, code))
        return body

    def assert_faults(self, reply: Reply, *pointers: str) -> None:
        """Exactly these are wrong."""
        body = self.assert_problem(reply, 422, "invalid_fields")
        self.assertEqual([fault["pointer"] for fault in body["errors"]], [*pointers])

    def refusing(self, pointer: str, detail: str) -> Problem:
        """What a data path says that cannot do what is wanted."""
        return Problem(422, "invalid_fields", "It cannot be done.", [Fault(pointer, detail)])


def etag(reply: Reply) -> str:
    """The field by which a change rests on what this answer showed."""
    return f"If-Match: {reply.fields['etag']}"
