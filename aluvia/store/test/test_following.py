"""Tests for :mod:`aluvia.store.following`: when a store is read, and what becomes of a bad look."""

from __future__ import annotations

import typing

from sqlalchemy import Connection
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger

from aluvia.store import accounts
from aluvia.store.errors import StoreError
from aluvia.store.following import LOOK_SECONDS, Following
from aluvia.store.test.store_case import StoreCase


class FollowingTests(StoreCase):
    """A store that others change."""

    async def start(self) -> Following:
        """Follow the names of the accounts; what is logged is kept by its level."""
        self.clock = Clock()
        self.names: list[list[str]] = []
        self.whole = True
        self.wrong: Exception | None = None
        self.levels: list[str] = []
        log = Logger()
        self.patch(log, "observer", lambda event: self.levels.append(event["log_level"].name))
        clock = typing.cast(typing.Any, self.clock)
        following = Following(self.store, clock, "names", self.read, log=log)
        self.addCleanup(following.stop)
        await following.start()
        return following

    async def read(self) -> bool:
        """Read the names."""
        if self.wrong is not None:
            raise self.wrong
        self.names.append(sorted(await self.store.read(accounts.names)))
        return self.whole

    async def change(self, name: str) -> None:
        """Add an account, as another process would."""
        other = await self.open()

        def write(connection: Connection) -> object:
            return accounts.add(connection, name, 0.0)

        await other.write(write)

    async def test_change(self) -> None:
        """Another process's change is read at the next look, within a second, and only once."""
        self.assertLess(LOOK_SECONDS, 1)
        await self.start()
        await self.change("alice")
        self.assertEqual(self.names, [[]])
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: len(self.names) == 2)
        self.assertEqual(self.names[1], ["alice"])

    async def test_no_change(self) -> None:
        """What has not changed is not read again."""
        following = await self.start()
        for _ in range(3):
            await following.look_now()
        self.assertEqual(self.names, [[]])

    async def test_not_all_known(self) -> None:
        """Where not all is known it is read again; and where that is asked for."""
        following = await self.start()
        await self.change("alice")
        self.whole = False
        for _ in range(2):
            await following.look_now()
        self.whole = True
        for _ in range(2):
            await following.look_now()
        self.assertEqual(self.names, [[], ["alice"], ["alice"], ["alice"]])
        following.forget()
        await following.look_now()
        self.assertEqual(len(self.names), 5)

    async def test_one_at_a_time(self) -> None:
        """While a look is under way no other begins."""
        following = await self.start()
        await self.change("alice")
        first = Deferred.fromCoroutine(following.look_now())
        await following.look_now()
        self.assertEqual(len(self.names), 1)
        await first
        self.assertEqual(len(self.names), 2)

    async def test_bad_looks(self) -> None:
        """A look that fails is told of once, and the next one is looked all the same."""
        following = await self.start()
        await self.change("alice")
        for wrong, problem, level in (
            (StoreError("the disk is gone"), "the disk is gone", "error"),
            (ZeroDivisionError(), "looking at the names failed with ZeroDivisionError", "critical"),
        ):
            self.levels.clear()
            self.wrong = wrong
            for _ in range(3):
                await following.look_now()
            self.assertEqual((following.problem, self.levels), (problem, [level]))
        self.wrong = None
        await following.look_now()
        self.assertEqual((following.problem, self.levels), (None, ["critical", "info"]))
        self.assertEqual(self.names[-1], ["alice"])

    async def test_first_look(self) -> None:
        """What is wrong at the start is raised there."""
        following = await self.start()
        await following.stop()
        following.forget()
        self.wrong = StoreError("the disk is gone")
        with self.assertRaises(StoreError):
            await following.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_stop_while_it_looks(self) -> None:
        """A look that is under way is given up, which is nobody's problem."""
        following = await self.start()
        asked: list[Deferred[int]] = []

        def ask() -> Deferred[int]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(self.store, "version", ask)
        looking = Deferred.fromCoroutine(following.look_now())
        await following.stop()
        await looking
        self.assertTrue(asked[0].called)
        self.assertEqual((following.problem, self.levels), (None, []))

    async def test_stop(self) -> None:
        """In the middle of a look too it leaves nothing."""
        following = await self.start()
        self.clock.advance(LOOK_SECONDS)
        await following.stop()
        await following.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(following.problem)
