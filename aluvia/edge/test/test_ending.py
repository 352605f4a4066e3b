"""Requests whose end cannot be told: nothing of them stays."""

from __future__ import annotations

from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, reactor
from aluvia.testing.faults import FaultPeer, Stall


class _BrokenLog:
    """An access log that raises."""

    def record(self, request: object) -> None:
        """Fail."""
        raise ZeroDivisionError

    closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class EndingTests(EdgeCase):
    """With a log that fails."""

    def setUp(self) -> None:
        """Have it fail."""
        self.open()
        self.log = _BrokenLog()
        self.edge.proxy.access_log = self.log  # type: ignore[assignment]

    async def test_the_slot_is_free(self) -> None:
        """The next request has it, and so has the one after that."""
        self.route(backend(self.origin()), req_active_length=1)
        for _ in range(3):
            self.assertEqual((await self.ask("/")).status, 200)
        await self.when(lambda: not self.live.admission.active)
        (member,) = self.live.members
        self.assertEqual((member.active, self.edge.proxy.live), (0, set()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    async def test_all_is_closed(self) -> None:
        """The log too, where a provider's end fails."""

        async def stop() -> None:
            raise ZeroDivisionError

        self.patch(self.edge._authenticators, "stop", stop)
        with self.assertRaises(ZeroDivisionError):
            await self.edge.closed()
        self.assertTrue(self.log.closed)

    async def test_all_are_ended(self) -> None:
        """When the edge ends, each request is cut, though the first one raises."""
        peer = self.peer(FaultPeer(reactor, [Stall()]))
        self.route(backend(peer))
        for _ in range(3):
            client = await self.connect()
            await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: peer.accepted == 3)
        self.edge.proxy.end()
        (member,) = self.live.members
        self.assertEqual((member.active, self.edge.proxy.live), (0, set()))
        self.assertEqual(self.live.admission.active, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
