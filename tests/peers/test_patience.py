"""
What takes a minute and more: the deadlines of a body and of a connection that asks for nothing.

No peer is needed; these are here because of the time that they take.
"""

from __future__ import annotations

import contextlib

from twisted.internet.defer import Deferred, gatherResults

from aluvia.testing.faults import ConnectionEnded, Drip, FaultConnection
from aluvia.testing.http import read_response
from tests.aluvia_process import AluviaProcess, reactor
from tests.support import ProxyCase


class PatienceTests(ProxyCase):
    """All at once, in a minute and a half."""

    timeout = 200

    async def until_it_ends(self, connection: FaultConnection) -> tuple[float, bytes]:
        """What is said until the other side ends, and after how many seconds that is."""
        began, said = reactor.seconds(), b""
        with contextlib.suppress(ConnectionEnded):
            while data := await connection.read_some():
                said += data
        return float(reactor.seconds() - began), said

    async def drip(
        self, proxy: AluviaProcess, port: int, length: int, size: int, every: float
    ) -> tuple[float, bytes]:
        """Send a body slowly."""
        connection = await self.connect(proxy)
        await connection.send(
            b"POST http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n" % (port, length)
        )
        dripping = Deferred.fromCoroutine(
            Drip(b"x" * length, every=every, size=size).play(connection)
        )
        dripping.addErrback(lambda failure: failure.trap(ConnectionEnded) and None)
        return await self.until_it_ends(connection)

    async def test_slow_bodies_and_idle_connections(self) -> None:
        """
        A body of less than 100 bytes a second ends after a minute with 408; one of 200 bytes a
        second is read for as long as it takes. A kept connection and one of the admin port that
        ask for nothing do not stay for ever.
        """
        origin = self.origin()
        proxy = await self.aluvia()
        kept = await self.connect(proxy)
        await kept.send(b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port)
        await read_response(kept)
        silent = await self.dial(int(proxy.ports["admin"]))
        slow, steady, idle, admin = await gatherResults(
            [
                Deferred.fromCoroutine(one)
                for one in (
                    self.drip(proxy, origin.port, 1000, 1, 2),
                    self.drip(proxy, origin.port, 16_000, 100, 0.5),
                    self.until_it_ends(kept),
                    self.until_it_ends(silent),
                )
            ]
        )
        self.assertTrue(slow[1].startswith(b"HTTP/1.1 408 "), slow)
        self.assertGreater(slow[0], 55)
        self.assertLess(slow[0], 130)
        self.assertTrue(steady[1].startswith(b"HTTP/1.1 200 "), steady)
        for seconds, said in (idle, admin):
            self.assertLess(seconds, 130, said)
