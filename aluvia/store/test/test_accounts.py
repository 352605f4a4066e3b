"""Tests for :mod:`aluvia.store.accounts` and :mod:`aluvia.store.revisions`."""

from __future__ import annotations

from aluvia.store import accounts
from aluvia.store.errors import (
    BadNameError,
    NotFoundError,
    RevisionConflictError,
    StoreError,
    TakenError,
)
from aluvia.store.revisions import store_name, store_revision
from aluvia.store.test.test_database import DatabaseCase
from aluvia.store.tokens import hash_of


class AccountTests(DatabaseCase):
    """Making, changing and removing them."""

    def setUp(self) -> None:
        """One account, in an open file."""
        super().setUp()
        self.database = self.open()
        with self.database.writing() as connection:
            self.made = accounts.add(connection, "alice", 10.0)

    def account(self, name: str = "alice") -> accounts.Account:
        """The account as it is now."""
        with self.database.reading() as connection:
            return accounts.find(connection, name)

    def change(self, seen: accounts.Account, **changes: object) -> accounts.Account:
        """Change it, at another time."""
        with self.database.writing() as connection:
            return accounts.change(connection, seen, 20.0, changes)

    def test_add(self) -> None:
        """It has a token of which the hash is kept, a password which is kept, and its name."""
        account = self.account()
        self.assertEqual(account.token_hash, hash_of(self.made.token))
        self.assertEqual(account.proxy_username, "alice")
        self.assertEqual(account.proxy_password, self.made.proxy_password)
        self.assertEqual((account.rules, account.session_id, account.target_geo), ((), None, None))
        self.assertEqual((account.created, account.updated), (10.0, 10.0))
        self.assertGreaterEqual(len(self.made.token), 43)
        self.assertNotIn(":", self.made.proxy_password)
        self.assertNotIn(self.made.token.encode(), self.path.read_bytes())

    def test_unalike(self) -> None:
        """No two tokens or passwords are the same."""
        with self.database.writing() as connection:
            other = accounts.add(connection, "bob", 0.0)
        secrets = {
            self.made.token,
            self.made.proxy_password,
            other.token,
            other.proxy_password,
        }
        self.assertEqual(len(secrets), 4)

    def test_no_secret_shown(self) -> None:
        """Neither a repr nor an error of SQLite shows a secret."""
        for shown in (self.made, self.account()):
            self.assertNotIn(self.made.token, repr(shown))
            self.assertNotIn(self.made.proxy_password, repr(shown))

        def same(count: int) -> str:
            return self.made.token if count == 32 else self.made.proxy_password

        with self.assertRaises(StoreError) as caught, self.database.writing() as connection:
            # The same token twice is no account's error: it cannot happen.
            accounts.add(connection, "bob", 0.0, same)
        error: BaseException | None = caught.exception
        while error is not None:
            self.assertNotIn(self.made.proxy_password, str(error))
            error = error.__cause__

    def test_names(self) -> None:
        """A name is what can stand in a proxy's user name, before a dash."""
        good = ["a", "_", "0", "a.b_c", "x" * 32]
        bad = ["", "a-b", "a:b", "A", ".a", "x" * 33, "a b", "ä", "a\n", "a/b", "a@b"]
        with self.database.writing() as connection:
            for name in good:
                accounts.add(connection, name, 0.0)
            for name in bad:
                self.assertRaises(BadNameError, accounts.add, connection, name, 0.0)
        self.assertEqual(self.names(self.database), sorted([*good, "alice"]))

    def test_taken(self) -> None:
        """A name is given once."""
        with self.database.writing() as connection:
            self.assertRaises(TakenError, accounts.add, connection, "alice", 0.0)

    def test_bound(self) -> None:
        """There are so many accounts at most."""
        self.patch(accounts, "MOST_ACCOUNTS", 2)
        with self.database.writing() as connection:
            accounts.add(connection, "bob", 0.0)
            self.assertRaises(StoreError, accounts.add, connection, "carol", 0.0)

    def test_remove(self) -> None:
        """It is gone, can be made anew with a later revision, and cannot be removed twice."""
        before = self.account().revision
        with self.database.writing() as connection:
            accounts.remove(connection, "alice")
            self.assertRaises(NotFoundError, accounts.find, connection, "alice")
        with self.assertRaises(NotFoundError), self.database.writing() as connection:
            accounts.remove(connection, "alice")
        with self.database.writing() as connection:
            accounts.add(connection, "alice", 0.0)
        self.assertGreater(self.account().revision, before + 1)

    def test_change(self) -> None:
        """The fields that are given change, with revision and time."""
        seen = self.account()
        changed = self.change(seen, rules=("*.example.com", "-é\n"), session_id="s")
        self.assertEqual(changed, self.account())
        self.assertEqual(changed.rules, ("*.example.com", "-é\n"))
        self.assertEqual((changed.session_id, changed.target_geo), ("s", None))
        self.assertEqual((changed.created, changed.updated), (10.0, 20.0))
        self.assertEqual(changed.revision, seen.revision + 1)
        self.assertIsNone(self.change(changed, session_id=None).session_id)

    def test_no_change(self) -> None:
        """What is there already changes nothing, the revision neither."""
        seen = self.account()
        self.assertEqual(self.change(seen, rules=(), session_id=None), seen)
        with self.database.reading() as connection:
            self.assertEqual(store_revision(connection), seen.revision)

    def test_conflict(self) -> None:
        """Who has seen an older revision changes nothing."""
        seen = self.account()
        self.change(seen, session_id="first")
        self.assertRaises(RevisionConflictError, self.change, seen, session_id="second")
        self.assertEqual(self.account().session_id, "first")

    def test_rotate(self) -> None:
        """Another password, and the same token."""
        before = self.account()
        with self.database.writing() as connection:
            after = accounts.rotate_password(connection, "alice", 20.0)
            self.assertRaises(NotFoundError, accounts.rotate_password, connection, "bob", 0.0)
        self.assertNotEqual(after.proxy_password, before.proxy_password)
        self.assertEqual(after.token_hash, before.token_hash)

    def test_since(self) -> None:
        """What was changed after a revision is read, in that order, and nothing else."""
        with self.database.writing() as connection:
            accounts.add(connection, "bob", 0.0)
            accounts.add(connection, "carol", 0.0)
        self.change(self.account(), session_id="s")
        with self.database.reading() as connection:
            for revision, names in ((0, ["bob", "carol", "alice"]), (3, ["alice"]), (4, [])):
                found = accounts.since(connection, revision)
                self.assertEqual([each.name for each in found], names)
            self.assertEqual(accounts.count(connection), 3)
            self.assertEqual(accounts.names(connection), {"alice", "bob", "carol"})

    def test_since_reads_no_more(self) -> None:
        """What did not change is not looked through for what did."""
        statement = "EXPLAIN QUERY PLAN SELECT * FROM accounts WHERE revision > 5 ORDER BY revision"
        with self.database.reading() as connection:
            plan = [row[-1] for row in connection.exec_driver_sql(statement)]
        self.assertEqual(
            plan, ["SEARCH accounts USING INDEX accounts_by_revision (revision>?)"], plan
        )

    def test_still_admits(self) -> None:
        """Who was let in may stay unless the account is gone, another one, or locked anew."""
        before = self.account()
        changed = self.change(before, rules=("*",), session_id="s", target_geo="us")
        for there, after in ((before, before), (before, changed), (None, before), (None, None)):
            self.assertTrue(accounts.still_admits(there, after))
        with self.database.writing() as connection:
            rotated = accounts.rotate_password(connection, "alice", 20.0)
            accounts.remove(connection, "alice")

            def same(count: int) -> str:
                return self.made.token if count == 32 else self.made.proxy_password

            accounts.add(connection, "alice", 30.0, same)
        for after in (None, rotated, self.account()):
            self.assertFalse(accounts.still_admits(before, after))
        self.assertTrue(accounts.still_admits(rotated, rotated))

    def test_store_name(self) -> None:
        """A file keeps its name, and another has another."""
        with self.database.reading() as connection:
            name = store_name(connection)
        with self.open().reading() as connection:
            self.assertEqual(store_name(connection), name)
        self.path = self.path.with_name("another")
        with self.open().reading() as connection:
            self.assertNotEqual(store_name(connection), name)
