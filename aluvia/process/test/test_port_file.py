"""Tests for :mod:`aluvia.process.port_file`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.process import port_file
from aluvia.process.port_file import PortFile


class PortFileTests(SynchronousTestCase):
    """The file that waiting programs read."""

    def setUp(self) -> None:
        """A directory for it."""
        self.path = Path(self.mktemp()).absolute() / "ports.json"
        self.path.parent.mkdir()

    def test_written_and_removed(self) -> None:
        """Whole, and alone in its directory; gone at the end."""
        file = PortFile(self.path)
        file.write({"proxy": 1})
        self.assertEqual({"proxy": 1}, json.loads(self.path.read_text()))
        self.assertEqual(["ports.json"], os.listdir(self.path.parent))
        file.remove()
        file.remove()
        self.assertEqual([], os.listdir(self.path.parent))

    def test_never_half(self) -> None:
        """A reader that has the old file open keeps a whole one: it is replaced, not rewritten."""
        self.path.write_text("old")
        with self.path.open() as old:
            PortFile(self.path).write({"proxy": 1})
            self.assertEqual("old", old.read())

    def test_somebody_elses(self) -> None:
        """A file that another process has put there stays."""
        file = PortFile(self.path)
        file.write({"proxy": 1})
        PortFile(self.path).write({"proxy": 2})
        file.remove()
        self.assertEqual({"proxy": 2}, json.loads(self.path.read_text()))

    def test_cannot_be_written(self) -> None:
        """The error is the caller's; nothing is left behind, and nothing to be removed."""
        file = PortFile(self.path.parent / "missing" / "ports.json")
        self.assertRaises(OSError, file.write, {})
        self.path.mkdir()
        blocked = PortFile(self.path)
        self.assertRaises(OSError, blocked.write, {})
        blocked.remove()
        self.assertEqual(["ports.json"], os.listdir(self.path.parent))

    def test_cannot_be_removed(self) -> None:
        """It is said, and harms nothing."""
        logged: list[dict[str, typing.Any]] = []
        self.patch(port_file.log, "observer", logged.append)
        file = PortFile(self.path)
        file.write({})
        self.path.unlink()
        file.remove()
        self.assertEqual([], logged)
        file.write({})
        self.path.unlink()
        self.path.parent.rmdir()
        self.path.parent.write_text("not a directory")
        file.remove()
        self.assertEqual(1, len(logged))

    def test_not_ours_to_ask(self) -> None:
        """A process that we may not signal runs all the same."""

        def forbidden(pid: int, number: int) -> None:
            raise PermissionError

        self.path.write_text(json.dumps({"pid": 4242}))
        self.patch(os, "kill", forbidden)
        PortFile(self.path).take_away_stale()
        self.assertTrue(self.path.exists())

    def test_stale(self) -> None:
        """A file whose writer is no more goes before anybody takes it for ours."""
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        for content, stays in (
            (json.dumps({"pid": child.pid}), False),
            (json.dumps({"pid": os.getppid()}), True),
            (json.dumps({"pid": 1}), True),
            (json.dumps({"pid": os.getpid()}), True),
            (json.dumps({"pid": -1}), True),
            (json.dumps({"pid": 1 << 40}), True),
            (json.dumps({"pid": "x"}), True),
            (json.dumps([child.pid]), True),
            ("what is this", True),
            ("[" * port_file.FILE_BYTES, True),
        ):
            self.path.write_text(content)
            PortFile(self.path).take_away_stale()
            self.assertEqual(stays, self.path.exists(), content)
        PortFile(self.path.parent / "none").take_away_stale()
        # On a pipe without a writer an open would wait for ever.
        pipe = self.path.parent / "pipe"
        os.mkfifo(pipe)
        PortFile(pipe).take_away_stale()
        self.assertTrue(pipe.exists())
