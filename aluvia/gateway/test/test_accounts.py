"""Tests for :mod:`aluvia.gateway.accounts`: what is in force, and from when on."""

from __future__ import annotations

import typing

from sqlalchemy import Connection

from aluvia.gateway.test.accounts_case import AccountsCase
from aluvia.store import accounts as stored
from aluvia.store.accounts import Account, still_admits
from aluvia.store.errors import NotFoundError, StoreError
from aluvia.store.following import LOOK_SECONDS
from aluvia.store.tokens import hash_of


class AccountsTests(AccountsCase):
    """A store that others change."""

    async def test_authenticated(self) -> None:
        """An account is had by its own password alone."""
        made, other = await self.add(), await self.add("bob")
        accounts = await self.start()
        password = made.proxy_password.encode()
        account = accounts.authenticated("alice", password)
        assert account is not None
        self.assertEqual(account.name, "alice")
        for name, wrong in (
            ("alice", b""),
            ("alice", password[:-1]),
            ("alice", password + b"x"),
            ("alice", other.proxy_password.encode()),
            ("bob", password),
            ("carol", password),
            ("", b""),
            ("ALICE", password),
        ):
            self.assertIsNone(accounts.authenticated(name, wrong), name)

    async def test_nobody(self) -> None:
        """No password opens an account that is not there, whatever it hashes to."""
        accounts = await self.start()
        accounts._nobody = hash_of("x")
        self.assertIsNone(accounts.authenticated("alice", b"x"))

    async def test_token(self) -> None:
        """A token is its account's."""
        made = await self.add()
        accounts = await self.start()
        account = accounts.of_token(made.token)
        assert account is not None
        self.assertEqual(account.name, "alice")
        self.assertIsNone(accounts.of_token(made.token + "x"))
        self.assertIsNone(accounts.of_token(""))

    async def test_other_process(self) -> None:
        """What another process changes is in force after the next look, within a second."""
        self.assertLess(LOOK_SECONDS, 1)
        accounts = await self.start()
        other = await self.open()
        made = await other.write(lambda connection: stored.add(connection, "alice", 0.0))
        self.assertIsNone(accounts.named("alice"))
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: self.changed == ["alice"])
        password = made.proxy_password.encode()
        self.assertIsNotNone(accounts.authenticated("alice", password))

        await other.write(lambda connection: stored.rotate_password(connection, "alice", 0.0))
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: self.changed == ["alice"] * 2)
        self.assertIsNone(accounts.authenticated("alice", password))
        self.assertIsNotNone(accounts.of_token(made.token))

        await other.write(lambda connection: stored.remove(connection, "alice"))
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: self.changed == ["alice"] * 3)
        self.assertIsNone(accounts.of_token(made.token))
        self.assertEqual(len(accounts), 0)

    async def test_only_what_changed(self) -> None:
        """Nobody is told of an account that is as it was."""
        await self.add()
        accounts = await self.start()
        self.forget()
        await self.add("bob")
        await accounts.look_now()
        await accounts.look_now()
        self.assertEqual(self.changed, ["bob"])

    async def test_only_what_changed_is_read(self) -> None:
        """Of accounts that are as they were nothing is read, whatever became of the others."""
        for name in ("alice", "bob", "carol"):
            await self.add(name)
        accounts = await self.start()
        self.forget()

        def every(connection: Connection) -> typing.NoReturn:
            raise AssertionError("all of them are read")

        self.patch(stored, "every", every)
        await self.store.write(lambda connection: stored.rotate_password(connection, "bob", 0.0))
        await accounts.look_now()
        await self.add("dave")
        await accounts.look_now()
        await self.store.write(lambda connection: stored.remove(connection, "carol"))
        await accounts.look_now()
        self.assertEqual(self.changed, ["bob", "dave", "carol"])
        self.assertEqual(len(accounts), 3)

    async def test_much_at_once(self) -> None:
        """What was added, changed and removed between two looks is told as one change of each."""
        for name in ("alice", "bob", "carol"):
            await self.add(name)
        accounts = await self.start()
        self.forget()
        other = await self.open()

        def write(connection: Connection) -> None:
            stored.remove(connection, "alice")
            stored.rotate_password(connection, "bob", 0.0)
            stored.rotate_password(connection, "bob", 0.0)
            stored.add(connection, "dave", 0.0)
            stored.add(connection, "erin", 0.0)
            stored.remove(connection, "erin")

        await other.write(write)
        await accounts.look_now()
        self.assertEqual(self.changed, ["alice", "bob", "dave"])
        for before, after in self.changes:
            self.assertIs(before is None, after is not None and after.name == "dave")
            self.assertIs(after is None, before is not None and before.name == "alice")
        self.assertEqual(len(accounts), 3)

    async def test_made_anew(self) -> None:
        """
        An account that was removed and made anew between two looks is another one: who was let in
        by the first may not stay.
        """
        made = await self.add()
        accounts = await self.start()
        self.forget()
        await self.store.write(lambda connection: stored.remove(connection, "alice"))
        again = await self.add()
        await accounts.look_now()
        ((before, after),) = self.changes
        assert before is not None
        assert after is not None
        self.assertFalse(still_admits(before, after))
        self.assertIsNone(accounts.of_token(made.token))
        self.assertEqual(accounts.of_token(again.token), after)

    async def test_what_follows_fails(self) -> None:
        """A fault in what follows from one change is logged, and the others are told of."""
        accounts = await self.start()
        await self.add()
        await self.add("bob")
        note = self.note

        def broken(before: Account | None, after: Account | None) -> None:
            note(before, after)
            raise ZeroDivisionError

        accounts._changed = broken
        await accounts.look_now()
        self.assertEqual(self.changed, ["alice", "bob"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertIsNone(accounts.problem)

    async def test_change(self) -> None:
        """A change of ours is in force when it is made, and told of once."""
        await self.add()
        accounts = await self.start()
        before = accounts.named("alice")
        assert before is not None
        tag = accounts.etag(before)
        self.forget()
        account = await accounts.change("alice", lambda seen: {"session_id": "s"})
        self.assertEqual(account, accounts.named("alice"))
        self.assertNotEqual(accounts.etag(account), tag)
        await accounts.look_now()
        self.assertEqual(self.changes, [(before, account)])

    async def test_change_behind_anothers(self) -> None:
        """A change of ours hides no earlier one of another process."""
        await self.add()
        await self.add("bob")
        accounts = await self.start()
        self.forget()
        other = await self.open()
        await other.write(lambda connection: stored.rotate_password(connection, "bob", 0.0))
        await accounts.change("alice", lambda seen: {"session_id": "s"})
        await accounts.look_now()
        self.assertEqual(self.changed, ["alice", "bob"])

    async def test_no_change(self) -> None:
        """One that changes nothing is told to nobody."""
        await self.add()
        accounts = await self.start()
        self.forget()
        await accounts.change("alice", lambda seen: {"session_id": None})
        self.assertEqual(self.changed, [])

    async def test_change_that_fails(self) -> None:
        """What is raised comes back, and nothing has changed."""
        await self.add()
        accounts = await self.start()

        def broken(seen: Account) -> typing.NoReturn:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await accounts.change("alice", broken)
        with self.assertRaises(NotFoundError):
            await accounts.change("bob", lambda seen: {})

    async def test_store_that_fails(self) -> None:
        """A store that cannot be read leaves what was known; it is said once, and tried again."""
        await self.add()
        accounts = await self.start()
        logged: list[dict[str, typing.Any]] = []
        self.patch(accounts._log, "observer", logged.append)
        version = self.store.version

        async def fail() -> int:
            raise StoreError("the disk is gone")

        self.patch(self.store, "version", fail)
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            await self.turns()
        self.assertEqual(accounts.problem, "the disk is gone")
        self.assertEqual(len(logged), 1)
        self.assertIsNotNone(accounts.named("alice"))
        self.patch(self.store, "version", version)
        await self.add("bob")
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: accounts.problem is None)
        self.assertIsNotNone(accounts.named("bob"))

    async def test_look_that_breaks(self) -> None:
        """A fault of ours in a look is logged, and is not the last look."""
        accounts = await self.start()
        version = self.store.version

        async def fail() -> int:
            raise ZeroDivisionError

        self.patch(self.store, "version", fail)
        self.clock.advance(LOOK_SECONDS)
        await self.turns()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.patch(self.store, "version", version)
        await self.add()
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: accounts.named("alice"))

    async def test_stop(self) -> None:
        """In the middle of a look too it leaves nothing."""
        accounts = await self.start()
        self.clock.advance(LOOK_SECONDS)
        await accounts.stop()
        await accounts.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
