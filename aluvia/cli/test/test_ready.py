"""Tests for :mod:`aluvia.cli.ready`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from aluvia.cli.test.test_ask import AskCase


class ReadyTests(AskCase):
    """The command, beside doors of all kinds; the admin port is a fake."""

    def ready(self, **said: object) -> tuple[int, str, str]:
        """Call it on a port file that says this."""
        file = Path(self.mktemp())
        file.write_text(json.dumps({"pid": os.getpid(), **said}))
        return self.call("ready", str(file))

    def test_agent(self) -> None:
        """It is ready while its hub has it."""
        self.assertEqual(self.ready(online=True, tunnels={}), (0, "ready\n", ""))
        status, stdout, _ = self.ready(online=False, tunnels={})
        self.assertEqual(status, 1)
        self.assertIn("hub", stdout)

    def test_doors_that_answer(self) -> None:
        """The others are asked, on the machine itself and past any proxy, and not for the API."""
        self.environ["http_proxy"] = "http://127.0.0.1:9"
        url = f"http://127.0.0.1:{self.port}"
        for said in ({"api_url": url}, {"api_url": f"{url}/v1"}, {"admin": int(self.port)}):
            self.assertEqual(self.ready(**said), (0, "ready\n", ""))
            path, host, _ = self.admin.asked.pop()
            self.assertEqual((path, host), ("/readyz", f"127.0.0.1:{self.port}"))

    def test_not_ready(self) -> None:
        """It says why."""
        self.admin.pages["/readyz"] = (503, {"ready": False, "reason": "It is draining."})
        status, stdout, _ = self.ready(admin=self.admin.server_port)
        self.assertEqual((status, stdout), (1, "not ready: It is draining.\n"))

    def test_nobody_to_ask(self) -> None:
        """A proxy without an admin port is ready when its file is there."""
        self.assertEqual(self.ready(proxy=1, admin=None), (0, "ready\n", ""))

    def test_strangers(self) -> None:
        """Status 69, and one line, for what answers otherwise, or not at all."""
        self.admin.pages["/readyz"] = (200, {"hello": "you"})
        gone = self.ready(admin=self.admin.server_port)
        self.admin.stop()
        for status, stdout, stderr in (gone, self.ready(admin=self.admin.server_port)):
            self.assertEqual((status, stdout), (69, ""))
            self.assertRegex(stderr, r"^aluvia: .+\n$")

    def test_wrong_files(self) -> None:
        """So it is for a file that is not there, is none of ours, or whose process is gone."""
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        gone = self.ready(pid=ended.pid, online=True)
        self.assertIn("gone", gone[2])
        odd = [self.ready(pid=pid, online=True) for pid in (0, -1, "1", None, 1 << 40)]
        file = Path(self.mktemp())
        missing = self.call("ready", str(file))
        for text in ("", "[]", "{}", "[" * 100_000):
            file.write_text(text)
            odd.append(self.call("ready", str(file)))
        for status, stdout, stderr in (gone, missing, *odd):
            self.assertEqual((status, stdout), (69, ""))
            self.assertRegex(stderr, r"^aluvia: .+\n$")
