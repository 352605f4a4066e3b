"""
Tests for :mod:`aluvia.gateway.accounts`: what is later, what is older, and what another history.
"""

from __future__ import annotations

import sqlite3
import typing

from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from aluvia.gateway.test.accounts_case import AccountsCase
from aluvia.gateway.test.gateway_case import asked
from aluvia.store import accounts as stored
from aluvia.store.accounts import Account
from aluvia.store.errors import StoreError
from aluvia.store.following import LOOK_SECONDS
from aluvia.store.looks import Look


class HistoryTests(AccountsCase):
    """Looks that are overtaken, and backups that are put back."""

    async def test_older_state(self) -> None:
        """A look that began before a change of ours does not undo it."""
        await self.add()
        accounts = await self.start()
        levels = self.logs(accounts)
        other = await self.open()

        def write(connection: Connection) -> None:
            stored.change(
                connection, stored.find(connection, "alice"), 0.0, {"session_id": "another's"}
            )
            stored.add(connection, "bob", 0.0)

        async def change(found: object) -> None:
            await accounts.change("alice", lambda seen: {"session_id": "new"})

        await other.write(write)
        await self.late_look(accounts, change)
        account = accounts.named("alice")
        assert account is not None
        self.assertEqual(account.session_id, "new")
        self.assertIsNotNone(accounts.named("bob"))
        self.forget()
        await accounts.look_now()
        self.assertEqual((self.changed, levels), ([], []))

    async def test_older_removal(self) -> None:
        """Nor does one that found it gone, when it was made anew and changed since."""
        await self.add()
        accounts = await self.start()
        await self.store.write(lambda connection: stored.remove(connection, "alice"))
        looks: list[Look] = []

        async def change(found: Look) -> None:
            looks.append(found)
            if len(looks) == 2:
                await self.add()
                await accounts.change("alice", lambda seen: {"session_id": "new"})

        await self.late_look(accounts, change)
        self.assertEqual(looks[-1].gone, ("alice",))
        for _ in range(2):
            account = accounts.named("alice")
            assert account is not None
            self.assertEqual(account.session_id, "new")
            await accounts.look_now()

    async def test_backup(self) -> None:
        """
        A backup that is put back holds, though it is older: the file is the truth. Who was removed
        since is back, and whoever was made since is gone.
        """
        made = await self.add()
        await self.add("carol")
        accounts = await self.start()
        first = accounts.of_token(made.token)
        assert first is not None
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        await accounts.change("alice", lambda seen: {"session_id": "since"})
        changed = accounts.named("alice")
        await self.store.write(lambda connection: stored.remove(connection, "carol"))
        await self.add("bob")
        await accounts.look_now()
        self.forget()
        levels = self.logs(accounts)
        self.copy(backup, self.path)
        await accounts.look_now()
        await accounts.look_now()
        self.assertEqual(self.changed, ["bob", "alice", "carol"])
        self.assertEqual(self.changes[1], (changed, first))
        self.assertEqual((accounts.named("alice"), accounts.named("bob")), (first, None))
        self.assertEqual(levels, ["warn"])
        # And what is changed from then on is later than what is there, though not than what was.
        self.forget()
        account = await accounts.change("alice", lambda seen: {"session_id": "later"})
        await self.store.write(lambda connection: stored.rotate_password(connection, "carol", 1.0))
        await accounts.look_now()
        self.assertEqual(self.changed, ["alice", "carol"])
        self.assertEqual(accounts.named("alice"), account)
        self.assertEqual(levels, ["warn"])

    async def test_backup_that_went_on(self) -> None:
        """Neither does it matter what was done to it before we look, nor how often."""
        await self.add()
        await self.add("bob")
        accounts = await self.start()
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        for times in (1, 2):
            with self.subTest(times=times):
                await accounts.change("alice", lambda seen: {"session_id": "since"})
                await accounts.look_now()
                self.forget()
                self.copy(backup, self.path)
                for _ in range(times):
                    await self.store.write(
                        lambda connection: stored.rotate_password(connection, "bob", 1.0)
                    )
                await accounts.look_now()
                account = accounts.named("alice")
                assert account is not None
                self.assertIsNone(account.session_id)
                self.assertIn("bob", self.changed)

    async def test_tag_after_a_backup(self) -> None:
        """A revision that comes a second time has another tag."""
        await self.add()
        accounts = await self.start()
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        states = []

        async def change(session_id: str) -> Account:
            return await accounts.change("alice", lambda seen: {"session_id": session_id})

        for session_id in ("first", "second"):
            self.copy(backup, self.path)
            await accounts.look_now()
            self.clock.advance(LOOK_SECONDS / 10)
            states.append(await change(session_id))
        self.assertEqual(states[0].revision, states[1].revision)
        self.assertNotEqual(*map(accounts.etag, states))

    async def test_backup_behind_a_change(self) -> None:
        """A change of ours that is told of behind the backup that undid it does not last."""
        await self.add()
        accounts = await self.start()
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        write = self.store.write

        async def late(job: typing.Callable[[Connection], typing.Any]) -> typing.Any:
            result = await write(job)
            self.copy(backup, self.path)
            await accounts.look_now()
            return result

        self.patch(self.store, "write", late)
        await accounts.change("alice", lambda seen: {"session_id": "undone"})
        self.patch(self.store, "write", write)
        await accounts.look_now()
        account = accounts.named("alice")
        assert account is not None
        self.assertIsNone(account.session_id)

    async def test_backup_behind_a_look(self) -> None:
        """Nor does one that a look was overtaken by, when the backup has what that look found."""
        await self.add()
        accounts = await self.start()
        await self.add("bob")
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)

        async def change(found: object) -> None:
            await accounts.change("alice", lambda seen: {"session_id": "undone"})

        await self.late_look(accounts, change)
        self.copy(backup, self.path)
        await accounts.look_now()
        account = accounts.named("alice")
        assert account is not None
        self.assertIsNone(account.session_id)

    async def test_backup_during_a_look(self) -> None:
        """Nor one that is told of while a look is under way that has read another history."""
        await self.add()
        await self.add("bob")
        accounts = await self.start()
        backup = self.path.with_name("backup")
        self.copy(self.path, backup)
        other = await self.open()
        done: Deferred[None] = Deferred()
        told: Deferred[None] = Deferred()
        write = self.store.write

        async def late(job: typing.Callable[[Connection], typing.Any]) -> typing.Any:
            result = await write(job)
            done.callback(None)
            await told
            return result

        # Two changes, and one of the other history: it is later than what was known before, and
        # earlier than the change that it has not.
        await other.write(lambda connection: stored.add(connection, "carol", 0.0))
        self.patch(self.store, "write", late)
        changing = asked(accounts.change("alice", lambda seen: {"session_id": "undone"}))
        await done
        self.patch(self.store, "write", write)
        self.copy(backup, self.path)
        await other.write(lambda connection: stored.rotate_password(connection, "bob", 0.0))

        async def tell(found: object) -> None:
            told.callback(None)
            await changing

        await self.late_look(accounts, tell)
        await accounts.look_now()
        account = accounts.named("alice")
        assert account is not None
        self.assertIsNone(account.session_id)

    async def test_another_store(self) -> None:
        """What another store has holds as well, with tags of its own."""
        await self.add()
        await self.add("bob")
        accounts = await self.start()
        bob = accounts.named("bob")
        assert bob is not None
        tag = accounts.etag(bob)
        self.forget()
        levels = self.logs(accounts)
        path, self.path = self.path, self.path.with_name("another")
        made = await (await self.open()).write(
            lambda connection: stored.add(connection, "carol", 0.0)
        )
        self.copy(self.path, path)
        await accounts.look_now()
        self.assertEqual(sorted(self.changed), ["alice", "bob", "carol"])
        self.assertEqual(len(accounts), 1)
        self.assertIsNotNone(accounts.of_token(made.token))
        self.assertNotEqual(accounts.etag(bob), tag)
        self.assertEqual(levels, ["warn"])

    async def test_another_file(self) -> None:
        """Another file in its place is not read, nor is anything written to the one that was."""
        await self.add()
        accounts = await self.start()
        levels = self.logs(accounts)
        self.path.with_name("another").write_bytes(self.path.read_bytes())
        self.path.with_name("another").replace(self.path)
        for _ in range(2):
            await accounts.look_now()
        self.assertIn("another file is in its place", str(accounts.problem))
        self.assertEqual(levels, ["error"])
        self.assertIsNotNone(accounts.named("alice"))
        with self.assertRaises(StoreError):
            await accounts.change("alice", lambda seen: {"session_id": "lost"})

    async def test_odd_row(self) -> None:
        """A row that is not as we write it is told of once, until it is put right."""
        made = await self.add()
        accounts = await self.start()
        levels = self.logs(accounts)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)

        def write(rules: str) -> None:
            other.execute("UPDATE store SET revision = revision + 1")
            sets = "rules = ?, revision = (SELECT revision FROM store)"
            other.execute(f"UPDATE accounts SET {sets}", [rules])

        write("nonsense")
        for _ in range(3):
            await accounts.look_now()
        self.assertEqual(levels, ["critical"])
        self.assertIsNotNone(accounts.problem)
        self.assertIsNotNone(accounts.of_token(made.token))
        write('["*"]')
        await accounts.look_now()
        account = accounts.of_token(made.token)
        assert account is not None
        self.assertEqual((account.rules, accounts.problem), (("*",), None))
