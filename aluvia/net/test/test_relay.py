"""Every kind of relay passes the same tests: fast with pipes and without, plain, and over TLS."""

from __future__ import annotations

from aluvia.net.test import relay_cases
from aluvia.net.test.relay_cases import BLOCK, MEGABYTE
from aluvia.net.test.tunnels import SMALL_BUFFER, Copying, LeftTLS, Splicing, Stock


class SplicingTests(Splicing, relay_cases.HalfCloseTests):
    """The fast relay, with pipes."""


class CopyingTests(Copying, relay_cases.HalfCloseTests):
    """The fast relay without a pipe."""


class StockTests(Stock, relay_cases.HalfCloseTests):
    """The plain relay over Twisted's transports."""

    # They drop what they have queued when they are aborted. Ours had sent it.
    hears_before_a_reset = False


class LeftTLSTests(LeftTLS, relay_cases.RelayTests):
    """The plain relay, with TLS on the left and our transport on the right."""

    # Twisted's TLS collects small writes until the next turn.
    hears_before_a_reset = False

    async def test_a_close_notify_ends_it(self) -> None:
        """What came before it is written; then the other side gets a FIN, and all is over."""
        joint = await self.join(right_buffer=SMALL_BUFFER)
        # What a server says after the handshake must be out, or it meets a closed socket.
        await joint.right.send(b"hello")
        await joint.left.read_exactly(5)
        await joint.left.send(BLOCK)
        self.assertTrue(await joint.right.read_exactly(MEGABYTE) == BLOCK)
        joint.left.close()
        self.assertEqual(await joint.right.read_to_end(), b"")
        joint.right.close()
        self.assertIsNone(await joint.ending.why())

    async def test_a_fin_becomes_a_close_notify(self) -> None:
        """A FIN for a TLS connection closes it, after what came before."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        await joint.right.send(BLOCK)
        joint.right.finish()
        self.assertTrue(await joint.left.read_to_end() == BLOCK)
        joint.left.close()
        self.assertIsNone(await joint.ending.why())
