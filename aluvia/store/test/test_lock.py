"""Tests for :mod:`aluvia.store.lock`, and for a store that is one process's alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import typing
from pathlib import Path

from twisted.internet import reactor as installed
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aluvia.store import accounts
from aluvia.store.database import MEMORY
from aluvia.store.engine import Store
from aluvia.store.errors import StoreError, StoreInUseError
from aluvia.store.lock import StoreLock

reactor: typing.Any = installed

HOLD = """
import sys
from pathlib import Path
from aluvia.store.lock import StoreLock
lock = StoreLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


class LockTests(SynchronousTestCase):
    """A lock, and who holds it."""

    def setUp(self) -> None:
        """A name of a store."""
        self.path = Path(self.mktemp()).absolute()
        self.file = self.path.with_name(self.path.name + ".lock")

    def take(self) -> None:
        """Take it and let it go."""
        StoreLock(self.path).release()

    def test_one_at_a_time(self) -> None:
        """Another one is told who cannot be had; when it is let go it can be."""
        lock = StoreLock(self.path)
        error = self.assertRaises(StoreInUseError, self.take)
        self.assertEqual(
            str(error),
            f"{self.path}: another process works with it, and holds {self.file}; one at a time can",
        )
        lock.release()
        self.take()

    def test_another_name(self) -> None:
        """A link to the store is the store."""
        link = self.path.with_name(self.path.name + "-link")
        link.symlink_to(self.path)
        lock = StoreLock(link)
        self.addCleanup(lock.release)
        self.assertRaises(StoreInUseError, self.take)

    def test_mode(self) -> None:
        """Nobody else can take it: it is closed to others, also one that was not."""
        self.take()
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.file.chmod(0o666)
        self.take()
        self.assertEqual(stat.S_IMODE(self.file.stat().st_mode), 0o600)
        self.assertEqual(self.file.read_bytes(), b"")

    def test_cannot_be_made(self) -> None:
        """What is in the way is said."""
        self.file.symlink_to("elsewhere")
        error = self.assertRaises(StoreError, self.take)
        self.assertTrue(str(error).startswith(f"{self.file}: "), str(error))
        error = self.assertRaises(StoreError, StoreLock, Path("/nowhere/x.db"))
        self.assertEqual(str(error), "/nowhere/x.db.lock: No such file or directory")

    def test_killed(self) -> None:
        """It goes with its process."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        ) as holder:
            self.addCleanup(holder.kill)
            assert holder.stdout is not None
            self.assertEqual(holder.stdout.readline(), b"held\n")
            self.assertRaises(StoreInUseError, self.take)
            holder.kill()
            holder.wait()
            self.take()


class AloneTests(TestCase):
    """A store that is opened alone."""

    timeout = 60

    def store(self, path: Path, *, alone: bool = True) -> Store:
        """A store."""
        store = Store(path, reactor.callFromThread, alone=alone)
        self.addCleanup(store.close)
        return store

    async def test_alone(self) -> None:
        """A second one is refused, however often, until the first is closed; copies are not."""
        path = Path(self.mktemp()).absolute()
        first, second = self.store(path), self.store(path)
        await first.open()
        await first.write(lambda connection: accounts.add(connection, "alice", 0.0))
        for _ in range(2):
            with self.assertRaises(StoreInUseError):
                await second.open()
            await second.close()
        with contextlib.closing(sqlite3.connect(path)) as theirs:
            copy = path.with_name(path.name + "-copy")
            with contextlib.closing(sqlite3.connect(copy)) as into:
                theirs.backup(into)
        await first.close()
        await second.open()
        of_the_copy = self.store(copy)
        await of_the_copy.open()
        for store in (second, of_the_copy):
            self.assertEqual([each.name for each in await store.read(accounts.every)], ["alice"])

    async def test_not_opened(self) -> None:
        """What could not be opened leaves no lock behind once it is closed."""
        path = Path(self.mktemp()).absolute()
        path.write_text("nothing of the kind " * 100)
        first = self.store(path)
        with self.assertRaises(StoreError):
            await first.open()
        await first.close()
        StoreLock(path).release()

    async def test_in_memory(self) -> None:
        """There can be many of these."""
        for _ in range(2):
            await self.store(MEMORY).open()
        self.assertFalse(Path(":memory:.lock").exists())
