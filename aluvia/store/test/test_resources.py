"""Tests for :mod:`aluvia.store.resources`."""

from __future__ import annotations

import shlex
import sqlite3

from sqlalchemy import Connection

from aluvia.store import resources
from aluvia.store.database import RECOVERY, Database
from aluvia.store.errors import RevisionConflictError, StoreDamagedError
from aluvia.store.revisions import next_revision, store_revision
from aluvia.store.test.test_database import DatabaseCase


class ResourceTests(DatabaseCase):
    """Documents, their revisions, and their order."""

    def setUp(self) -> None:
        """An empty store."""
        super().setUp()
        self.database = self.open()

    def put(self, key: str, text: str = "", seen: int | None = None, kind: str = "route") -> int:
        """Keep a document, in a transaction of its own."""
        with self.database.writing() as connection:
            revision = next_revision(connection)
            resources.put(connection, kind, key, {"text": text}, revision, seen)
        return revision

    def remove(self, key: str, seen: int) -> None:
        """Keep it no more."""
        with self.database.writing() as connection:
            next_revision(connection)
            resources.remove(connection, "route", key, seen)

    def every(self, database: Database | None = None) -> list[resources.Resource]:
        """What is kept."""
        with (database or self.database).reading() as connection:
            return resources.every(connection)

    def keys(self) -> list[str]:
        """What it is called, in its order."""
        return [each.key for each in self.every()]

    def run_sql(self, statement: str, *values: object) -> None:
        """As somebody else does it, or a disk."""
        with sqlite3.connect(self.path) as other:
            other.execute(statement, values)
        other.close()

    def test_put(self) -> None:
        """What was put is there when the file is opened again, with what makes its revision."""
        with self.database.writing() as connection:
            revision = next_revision(connection)
            resources.put(connection, "route", "ä", {"n": [1.5, None]}, revision, None)
        self.database.close()
        (resource,) = self.every(self.open())
        self.assertEqual(resource, resources.Resource("route", "ä", {"n": [1.5, None]}, 1, 1))

    def test_order(self) -> None:
        """In the order in which they were made: a change keeps it, a new beginning does not."""
        revisions = {key: self.put(key) for key in ("b", "a", "c")}
        self.assertEqual(self.keys(), ["b", "a", "c"])
        revisions["b"] = self.put("b", "other", revisions["b"])
        self.assertEqual(self.keys(), ["b", "a", "c"])
        self.assertEqual((self.every()[0].revision, self.every()[0].made), (4, 1))
        self.remove("b", revisions["b"])
        self.put("b")
        self.assertEqual(self.keys(), ["a", "c", "b"])

    def test_moved(self) -> None:
        """To the end, as it is; if it is as it was seen."""
        seen = {key: self.put(key) for key in ("b", "a", "c")}
        with self.database.writing() as connection:
            made = next_revision(connection)
            resources.move(connection, "route", "a", made, seen["a"])
        self.assertEqual(self.keys(), ["b", "c", "a"])
        self.assertEqual((self.every()[2].revision, self.every()[2].made), (2, 4))
        with self.assertRaises(RevisionConflictError), self.database.writing() as connection:
            resources.move(connection, "route", "a", next_revision(connection), made)

    def test_kinds(self) -> None:
        """Things of two kinds may be called the same."""
        self.put("a", "1")
        self.put("a", "2", kind="certificate")
        self.assertEqual([each.body for each in self.every()], [{"text": "1"}, {"text": "2"}])

    def test_one_transaction(self) -> None:
        """Several are changed together, each with a revision of its own, or none of them."""

        def both(connection: Connection, seen: int | None) -> None:
            first = next_revision(connection, 2)
            resources.put(connection, "route", "a", {}, first, None)
            resources.put(connection, "route", "b", {}, first + 1, seen)

        with self.assertRaises(RevisionConflictError), self.database.writing() as connection:
            both(connection, 99)
        self.assertEqual(self.every(), [])
        with self.database.writing() as connection:
            both(connection, None)
        self.assertEqual([each.revision for each in self.every()], [1, 2])

    def test_conflicts(self) -> None:
        """Whoever has not seen what is there neither changes nor removes nor makes it again."""
        first = self.put("a")
        second = self.put("a", "2", first)
        for conflict in (
            lambda: self.put("a", "3", first),
            lambda: self.put("a", "3"),
            lambda: self.put("b", "3", first),
            lambda: self.remove("a", first),
            lambda: self.remove("b", first),
        ):
            error = self.assertRaises(RevisionConflictError, conflict)
            self.assertIn("changed by somebody else", str(error))
        self.assertEqual([(each.body["text"], each.revision) for each in self.every()], [("2", 2)])
        self.remove("a", second)
        self.assertEqual(self.every(), [])

    def test_revisions_rise(self) -> None:
        """A removal counts too, so that no revision comes a second time."""
        self.remove("a", self.put("a"))
        self.assertEqual(self.put("a"), 3)
        with self.database.reading() as connection:
            self.assertEqual(store_revision(connection), 3)

    def test_unreadable(self) -> None:
        """What is no object in JSON is told of by its name, with what to do, and what is not."""
        bodies: list[object] = ["", "[1]", "nope SECRET", "[" * 100_000, 5, b"\xff\x00", "null"]
        key = 'it\'s "a"'
        self.put(key)
        for body in bodies:
            self.run_sql("UPDATE resources SET body = ?", body)
            error = self.assertRaises(StoreDamagedError, self.every)
            self.assertIn(f"route {key!r} cannot be read", str(error))
            self.assertIn("put a backup of the file in its place, or give this one up", str(error))
            self.assertNotIn("SECRET", str(error))
        # The command that is named does what it says.
        statement = str(error).partition("sqlite3 FILE ")[2]
        (sql,) = shlex.split(statement)
        self.run_sql(sql)
        self.assertEqual(self.every(), [])

    def test_no_text(self) -> None:
        """A text with a byte in it that no text has is damage, not a riddle."""
        self.put("a")
        self.run_sql("UPDATE resources SET body = CAST(x'7bff7d' AS TEXT)")
        error = self.assertRaises(StoreDamagedError, self.every)
        self.assertTrue(str(error).endswith(RECOVERY))

    def test_damaged(self) -> None:
        """
        Pages that are not what they were are told of: nothing is missed without a word.

        Of a leaf of a table the first byte is 13, and the fourth and fifth say how many rows it has
        (SQLite's file format, section 1.6): with one less, SQLite itself just reads on.
        """
        for number in range(100):
            self.put(f"a{number}", "x" * 500)
        self.database.close()
        whole = self.path.read_bytes()
        size = 4096
        leaves = [at for at in range(size, len(whole), size) if whole[at] == 13 and whole[at + 4]]
        refused = 0
        for at in leaves:
            rows = int.from_bytes(whole[at + 3 : at + 5], "big")
            fewer = whole[: at + 3] + (rows - 1).to_bytes(2, "big") + whole[at + 5 :]
            for damaged in (fewer, whole[:at] + bytes(size) + whole[at + size :]):
                self.path.write_bytes(damaged)
                error = self.assertRaises(StoreDamagedError, self._every_of_a_new_one)
                self.assertIn(RECOVERY, str(error))
                refused += 1
        self.assertGreater(refused, 20)

    def _every_of_a_new_one(self) -> None:
        database = Database(self.path)
        try:
            self.every(database)
        finally:
            database.close()
