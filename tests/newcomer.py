"""A case for what a newcomer types: a fresh checkout, and lines run in it as they stand."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import shutil
import signal
import socket
import sys
import textwrap

from twisted.trial.unittest import SkipTest, TestCase

from tests.aluvia_process import Child, until
from tests.checkout import copy_checkout

SECONDS_FOR_PIP = 600.0
SECONDS_TO_START = 60.0


def python_blocks(page: pathlib.Path) -> list[str]:
    """Return the ``python`` blocks of a page, as files."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks]


def with_ports(line: str, ports: dict[int, int]) -> str:
    """Return ``line`` with other ports; each that is replaced is in it exactly once."""
    for port, other in ports.items():
        if line.count(str(port)) != 1:
            raise AssertionError(f"{port} is not once in: {line}")
        line = line.replace(str(port), str(other))
    return line


def free_port() -> int:
    """Return a port on which somebody may listen who cannot be told of port 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether anybody takes connections there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def need_openssl() -> None:
    """Skip a test of a page that has somebody type ``openssl``, where there is none."""
    if shutil.which("openssl") is None:
        raise SkipTest("openssl is not installed")


class NewcomerCase(TestCase):
    """
    Runs lines of the documentation, but for the ports: a test takes free ones, so that it neither
    meets nor disturbs what runs on the machine already.
    """

    timeout = 900.0

    def setUp(self) -> None:
        """A checkout like a fresh clone."""
        self.checkout = copy_checkout(pathlib.Path(self.mktemp()).resolve())

    def start(self, line: str) -> Child:
        """Start a line in the checkout; it is ended with the test."""

        async def end() -> None:
            child.kill()
            await child.wait()

        child = Child("bash", "-c", f"cd {shlex.quote(str(self.checkout))} && {line}")
        self.addCleanup(end)
        return child

    async def finish(self, line: str, seconds: float = SECONDS_TO_START) -> str:
        """Run a line to its good end, and return what it wrote."""
        child = self.start(line)
        self.assertEqual(await child.wait(seconds), 0, f"{line}:\n{child.output}")
        return child.stdout.decode()

    async def install(self, line: str) -> None:
        """Run a line that makes an environment and installs into it."""
        # The interpreter of these tests stands in for whatever python3 is here.
        python = shlex.quote(str(pathlib.Path(sys.executable).parent))
        await self.finish(f"export PATH={python}:$PATH; {line}", SECONDS_FOR_PIP)

    async def site(self, line: str) -> int:
        """Start ``http.server`` on a free port and in the foreground, and return the port."""
        _, port = await self.serving(line, 8000, 0)
        return port

    async def serving(self, line: str, port: int, other: int) -> tuple[Child, int]:
        """Start ``http.server`` on another port (0: a free one); return it, and its port."""
        child = self.start(f"exec {with_ports(line.partition(' >')[0], {port: other})}")
        await until(lambda: b"\n" in child.stdout, SECONDS_TO_START, "the site serves")
        # "Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ..."
        return child, int(child.stdout.decode().split(" port ")[1].split()[0])

    async def proxy(self, line: str) -> tuple[Child, int, int]:
        """Start a proxy on free ports; return it, its port and its admin port when it is ready."""
        ports = pathlib.Path(self.mktemp()).resolve()
        child = self.start(f"exec {line} --port 0 --admin-port 0 --port-file {ports}")
        await until(lambda: ports.exists() or child.ended, SECONDS_TO_START, "the proxy is ready")
        self.assertFalse(child.ended, child.output)
        told = json.loads(ports.read_text(encoding="utf-8"))
        return child, told["proxy"], told["admin"]

    async def edge(self, line: str) -> tuple[Child, dict[str, int]]:
        """
        Start an edge, and wait until it is ready.

        :param line: with the ports that it is to have; what it does not name is a free one.
        :return: it, and its ports by the names ``http``, ``https`` and ``api``.
        """
        for name in ("http", "https", "api"):
            if f"--{name} " not in line:
                line += f" --{name} 127.0.0.1:0"
        ports = pathlib.Path(self.mktemp()).resolve()
        child = self.start(f"exec {line} --port-file {ports}")
        await until(lambda: ports.exists() or child.ended, SECONDS_TO_START, "the edge is ready")
        self.assertFalse(child.ended, child.output)
        return child, json.loads(ports.read_text(encoding="utf-8"))

    async def agent(self, line: str) -> Child:
        """Start an agent, and wait until its hub has it."""
        ports = pathlib.Path(self.mktemp()).resolve()
        # It may begin with variables.
        child = self.start(f"exec env {line} --port-file {ports}")

        def is_online() -> bool:
            return ports.exists() and bool(json.loads(ports.read_text(encoding="utf-8"))["online"])

        await until(lambda: child.ended or is_online(), SECONDS_TO_START, "the agent is online")
        self.assertFalse(child.ended, child.output)
        return child

    async def interrupt(self, child: Child, status: int = 128 + signal.SIGINT) -> None:
        """Press Ctrl-C in its terminal."""
        child.send_signal(signal.SIGINT)
        self.assertEqual(await child.wait(), status, child.output)
        for sign in ("Unhandled", "Traceback"):
            self.assertNotIn(sign, child.output.replace(": KeyboardInterrupt", ""))

    def nobody(self) -> int:
        """Return a port on which nobody listens, and nobody will before the test is over."""
        held = socket.socket()
        self.addCleanup(held.close)
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
