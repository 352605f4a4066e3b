"""The agent where there is no epoll, no splice and no SIGHUP, as on Windows and on macOS."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

#: What is missing there is taken away before anything is imported.
SCRIPT = """
import os, select, signal, sys

for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
for module, names in (
    (os, ("fchmod", "fork", "geteuid", "getuid", "splice")),
    (select, ("epoll", "poll")),
    (signal, ("SIGCHLD", "SIGHUP", "SIGQUIT", "SIGUSR1")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

from twisted.internet.task import Clock

import aluvia.agent.tap
from aluvia.agent.service import AgentService
from aluvia.net.readiness import WatchedByReactor, readiness_of

assert isinstance(readiness_of(Clock()), WatchedByReactor)
print("loaded")
"""


class ElsewhereTests(SynchronousTestCase):
    """What it stands on is there."""

    def test_without_what_only_linux_has(self) -> None:
        """Every module of the door is loaded, and sockets are the reactor's to watch."""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
        )
        self.assertEqual((done.stdout, done.stderr), ("loaded\n", ""))
