"""``aluvia run|explain|lint|status`` and the others, as a newcomer types them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from functools import partial

from tests.aluvia_process import Child, until
from tests.support import NO_GATEWAY, USERINFO, Curled, ProxyCase

USAGE = 64
RUN = ("run", "--gateway-url", NO_GATEWAY, "--")


class ConsoleTests(ProxyCase):
    """The console script, from wherever Python's own scripts are."""

    def program(self) -> str:
        """Where the console script is."""
        folder = os.path.dirname(sys.executable)
        program = shutil.which("aluvia", path=folder) or shutil.which("aluvia")
        self.assertIsNotNone(program, "the console script is not installed")
        return str(program)

    async def console(self, *words: str, **environment: str) -> Curled:
        """Run it."""
        return await self.run_command(self.program(), *words, **environment)

    async def test_help(self) -> None:
        """Without a command and with ``--help`` it says what there is."""
        for words in ((), ("--help",), ("run", "--help"), ("explain", "--help")):
            ran = await self.console(*words)
            text = ran.stdout + ran.stderr
            self.assertIn("aluvia", text)
            self.assertIn(ran.status, (0, USAGE))
            self.assertNotIn("Traceback", text)
            if not words:
                for command in (
                    "run",
                    "explain",
                    "lint",
                    "status",
                    "doctor",
                    "account",
                    "agent-key",
                ):
                    self.assertIn(command, text)

    async def test_unknown_command(self) -> None:
        """A command that does not exist is a usage error that names it."""
        ran = await self.console("frobnicate")
        self.assertEqual(ran.status, USAGE, ran)
        self.assertIn("frobnicate", ran.stderr)

    async def test_lint(self) -> None:
        """Good rules pass in silence or praise; a rule that never matches is named, with why."""
        good = await self.console("lint", "*.example.com", "-www.example.com", "10.0.0.0/8")
        self.assertEqual(good.status, 0, good)
        bad = await self.console("lint", "*.example.com", "https://example.com", "**")
        self.assertNotEqual(bad.status, 0, bad)
        text = bad.stdout + bad.stderr
        self.assertIn("https://example.com", text)
        self.assertIn("**", text)
        self.assertNotIn("Traceback", text)

    async def test_explain_rules(self) -> None:
        """``aluvia explain HOST`` evaluates rules that are given."""
        for host, way in (("www.example.com", "gateway"), ("example.com", "direct")):
            ran = await self.console("explain", host, "--rule", "*.example.com")
            self.assertEqual(ran.status, 0, ran)
            self.assertIn(way, ran.stdout)

    async def test_explain_and_status_of_a_running_one(self) -> None:
        """Both ask the admin port of the proxy that runs."""
        proxy = await self.aluvia(gateway=self.gateway())
        port = str(proxy.ports["admin"])
        ran = await self.console("explain", "www.example.com", "--admin-port", port)
        self.assertEqual(ran.status, 0, ran)
        self.assertIn("gateway", ran.stdout)
        self.assertIn("*.example.com", ran.stdout)
        ran = await self.console("status", "--admin-port", port)
        self.assertEqual(ran.status, 0, ran)
        self.assertTrue(ran.stdout.strip())
        self.assert_no_secret(ran.stdout + ran.stderr)

    async def test_nobody_runs(self) -> None:
        """Asking a port where nobody listens fails with a sentence, not a traceback."""
        for words in (("explain", "www.example.com"), ("status",)):
            ran = await self.console(*words, "--admin-port", "9")
            self.assertNotIn(ran.status, (0, 1), ran)
            self.assertTrue(ran.stderr.strip())
            self.assertNotIn("Traceback", ran.stderr)

    async def test_run(self) -> None:
        """``aluvia run -- curl URL``: through a proxy of its own, without more."""
        origin, parent = self.origin(), self.gateway()
        url = f"http://{USERINFO}@127.0.0.1:{parent.port}"
        ran = await self.console(
            *("run", "--gateway-url", url, "--rule", "*.example.com", "--"),
            *("curl", "--silent", "--fail", f"http://www.example.com:{origin.port}/through"),
        )
        self.assertEqual(ran.status, 0, ran)
        self.assertIn('"target": "/through"', ran.stdout)
        self.assertEqual(len(parent.asked), 1)
        self.assert_no_secret(ran.stdout + ran.stderr)

    async def test_run_sets_the_environment(self) -> None:
        """All the variables that programs look at."""
        ran = await self.console(*RUN, "env")
        self.assertEqual(ran.status, 0, ran)
        variables = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            self.assertRegex(variables[name], r"^http://127\.0\.0\.1:\d+$")
        self.assertEqual(variables["NO_PROXY"], "localhost,127.0.0.1,::1")

    async def test_run_passes_the_exit_status_on(self) -> None:
        """The command's exit status, an end by a signal, and a command that is not there."""
        for script, status in (("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)):
            ran = await self.console(*RUN, "sh", "-c", script)
            self.assertEqual(ran.status, status, ran)
        ran = await self.console(*RUN, "no-such-command-here")
        self.assertEqual(ran.status, 127, ran)
        self.assertNotIn("Traceback", ran.stderr)

    async def test_run_leaves_nothing_behind(self) -> None:
        """When the command is over, so is its proxy."""
        ran = await self.console(*RUN, "sh", "-c", "echo $HTTP_PROXY")
        port = int(ran.stdout.strip().rpartition(":")[2])
        with self.assertRaises(ConnectionRefusedError):
            await self.dial(port)

    async def test_run_is_ended(self) -> None:
        """A SIGTERM, and even a SIGKILL, to ``aluvia run`` leaves no proxy behind."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            child = Child(self.program(), *RUN, "sh", "-c", "echo $HTTP_PROXY; exec sleep 5")
            await until(partial(_said_a_line, child), 20, "it runs")
            port = int(child.stdout.decode().strip().rpartition(":")[2])
            (await self.dial(port)).close()
            child.send_signal(number)
            self.assertEqual(await child.wait(), 128 + number, child.output)
            self.assertNotIn("Traceback", child.output)
            await until(partial(_refuses, port), 5, "the proxy is gone")


def _said_a_line(child: Child) -> bool:
    return b"\n" in child.stdout


def _refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0
