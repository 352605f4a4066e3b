"""Tests for :mod:`aluvia.process.supervise`."""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
import subprocess
import sys
import typing
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from aluvia.process import supervise
from aluvia.process.lifeline import VARIABLE
from aluvia.process.supervise import Notifier, Supervision, exit_with, local_url
from aluvia.process.test.supervisor import Supervisor, turn


class NotifierTests(SynchronousTestCase):
    """``sd_notify`` and the watchdog."""

    def supervisor(self, address: str | None = None) -> tuple[Supervisor, str]:
        """One, and its address; a path is kept short, as the system's limit is 108 bytes."""
        if address is None:
            address = os.path.relpath(self.mktemp())
            self.addCleanup(lambda: Path(address).unlink(missing_ok=True))
        supervisor = Supervisor(address)
        self.addCleanup(supervisor.socket.close)
        return supervisor, address

    def test_nobody_there(self) -> None:
        """Without a supervisor nothing happens, and no timer runs."""
        clock = Clock()
        notifier = Notifier({})
        notifier.send("READY=1")
        notifier.start_watchdog(clock)
        notifier.stop_watchdog()
        self.assertEqual([], clock.getDelayedCalls())

    def test_told(self) -> None:
        """What is sent arrives, and children will not speak in our name."""
        supervisor, address = self.supervisor()
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "5", "WATCHDOG_PID": "7", "A": "b"}
        notifier = Notifier(environ)
        self.assertEqual({"A": "b"}, environ)
        notifier.send("READY=1")
        self.assertEqual(["READY=1"], supervisor.heard())

    def test_abstract_addresses(self) -> None:
        """``@`` stands for the NUL of Linux's abstract name space."""
        name = f"aluvia-test-{secrets.token_hex(8)}"
        supervisor, _ = self.supervisor(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).send("STOPPING=1")
        self.assertEqual(["STOPPING=1"], supervisor.heard())

    def test_the_watchdog(self) -> None:
        """It is fed at half of its time, from the start, until it is stopped."""
        supervisor, address = self.supervisor()
        clock = Clock()
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000"}
        notifier = Notifier(environ)
        notifier.start_watchdog(clock)
        notifier.start_watchdog(clock)
        self.assertEqual(["WATCHDOG=1"], supervisor.heard())
        clock.advance(1.9)
        self.assertEqual([], supervisor.heard())
        clock.pump([0.2, 2, 2])
        self.assertEqual(["WATCHDOG=1"] * 3, supervisor.heard())
        notifier.stop_watchdog()
        self.assertEqual([], clock.getDelayedCalls())

    def test_whose_watchdog(self) -> None:
        """One that is for another process, or makes no sense, is left alone."""
        _, address = self.supervisor()
        for usec, pid, runs in (
            ("1000000", str(os.getpid()), True),
            ("1000000", "1", False),
            ("0", "", False),
            ("soon", "", False),
            ("", "", False),
        ):
            clock = Clock()
            environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
            Notifier(environ).start_watchdog(clock)
            self.assertEqual(runs, bool(clock.getDelayedCalls()), (usec, pid))

    def test_a_deaf_supervisor(self) -> None:
        """One line in the log, the watchdog goes on, and speaks when it is heard again."""
        logged: list[dict[str, typing.Any]] = []
        self.patch(supervise.log, "observer", logged.append)
        clock = Clock()
        address = os.path.relpath(self.mktemp())
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"})
        notifier.send("READY=1")
        notifier.start_watchdog(clock)
        clock.pump([1, 1])
        self.assertEqual(1, len(logged))
        supervisor, _ = self.supervisor(address)
        clock.advance(1)
        self.assertEqual(["WATCHDOG=1"], supervisor.heard())
        notifier.stop_watchdog()
        for strange in ("vsock:2:1", "/" + "x" * 200, "@", "a\0b"):
            Notifier({"NOTIFY_SOCKET": strange}).send("READY=1")


class SupervisionTests(TestCase):
    """All listeners at once."""

    async def test_moments(self) -> None:
        """What is said at each, to whom, and that nothing is left."""
        parent, child = socket.socketpair()
        self.addCleanup(parent.close)
        parent.settimeout(5)
        address = os.path.relpath(self.mktemp())
        supervisor = Supervisor(address)
        self.addCleanup(supervisor.socket.close)
        path = Path(self.mktemp()).absolute()
        environ = {
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": "60000000",
            VARIABLE: str(child.detach()),
            "HOME": "/",
        }
        gone: list[None] = []
        supervision = Supervision(environ, reactor, path)
        self.assertEqual({"HOME": "/"}, environ)
        supervision.starting(lambda: gone.append(None))
        self.assertEqual([], supervisor.heard())
        self.assertFalse(path.exists())
        supervision.ready({"proxy": 5, "admin": None})
        told = {"proxy": 5, "admin": None, "pid": os.getpid()}
        self.assertEqual(told, json.loads(path.read_text()))
        self.assertEqual(["READY=1", "WATCHDOG=1"], supervisor.heard())
        await turn()
        self.assertEqual(told, json.loads(parent.recv(500)))
        supervision.changed({"proxy": 6})
        self.assertEqual({"proxy": 6, "pid": os.getpid()}, json.loads(path.read_text()))
        supervision.stopping()
        supervision.stopping()
        self.assertFalse(path.exists())
        self.assertEqual("STOPPING=1", supervisor.heard()[0])
        supervision.stopped()
        supervision.stopped()
        await turn()
        self.assertEqual(b"", parent.recv(1))
        self.assertEqual([], gone)

    def test_nobody_at_all(self) -> None:
        """Without listeners all of them do nothing."""
        clock = Clock()
        supervision = Supervision({}, clock)
        supervision.starting(lambda: None)
        supervision.ready({"proxy": 1})
        supervision.changed({"proxy": 2})
        supervision.stopping()
        supervision.stopped()
        self.assertEqual([], clock.getDelayedCalls())

    def test_no_port_file(self) -> None:
        """If it cannot be written, nobody is told that we are ready."""
        address = os.path.relpath(self.mktemp())
        supervisor = Supervisor(address)
        self.addCleanup(supervisor.socket.close)
        supervision = Supervision({"NOTIFY_SOCKET": address}, Clock(), Path("/nonexistent/x"))
        supervision.starting(lambda: None)
        self.assertRaises(OSError, supervision.ready, {"proxy": 1})
        self.assertEqual([], supervisor.heard())

    def test_urls(self) -> None:
        """Addresses that stand for all are reached on loopback; IPv6 has brackets."""
        self.assertEqual("http://127.0.0.1:5", local_url("0.0.0.0", 5))
        self.assertEqual("http://[::1]:5", local_url("::", 5))
        self.assertEqual("http://192.0.2.1:5", local_url("192.0.2.1", 5))


class FakeReactor:
    """Runs when it is told to."""

    def __init__(self, stopped: bool = False) -> None:
        self.waiting: list[typing.Callable[[], object]] = []
        self.stopped = stopped

    def callWhenRunning(self, call: typing.Callable[[], object]) -> None:
        """Keep it."""
        self.waiting.append(call)

    def stop(self) -> None:
        """Once."""
        if self.stopped:
            raise ReactorNotRunning
        self.stopped = True


class ExitTests(SynchronousTestCase):
    """The end of a start that fails."""

    def test_line_and_status(self) -> None:
        """One line, the status at the very end, and a reactor that stops when it runs."""
        fake = FakeReactor()
        stderr = io.StringIO()
        registered: list[tuple[object, ...]] = []
        exit_with(
            fake,
            73,
            "port 5 is\ntaken",
            stderr=stderr,
            at_exit=lambda *args: registered.append(args),
        )
        self.assertEqual("aluvia: port 5 is\\ntaken\n", stderr.getvalue())
        self.assertEqual(73, registered[0][1])
        self.assertFalse(fake.stopped)
        fake.waiting[0]()
        self.assertTrue(fake.stopped)

    def test_already_stopping(self) -> None:
        """A signal may have come first."""
        fake = FakeReactor(stopped=True)
        exit_with(fake, 69, "x", stderr=io.StringIO(), at_exit=lambda *args: None)
        fake.waiting[0]()

    def test_nobody_reads(self) -> None:
        """A closed standard error does not keep the status from being told."""
        closed = io.StringIO()
        closed.close()
        fake = FakeReactor()
        exit_with(fake, 69, "x", stderr=closed, at_exit=lambda *args: None)
        self.assertEqual(1, len(fake.waiting))

    def test_a_daemon(self) -> None:
        """Whose standard error leads nowhere: the line is in its log."""
        logged: list[dict[str, typing.Any]] = []
        self.patch(supervise.log, "observer", logged.append)
        with open(os.devnull, "w") as null:
            exit_with(FakeReactor(), 73, "port 5 is taken", stderr=null, at_exit=lambda *args: None)
        self.assertEqual(["port 5 is taken"], [event["message"] for event in logged])
        self.assertEqual(["error"], [event["log_level"].name for event in logged])

    def exits(self, when: str) -> tuple[int, str, str]:
        """A process with a real reactor, that fails at this moment."""
        program = (
            "from twisted.internet import reactor\n"
            "from aluvia.process.supervise import exit_with\n"
            "import atexit, sys\n"
            "fail = lambda: exit_with(reactor, 73, 'port 5 is taken')\n"
            f"{when}\n"
            "reactor.run()\n"
            "print('stopped')\n"
        )
        child = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        return child.returncode, child.stdout, child.stderr

    def test_real_processes(self) -> None:
        """Before the reactor runs, and while it does: the status, the line, all output."""
        for when in ("fail()", "reactor.callLater(0, fail)", "fail(); fail()"):
            status, stdout, stderr = self.exits(when)
            self.assertEqual(73, status)
            self.assertEqual("stopped\n", stdout)
            self.assertEqual({"aluvia: port 5 is taken"}, set(stderr.splitlines()))
