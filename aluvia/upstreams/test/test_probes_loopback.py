"""Tests for :mod:`aluvia.upstreams.probes` over loopback: real sockets."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from aluvia.net.test.loopback import LoopbackCase, Site, closed_port, full_backlog, reactor
from aluvia.upstreams.probes import ProbeFailed, http_probe, tcp_probe

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class LoopbackTests(LoopbackCase):
    """What a probe finds, and that it leaves nothing."""

    async def test_tcp(self) -> None:
        """A port where somebody listens is well; the connection is gone at once."""
        site = Site()
        port = site.listen()
        before = await self.count()
        for host in ("127.0.0.1", "localhost"):
            await tcp_probe(self.tcp, host, port, reactor)
        await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()

    async def test_tcp_refused(self) -> None:
        """A port where nobody listens is not."""
        before = await self.count()
        with closed_port() as port:
            try:
                await tcp_probe(self.tcp, "127.0.0.1", port, reactor)
            except ProbeFailed as error:
                self.assertIn("connection_refused", str(error))
            else:
                self.fail("nobody listens there")
        await self.assert_nothing_left(before)

    async def test_tcp_cancelled(self) -> None:
        """A connect that is under way leaves no descriptor."""
        with full_backlog() as port:
            before = await self.count()
            probe = tcp_probe(self.tcp, "127.0.0.1", port, reactor)
            probe.cancel()
            with self.assertRaises(CancelledError):
                await probe
            await self.assert_nothing_left(before)

    async def test_http(self) -> None:
        """A good answer is well; the connection is gone, however much was still to come."""
        site = Site(answers=[ANSWER, b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1_000_000])
        port = site.listen()
        before = await self.count()
        for _ in range(2):
            await http_probe(self.tcp, "127.0.0.1", port, b"/", b"a.example", (), reactor)
            await site.emptied()
        await self.assert_nothing_left(before)
        await site.close()

    async def test_http_bad(self) -> None:
        """A bad status and a reset are not."""
        for site in (Site(answers=[b"HTTP/1.1 500 No\r\n\r\n"]), Site(resets=True)):
            port = site.listen()
            before = await self.count()
            with self.assertRaises(ProbeFailed):
                await http_probe(self.tcp, "127.0.0.1", port, b"/", b"a.example", (), reactor)
            await site.emptied()
            await self.assert_nothing_left(before)
            await site.close()
