"""A configuration in a file, over a data path that remembers what it was told."""

from __future__ import annotations

import typing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from aluvia.edge import stored
from aluvia.edge.configuration import Configuration, Edit
from aluvia.edge.events import Event, EventBus
from aluvia.edge.model import (
    Backend,
    BasicProvider,
    Certificate,
    KeyPair,
    Route,
    Snapshot,
)
from aluvia.edge.snapshots import (
    with_route,
)
from aluvia.edge.test.rest_case import CERT, KEY, FakeLive, fake_hash
from aluvia.store.engine import Store
from aluvia.store.revisions import store_revision

reactor: typing.Any = installed

ROUTE = Route(
    id="a",
    v_host="a.example",
    backends=(
        Backend(id="one", hostname="10.0.0.1", port=80),
        Backend(id="two", hostname="10.0.0.2", port=80),
    ),
)
CERTIFICATE = Certificate(domain="a.example", pair=KeyPair(cert=CERT, key=KEY))
PROVIDER = BasicProvider(id="staff", users=(("alice", fake_hash(5)),))


def adding(*ids: str) -> Edit:
    """An edit that adds routes of these ids."""

    def edit(snapshot: Snapshot) -> Snapshot:
        for id in ids:
            snapshot = with_route(snapshot, Route(id=id, v_host=f"{id}.example"))
        return snapshot

    return edit


class HeldStore:
    """
    A store whose writing waits for the test.

    :ivar let: fired or failed by the test, for each write.
    """

    def __init__(self, store: Store) -> None:
        self._write = store.write
        self.let: list[Deferred[None]] = []

    def write(self, job: typing.Any) -> Deferred[typing.Any]:
        """Write, once it is let."""
        # What a real one gives can be cancelled: it does its work for nobody then.
        held: Deferred[None] = Deferred(lambda cancelled: None)
        self.let.append(held)
        return held.addCallback(lambda _: self._write(job))


class ConfigurationCase(TestCase):
    """A configuration in a file."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        """It is empty, and started."""
        self.path = Path(self.mktemp()).absolute()
        self.clock: typing.Any = Clock()
        self.clock.advance(100)
        self.configuration = await self.started()

    async def started(self, **options: typing.Any) -> Configuration:
        """Start, as another process would with the same file."""
        self.store = Store(self.path, reactor.callFromThread)
        self.addCleanup(self.store.close)
        await self.store.open()
        self.live = FakeLive()
        self.bus = EventBus()
        self.events: list[Event] = []
        self.bus.subscribe(None, self.events.append)
        made = Configuration(self.store, self.live, self.bus, self.clock, **options)
        await made.start()
        return made

    async def revision(self) -> int:
        """How often the store has changed."""
        return await self.store.read(store_revision)

    async def kept(self) -> Snapshot:
        """What is in the store."""

        def load(connection: Connection) -> Snapshot:
            return stored.load(connection, ("tcp", "tls")).snapshot

        return await self.store.read(load)

    async def turns(self) -> None:
        """Let the reactor turn a few times."""
        for _ in range(10):
            await deferLater(reactor, 0)

    def begin(self, edit: Edit, **options: bool) -> Deferred[Snapshot]:
        """Begin a change."""
        return Deferred.fromCoroutine(self.configuration.change(edit, **options))
