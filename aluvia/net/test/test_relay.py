"""Every kind of relay passes the same tests: fast with pipes and without, plain, and over TLS."""

from __future__ import annotations

import ssl
import typing

from aluvia.net.plain import PlainRelay
from aluvia.net.test import relay_cases
from aluvia.net.test.tunnels import Copying, Ending, LeftTLS, Splicing, Stock, TunnelCase
from aluvia.testing.ended import Ended


class SplicingTests(Splicing, relay_cases.RelayTests, relay_cases.FinTests):
    """The fast relay, with pipes."""


class CopyingTests(Copying, relay_cases.RelayTests, relay_cases.FinTests):
    """The fast relay without a pipe."""


class SplicingGoneTests(Splicing, relay_cases.GoneTests):
    """Someone is gone, and the pipes were full."""


class CopyingGoneTests(Copying, relay_cases.GoneTests):
    """Someone is gone, without pipes."""


class StockGoneTests(Stock, relay_cases.GoneTests):
    """Over Twisted's transports."""


class TLSGoneTests(LeftTLS, relay_cases.GoneTests):
    """With TLS on the left."""


class StockTests(Stock, relay_cases.RelayTests, relay_cases.FinTests):
    """The plain relay over Twisted's transports."""

    # They drop what they have queued when they are aborted. Ours had sent it.
    hears_before_a_reset = False


class TappedTests(TunnelCase):
    """The plain relay, and somebody who looks at what passes."""

    def make(
        self, left: typing.Any, right: typing.Any, ending: Ending, left_eof: bool
    ) -> PlainRelay:
        """A relay with two taps."""
        self.seen: dict[str, list[bytes]] = {"left": [], "right": []}
        return PlainRelay(
            left,
            right,
            ended=ending,
            left_eof=left_eof,
            left_tap=self.seen["left"].append,
            right_tap=self.seen["right"].append,
        )

    async def test_what_passes_is_shown(self) -> None:
        """Each way by itself, in order, with what came early; and it passes."""
        joint = await self.join(left_bytes=b"early ", right_bytes=b"soon ")
        await joint.left.send(b"question")
        self.assertEqual(await joint.right.read_exactly(14), b"early question")
        await joint.right.send(b"answer")
        self.assertEqual(await joint.left.read_exactly(11), b"soon answer")
        self.assertEqual(b"".join(self.seen["left"]), b"early question")
        self.assertEqual(b"".join(self.seen["right"]), b"soon answer")
        self.assertEqual((joint.relay.bytes_from_left, joint.relay.bytes_from_right), (14, 11))

    async def test_an_end_passes(self) -> None:
        """As it does without."""
        joint = await self.join()
        await joint.left.send(b"all")
        joint.left.finish()
        self.assertEqual(await joint.right.read_to_end(), b"all")
        joint.right.finish()
        self.assertIsNone(await joint.ending.why())
        self.assertEqual(self.seen, {"left": [b"all"], "right": []})


class LeftTLSTests(LeftTLS, relay_cases.RelayTests):
    """The plain relay, with TLS on the left and our transport on the right."""


class EndsOfTLSTests(LeftTLS, relay_cases.FinTests):
    """How a relay ends that has TLS on the left and our transport on the right."""

    async def test_a_whole_close(self) -> None:
        """What came before it is written; then the other side gets a FIN, and all is over."""
        joint = await self.join()
        await joint.left.send(b"all of it")
        joint.left.close()
        self.assertEqual(await joint.right.read_to_end(), b"all of it")
        joint.right.close()
        self.assertIsNone(await joint.ending.why())

    async def test_a_fin_without_a_close_notify(self) -> None:
        """What was cut off does not look whole to the other side."""
        joint = await self.join()
        await joint.left.send(b"not all of it")
        await joint.right.read_exactly(13)
        joint.left.finish(close_notify=False)
        await joint.right.read_away()
        self.assertIs(joint.right.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())

    async def test_a_bare_fin_in_answer_to_a_close_notify(self) -> None:
        """Is what many peers end with, and is an end in order."""
        joint = await self.join()
        joint.right.finish()
        self.assertEqual(await joint.left.read_to_end(), b"")
        joint.left.finish(close_notify=False)
        self.assertEqual(await joint.right.read_to_end(), b"")
        self.assertIsNone(await joint.ending.why())


class EndsOfOlderTLSTests(EndsOfTLSTests):
    """The same with a peer that speaks TLS 1.2."""

    newest = ssl.TLSVersion.TLSv1_2
