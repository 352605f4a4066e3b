"""Tests for :mod:`aluvia.store.database`: whose a file is, who may read it, and what is kept."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.store import accounts
from aluvia.store.database import MEMORY, RECOVERY, Database
from aluvia.store.errors import StoreDamagedError, StoreError, StoreFullError

#: Makes accounts as fast as it can, and says each name when the transaction has returned.
WRITER = textwrap.dedent(
    """
    import itertools, pathlib, sys
    from aluvia.store import accounts
    from aluvia.store.database import Database
    database = Database(pathlib.Path(sys.argv[1]))
    for number in itertools.count():
        with database.writing() as connection:
            accounts.add(connection, f"a{number}", 0.0, lambda bytes: f"secret-{number}")
        print(f"a{number}", flush=True)
    """
)


class DatabaseCase(SynchronousTestCase):
    """A file of its own for each test."""

    def setUp(self) -> None:
        """Nothing is there yet."""
        self.path = Path(self.mktemp()).absolute()

    def open(self, *, create: bool = True) -> Database:
        """Open it, and close it behind the test."""
        database = Database(self.path, create=create)
        self.addCleanup(database.close)
        return database

    def names(self, database: Database) -> list[str]:
        """The names of its accounts."""
        with database.reading() as connection:
            return [each.name for each in accounts.every(connection)]

    def assert_refused(self, sentence: str, *, create: bool = True) -> None:
        """It cannot be opened, with this sentence, and was not touched."""
        before = self.path.read_bytes() if self.path.is_file() else None
        error = self.assertRaises(StoreError, Database, self.path, create=create)
        self.assertEqual(str(error), f"{self.path}: {sentence}")
        if before is not None:
            self.assertEqual(self.path.read_bytes(), before)


class FileTests(DatabaseCase):
    """Which files are taken."""

    def test_new(self) -> None:
        """A file that is not there is made, with what SQLite keeps beside it, for us alone."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        database = self.open()
        with database.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        beside = sorted(self.path.parent.glob(self.path.name + "*"))
        self.assertEqual(len(beside), 3)
        for each in beside:
            self.assertEqual(stat.S_IMODE(each.stat().st_mode), 0o600, each)

    def test_not_to_be_made(self) -> None:
        """Unless it must be there."""
        self.assert_refused("No such file or directory", create=False)
        self.assertFalse(self.path.exists())

    def test_open_to_others(self) -> None:
        """One that others may read is closed to them."""
        self.open().close()
        self.path.chmod(0o644)
        self.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_beside_open_to_others(self) -> None:
        """What SQLite keeps beside it is closed to them too, where it was there before."""
        writer = self.open()
        with writer.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        beside = sorted(self.path.parent.glob(self.path.name + "*"))
        self.assertEqual(len(beside), 3)
        link = self.path.with_name("link")
        link.symlink_to(self.path)
        for path in (self.path, link):
            for each in beside:
                each.chmod(0o644)
            database = Database(path)
            self.addCleanup(database.close)
            for each in beside:
                self.assertEqual(stat.S_IMODE(each.stat().st_mode), 0o600, each)

    def test_replaced(self) -> None:
        """Nothing is written to a file that is not to be found any more, and it is told of."""
        database = self.open()
        before = database.version()
        moved = self.path.with_name("moved")
        self.path.rename(moved)

        def refused() -> set[str]:
            said = {str(self.assertRaises(StoreError, database.version))}
            with self.assertRaises(StoreError) as caught, database.writing() as connection:
                accounts.add(connection, "alice", 0.0)
            return {*said, str(caught.exception)}

        self.assertEqual(refused(), {f"{self.path}: No such file or directory"})
        self.path.write_bytes(b"")
        said = f"{self.path}: another file is in its place since it was opened"
        self.assertEqual(refused(), {said})
        moved.replace(self.path)
        self.assertEqual(database.version(), before)
        with database.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        self.assertEqual(self.names(database), ["alice"])

    def test_again(self) -> None:
        """What was committed is there when it is opened again, and by others at once."""
        first, second = self.open(), self.open(create=False)
        with first.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        self.assertEqual(self.names(second), ["alice"])
        first.close()
        self.assertEqual(self.names(self.open()), ["alice"])

    def test_rolled_back(self) -> None:
        """An exception leaves nothing of a transaction, and the next one begins anew."""
        database = self.open()
        with self.assertRaises(ZeroDivisionError), database.writing() as connection:
            accounts.add(connection, "alice", 0.0)
            raise ZeroDivisionError
        with database.writing() as connection:
            accounts.add(connection, "bob", 0.0)
        self.assertEqual(self.names(database), ["bob"])

    def test_no_database(self) -> None:
        """Another kind of file is left alone, its mode as well."""
        self.path.write_bytes(b"[gateway]\n" * 100)
        self.path.chmod(0o644)
        self.assert_refused(f"file is not a database; {RECOVERY}")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o644)

    def test_not_ours(self) -> None:
        """Another program's database is left alone, in its own journal mode."""
        other = sqlite3.connect(self.path)
        other.execute("CREATE TABLE things (name)")
        other.close()
        self.assert_refused("it is a database of another program; name another file")

    def test_another_version(self) -> None:
        """So is one of ours with a schema that we do not know."""
        self.open().close()
        other = sqlite3.connect(self.path)
        other.execute("PRAGMA user_version = 99")
        other.close()
        error = self.assertRaises(StoreError, Database, self.path)
        self.assertIn("of version 99", str(error))
        self.assertIn("move it away to begin with an empty one", str(error))

    def test_damaged(self) -> None:
        """A file that cannot be read any more is no empty one, and it is said how to go on."""
        self.open().close()
        whole = self.path.read_bytes()
        self.path.write_bytes(b"\0" * len(whole))
        self.assert_refused(f"file is not a database; {RECOVERY}")
        self.path.write_bytes(whole[:4096])
        self.assert_refused(f"database disk image is malformed; {RECOVERY}")
        self.assertRaises(StoreDamagedError, Database, self.path)

    def test_emptied(self) -> None:
        """Nor is one that was emptied, whatever stands beside it; behind it another one is made."""
        self.path.touch()
        beside = self.path.with_name(self.path.name + "-wal")
        beside.write_bytes(b"what was written ahead")
        self.assert_refused(f"it is empty, and a new one is not; {RECOVERY}")
        self.assertEqual(beside.read_bytes(), b"what was written ahead")
        beside.unlink()
        self.assert_refused(f"it is empty, and a new one is not; {RECOVERY}")
        self.path.unlink()
        self.open()
        self.assertEqual([each.name for each in self.path.parent.glob(f".{self.path.name}.*")], [])

    def test_full(self) -> None:
        """Where there is no room, that is what is said; nothing is changed, and reading works."""
        database = self.open()
        pages = database._raw.execute("PRAGMA page_count").fetchone()[0]
        database._raw.execute(f"PRAGMA max_page_count = {pages}")
        with self.assertRaises(StoreFullError) as caught, database.writing() as connection:
            for number in range(1_000):
                accounts.add(connection, f"a{number}", 0.0)
        self.assertEqual(str(caught.exception), f"{self.path}: database or disk is full")
        self.assertEqual(self.names(database), [])

    def test_memory(self) -> None:
        """One in memory makes no file, and knows nothing of another one."""
        database, other = Database(MEMORY), Database(MEMORY)
        self.addCleanup(database.close)
        self.addCleanup(other.close)
        with database.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        self.assertEqual(self.names(database), ["alice"])
        self.assertEqual(self.names(other), [])
        self.assertIsInstance(database.version(), int)
        self.assertFalse(MEMORY.exists())

    def test_no_file(self) -> None:
        """A directory is no file, and a file in no directory cannot be made."""
        self.path.mkdir()
        self.assert_refused("is not a file")
        self.path = self.path / "there" / "gateway.db"
        self.assert_refused("No such file or directory")

    def test_version(self) -> None:
        """The version changes with another connection's commit, and not by itself."""
        ours, theirs = self.open(), self.open()
        before = ours.version()
        self.assertEqual(ours.version(), before)
        with theirs.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        self.assertNotEqual(ours.version(), before)


class TogetherTests(DatabaseCase):
    """Several at a time."""

    def test_opened_at_once(self) -> None:
        """Whoever comes first makes it; nobody fails."""
        failed: list[BaseException] = []
        barrier = threading.Barrier(8)

        def open_it() -> None:
            barrier.wait()
            try:
                Database(self.path).close()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual(failed, [])

    def test_lost_updates(self) -> None:
        """Of 200 read-modify-writes, by four connections in four threads, none is lost."""
        with self.open().writing() as connection:
            accounts.add(connection, "alice", 0.0)

        def append(thread: int) -> None:
            database = Database(self.path)
            for number in range(50):
                with database.writing() as connection:
                    seen = accounts.find(connection, "alice")
                    rules = (*seen.rules, f"{thread}-{number}.example")
                    accounts.change(connection, seen, 0.0, {"rules": rules})
            database.close()

        threads = [threading.Thread(target=append, args=(number,)) for number in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        with self.open().reading() as connection:
            account = accounts.find(connection, "alice")
        self.assertEqual(len(set(account.rules)), 200)
        self.assertEqual(account.revision, 201)

    def test_killed(self) -> None:
        """A writer that is killed in the middle has lost nothing that it had said was done."""
        for lines in (1, 7, 40):
            with self.subTest(lines=lines):
                self.path = Path(self.mktemp()).absolute()
                child = subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(self.path)], stdout=subprocess.PIPE
                )
                assert child.stdout is not None
                said = [child.stdout.readline() for _ in range(lines)]
                child.send_signal(signal.SIGKILL)
                said += child.stdout.readlines()
                child.stdout.close()
                child.wait()
                answered = {line.decode().strip() for line in said if line.endswith(b"\n")}
                there = set(self.names(self.open(create=False)))
                self.assertEqual(answered - there, set())
                # At most the one whose commit was done and whose line was not.
                self.assertLessEqual(len(there - answered), 1)
