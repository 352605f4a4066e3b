"""Tests for :mod:`aluvia.store.agent_keys`."""

from __future__ import annotations

import sqlite3
import threading

from aluvia.store import agent_keys
from aluvia.store.database import Database
from aluvia.store.errors import BadNameError, NotFoundError, StoreError, TakenError
from aluvia.store.revisions import store_revision
from aluvia.store.test.test_database import DatabaseCase
from aluvia.store.tokens import hash_of


class AgentKeyCase(DatabaseCase):
    """A file with a key."""

    def setUp(self) -> None:
        """One key, in an open file."""
        super().setUp()
        self.database = self.open()
        with self.database.writing() as connection:
            self.made = agent_keys.add(
                connection, "laptop", 10.0, publish=("web", "api", "web"), exit=True, expires=99.0
            )

    def key(self, name: str = "laptop") -> agent_keys.AgentKey:
        """The key as it is now."""
        with self.database.reading() as connection:
            return agent_keys.find(connection, name)

    def every(self) -> list[agent_keys.AgentKey]:
        """All of them."""
        with self.database.reading() as connection:
            return agent_keys.every(connection)


class AgentKeyTests(AgentKeyCase):
    """Making, rotating and removing them."""

    def test_add(self) -> None:
        """Of the key a hash is kept, and what it is good for as it was said."""
        self.assertEqual(self.made.name, "laptop")
        self.assertRegex(self.made.key, r"^alv_agent_[A-Za-z0-9_-]{43}$")
        found = self.key()
        self.assertEqual(found.key_hash, hash_of(self.made.key))
        self.assertEqual((found.publish, found.exit), (("web", "api"), True))
        self.assertEqual((found.expires, found.made, found.damage), (99.0, 10.0, None))
        self.assertNotIn(self.made.key.encode(), self.path.read_bytes())

    def test_every(self) -> None:
        """They are listed by name; what was not said is nothing."""
        with self.database.writing() as connection:
            agent_keys.add(connection, "a", 11.0)
        first, second = self.every()
        self.assertEqual((first.name, second), ("a", self.key()))
        self.assertEqual((first.publish, first.exit, first.expires), ((), False, None))

    def test_unalike(self) -> None:
        """No two keys are the same."""
        with self.database.writing() as connection:
            other = agent_keys.add(connection, "other", 0.0)
        self.assertNotEqual(self.made.key, other.key)

    def test_no_secret_shown(self) -> None:
        """Neither a repr nor an error of SQLite shows a key."""
        secret = self.made.key.removeprefix(agent_keys.PREFIX)
        for shown in (self.made, self.key()):
            self.assertNotIn(secret, repr(shown))
            self.assertNotIn(repr(hash_of(self.made.key)), repr(shown))
        with self.assertRaises(StoreError) as caught, self.database.writing() as connection:
            # The same key twice is no caller's error: it cannot happen.
            agent_keys.add(connection, "other", 0.0, make_secret=lambda count: secret)
        error: BaseException | None = caught.exception
        while error is not None:
            self.assertNotIn(secret, str(error))
            error = error.__cause__

    def test_names(self) -> None:
        """A name is a word that no option and no line of a log is taken for."""
        good = ["a", "_", "0", "A.b_c-d", "x" * 64]
        bad = ["", "-a", ".a", "x" * 65, "a b", "ä", "a\n", "a/b", "a@b"]
        with self.database.writing() as connection:
            for name in good:
                agent_keys.add(connection, name, 0.0)
            for name in bad:
                self.assertRaises(BadNameError, agent_keys.add, connection, name, 0.0)
        self.assertEqual([each.name for each in self.every()], sorted([*good, "laptop"]))

    def test_taken(self) -> None:
        """A name is given once."""
        with self.database.writing() as connection:
            self.assertRaises(TakenError, agent_keys.add, connection, "laptop", 0.0)

    def test_bounds(self) -> None:
        """There are so many keys at most, and so many ids that one names."""
        self.patch(agent_keys, "MOST_KEYS", 2)
        self.patch(agent_keys, "MOST_IDS", 2)
        with self.database.writing() as connection:
            error = self.assertRaises(
                StoreError, agent_keys.add, connection, "b", 0.0, publish=("1", "2", "3")
            )
            self.assertIn("a key may name 2 ids", str(error))
            agent_keys.add(connection, "b", 0.0, publish=("1", "2", "1"))
            error = self.assertRaises(StoreError, agent_keys.add, connection, "c", 0.0)
            self.assertIn("there are 2 keys already", str(error))

    def test_remove(self) -> None:
        """It is gone, cannot be removed twice, and can be made anew with a later revision."""
        before = self.key().revision
        with self.database.writing() as connection:
            agent_keys.remove(connection, "laptop")
            self.assertRaises(NotFoundError, agent_keys.find, connection, "laptop")
        with self.assertRaises(NotFoundError), self.database.writing() as connection:
            agent_keys.remove(connection, "laptop")
        with self.database.writing() as connection:
            agent_keys.add(connection, "laptop", 20.0)
        self.assertGreater(self.key().revision, before + 1)

    def test_rotate(self) -> None:
        """Another key, which may do the same."""
        before = self.key()
        with self.database.writing() as connection:
            new = agent_keys.rotate(connection, "laptop", 20.0)
            self.assertRaises(NotFoundError, agent_keys.rotate, connection, "other", 0.0)
        after = self.key()
        self.assertEqual(after.key_hash, hash_of(new.key))
        self.assertNotEqual(after.key_hash, before.key_hash)
        self.assertEqual((after.made, after.revision), (20.0, before.revision + 1))
        for field in ("publish", "exit", "expires"):
            self.assertEqual(getattr(after, field), getattr(before, field))

    def test_rotate_expired(self) -> None:
        """Nobody is given an expired key."""
        before = self.key()
        with self.database.writing() as connection:
            agent_keys.rotate(connection, "laptop", 98.0)
            error = self.assertRaises(NotFoundError, agent_keys.rotate, connection, "laptop", 99.0)
        self.assertIn("has expired", str(error))
        self.assertEqual(self.key().revision, before.revision + 1)


class CorruptRowTests(AgentKeyCase):
    """Rows that are not as they are written."""

    def corrupt(self, column: str, value: object) -> None:
        """Write into the row of another key, as nobody should."""
        with self.database.writing() as connection:
            agent_keys.add(connection, "odd", 10.0, publish=("*",), exit=True)
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute(f"UPDATE agent_keys SET {column} = ? WHERE name = 'odd'", [value])
        other.close()

    def test_corrupt_rows(self) -> None:
        """One is good for nothing, says why, leaves the others alone, and can be removed."""
        for column, value in (
            ("publish", "nonsense"),
            ("publish", "[" * 100_000),
            ("publish", '{"*": 1}'),
            ("publish", '["a", 1]'),
            ("publish", b"[]"),
            ("publish", '"*"'),
            ("exit", 2),
            ("exit", "yes"),
            ("expires", "never"),
            ("expires", b"1"),
            ("made", "today"),
            ("key_hash", b"short"),
            ("key_hash", "x" * 32),
        ):
            with self.subTest(column=column, value=value):
                self.corrupt(column, value)
                good, odd = self.every()
                self.assertEqual((good, good.damage), (self.key(), None))
                self.assertRegex(str(odd.damage), f"^{column}: it is ")
                self.assertEqual((odd.name, odd.publish, odd.exit), ("odd", (), False))
                self.assertEqual(odd.key_hash, b"")
                with self.database.writing() as connection:
                    self.assertRaises(NotFoundError, agent_keys.rotate, connection, "odd", 20.0)
                    agent_keys.remove(connection, "odd")


class TwoWritersTests(DatabaseCase):
    """Two processes that change one file."""

    def test_two_writers(self) -> None:
        """Each name is given once, each change has its own revision, and none is lost."""
        self.open()
        outcomes: list[str] = []

        def write() -> None:
            database = Database(self.path)
            try:
                for number in range(20):
                    try:
                        with database.writing() as connection:
                            agent_keys.add(connection, f"k{number}", 0.0)
                        outcomes.append("made")
                    except TakenError:
                        outcomes.append("taken")
            finally:
                database.close()

        threads = [threading.Thread(target=write) for _ in range(2)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        self.assertEqual((outcomes.count("made"), outcomes.count("taken")), (20, 20))
        with self.open().reading() as connection:
            revisions = {each.revision for each in agent_keys.every(connection)}
            self.assertEqual(len(revisions), 20)
            self.assertEqual(store_revision(connection), 20)
