"""Tests for :mod:`aluvia.store.looks`: what a look reads, and when it reads all."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from aluvia.store import accounts
from aluvia.store.looks import NOTHING, Known, Look, look
from aluvia.store.test.test_database import DatabaseCase


class LookTests(DatabaseCase):
    """A store that changes between two looks."""

    def setUp(self) -> None:
        """Three accounts, in an open file."""
        super().setUp()
        self.database = self.open()
        with self.database.writing() as connection:
            for name in ("alice", "bob", "carol"):
                accounts.add(connection, name, 1.0)
        self.known = self.look(NOTHING).known

    def look(self, known: Known, *names: str) -> Look:
        """Look, in a transaction."""
        with self.database.reading() as connection:
            return look(connection, known, names)

    def rotate(self, name: str) -> None:
        """Change an account."""
        with self.database.writing() as connection:
            accounts.rotate_password(connection, name, 2.0)

    def remove(self, name: str) -> None:
        """Remove an account."""
        with self.database.writing() as connection:
            accounts.remove(connection, name)

    def copy(self, source: Path, target: Path) -> None:
        """As ``.restore`` and ``.backup`` of ``sqlite3`` do it."""
        ends = sqlite3.connect(source), sqlite3.connect(target)
        ends[0].backup(ends[1])
        for each in ends:
            each.close()

    def names_found(self, found: Look) -> list[str]:
        """What was read."""
        return [each.name for each in found.accounts]

    def test_first(self) -> None:
        """At first all is read."""
        found = self.look(NOTHING)
        self.assertEqual(self.names_found(found), ["alice", "bob", "carol"])
        self.assertEqual((found.whole, found.continued, found.others), (True, False, 0))
        self.assertEqual((found.known.revision, found.known.latest), (3, 3))

    def test_nothing_new(self) -> None:
        """Then nothing, while nothing changes."""
        found = self.look(self.known)
        self.assertEqual((found.accounts, found.others, found.known), ([], 3, self.known))
        self.assertEqual((found.whole, found.continued), (False, True))

    def test_changed(self) -> None:
        """What changed or is new is read, the earlier change first."""
        self.rotate("carol")
        self.rotate("alice")
        with self.database.writing() as connection:
            accounts.add(connection, "a", 1.0)
        found = self.look(self.known)
        self.assertEqual(self.names_found(found), ["carol", "alice", "a"])
        self.assertEqual((found.others, found.known.revision, found.whole), (1, 6, False))

    def test_removed(self) -> None:
        """One that is gone is missing among the others, and named to who asks for names."""
        self.remove("bob")
        found = self.look(self.known)
        self.assertEqual((found.accounts, found.gone, found.others), ([], (), 2))
        found = self.look(self.known, "carol", "bob", "alice")
        self.assertEqual((found.accounts, found.gone, found.others), ([], ("bob",), 2))

    def test_another_store(self) -> None:
        """Another store is read whole."""
        known = self.known
        self.path = self.path.with_name("another")
        self.database = self.open()
        found = self.look(known)
        self.assertEqual((found.accounts, found.whole, found.continued), ([], True, False))

    def test_restored(self) -> None:
        """So is a backup that was put back, though it was changed meanwhile."""
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        self.rotate("alice")
        known = self.look(self.known).known
        self.copy(backup, self.path)
        found = self.look(known)
        self.assertEqual((found.whole, found.continued, found.known.revision), (True, False, 3))
        for _ in range(2):
            self.rotate("bob")
        found = self.look(known)
        self.assertEqual((found.whole, found.known.revision), (True, 5))

    def test_less_than_there_was(self) -> None:
        """And one that has less than was on the disk before the look, by whoever's change."""
        found = self.look(Known(self.known.store, self.known.schema, 3, 4))
        self.assertEqual((found.whole, found.continued), (True, False))

    def test_vacuum(self) -> None:
        """After a VACUUM all is read, and nothing has another history."""
        other = sqlite3.connect(self.path)
        other.execute("VACUUM")
        other.close()
        found = self.look(self.known)
        self.assertEqual((found.whole, found.continued), (True, True))
