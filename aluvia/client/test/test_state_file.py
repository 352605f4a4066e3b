"""The last good configuration on disk."""

from __future__ import annotations

import json
import os
import stat
import typing
from pathlib import Path

import attrs
import hypothesis
from hypothesis import strategies
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import User
from aluvia.client.state_file import StateFile
from aluvia.testing.properties import settings_for_tests

URL = "https://api.example/v1/user"
USER = User(
    proxy_username="u",
    proxy_password="canary-pass",
    rules=("*.example.com", "-a.example.com"),
    session_id="s",
    other={"plan": {"name": "big"}},
)


class StateFileTests(SynchronousTestCase):
    """One file, and who may use it."""

    def setUp(self) -> None:
        """Its place."""
        self.path = Path(self.mktemp()).absolute()
        self.file = StateFile(self.path, URL, "canary-token")

    def test_round_trip(self) -> None:
        """What was written is read, fields that we know nothing of among it."""
        self.assertIsNone(self.file.read())
        self.file.write(USER, '"1"')
        kept = self.file.read()
        assert kept is not None
        self.assertEqual(kept, (USER, '"1"'))
        self.assertEqual(kept[0].other, USER.other)
        self.file.write(User(proxy_username="v", proxy_password="p"), None)
        self.assertEqual(self.file.read(), (User(proxy_username="v", proxy_password="p"), None))

    def test_etags(self) -> None:
        """One that is no visible ASCII cannot be sent as it is, and is none."""
        for etag in (
            '"\ud800"',
            '"\udcff"',
            '"\u00e9"',
            '"1"\r\nX: y',
            '"a b"',
            "\x7f",
            "",
            1,
            ["1"],
        ):
            self.file.write(USER, '"1"')
            kept = json.loads(self.path.read_bytes())
            self.path.write_text(json.dumps(kept | {"etag": etag}))
            self.assertEqual(self.file.read(), (USER, None), etag)
        for good in ('"1"', 'W/"~!"', "bare"):
            self.file.write(USER, good)
            self.assertEqual(self.file.read(), (USER, good))

    def test_mode(self) -> None:
        """It is for its owner alone, whatever the umask, and whatever was there before."""
        self.path.write_text("old")
        self.path.chmod(0o666)
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.file.write(USER, None)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertNotIn("canary-token", self.path.read_text())
        self.assertEqual(
            [
                each.name
                for each in self.path.parent.iterdir()
                if each.name.startswith(f".{self.path.name}")
            ],
            [],
        )

    def test_not_ours(self) -> None:
        """What another token or another API wrote is not read, nor what others may have written."""
        self.file.write(USER, None)
        self.assertIsNone(StateFile(self.path, URL, "other").read())
        self.assertIsNone(StateFile(self.path, "https://other/v1/user", "canary-token").read())
        for mode in (0o620, 0o602):
            self.path.chmod(mode)
            self.assertIsNone(self.file.read())
        self.path.chmod(0o600)
        self.assertIsNotNone(self.file.read())

    def test_odd_files(self) -> None:
        """A directory, a pipe, a file that may not be read: none is used, none makes it wait."""
        self.path.mkdir()
        self.assertIsNone(self.file.read())
        self.path.rmdir()
        os.mkfifo(self.path, 0o600)
        self.assertIsNone(self.file.read())

    def test_cannot_be_written(self) -> None:
        """That harms nothing, and what was there stays."""
        self.path.write_text("no directory")
        for path in (
            self.path.with_name("nowhere") / "file",
            self.path / "file",
            self.path.with_name("n" * 250),
            self.path.with_name("n" * 300),
            Path("/"),
        ):
            file = StateFile(path, URL, "t")
            file.write(USER, None)
            file.write(USER, None)
            self.assertIsNone(file.read())
        self.assertEqual(self.path.read_text(), "no directory")

    def test_too_deep_to_be_written(self) -> None:
        """
        Unknown fields may be nested as deep as can just be read, and then not be written again:
        that is said once, and what was there stays.
        """
        logged: list[LogEvent] = []
        log = Logger(observer=typing.cast(ILogObserver, logged.append))
        file = StateFile(self.path, URL, "canary-token", log)
        file.write(USER, '"1"')
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        for _ in range(2):
            file.write(attrs.evolve(USER, session_id="new", other={"deep": deep}), None)
        self.assertEqual(file.read(), (USER, '"1"'))
        self.assertEqual(len(logged), 1)

    def test_no_file_is_not_replaced(self) -> None:
        """A pipe, as any device, keeps its name."""
        os.mkfifo(self.path, 0o600)
        self.file.write(USER, None)
        self.assertTrue(self.path.is_fifo())

    @settings_for_tests
    @hypothesis.given(strategies.integers(0, 400), strategies.binary(max_size=8))
    def test_broken(self, at: int, junk: bytes) -> None:
        """Whatever is wrong with it, it is a configuration or none, and never an error."""
        self.file.write(USER, '"1"')
        good = self.path.read_bytes()
        self.path.write_bytes(good[:at] + junk + good[at + len(junk) :])
        self.file.read()
        for other in (b"", b"[]", b"null", json.dumps({"version": 2}).encode(), b"[" * 100_000):
            self.path.write_bytes(other)
            self.assertIsNone(self.file.read())
