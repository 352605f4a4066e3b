"""Tests for :mod:`aluvia.store.engine`: real threads, and a real file."""

from __future__ import annotations

import threading
import typing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.store import accounts, engine
from aluvia.store.database import MEMORY, Database
from aluvia.store.engine import Store
from aluvia.store.errors import RevisionConflictError, StoreBusyError, StoreError

reactor: typing.Any = installed


class StoreTests(TestCase):
    """Jobs, their order, their errors, and the end."""

    timeout = 60

    def setUp(self) -> None:
        """A name of a file."""
        self.path = Path(self.mktemp()).absolute()

    async def store(self) -> Store:
        """An open store."""
        store = Store(self.path, reactor.callFromThread)
        self.addCleanup(store.close)
        await store.open()
        return store

    async def test_write_and_read(self) -> None:
        """What was written when it fired is read from then on, and the version has changed."""
        store = await self.store()
        before = await store.version()
        made = await store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        self.assertEqual([each.name for each in await store.read(accounts.every)], ["alice"])
        self.assertEqual(made.name, "alice")
        self.assertNotEqual(await store.version(), before)

    async def test_closed_while_it_is_opened(self) -> None:
        """It is not opened, and no thread is left."""
        store = Store(self.path, reactor.callFromThread)
        opening = Deferred.fromCoroutine(store.open())
        await store.close()
        with self.assertRaises(StoreError):
            await opening
        await store.close()
        names = [each.name for each in threading.enumerate()]
        self.assertEqual([name for name in names if name.startswith("aluvia-store")], [])

    async def test_threads(self) -> None:
        """One thread writes, another one reads, neither is the reactor's or of its pool."""
        store = await self.store()

        def name(connection: Connection) -> str:
            return threading.current_thread().name

        self.assertEqual(await store.write(name), "aluvia-store-writer")
        self.assertEqual(await store.read(name), "aluvia-store-reader")

    async def test_memory(self) -> None:
        """A store in memory is written and read as any other is, and ends with nothing left."""
        store = Store(MEMORY, reactor.callFromThread)
        self.addCleanup(store.close)
        await store.open()
        await store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        self.assertEqual([each.name for each in await store.read(accounts.every)], ["alice"])
        await store.version()
        await store.close()
        self.assertFalse(MEMORY.exists())
        with self.assertRaises(StoreError):
            await store.read(accounts.every)

    async def test_error(self) -> None:
        """What a job raises comes back, its transaction is rolled back, and the next one works."""
        store = await self.store()

        def fail(connection: Connection) -> None:
            accounts.add(connection, "alice", 0.0)
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await store.write(fail)
        self.assertEqual(await store.read(accounts.every), [])

    async def test_lost_updates(self) -> None:
        """Of 200 concurrent read-modify-writes, through two stores, none is lost."""
        stores = [await self.store(), await self.store()]
        await stores[0].write(lambda connection: accounts.add(connection, "alice", 0.0))

        def append(connection: Connection, number: int) -> None:
            seen = accounts.find(connection, "alice")
            rules = (*seen.rules, str(number))
            accounts.change(connection, seen, 0.0, {"rules": rules})

        def asked(number: int) -> Deferred[None]:
            return stores[number % 2].write(lambda connection: append(connection, number))

        await gatherResults([asked(number) for number in range(200)])
        (account,) = await stores[0].read(accounts.every)
        self.assertEqual(sorted(account.rules, key=int), [str(number) for number in range(200)])

    async def test_lost_updates_of_many_transactions(self) -> None:
        """Read in one transaction and written in another, they conflict instead of being lost."""
        store = await self.store()
        await store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        conflicts = 0

        async def try_to_append(number: int) -> bool:
            seen = await store.read(lambda connection: accounts.find(connection, "alice"))
            changes = {"rules": (*seen.rules, str(number))}
            try:
                await store.write(
                    lambda connection: accounts.change(connection, seen, 0.0, changes)
                )
            except RevisionConflictError:
                return False
            return True

        async def append(number: int) -> None:
            nonlocal conflicts
            while not await try_to_append(number):
                conflicts += 1

        await gatherResults([Deferred.fromCoroutine(append(number)) for number in range(20)])
        (account,) = await store.read(accounts.every)
        self.assertEqual(sorted(account.rules, key=int), [str(number) for number in range(20)])
        self.assertGreater(conflicts, 0)

    async def test_bound(self) -> None:
        """So many jobs wait; one more is refused, and those that wait are done."""
        store = await self.store()
        self.patch(engine, "MOST_WAITING", 3)
        held = threading.Event()
        waiting = [store.write(lambda connection: held.wait()) for _ in range(3)]
        with self.assertRaises(StoreBusyError):
            await store.write(accounts.every)
        held.set()
        self.assertEqual(await gatherResults(waiting), [True] * 3)
        self.assertEqual(await store.write(accounts.every), [])

    async def test_closed(self) -> None:
        """What is queued is done before it closes; what comes later fails; closing twice is one."""
        store = await self.store()
        written = store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        await gatherResults([store.close(), store.close()])
        self.assertEqual((await written).name, "alice")
        with self.assertRaises(StoreError):
            await store.read(accounts.every)
        await store.close()
        names = {thread.name for thread in threading.enumerate()}
        self.assertFalse({"aluvia-store-writer", "aluvia-store-reader"} & names)

    async def test_nothing_is_left_beside_the_file(self) -> None:
        """The writer is the last to close it, and brings home what was written ahead."""
        store = await self.store()
        await store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        released = threading.Event()
        self.addCleanup(released.set)
        closed: list[str] = []
        close = Database.close

        def note(database: Database) -> None:
            closed.append(threading.current_thread().name)
            close(database)

        self.patch(Database, "close", note)
        reading = store.read(lambda connection: released.wait(20))
        closing = store.close()
        await deferLater(reactor, 0)
        released.set()
        self.assertTrue(await reading)
        await closing
        self.assertEqual(closed, ["aluvia-store-reader", "aluvia-store-writer"])
        self.assertEqual([*self.path.parent.glob(f"{self.path.name}-*")], [])

    async def test_not_opened(self) -> None:
        """A file that cannot be opened says so, and closing is harmless."""
        self.path.write_text("no database")
        store = Store(self.path, reactor.callFromThread)
        with self.assertRaises(StoreError):
            await store.open()
        await store.close()
        await Store(self.path, reactor.callFromThread).close()

    async def test_no_thread(self) -> None:
        """Where no thread can be had it says so, and closing is harmless, for one or for both."""
        start = threading.Thread.start
        refused: set[str] = set()

        def refuse(thread: threading.Thread) -> None:
            if thread.name in refused:
                raise RuntimeError("can't start new thread")
            start(thread)

        self.patch(threading.Thread, "start", refuse)
        for name in ("aluvia-store-reader", "aluvia-store-writer"):
            refused.add(name)
            store = Store(self.path, reactor.callFromThread)
            with self.assertRaises(StoreError):
                await store.open()
            with self.assertRaises(StoreError):
                await store.read(accounts.every)
            await store.close()

    async def test_end_that_fails(self) -> None:
        """A file that cannot be closed well keeps nobody waiting, and is told of."""
        store = await self.store()
        told: list[object] = []
        self.patch(threading, "excepthook", lambda broken: told.append(broken.exc_type))
        close = Database.close

        def fail(database: Database) -> None:
            close(database)
            raise ZeroDivisionError

        self.patch(Database, "close", fail)
        await store.close()
        self.assertEqual(told, [ZeroDivisionError] * 2)

    async def test_not_wanted_any_more(self) -> None:
        """Who does not wait any more is not told, and harms nobody."""
        store = await self.store()
        written = store.write(lambda connection: accounts.add(connection, "alice", 0.0))
        written.addErrback(lambda failure: None)
        written.cancel()
        self.assertEqual(len(await store.write(accounts.every)), 1)
