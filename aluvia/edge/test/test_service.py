"""The edge's process: SIGHUP, and what ends it."""

from __future__ import annotations

import json
import signal
import typing
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs, formatEvent, globalLogPublisher

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.service import EdgeService
from aluvia.edge.settings import IN_MEMORY
from aluvia.edge.test.edge_case import connect_to_loopback, reactor
from aluvia.edge.test.whole_edge_case import TOKEN, WholeEdgeCase


class ServiceCase(WholeEdgeCase):
    """A service over a store with a route in it, and a routes file."""

    async def setUp(self) -> None:  # type: ignore[override]
        """It is not started."""
        super().setUp()
        before = await self.start()
        await before.router.add_route(self.route())
        await before.stop()
        self.routes = Path(self.mktemp()).absolute()
        self.write({})
        self.signals: dict[int, typing.Callable[[int, object], None]] = {}
        self.service = EdgeService(
            self.settings(routes=self.routes),
            reactor,
            {VARIABLE: TOKEN},
            set_signal=self.signals.__setitem__,
            connect=connect_to_loopback,
        )
        self.addCleanup(self.service.stopService)
        self.said: list[str] = []
        hear: typing.Any = self.hear
        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)

    def hear(self, event: LogEvent) -> None:
        """Keep what is said about SIGHUP."""
        text = str(event.get("log_format"))
        if text.startswith("SIGHUP"):
            self.said.append(text.format(**event))

    def write(self, document: object) -> None:
        """Write the routes file."""
        self.routes.write_text(json.dumps(document))

    def hang_up(self) -> None:
        """Send a SIGHUP."""
        self.signals[signal.SIGHUP](signal.SIGHUP, None)

    async def when_said(self) -> str:
        """What is said of it; the test's timeout is the bound."""
        while not self.said:
            await deferLater(reactor, 0)
        return self.said.pop(0)


class HangUpTests(ServiceCase):
    """SIGHUP."""

    async def test_while_it_starts(self) -> None:
        """It waits until the start is done; the start goes well, and the file is in force."""
        held: Deferred[None] = Deferred()
        beginning = Deferred.fromCoroutine(self.service.begin())
        edge = self.service.edge
        assert edge is not None  # it is made in the first turn
        load = edge._store.read
        reading: list[object] = []

        def slowly(job: typing.Any) -> Deferred[typing.Any]:
            reading.append(job)
            return held.addCallback(lambda _: load(job))

        self.patch(edge._store, "read", slowly)
        while not reading:
            await deferLater(reactor, 0)
        self.write({"authProviders": [{"id": "staff", "type": "bearer", "tokens": []}]})
        self.hang_up()
        for _ in range(10):
            await deferLater(reactor, 0)
        self.assertEqual(self.said, [])
        held.callback(None)
        await beginning
        self.assertEqual(await self.when_said(), "SIGHUP: files were read again.")
        self.assertEqual([route.id for route in edge.router.routes], ["service-a"])
        self.assertEqual(list(edge._configuration.state.providers), ["staff"])

    async def test_a_file_that_is_no_good(self) -> None:
        """Is a line in the log, and what was in force stays so."""
        await self.service.begin()
        self.write({"routes": 5})
        self.hang_up()
        self.assertEqual(
            await self.when_said(),
            f"SIGHUP: the routes stay as they were: {self.routes}: /routes: must be a list",
        )

    async def test_a_file_that_is_gone(self) -> None:
        """So is one that cannot be read."""
        await self.service.begin()
        self.routes.unlink()
        self.hang_up()
        self.assertEqual(
            await self.when_said(),
            f"SIGHUP: the routes stay as they were: {self.routes}: No such file or directory",
        )
        assert self.service.edge is not None
        self.assertEqual(len(self.service.edge.router.routes), 1)

    async def test_no_thread_to_read_it_in(self) -> None:
        """Is a line in the log, and no traceback."""
        await self.service.begin()
        assert self.service.edge is not None
        self.service.edge.ingress.threads.stop()
        self.hang_up()
        self.assertEqual(
            await self.when_said(),
            f"SIGHUP: the routes stay as they were: {self.routes}: it was not read: The threads "
            "have been stopped.",
        )


class SayingTests(WholeEdgeCase):
    """What is said when it came up."""

    async def said(self, **fields: typing.Any) -> list[str]:
        """The lines of an edge without a route."""
        settings = self.settings(**{"db": IN_MEMORY} | fields)
        signals: dict[int, object] = {}
        service = EdgeService(settings, reactor, {VARIABLE: TOKEN}, None, signals.__setitem__)
        self.addCleanup(service.stopService)
        await service.begin()
        with capturedLogs() as events:
            service.came_up()
        return [str(formatEvent(event)) for event in events]

    async def test_no_key(self) -> None:
        """An agent's first step is the operator's."""
        db = Path(self.mktemp()).absolute()
        *_, last = await self.said(hub=("127.0.0.1", 0), db=db)
        self.assertEqual(
            last, f"No agent has a key yet: aluvia agent-key add NAME --db {db} --key-file FILE"
        )

    async def test_no_route(self) -> None:
        """Where there is a hub tunnels need none; where that is, is said as an agent is told it."""
        *_, last = await self.said()
        self.assertRegex(last, r"^There is no route yet: POST one to http://127\.0\.0\.1:\d+/api")
        for fields, where in (
            ({}, "/t/ID/"),
            ({"tunnel_domain": "t.example"}, "ID.t.example and /t/ID/"),
            ({"tunnel_domain": "t.example", "tunnel_paths": False}, "ID.t.example"),
        ):
            lines = await self.said(hub=("127.0.0.1", 0), **fields)
            self.assertIn(f"tunnels are at {where} without one; or POST one to ", lines[-2])
            self.assertIn("--db FILE", lines[-1])
            self.assertTrue(any(line.startswith("hub is at ws://127.0.0.1:") for line in lines))
        *_, last, _ = await self.said(hub=("127.0.0.1", 0), tunnel_paths=False)
        self.assertRegex(last, r"^There is no route yet: POST one to")
