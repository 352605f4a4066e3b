"""Tests for :mod:`aluvia.cli.agent_key`; ``tests/test_agent_key.py`` has it beside an edge."""

from __future__ import annotations

import json
import sqlite3
import typing
from pathlib import Path

from aluvia.cli.agent_key import expiry
from aluvia.cli.command import CommandError
from aluvia.cli.test.test_main import ConsoleCase
from aluvia.store import agent_keys
from aluvia.store.agent_keys import AgentKey
from aluvia.store.database import Database
from aluvia.store.tokens import hash_of

#: 2026-11-21, noon.
NOON = 1_795_262_400.0


class AgentKeyTests(ConsoleCase):
    """The command, on a file of its own."""

    def setUp(self) -> None:
        """No file yet."""
        super().setUp()
        self.db = Path(self.mktemp()).absolute()

    def agent_key(self, *words: str) -> tuple[int, str, str]:
        """Call it."""
        return self.call("agent-key", *words, "--db", str(self.db))

    def good(self, *words: str) -> str:
        """Call it, for what it says."""
        status, stdout, stderr = self.agent_key(*words)
        self.assertEqual((status, stderr), (0, ""))
        return stdout

    def refused(self, status: int, *words: str) -> str:
        """Call it, for the line that says what is wrong."""
        got, stdout, stderr = self.agent_key(*words)
        self.assertEqual((got, stdout), (status, ""), words)
        self.assertRegex(stderr, r"^aluvia: .+\n$")
        return stderr

    def keys(self) -> list[AgentKey]:
        """What is in the file."""
        database = Database(self.db, create=False)
        self.addCleanup(database.close)
        with database.reading() as connection:
            return agent_keys.every(connection)

    def test_add(self) -> None:
        """The key is printed once, with what to do with it; the file is made, with its hash."""
        key, *words = self.good("add", "laptop").split()
        self.assertRegex(key, "^alv_agent_")
        self.assertIn("--key-file", words)
        (kept,) = self.keys()
        self.assertEqual(kept.key_hash, hash_of(key))
        self.assertEqual((kept.publish, kept.exit, kept.expires), (("*",), False, None))
        self.assertEqual(self.db.stat().st_mode & 0o777, 0o600)
        self.assertNotIn(key, self.good("list") + self.good("list", "--json"))

    def test_json(self) -> None:
        """As JSON there is the name and the key, of a new one and of a rotated one."""
        added = json.loads(self.good("add", "laptop", "--json"))
        rotated = json.loads(self.good("rotate", "laptop", "--json"))
        for each in (added, rotated):
            self.assertEqual(sorted(each), ["key", "name"])
        self.assertNotEqual(added["key"], rotated["key"])
        (kept,) = self.keys()
        self.assertEqual(kept.key_hash, hash_of(rotated["key"]))
        self.assertEqual(json.loads(self.good("revoke", "laptop", "--json")), {"name": "laptop"})

    def test_key_file(self) -> None:
        """The key is in a file, its owner's alone, and is not printed; rotate replaces it."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        file = folder / "laptop.key"
        seen = set()
        for action in ("add", "rotate"):
            said = self.good(action, "laptop", "--key-file", str(file))
            key = file.read_text().rstrip("\n")
            seen.add(key)
            self.assertNotIn(key, said)
            self.assertIn("laptop", said)
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            (kept,) = self.keys()
            self.assertEqual(kept.key_hash, hash_of(key))
            self.assertEqual([each.name for each in folder.iterdir()], ["laptop.key"])
        self.assertEqual(len(seen), 2)

    def test_key_file_that_cannot_be(self) -> None:
        """Without its file there is no key, and without a key no file."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        there = folder / "there"
        there.write_text("mine")
        self.refused(73, "add", "laptop", "--key-file", str(there))
        self.refused(73, "add", "laptop", "--key-file", str(folder / "missing" / "key"))
        self.good("list")
        self.assertEqual(self.keys(), [])
        self.good("add", "laptop")
        self.refused(65, "add", "laptop", "--key-file", str(folder / "other"))
        self.refused(65, "rotate", "nobody", "--key-file", str(there))
        self.assertEqual(there.read_text(), "mine")
        self.assertEqual([each.name for each in folder.iterdir()], ["there"])

    def test_what_it_may(self) -> None:
        """Any id unless ids are named; none for an exit that names none."""
        cases: list[tuple[list[str], tuple[str, ...], bool]] = [
            ([], ("*",), False),
            (["--exit"], (), True),
            (["--publish", "Web", "--publish", "api", "--publish=web"], ("web", "api"), False),
            (["--publish", "*", "--exit"], ("*",), True),
        ]
        for words, publish, exit in cases:
            self.good("add", "k", *words)
            (kept,) = self.keys()
            self.assertEqual((kept.publish, kept.exit), (publish, exit))
            self.good("revoke", "k")

    def test_list(self) -> None:
        """A list says of each what it may, since when and how long."""
        self.good("add", "laptop", "--publish", "web", "--publish", "api", "--expires", "30d")
        self.good("add", "exits", "--exit")
        head, exits, laptop = self.good("list").splitlines()
        self.assertEqual(head.split(), ["NAME", "PUBLISH", "EXIT", "MADE", "EXPIRES"])
        self.assertRegex(exits, r"^exits   -        yes   20\S+Z  never$")
        self.assertRegex(laptop, r"^laptop  web,api  no    20\S+Z  20\S+Z$")
        first, second = json.loads(self.good("list", "--json"))
        self.assertEqual((first["name"], first["exit"], first["expires"]), ("exits", True, None))
        self.assertEqual(second["publish"], ["web", "api"])
        self.assertEqual(round(second["expires"] - second["made"]), 30 * 86_400)
        for each in (first, second):
            self.assertNotIn("key_hash", each)

    def test_list_odd(self) -> None:
        """One that has expired is shown so; so is one that cannot be read, which can be revoked."""
        self.good("add", "old")
        self.good("add", "odd")
        raw = sqlite3.connect(self.db, isolation_level=None)
        raw.execute("UPDATE agent_keys SET expires = 1 WHERE name = 'old'")
        raw.execute("UPDATE agent_keys SET publish = 'x' WHERE name = 'odd'")
        raw.close()
        _, odd, old = self.good("list").splitlines()
        self.assertRegex(old, "expired$")
        self.assertIn("cannot be read", odd)
        for name in ("old", "odd"):
            self.refused(65, "rotate", name)
            self.assertEqual(self.good("revoke", name), f"Revoked {name}.\n")
        self.assertEqual(self.keys(), [])

    def test_wrong_calls(self) -> None:
        """Status 64, and one line."""
        for words in (
            ["add"],
            ["add", "a b"],
            ["add", "a", "--publish", "a/b"],
            ["add", "a", "--publish=a-"],
            ["add", "a", "--publish="],
            ["add", "a", "--expires", "soon"],
            ["add", "a", "--expires", "0d"],
            ["list", "a"],
            ["rotate"],
            ["rotate", "a", "--exit"],
            ["revoke", "a", "--publish", "a"],
            ["list", "--expires", "3d"],
            ["list", "--key-file", "f"],
            ["revoke", "a", "--key-file", "f"],
            ["remove", "a"],
        ):
            self.refused(64, *words)

    def test_wrong_names(self) -> None:
        """Status 65 for a name that is taken, or is no key's."""
        self.good("add", "laptop")
        for words in (["add", "laptop"], ["rotate", "other"], ["revoke", "other"]):
            self.refused(65, *words)
        self.assertEqual(len(self.keys()), 1)

    def test_wrong_files(self) -> None:
        """Status 78 for a file that is not there, unless a key is added, and for another's."""
        for words in (["list"], ["rotate", "a"], ["revoke", "a"]):
            self.refused(78, *words)
            self.assertFalse(self.db.exists())
        self.db.write_text("nonsense")
        self.refused(78, "add", "a")


class ExpiryTests(ConsoleCase):
    """When a key expires."""

    def test_spans(self) -> None:
        """Hours, days and weeks from now."""
        for text, seconds in (("1h", 3_600), ("30d", 2_592_000), ("4w", 2_419_200)):
            self.assertEqual(expiry(text, NOON), NOON + seconds)

    def test_days(self) -> None:
        """To the end of a day, which may be today."""
        self.assertEqual(expiry("2026-11-21", NOON), NOON + 43_200)
        self.assertEqual(expiry("2026-12-31", NOON), 1_798_761_600.0)

    def test_wrong(self) -> None:
        """What is no time, or is over, is refused."""
        for text in (
            *("", "d", "30", "30 d", "-1d", "1.5d", "1y", "100000d", "٣d", "never"),
            *("2026-02-30", "2026-13-01", "20261231", "2026-12-31T00:00", "9999-12-31"),
            *("0h", "2026-11-20", "0001-01-01"),
        ):
            error: typing.Any = self.assertRaises(CommandError, expiry, text, NOON)
            self.assertEqual(error.status, 64)
