"""Tests for :mod:`aluvia.integrations.launch`: real child processes, since they are what it is."""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import subprocess
import sys
import threading
import typing
from pathlib import Path
from unittest import mock

from twisted.internet import reactor as global_reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

import aluvia
from aluvia.arguments import ARGUMENTS
from aluvia.client import AluviaClient
from aluvia.errors import (
    AluviaError,
    ApiError,
    InvalidUserTokenError,
    MissingUserTokenError,
    ProxyStartError,
)
from aluvia.integrations import child
from aluvia.integrations.launch import Launched
from aluvia.process import lifeline, supervise
from aluvia.testing.control_plane import FakeControlPlane, always
from aluvia.testing.dialling import dial
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)
TOKEN = "canary-token"
SECONDS = 60
STATIC = {"gateway_url": "http://canary-user:canary-pass@127.0.0.1:9"}

#: A program that starts a proxy, says where it is, and lives as long as its standard input.
PROGRAM = f"""
import aluvia, signal, sys
signal.alarm({SECONDS})
session = aluvia.launch(gateway_url="http://127.0.0.1:9")
print(session.url, session.pid, flush=True)
sys.stdin.read()
"""


def launched(**options: typing.Any) -> Launched:
    """A proxy without a control plane, unless the options say otherwise."""
    return aluvia.launch(**(options or STATIC))


def command_line(session: Launched) -> bytes:
    """As every user of the machine can read it."""
    path = Path(f"/proc/{session.pid}/cmdline")
    return path.read_bytes() if path.parent.is_dir() else b""


def connect(url: str) -> None:
    """Connect to where a URL leads, and leave."""
    host, _, port = url.removeprefix("http://").partition(":")
    socket.create_connection((host, int(port)), 5).close()


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A program of Python's, run to its end."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


class Recorded(subprocess.Popen[bytes]):
    """Remembers what was started."""

    pids: typing.ClassVar[list[int]] = []

    def __init__(self, *arguments: typing.Any, **options: typing.Any) -> None:
        super().__init__(*arguments, **options)
        self.pids.append(self.pid)


class CostTests(SynchronousTestCase):
    """What an import and a launch load."""

    def test_light(self) -> None:
        """Neither loads anything of Twisted, and so no reactor, and a launch makes no thread."""
        program = (
            "import aluvia, sys, threading\n"
            "def heavy(): return sorted({'twisted', 'attrs', 'OpenSSL'} & set(sys.modules))\n"
            "print(heavy(), 'subprocess' in sys.modules)\n"
            "aluvia.launch(gateway_url='http://127.0.0.1:9').stop()\n"
            "print(heavy(), threading.active_count())\n"
        )
        ran = run(program)
        self.assertEqual(("[] False\n[] 1\n", ""), (ran.stdout, ran.stderr))

    def test_names(self) -> None:
        """What is written twice, so that the client need not be loaded, is the same."""
        self.assertEqual(lifeline.VARIABLE, child.LIFELINE_VARIABLE)
        self.assertEqual(supervise.NOTIFY_VARIABLES, child.NOTIFY_VARIABLES)

    def test_arguments(self) -> None:
        """Every argument of a client is one here, of the same kind and default, but the reactor."""
        ours = inspect.signature(aluvia.launch).parameters
        theirs = inspect.signature(AluviaClient).parameters
        self.assertEqual(set(ARGUMENTS), set(ours))
        self.assertEqual({"reactor"}, set(theirs) - set(ours))
        self.assertEqual({"gateway_url", "rules"}, set(ours) - set(theirs))
        both = set(theirs) & set(ours)
        differ = [name for name in both if str(theirs[name]) != str(ours[name])]
        self.assertEqual(["log_level"], differ)


class EndTests(SynchronousTestCase):
    """The end of a proxy, whoever brings it."""

    def test_context(self) -> None:
        """It is there within, and gone behind; no process and no zombie is left."""
        with launched() as session:
            self.assertEqual("127.0.0.1", session.host)
            self.assertEqual({"server": session.url}, session.as_playwright())
            connect(session.url)
        self.assertRaises(ConnectionRefusedError, connect, session.url)
        self.assertRaises(ChildProcessError, os.waitpid, session.pid, os.WNOHANG)
        self.assertRaises(ProcessLookupError, os.kill, session.pid, signal.SIG_DFL)

    def test_twice(self) -> None:
        """Stopping again does nothing; all threads that stop at once wait for the end."""
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0
        session = launched()
        threads = [threading.Thread(target=session.stop) for _ in range(3)]
        for thread in threads:
            thread.start()
        session.stop()
        self.assertRaises(ConnectionRefusedError, connect, session.url)
        for thread in threads:
            thread.join(SECONDS)
        session.close()
        with session:
            pass
        if before:
            self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_already_gone(self) -> None:
        """A proxy that was killed can be stopped as well."""
        session = launched()
        os.kill(session.pid, signal.SIGKILL)
        session.stop()
        self.assertRaises(ChildProcessError, os.waitpid, session.pid, os.WNOHANG)

    def test_forgotten(self) -> None:
        """Nobody holds it any more: it ends."""
        session = launched()
        url, process = session.url, session._process._process
        del session
        process.wait(SECONDS)
        self.assertRaises(ConnectionRefusedError, connect, url)

    def test_a_secret(self) -> None:
        """The gateway's password is not on the command line, and not shown."""
        with launched() as session:
            self.assertNotIn("canary", repr(vars(session)))
            self.assertNotIn(b"canary", command_line(session))

    def killed(self, program: str) -> str:
        """The URL of the proxy of a program that was killed."""
        read, write = os.pipe()
        self.addCleanup(os.close, write)
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=read, stdout=subprocess.PIPE, text=True
        ) as parent:
            os.close(read)
            assert parent.stdout is not None
            url = parent.stdout.readline().split()[0]
            connect(url)
            parent.kill()
        return url

    def assert_closes(self, url: str) -> None:
        """A connection that is open now ends when the proxy does; it is not answered."""
        host, _, port = url.removeprefix("http://").partition(":")
        with (
            contextlib.suppress(ConnectionError),
            socket.create_connection((host, int(port)), SECONDS) as connection,
        ):
            self.assertEqual(b"", connection.recv(1))
        self.assertRaises(ConnectionRefusedError, connect, url)

    def test_killed(self) -> None:
        """``kill -9`` of the program ends the proxy."""
        self.assert_closes(self.killed(PROGRAM))

    def test_killed_with_a_fork(self) -> None:
        """Also when a process lives on that was forked from the program."""
        fork = "import os\nif not os.fork(): sys.stdin.read(); os._exit(0)\n"
        self.assert_closes(self.killed(PROGRAM.replace("print(", f"{fork}print(")))

    def test_a_fork_that_stops(self) -> None:
        """A forked process cannot end its parent's proxy."""
        program = PROGRAM.replace(
            "sys.stdin.read()",
            "import os\npid = os.fork()\nif not pid: session.stop(); os._exit(0)\n"
            "os.waitpid(pid, 0)\nimport socket\n"
            "socket.create_connection((session.host, session.port)).close(); session.stop()",
        )
        ran = run(program)
        self.assertEqual((0, ""), (ran.returncode, ran.stderr))


class ErrorTests(SynchronousTestCase):
    """Starts that fail, without a control plane."""

    def refused(self, kind: type[Exception], **options: typing.Any) -> str:
        """The message of the error of this kind."""
        error = self.assertRaises(kind, launched, **options)
        self.assertNotIn("canary", str(error))
        return str(error)

    def test_missing_token(self) -> None:
        """No token, or a blank one: no process is started."""
        with mock.patch("subprocess.Popen", side_effect=AssertionError):
            for token in (None, "", " \n"):
                self.refused(MissingUserTokenError, token=token)

    def test_values(self) -> None:
        """What makes no sense is said by the argument's name."""
        for name, value in (
            ("poll_interval", 0.5),
            ("poll_interval", 1e-05),
            ("api_base_url", "ftp://a"),
            ("gateway_port", 0),
            ("gateway_host", "a b"),
            ("local_port", 65536),
            ("log_level", "loud"),
            ("connection", "a/b"),
            ("on_no_config", "maybe"),
            ("gateway_ca", "/nowhere"),
            ("gateway_ca", Path("/nowhere")),
            ("rules", ["a.example"]),
        ):
            said = self.refused(ValueError, token=TOKEN, **{name: value})
            self.assertTrue(said.startswith(f"{name}: "), said)
        self.assertIn("token: ", self.refused(ValueError, token="canary token"))
        self.assertIn("gateway_url", self.refused(ValueError, token=TOKEN, **STATIC))

    def test_a_port_that_is_taken(self) -> None:
        """ProxyStartError, with the port."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = self.refused(ProxyStartError, local_port=port, **STATIC)
        self.assertIn(str(port), said)

    def test_no_process(self) -> None:
        """Something is wrong with the interpreter itself."""
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else 0
        with mock.patch.object(sys, "executable", "/nowhere/python"):
            self.assertIn("/nowhere/python", self.refused(AluviaError, **STATIC))
        with mock.patch.object(child, "_TWISTD", ("-c", "raise SystemExit('what a pity')")):
            said = self.refused(AluviaError, **STATIC)
        self.assertIn("ended with 1", said)
        self.assertIn("what a pity", said)
        if before:
            self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_much_said(self) -> None:
        """Of what a child says the end is kept, and it is not blocked by the rest."""
        program = "import os; [os.write(2, b'x' * 1000 + b'\\n') for _ in range(60)]; 1/0"
        with mock.patch.object(child, "_TWISTD", ("-c", program)):
            said = self.refused(AluviaError, **STATIC)
        self.assertIn("ZeroDivisionError", said)
        self.assertLess(len(said), child.STDERR_BYTES + 100)

    def test_environment(self) -> None:
        """The child's environment is ours, without what is there for other proxies than this."""
        program = "import os; raise SystemExit('names: ' + ' '.join(os.environ))"
        ours = {"ALUVIA_PORT": "1", "NOTIFY_SOCKET": "/nowhere", "WATCHDOG_PID": "1", "KEPT": "1"}
        with (
            mock.patch.object(child, "_TWISTD", ("-c", program)),
            mock.patch.dict(os.environ, ours, clear=True),
        ):
            said = self.refused(AluviaError, **STATIC)
        names = set(said.partition("names: ")[2].split())
        self.assertLessEqual({"KEPT", "ALUVIA_GATEWAY_URL", "ALUVIA_PARENT_FD"}, names)
        self.assertFalse(names & {"ALUVIA_PORT", "ALUVIA_TOKEN", "NOTIFY_SOCKET", "WATCHDOG_PID"})

    def test_too_late(self) -> None:
        """A start has an end; nothing is left of it."""
        late = mock.patch.object(child, "READY_SECONDS", 0.0)
        with late, mock.patch.object(subprocess, "Popen", Recorded):
            said = self.refused(AluviaError, **STATIC)
        self.assertEqual("The proxy does not get ready.", said)
        self.assertRaises(ChildProcessError, os.waitpid, Recorded.pids.pop(), os.WNOHANG)


class ControlPlaneTests(TestCase):
    """Launches that follow a control plane, which is in our reactor: they are in a thread."""

    timeout = 120

    def setUp(self) -> None:
        """Start what is around it."""
        self.origin = FakeOrigin(reactor)
        self.addCleanup(self.origin.stop)
        self.gateway = FakeGateway(reactor)
        self.addCleanup(self.gateway.stop)
        self.plane = FakeControlPlane(reactor, TOKEN, rules=["*.proxied.example"])
        self.addCleanup(self.plane.stop)

    async def launch(self, **more: typing.Any) -> Launched:
        """One that ends with the test."""
        options: dict[str, typing.Any] = {
            "token": TOKEN,
            "api_base_url": self.plane.base_url,
            "gateway_host": "127.0.0.1",
            "gateway_port": self.gateway.port,
        }
        session = await deferToThread(aluvia.launch, **options | more)
        self.addCleanup(deferToThread, session.stop)
        return session

    async def refused(self, kind: type[Exception], **more: typing.Any) -> typing.Any:
        """The error of exactly this kind."""
        try:
            await self.launch(**more)
        except kind as error:
            self.assertIs(type(error), kind)
            self.assertNotIn("canary", str(error))
            return error
        self.fail("it started")

    async def get(self, session: Launched, host: str) -> int:
        """The status of a request through the proxy."""
        connection = await dial(reactor, session.host, session.port)
        try:
            url = f"http://{host}:{self.origin.port}/"
            await connection.send(f"GET {url} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            return (await read_response(connection)).status
        finally:
            connection.close()

    async def test_two_ways(self) -> None:
        """What matches goes through the gateway with the credentials, the rest direct."""
        session = await self.launch()
        self.assertEqual(200, await self.get(session, "127.0.0.1"))
        self.assertEqual(0, len(self.gateway.asked))
        self.assertEqual(200, await self.get(session, "www.proxied.example"))
        self.assertEqual([True], [asked.authorized for asked in self.gateway.asked])
        self.assertNotIn(TOKEN.encode(), command_line(session))

    async def test_refused_token(self) -> None:
        """401 is InvalidUserTokenError."""
        await self.refused(InvalidUserTokenError, token="canary-other")

    async def test_api_errors(self) -> None:
        """An answer that is none has its status; no answer has none."""
        self.plane.lie = always(503)
        self.assertEqual(503, (await self.refused(ApiError)).status_code)
        self.plane.lie = always(200, body=b"<html>")
        error = await self.refused(ApiError)
        self.assertEqual(200, error.status_code)
        self.plane.go_down()
        self.assertIsNone((await self.refused(ApiError)).status_code)

    async def test_values(self) -> None:
        """A number with many digits, and a file that is no text but a path."""
        kept = Path(self.mktemp()).absolute()
        session = await self.launch(poll_interval=10 / 3, state_file=kept)
        self.assertEqual(200, await self.get(session, "127.0.0.1"))
        self.assertTrue(kept.exists())

    async def test_not_strict(self) -> None:
        """A start without a configuration, if that is asked for."""
        self.plane.go_down()
        session = await self.launch(strict=False, on_no_config="refuse")
        self.assertEqual(503, await self.get(session, "127.0.0.1"))
