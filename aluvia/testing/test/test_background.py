"""Tests for :mod:`aluvia.testing.background`, from a thread without a reactor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

from twisted.internet.defer import Deferred
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.background import Fakes
from aluvia.testing.faults import Close, Read, Send
from aluvia.testing.origin import Visit


def get(url: str, proxy: str | None = None) -> str:
    """Ask for a URL, and wait."""
    proxies = {} if proxy is None else {"http": proxy}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies))
    with opener.open(url, timeout=20) as answer:
        text: str = answer.read().decode()
        return text


class FakesTests(SynchronousTestCase):
    """Fakes in a thread of their own."""

    def test_all_kinds(self) -> None:
        """Each is there as soon as it is returned, and gone behind the block."""
        with Fakes() as fakes:
            origin = fakes.origin()
            gateway = fakes.gateway("u", "p")
            plane = fakes.control_plane("t")
            peer = fakes.peer([Read(), Send(b"HTTP/1.0 200 OK\r\n\r\nfrom a script"), Close()])
            site = f"http://127.0.0.1:{origin.port}/"
            self.assertIn('"target": "/"', get(site))
            proxy = f"http://u:p@127.0.0.1:{gateway.port}"
            self.assertIn('"target": "/"', get(site, proxy))
            self.assertTrue(gateway.asked[-1].authorized)
            with self.assertRaises(urllib.error.HTTPError):
                get(f"{plane.base_url}/user")
            self.assertEqual(get(f"http://127.0.0.1:{peer.port}/"), "from a script")
            ports = [origin.port, gateway.port, plane.port, peer.port]
        for port in ports:
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))

    def test_call(self) -> None:
        """A function, a coroutine function and a Deferred; errors come back."""
        with Fakes() as fakes:
            plane = fakes.control_plane("t")
            fakes.call(plane.change, rules=["a"])
            self.assertEqual(plane.revision, 2)

            async def answer() -> str:
                await Deferred.fromCoroutine(plane.peer.when(lambda: True))
                return "awaited"

            self.assertEqual(fakes.call(answer), "awaited")
            with self.assertRaises(ZeroDivisionError):
                fakes.call(lambda: 1 / 0)

    def test_routes(self) -> None:
        """A route is a function of the test's own."""

        async def teapot(visit: Visit) -> None:
            await visit.answer(200, [], b"short and stout")

        with Fakes() as fakes:
            origin = fakes.origin(fallback=teapot)
            self.assertEqual(get(f"http://127.0.0.1:{origin.port}/"), "short and stout")

    def test_close(self) -> None:
        """Twice is once; others are not touched; no descriptor stays."""
        with Fakes() as others:
            origin = others.origin()
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
            fakes = Fakes()
            fakes.gateway()
            fakes.close()
            fakes.close()
            self.assertTrue(get(f"http://127.0.0.1:{origin.port}/"))
            if before:
                others.call(origin.peer.when, lambda: not origin.peer.open)
                self.assertLessEqual(len(os.listdir("/proc/self/fd")), before)

    def test_not_the_reactor(self) -> None:
        """It is not taken for the process's own reactor: not at import, not when it runs."""
        before = threadable.ioThread
        with Fakes() as fakes:
            fakes.origin()
        self.assertEqual(threadable.ioThread, before)
        program = (
            "import sys; from aluvia.testing.background import Fakes\n"
            "import aluvia.testing.fixtures\n"
            "fakes = Fakes(); fakes.origin()\n"
            "print('twisted.internet.reactor' in sys.modules)"
        )
        # It ends by itself too, with fakes that nobody has closed.
        child = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
        )
        self.assertEqual((child.stdout, child.stderr), ("False\n", ""))
