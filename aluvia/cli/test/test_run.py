"""Tests for :mod:`aluvia.cli.run`: real processes, since they are what it is about."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import typing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aluvia.cli.run import DEFAULTS, start_proxy, with_defaults, with_user
from aluvia.cli.test.test_main import ALUVIA
from aluvia.client.load import load_settings
from aluvia.client.settings import Settings
from aluvia.integrations.child import NotReadyError

SECONDS = 60

#: Says that it is ready, and each signal as it comes, until a line comes on its standard input, or
#: the end of it.
SIGNALLED = f"""
import os, signal, sys
signal.alarm({SECONDS})
for number in (1, 2, 3, 10, 12, 15):
    signal.signal(number, lambda number, frame: os.write(1, b"came %d\\n" % number))
os.write(1, b"ready\\n")
sys.stdin.readline()
sys.exit(9)
"""

#: One that comes behind others.
MARK = signal.SIGUSR1


def clean_environment() -> dict[str, str]:
    """Ours, with nothing for aluvia but a gateway, which no request here goes through."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("ALUVIA_")}
    return ours | {"ALUVIA_GATEWAY_URL": "http://127.0.0.1:9"}


class RunCase(SynchronousTestCase):
    """A call of ``aluvia run``."""

    def start(self, *words: str, **options: typing.Any) -> subprocess.Popen[str]:
        """Start it."""
        pipe = subprocess.PIPE
        defaults = {"stdout": pipe, "stderr": pipe, "text": True, "env": clean_environment()}
        child: subprocess.Popen[str] = subprocess.Popen(
            [*ALUVIA, "run", *words], **typing.cast(typing.Any, defaults | options)
        )
        self.addCleanup(self.end, child)
        return child

    def end(self, child: subprocess.Popen[str]) -> None:
        """Leave nothing."""
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()
        if child.poll() is None:
            child.kill()
        child.wait(SECONDS)

    def ran(self, *words: str, **options: typing.Any) -> tuple[int, str, str]:
        """Status, standard output and standard error of a whole run."""
        child = self.start(*words, **options)
        stdout, stderr = child.communicate(timeout=SECONDS)
        return child.returncode, stdout, stderr

    def assert_closed(self, url: str) -> None:
        """Nobody listens there any more."""
        self.assertRaises(ConnectionRefusedError, connect, url)


def connect(url: str) -> None:
    """Connect to where a URL leads, and leave."""
    host, _, port = url.removeprefix("http://").partition(":")
    socket.create_connection((host, int(port)), 5).close()


def read_until(terminal: typing.IO[bytes], text: bytes) -> bytes:
    """Everything up to this text, and perhaps more. At the end of the terminal it raises."""
    said = b""
    while text not in said:
        said += terminal.read(1000)
    return said


class RunTests(RunCase):
    """The command, its environment and its end."""

    def test_environment(self) -> None:
        """Every name of a proxy is ours, and it is there; afterwards it is not."""
        environ = clean_environment() | {
            "http_proxy": "http://other:1",
            "NO_PROXY": "x",
            "KEPT": "y",
        }
        program = (
            "import os, socket; url = os.environ['HTTP_PROXY'];"
            "host, _, port = url[7:].partition(':');"
            "socket.create_connection((host, int(port)), 5).close();"
            "names = ('HTTPS_PROXY', 'http_proxy', 'https_proxy');"
            "print(url, [os.environ[name] == url for name in names],"
            "os.environ['NO_PROXY'], os.environ['no_proxy'], os.environ['KEPT'],"
            "'ALUVIA_PARENT_FD' in os.environ)"
        )
        status, stdout, stderr = self.ran("--", sys.executable, "-c", program, env=environ)
        self.assertEqual((0, ""), (status, stderr))
        url, rest = stdout.split(" ", 1)
        self.assertRegex(url, r"^http://127\.0\.0\.1:\d+$")
        hosts = "localhost,127.0.0.1,::1"
        self.assertEqual(f"[True, True, True] {hosts} {hosts} y False\n", rest)
        self.assert_closed(url)

    def test_statuses(self) -> None:
        """The command's own, that of a signal, and those of commands that cannot be."""
        for words, status, said in (
            (["true"], 0, ""),
            (["sh", "-c", "exit 7"], 7, ""),
            (["sh", "-c", "kill -9 $$"], 137, ""),
            (["no-such-command-here"], 127, "aluvia: no-such-command-here: no such command\n"),
            (["/"], 126, "aluvia: /: Permission denied\n"),
        ):
            self.assertEqual((status, "", said), self.ran("--", *words), words)

    def test_a_proxy_that_does_not_start(self) -> None:
        """Its status, its one line, and no command."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            status, stdout, stderr = self.ran("--port", port, "--", "echo", "started")
        self.assertEqual((73, ""), (status, stdout))
        self.assertTrue(stderr.startswith("aluvia: "), stderr)
        self.assertIn(port, stderr)
        self.assertEqual(1, stderr.count("\n"), stderr)

    def test_defaults(self) -> None:
        """They hold where nothing else is said, be it in a variable or in the file."""
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as other,
        ):
            port, admin = (str(each.getsockname()[1]) for each in (one, other))
        words = ("--", "sh", "-c", "echo $HTTP_PROXY")
        environ = clean_environment() | {"ALUVIA_PORT": port, "ALUVIA_LOG_LEVEL": "debug"}
        status, stdout, stderr = self.ran(*words, env=environ)
        self.assertEqual((0, f"http://127.0.0.1:{port}\n"), (status, stdout))
        self.assertIn(f"The proxy is http://127.0.0.1:{port}", stderr)
        config = Path(self.mktemp()).absolute()
        config.write_text(f'port = {port}\nadmin-port = {admin}\nlog-level = "info"\n')
        status, stdout, stderr = self.ran("--config", str(config), *words)
        self.assertEqual((0, f"http://127.0.0.1:{port}\n"), (status, stdout))
        self.assertIn(f"127.0.0.1:{admin}", stderr)
        # A flag wins over both.
        environ["ALUVIA_CONFIG"] = str(config)
        ran = self.ran("--log-level", "silent", "--admin-port", "none", *words, env=environ)
        self.assertEqual((0, f"http://127.0.0.1:{port}\n", ""), ran)

    def test_children_that_are_ignored(self) -> None:
        """Started by somebody who ignores SIGCHLD: the statuses, and an end, all the same."""

        def ignore() -> None:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        ran = self.ran("--", "sh", "-c", "exit 7", preexec_fn=ignore)
        self.assertEqual((7, "", ""), ran)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            status, _, _ = self.ran("--port", port, "--", "true", preexec_fn=ignore)
        self.assertEqual(73, status)

    def test_secrets(self) -> None:
        """The gateway's password is in no command line but the one that had it."""
        users = Path(self.mktemp()).absolute()
        users.write_text("canary user:canary/word\n")
        program = (
            "import os, glob\n"
            "print(os.environ['HTTP_PROXY'].rpartition(':')[0])\n"
            "for name in glob.glob('/proc/[0-9]*/cmdline'):\n"
            "    try: words = open(name, 'rb').read()\n"
            "    except OSError: continue\n"
            "    if b'scripts.' + b'twistd' in words:\n"
            "        print(b'canary-pass' in words)\n"
        )
        status, stdout, stderr = self.ran(
            *("--gateway-url", "http://canary-user:canary-pass@127.0.0.1:9", "--rule", "*"),
            *("--local-auth-file", str(users), "--log-level", "debug"),
            *("--", sys.executable, "-c", program),
        )
        self.assertEqual(0, status)
        url, *seen = stdout.splitlines()
        self.assertEqual("http://canary%20user:canary%2Fword@127.0.0.1", url)
        # Other tests may have proxies of their own under way.
        self.assertNotIn("True", seen)
        self.assertEqual(os.path.isdir("/proc"), "False" in seen)
        self.assertNotIn("canary", stderr)
        self.assertIn("aluvia", stderr)

    def test_a_proxy_that_ends_early(self) -> None:
        """It is said, once, and the command goes on."""
        ports = self.mktemp()
        program = (
            "import json, os, signal, sys;"
            f"signal.alarm({SECONDS});"
            f"os.kill(json.load(open({ports!r}))['pid'], signal.SIGKILL);"
            "sys.stdin.read(); raise SystemExit(5)"
        )
        words = ("--port-file", ports, "--", sys.executable, "-c", program)
        child = self.start(*words, stdin=subprocess.PIPE)
        assert child.stdin is not None and child.stderr is not None
        said = child.stderr.readline()
        child.stdin.close()
        said += child.stderr.read()
        self.assertEqual("aluvia: the proxy has ended, with -9\n", said)
        self.assertEqual(5, child.wait(SECONDS))


class SignalTests(RunCase):
    """Signals, and whose they are."""

    def test_forwarded(self) -> None:
        """Each reaches the command, once; the status is still the command's."""
        child = self.start("--", sys.executable, "-c", SIGNALLED, stdin=subprocess.PIPE)
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        self.assertEqual("ready\n", child.stdout.readline())
        numbers = [1, 2, 3, 10, 12, 15]
        for number in numbers:
            child.send_signal(number)
        came = [child.stdout.readline() for _ in numbers]
        # When another has come behind them, so has whatever was passed on twice.
        child.send_signal(MARK)
        came.append(child.stdout.readline())
        child.stdin.close()
        came += child.stdout.readlines()
        expected = [f"came {number}\n" for number in (*numbers, MARK)]
        self.assertEqual(sorted(expected), sorted(came))
        self.assertEqual((9, ""), (child.wait(SECONDS), child.stderr.read()))

    def test_a_terminal(self) -> None:
        """Ctrl-C in a terminal reaches the command once, and not the proxy."""
        ours, theirs = pty.openpty()

        def take_terminal() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        child = self.start(
            *("--", sys.executable, "-c", SIGNALLED),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=take_terminal,
        )
        os.close(theirs)
        with open(ours, "r+b", buffering=0) as terminal:
            said = read_until(terminal, b"ready")
            terminal.write(b"\x03")
            said += read_until(terminal, b"came 2")
            # When another has come behind it, so has what was passed on for a second time.
            child.send_signal(MARK)
            said += read_until(terminal, b"came %d" % MARK)
            terminal.write(b"\n")
            with contextlib.suppress(OSError):
                while data := terminal.read(1000):
                    said += data
        self.assertEqual(9, child.wait(SECONDS))
        self.assertEqual(2, said.count(b"came"), said)
        self.assertNotIn(b"proxy has ended", said)

    def test_killed(self) -> None:
        """However we end, the proxy does too."""
        words = ("--", "sh", "-c", "echo $HTTP_PROXY; exec cat")
        child = self.start(*words, stdin=subprocess.PIPE)
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        connect(url)
        child.kill()
        # The command ends with its input, and the proxy was the last to hold our standard error.
        child.communicate(timeout=SECONDS)
        self.assert_closed(url)


class PartTests(SynchronousTestCase):
    """What needs no process."""

    def test_users(self) -> None:
        """A proxy that wants credentials is named with some."""
        url = "http://127.0.0.1:5"
        self.assertEqual(url, with_user(url, Settings()))
        settings = Settings(local_users={"a b": "c:d@e", "f": "g"})
        self.assertEqual("http://a%20b:c%3Ad%40e@127.0.0.1:5", with_user(url, settings))

    def test_defaults(self) -> None:
        """A default is for what is no flag, no variable, and not in the file."""
        self.assertEqual(DEFAULTS, with_defaults({}, {"ALUVIA_PORT": "", "PORT": "1"}))
        given = {"port": "1", "admin-port": "2", "log-level": "info", "drain-timeout": "3"}
        config = Path(self.mktemp())
        for name, text in given.items():
            lacking = {key: value for key, value in DEFAULTS.items() if key != name}
            self.assertEqual(lacking | {name: text}, with_defaults({name: text}, {}))
            variable = f"ALUVIA_{name.upper().replace('-', '_')}"
            self.assertEqual(lacking, with_defaults({}, {variable: text}))
            config.write_text(f"{name} = {text if text.isdigit() else repr(text)}\n")
            self.assertEqual(lacking, with_defaults({}, {"ALUVIA_CONFIG": str(config)}))
            flags = {"config": str(config), "rule": ["*"]}
            self.assertEqual(lacking | flags, with_defaults(flags, {"ALUVIA_CONFIG": "/nowhere"}))

    def test_two_ports(self) -> None:
        """One of ours may be the other's default in ``twistd aluvia``."""
        environ = {"ALUVIA_GATEWAY_URL": "http://127.0.0.1:9", "ALUVIA_ADMIN_PORT": "18787"}
        settings = load_settings(with_defaults({}, environ), environ)
        self.assertEqual((0, 18787), (settings.port, settings.admin_port))
        del environ["ALUVIA_ADMIN_PORT"]
        settings = load_settings(with_defaults({"port": "18788"}, environ), environ)
        self.assertEqual((18788, None), (settings.port, settings.admin_port))

    def test_token(self) -> None:
        """A token is in the environment of the proxy, and above a file that is named there."""
        environ = clean_environment() | {"ALUVIA_GATEWAY_URL": "", "ALUVIA_TOKEN_FILE": "/nowhere"}
        flags = DEFAULTS | {"token": "canary-token", "api-base-url": "http://127.0.0.1:9/v1"}
        proxy = start_proxy(flags, environ)
        self.addCleanup(proxy.end)
        if os.path.isdir("/proc"):
            self.assertNotIn(b"canary", Path(f"/proc/{proxy.pid}/cmdline").read_bytes())
        # The control plane cannot be reached; the file was not looked for.
        self.assertEqual(69, self.assertRaises(NotReadyError, proxy.wait_until_ready).status)

    def test_never_ready(self) -> None:
        """A proxy that is told to end before it is ready leaves no process and no descriptor."""
        proxy = start_proxy(DEFAULTS, clean_environment())
        proxy.end()
        self.assertEqual(-1, proxy.fileno())
        self.assertRaises(ChildProcessError, os.waitpid, proxy.pid, os.WNOHANG)
        self.assertRaises(ProcessLookupError, os.kill, proxy.pid, signal.SIG_DFL)
