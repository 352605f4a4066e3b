"""A start that fails, or comes twice, and what is left behind: nothing."""

from __future__ import annotations

import socket
import threading
import typing
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from aluvia.edge.edge import Edge
from aluvia.edge.settings import Settings
from aluvia.edge.test.edge_case import HOST, connect_to_loopback, reactor
from aluvia.edge.test.whole_edge_case import TOKEN, WholeEdgeCase
from aluvia.process.sources import SettingsError
from aluvia.store.errors import StoreError


def threads() -> list[str]:
    """The store's that run."""
    return [each.name for each in threading.enumerate() if each.name.startswith("aluvia-store")]


class StartCase(WholeEdgeCase):
    """Edges that nobody stops; what they leave behind makes the test fail (trial sees timers)."""

    def edge(self, settings: Settings | None = None) -> Edge:
        """One that is not started."""
        return Edge(settings, token=TOKEN, db=self.db, reactor=reactor, connect=connect_to_loopback)

    def file(self, text: str) -> Path:
        """A file."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        return path


class FailedStartTests(StartCase):
    """A start that fails."""

    async def fails(self, error: type[Exception], **settings: typing.Any) -> None:
        """It does, and leaves nothing: no thread, no port, no lock; nor does the stop freeze."""
        edge = self.edge(self.settings(**settings))
        with self.assertRaises(error):
            await edge.start()
        self.assertEqual(threads(), [])
        self.assertTrue(all(port.disconnected for port in edge.ingress.ports.values()))
        await edge.stop()
        self.assertFalse(self.db.with_name(self.db.name + "-wal").exists())

    async def test_nothing_is_left(self) -> None:
        """Whatever is in the way, wherever on the way it is; and then it is not, and it starts."""
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        place = taken.getsockname()
        await self.fails(OSError, api=place)
        await self.fails(OSError, access_log=Path("/nowhere/x"))
        await self.fails(SettingsError, routes=self.file("{"))
        await self.fails(ValueError, certificates=Path("/nowhere"))
        edge = self.edge()
        await edge.start()
        await edge.router.add_route(self.route())
        self.assertEqual((await self.ask(edge)).status, 200)
        await edge.stop()
        self.db.write_text("no database at all, and long enough" * 100)
        edge = self.edge()
        with self.assertRaises(StoreError):
            await edge.start()
        self.assertEqual(threads(), [])

    async def test_ports_that_were_bound(self) -> None:
        """They are free again at once, for whoever starts next."""
        free = socket.create_server(("127.0.0.1", 0))
        place = free.getsockname()
        free.close()
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        edge = Edge(
            http_port=place[1], token=TOKEN, api_port=taken.getsockname()[1], reactor=reactor
        )
        with self.assertRaises(OSError):
            await edge.start()
        socket.create_server(place).close()


class TwiceTests(StartCase):
    """An edge has one life."""

    async def test_started_twice(self) -> None:
        """The second start is an error at once, the first goes on, and it can be stopped."""
        edge = self.edge()
        starting = Deferred.fromCoroutine(edge.start())
        with self.assertRaises(RuntimeError) as caught:
            await edge.start()
        self.assertIn("started once", str(caught.exception))
        await starting
        with self.assertRaises(RuntimeError):
            await edge.start()
        await edge.router.add_route(self.route())
        self.assertEqual((await self.ask(edge, host=HOST)).status, 200)
        await edge.stop()
        with self.assertRaises(RuntimeError):
            await edge.start()
        self.assertEqual(threads(), [])

    async def test_stopped_while_it_starts(self) -> None:
        """It opens nothing any more, and both come to their end."""
        for turns in (0, 1, 5):
            edge = self.edge()
            starting = Deferred.fromCoroutine(edge.start())
            for _ in range(turns):
                await deferLater(reactor, 0)
            await edge.stop()
            with self.assertRaises(CancelledError):
                await starting
            self.assertEqual((edge.ingress.ports, edge.api_port, threads()), ({}, None, []))

    async def test_an_end_that_fails(self) -> None:
        """The store is closed all the same, and another edge can have it."""

        async def fail() -> None:
            raise ZeroDivisionError

        edge = self.edge()
        await edge.start()
        self.patch(edge.ingress, "closed", fail)
        with self.assertRaises(ZeroDivisionError):
            await edge.stop()
        assert edge._ending is not None
        # Otherwise Twisted would log it when the edge goes.
        edge._ending.addErrback(lambda _: None)
        self.assertEqual(threads(), [])
        again = self.edge()
        await again.start()
        await again.stop()

    async def test_stopped_twice(self) -> None:
        """Both wait for the same end, and the second can make the first one hurry."""
        edge = self.edge()
        await edge.start()
        with socket.create_connection(edge.ingress.place("http")) as client:
            client.sendall(b"GET / HT")
            while not edge.ingress.connections_open:
                await deferLater(reactor, 0)
            first = Deferred.fromCoroutine(edge.stop(30))
            await edge.stop()
            await first
        await edge.stop()
        self.assertEqual(threads(), [])

    async def test_never_started(self) -> None:
        """There is nothing to stop, and nothing is in the way of that."""
        edge = self.edge()
        await edge.stop()
        with self.assertRaises(RuntimeError):
            await edge.start()
