"""Tests for :mod:`aluvia.hub.stored_keys`: real threads, a real file, and a clock of the test's."""

from __future__ import annotations

import sqlite3
import typing

from sqlalchemy import Connection
from twisted.internet.task import Clock
from twisted.logger import Logger

from aluvia.hub.keys import Keys, Permit
from aluvia.hub.stored_keys import StoredKeys
from aluvia.store import agent_keys
from aluvia.store.agent_keys import NewKey
from aluvia.store.errors import StoreError
from aluvia.store.following import LOOK_SECONDS
from aluvia.store.test.store_case import StoreCase


class StoredKeysTests(StoreCase):
    """A store that another process changes."""

    async def start(self) -> StoredKeys:
        """Follow the keys; what is told and logged is kept."""
        self.clock = Clock()
        self.told = 0
        self.logged: list[dict[str, typing.Any]] = []
        log = Logger()
        self.patch(log, "observer", self.logged.append)
        keys = StoredKeys(self.store, typing.cast(typing.Any, self.clock), log=log)
        self.addCleanup(keys.stop)
        keys.on_change(self.note)
        await keys.start()
        return keys

    def note(self) -> None:
        """Some may not stay."""
        self.told += 1

    @property
    def levels(self) -> list[str]:
        """Of what was logged."""
        return [event["log_level"].name for event in self.logged]

    async def add(self, name: str = "laptop", **fields: typing.Any) -> NewKey:
        """Add a key, as another process would."""
        other = await self.open()
        return await other.write(lambda connection: agent_keys.add(connection, name, 1.0, **fields))

    async def remove(self, name: str = "laptop") -> None:
        """Remove one, likewise."""
        other = await self.open()
        await other.write(lambda connection: agent_keys.remove(connection, name))

    async def came_with(self, keys: Keys, new: NewKey) -> Permit:
        """What somebody who shows this key has."""
        permit = keys.permit(new.key)
        assert permit is not None
        return permit

    def execute(self, statement: str, *values: object) -> None:
        """As nobody should."""
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute(statement, values)
        other.close()

    async def test_at_start(self) -> None:
        """All keys are known when it has started, and what each is good for."""
        new = await self.add(publish=("web", "api"), exit=True, expires=99.0)
        keys = await self.start()
        permit = Permit(
            name="laptop",
            publish=frozenset(["web", "api"]),
            exit=True,
            made=1.0,
            expires=99.0,
        )
        self.assertEqual(keys.permit(new.key), permit)
        self.assertTrue(keys.may_be_published("web"))
        self.assertFalse(keys.may_be_published("other"))
        for wrong in ("", new.key[:-1], new.key + "x"):
            self.assertIsNone(keys.permit(wrong))

    async def test_no_store(self) -> None:
        """A store that cannot be read at the start is told of."""
        await self.store.close()
        with self.assertRaises(StoreError):
            await self.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_added_key(self) -> None:
        """A key that another process adds opens within a second; nobody has to leave."""
        keys = await self.start()
        new = await self.add(publish=("*",))
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: keys.permit(new.key))
        self.assertEqual(self.told, 0)

    async def test_revoked_key(self) -> None:
        """A revoke by another process is seen within a second, and told."""
        self.assertLess(LOOK_SECONDS, 1)
        new = await self.add(publish=("*",))
        keys = await self.start()
        permit = await self.came_with(keys, new)
        await self.remove()
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: self.told)
        self.assertIsNone(keys.permit(new.key))
        self.assertFalse(keys.still_good(permit))
        self.assertEqual(self.told, 1)

    async def test_rotated_key(self) -> None:
        """After a rotation the new key opens, the old one does not, and who has it may not stay."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        permit = await self.came_with(keys, new)
        again = await self.store.write(
            lambda connection: agent_keys.rotate(connection, "laptop", 2.0)
        )
        await keys.look_now()
        self.assertIsNone(keys.permit(new.key))
        self.assertTrue(keys.still_good(await self.came_with(keys, again)))
        self.assertFalse(keys.still_good(permit))
        self.assertEqual(self.told, 1)

    async def test_made_anew(self) -> None:
        """A key that was revoked and made anew between two looks is another one."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        permit = await self.came_with(keys, new)

        def write(connection: Connection) -> None:
            agent_keys.remove(connection, "laptop")
            agent_keys.add(connection, "laptop", 2.0, publish=("*",))

        await self.store.write(write)
        await keys.look_now()
        self.assertFalse(keys.still_good(permit))
        self.assertEqual(self.told, 1)

    async def test_narrowed_key(self) -> None:
        """A key that may do less than it might is told of, however that came."""
        new = await self.add(publish=("web", "api"))
        keys = await self.start()
        permit = await self.came_with(keys, new)
        self.execute("UPDATE agent_keys SET publish = ?", '["web"]')
        await keys.look_now()
        self.assertFalse(keys.still_good(permit))
        self.assertTrue(keys.still_good(await self.came_with(keys, new)))
        self.assertEqual((self.told, self.logged), (1, []))

    async def test_expired_key(self) -> None:
        """An expired key is told of within a second, with nobody's doing, and opens nothing."""
        new = await self.add(publish=("*",), expires=10.0)
        keys = await self.start()
        permit = await self.came_with(keys, new)
        self.clock.pump([LOOK_SECONDS] * 19)
        self.assertTrue(keys.still_good(permit))
        self.clock.advance(LOOK_SECONDS)
        self.assertFalse(keys.still_good(permit))
        self.assertIsNone(keys.permit(new.key))
        self.assertEqual(self.told, 1)

    async def test_expired_key_without_a_store(self) -> None:
        """Also while the store cannot be read."""
        new = await self.add(publish=("*",), expires=10.0)
        keys = await self.start()
        permit = await self.came_with(keys, new)
        await self.store.close()
        self.clock.advance(10)
        self.assertEqual((keys.still_good(permit), self.told), (False, 1))

    async def test_store_that_fails(self) -> None:
        """The last good state holds while the store cannot be read; that is said once."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        version = self.store.version

        async def fail() -> int:
            raise StoreError("the disk is gone")

        self.patch(self.store, "version", fail)
        for _ in range(3):
            self.clock.advance(LOOK_SECONDS)
            await self.turns()
        self.assertEqual((keys.problem, self.levels), ("the disk is gone", ["error"]))
        self.assertTrue(keys.still_good(await self.came_with(keys, new)))
        self.patch(self.store, "version", version)
        await self.remove()
        self.clock.advance(LOOK_SECONDS)
        await self.when(lambda: self.told)
        self.assertIsNone(keys.problem)

    async def test_damaged_file(self) -> None:
        """Another file in its place changes nothing that is known."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        self.path.with_name("another").write_bytes(b"nonsense")
        self.path.with_name("another").replace(self.path)
        await keys.look_now()
        self.assertIn("another file is in its place", str(keys.problem))
        self.assertIsNotNone(keys.permit(new.key))

    async def test_corrupt_row(self) -> None:
        """
        A row that cannot be read opens nothing, which is said once; and it hides neither the other
        keys nor what becomes of them.
        """
        new, other = await self.add(publish=("*",)), await self.add("other", publish=("*",))
        keys = await self.start()
        permit = await self.came_with(keys, new)
        self.execute("UPDATE agent_keys SET publish = 'nonsense' WHERE name = 'laptop'")
        for _ in range(2):
            await keys.look_now()
        self.assertIsNone(keys.permit(new.key))
        self.assertFalse(keys.still_good(permit))
        self.assertIsNotNone(keys.permit(other.key))
        self.assertEqual((self.told, self.levels), (1, ["error"]))
        self.assertEqual(self.logged[0]["name"], "laptop")
        await self.remove("other")
        await keys.look_now()
        self.assertIsNone(keys.permit(other.key))
        self.assertEqual((self.told, self.levels, keys.problem), (2, ["error"], None))

    async def test_other_changes(self) -> None:
        """What else changes in the store is nothing to the keys."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        permit = await self.came_with(keys, new)
        self.patch(keys, "hold", None)
        self.execute("UPDATE store SET revision = revision + 1")
        await keys.look_now()
        self.assertTrue(keys.still_good(permit))
        self.assertEqual((self.told, keys.problem), (0, None))

    async def test_no_secret_logged(self) -> None:
        """Nothing that is logged has a key or a hash in it."""
        new = await self.add(publish=("*",))
        await self.start()
        self.execute("UPDATE agent_keys SET exit = 7")
        keys = await self.start()
        await keys.look_now()
        self.assertEqual(self.levels, ["error"])
        self.assertNotIn(new.key.removeprefix(agent_keys.PREFIX), repr(self.logged))

    async def test_stop(self) -> None:
        """It leaves nothing, in the middle of a look either, and what was known stays known."""
        new = await self.add(publish=("*",))
        keys = await self.start()
        self.clock.advance(LOOK_SECONDS)
        await keys.stop()
        await keys.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNotNone(keys.permit(new.key))
