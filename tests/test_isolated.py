"""
Addresses that are refused, or lead nowhere, asked for where nothing can leave: in a network
namespace that has nothing but ``lo``. Elsewhere a guard that fails would reach somebody.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import typing
import unittest

from tests.aluvia_process import AluviaProcess
from tests.support import Curled, ProxyCase

_UP = """
import fcntl, os, socket, struct, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
os.execvp(sys.argv[1], sys.argv[1:])
"""

#: Runs the command behind it in a namespace of its own, as the same process.
ALONE = ("unshare", "--map-root-user", "--net", sys.executable, "-c", _UP)

LINK_LOCAL = (
    "169.254.169.254",
    "[fe80::1]",
    "[::ffff:169.254.1.1]",
    "0xa9fe0101",
    "[::ffff:a9fe:a9fe]",
    "169.254.43518",
)


def why_not() -> str | None:
    """Why there can be no namespace here, if that is so."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "needs unshare and nsenter (Linux)"
    done = subprocess.run([*ALONE, "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "this system lets nobody make a network namespace"


_WHY_NOT = why_not()


@unittest.skipIf(_WHY_NOT is not None, _WHY_NOT or "")
class IsolatedTests(ProxyCase):
    """A proxy in a namespace of its own."""

    async def alone(self, *options: str, **more: typing.Any) -> AluviaProcess:
        """Start one."""
        return await self.aluvia(*options, before=ALONE, **more)

    async def within(self, proxy: AluviaProcess, *options: str) -> Curled:
        """Run curl beside it; the head of the last answer, and what came behind."""
        return await self.run_command(
            *("nsenter", "--target", str(proxy.pid), "--user", "--net", "--preserve-credentials"),
            *("curl", "--silent", "--include", "--max-time", "20", "--noproxy", "", *options),
        )

    async def asked(self, proxy: AluviaProcess, url: str) -> list[tuple[int, str]]:
        """What a GET and a CONNECT come to: the status, and the error of ``Proxy-Status``."""
        answers = []
        for options in ((), ("--proxytunnel",)):
            curled = await self.within(proxy, "--proxy", proxy.url, *options, url)
            status = re.match(r"HTTP/1.1 (\d+) ", curled.stdout)
            error = re.search(r"(?m)^Proxy-Status: aluvia; ?error=(\w+)", curled.stdout)
            assert status is not None and error is not None, curled
            answers.append((int(status[1]), error[1]))
        return answers

    async def test_nothing_but_lo(self) -> None:
        """The namespace is one: what leads out of this machine has no route in it."""
        proxy = await self.alone()
        curled = await self.within(proxy, "--verbose", "http://192.0.2.1/")
        self.assertIn("unreachable", curled.stderr)

    async def test_no_route(self) -> None:
        """An address without a route: 502."""
        proxy = await self.alone()
        for host in ("192.0.2.1", "[2001:db8::1]"):
            answers = await self.asked(proxy, f"http://{host}/")
            self.assertEqual(answers, [(502, "destination_ip_unroutable")] * 2)

    async def test_destination_ip_prohibited(self) -> None:
        """Link-local addresses are refused direct, in every spelling, and unless allowed."""
        proxy = await self.alone()
        for host in LINK_LOCAL:
            answers = await self.asked(proxy, f"http://{host}/")
            self.assertEqual(answers, [(403, "destination_ip_prohibited")] * 2, host)
        proxy = await self.alone("--allow-link-local")
        for host in LINK_LOCAL:
            answers = await self.asked(proxy, f"http://{host}/")
            self.assertEqual(answers, [(502, "destination_ip_unroutable")] * 2, host)
