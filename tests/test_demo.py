"""``--demo`` where others run already."""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.aluvia_process import AluviaProcess, until

SECONDS = 10.0


class DemoTests(TestCase):
    """What the README's own test does not see."""

    timeout = 60

    async def test_many_at_the_same_moment(self) -> None:
        """Each that finds a port taken, even between two looks, takes another one and says so."""
        ports = []
        for _ in range(2):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
        proxy, admin = ports
        demos = [
            AluviaProcess("--demo", "--port", str(proxy), "--admin-port", str(admin))
            for _ in range(3)
        ]
        for demo in demos:
            self.addCleanup(demo.wait)
            self.addCleanup(demo.kill)
        await gatherResults([Deferred.fromCoroutine(demo.ready()) for demo in demos])
        for name, wanted in (("proxy", proxy), ("admin", admin)):
            got = [demo.ports[name] for demo in demos]
            self.assertEqual(len(set(got)), 3)
            self.assertEqual(got.count(wanted), 1)
            said = f"The {name} port {wanted} is taken; another one is used."
            for demo in demos:
                self.assertEqual(said in demo.output, demo.ports[name] != wanted, demo.output)
        await until(
            lambda: all(f"curl -x {demo.url} " in demo.output for demo in demos),
            SECONDS,
            "the lines to type",
        )
        for demo in demos:
            await demo.stop()
