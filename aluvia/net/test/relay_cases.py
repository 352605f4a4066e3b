"""What every relay does: bytes, order, FINs, RSTs, bounds. ``test_relay`` has the kinds of them."""

from __future__ import annotations

import gc
import hashlib
import typing

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import TimeoutError
from twisted.internet.protocol import Protocol

from aluvia.net.test.tunnels import SMALL_BUFFER, Ending, TunnelCase
from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded, Ended

MEGABYTE = 1_000_000

#: A block that does not repeat within itself, so that bytes out of place are found.
BLOCK = hashlib.shake_256(b"relay").digest(MEGABYTE)


async def stream(peer: FaultConnection, megabytes: int) -> str:
    """Send so much, and a FIN; the digest of it."""
    digest = hashlib.sha256()
    for number in range(megabytes):
        block = number.to_bytes(4, "big") + BLOCK[4:]
        digest.update(block)
        await peer.send(block)
    return digest.hexdigest()


async def digest_of(peer: FaultConnection, count: int) -> str:
    """Read so many bytes; the digest of them."""
    digest = hashlib.sha256()
    while count:
        data = await peer.read_some()
        if not data:
            break
        digest.update(data)
        count -= len(data)
    return digest.hexdigest()


def together(
    *parts: typing.Coroutine[Deferred[typing.Any], typing.Any, typing.Any],
) -> Deferred[list[typing.Any]]:
    """Do these at the same time."""
    return gatherResults([Deferred.fromCoroutine(part) for part in parts], consumeErrors=True)


class RelayTests(TunnelCase):
    """The same for every relay and every transport."""

    #: Whether what came right before an RST is sure to be passed on.
    hears_before_a_reset = True

    async def test_bytes_pass_both_ways(self) -> None:
        """What one side sends reaches the other, and is counted."""
        joint = await self.join()
        await joint.left.send(b"question")
        self.assertEqual(await joint.right.read_exactly(8), b"question")
        await joint.right.send(b"the answer")
        self.assertEqual(await joint.left.read_exactly(10), b"the answer")
        self.assertEqual(joint.relay.bytes_from_left, 8)
        self.assertEqual(joint.relay.bytes_from_right, 10)

    async def test_fifty_megabytes_each_way_at_once(self) -> None:
        """Streams in both directions arrive byte for byte."""
        joint = await self.join()
        count = 50 * MEGABYTE
        results = await together(
            stream(joint.left, 50),
            digest_of(joint.right, count),
            stream(joint.right, 50),
            digest_of(joint.left, count),
        )
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[2], results[3])
        self.assertEqual(joint.relay.bytes_from_left, count)
        self.assertEqual(joint.relay.bytes_from_right, count)

    async def test_what_was_written_and_read_before_goes_first(self) -> None:
        """Queued bytes, early bytes, then the streams: in order, in both directions."""
        joint = await self.join(
            written=BLOCK,
            left_bytes=b"early from left;",
            right_bytes=b"early from right;",
            left_buffer=SMALL_BUFFER,
        )
        await joint.left.send(b"then this")
        await joint.right.send(b"then that")
        self.assertEqual(await joint.right.read_exactly(25), b"early from left;then this")
        expected = BLOCK + b"early from right;then that"
        self.assertTrue(await joint.left.read_exactly(len(expected)) == expected)
        self.assertEqual(joint.relay.bytes_from_left, 25)
        self.assertEqual(joint.relay.bytes_from_right, 26)

    async def test_more_early_bytes_than_the_sink_takes(self) -> None:
        """Early bytes are not lost when the other side is slow from the start."""
        joint = await self.join(left_bytes=BLOCK, right_buffer=SMALL_BUFFER)
        await joint.left.send(b"end")
        self.assertTrue(await joint.right.read_exactly(MEGABYTE + 3) == BLOCK + b"end")

    async def test_a_slow_reader_holds_the_writer(self) -> None:
        """While one side does not read, the other is read no further than the relay's bound."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        joint.left.pause()
        sending = Deferred.fromCoroutine(stream(joint.right, 40))
        # The relay is at its bound when turn after turn brings nothing.
        seen = -1
        while seen != joint.relay.bytes_from_right or not seen:
            seen = joint.relay.bytes_from_right
            await self.turns(20)
        self.assertLessEqual(seen, self.most_taken())
        self.assertFalse(sending.called)
        joint.left.resume()
        self.assertEqual(await digest_of(joint.left, 40 * MEGABYTE), await sending)

    def most_taken(self) -> int:
        """The most that is taken for a sink that stalls: one pipe, and the kernel's buffers."""
        # SO_RCVBUF and SO_SNDBUF are doubled by the kernel; one read may have gone out before.
        return 1_048_576 + 65_536 + 8 * SMALL_BUFFER

    async def test_a_stalled_direction_beside_one_that_flows(self) -> None:
        """What waits for a slow reader is its own: bytes of the other direction do not mix in."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        joint.left.pause()
        down = Deferred.fromCoroutine(stream(joint.right, 3))
        await self.when(lambda: joint.relay.bytes_from_right > 4 * SMALL_BUFFER)
        up = Deferred.fromCoroutine(stream(joint.left, 3))
        self.assertEqual(await digest_of(joint.right, 3 * MEGABYTE), await up)
        joint.left.resume()
        self.assertEqual(await digest_of(joint.left, 3 * MEGABYTE), await down)

    async def test_the_protocols_before_are_garbage(self) -> None:
        """Nothing holds on to what had the connections before."""
        # The transports were made with these; see TunnelCase.end.
        gc.collect()
        before = {id(one) for one in gc.get_objects() if type(one) is Protocol}
        joint = await self.join()
        gc.collect()
        after = [one for one in gc.get_objects() if type(one) is Protocol]
        self.assertEqual([one for one in after if id(one) not in before], [])
        self.assertFalse(joint.relay.over)

    async def test_abort_resets_both(self) -> None:
        """``abort`` ends it at once, with an RST to each."""
        joint = await self.join()
        joint.relay.abort()
        joint.relay.abort()
        self.assertIsNotNone(await joint.ending.why())
        await together(joint.left.read_away(), joint.right.read_away())
        self.assertIs(joint.left.ended, Ended.RESET)
        self.assertIs(joint.right.ended, Ended.RESET)
        self.assertEqual(len(joint.ending.failures), 1)
        self.assertTrue(joint.relay.over)

    async def test_abort_with_bytes_in_flight(self) -> None:
        """It can be aborted while a direction is stalled."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        joint.left.pause()
        sending = Deferred.fromCoroutine(stream(joint.right, 40))
        await self.when(lambda: joint.relay.bytes_from_right > 4 * SMALL_BUFFER)
        await self.turns(10)
        joint.relay.abort()
        await joint.ending.why()
        await together(joint.right.read_away())
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        self.assertIs(joint.right.ended, Ended.RESET)

    async def test_idle_for_too_long(self) -> None:
        """Without a byte for ``idle_timeout`` both are reset; bytes put it off."""
        joint = await self.join()
        idle = joint.relay
        idle.idle_timeout = 80.0
        self.assertLessEqual(idle.deadline, 0.0)
        idle.deadline_passed(1000.0)
        self.assertLessEqual(idle.deadline, 1010.0)
        await joint.left.send(b"x")
        await joint.right.read_exactly(1)
        idle.deadline_passed(1079.0)
        idle.deadline_passed(1158.9)
        self.assertFalse(idle.over)
        self.assertLessEqual(idle.deadline, 1159.1)
        idle.deadline_passed(1159.0)
        failure = await joint.ending.why()
        assert failure is not None
        self.assertTrue(failure.check(TimeoutError))
        await together(joint.left.read_away(), joint.right.read_away())
        self.assertIs(joint.left.ended, Ended.RESET)
        self.assertIs(joint.right.ended, Ended.RESET)

    async def test_a_reset_resets_the_other(self) -> None:
        """An RST from either side passes, when nothing else happens."""
        for first, second in (("left", "right"), ("right", "left")):
            joint = await self.join()
            getattr(joint, first).reset()
            await getattr(joint, second).read_away()
            self.assertIs(getattr(joint, second).ended, Ended.RESET)
            self.assertIsNotNone(await joint.ending.why())
            self.assertEqual(len(joint.ending.failures), 1)

    async def test_a_reset_in_the_middle_of_a_transfer(self) -> None:
        """An RST from the sender, or from the receiver, of a stream passes."""
        for who in ("left", "right"):
            joint = await self.join()
            sending = Deferred.fromCoroutine(stream(joint.right, 200))
            await joint.left.read_exactly(MEGABYTE)
            getattr(joint, who).reset()
            await together(joint.left.read_away(), joint.right.read_away())
            await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
            other = joint.right if who == "left" else joint.left
            self.assertIs(other.ended, Ended.RESET)
            self.assertIsNotNone(await joint.ending.why())
            self.assertEqual(len(joint.ending.failures), 1)

    async def test_the_receiver_resets_while_it_stalls(self) -> None:
        """A reader that does not read and then resets ends the tunnel."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        joint.left.pause()
        sending = Deferred.fromCoroutine(stream(joint.right, 40))
        await self.when(lambda: joint.relay.bytes_from_right > 4 * SMALL_BUFFER)
        await self.turns(10)
        joint.left.reset()
        await joint.right.read_away()
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        self.assertIs(joint.right.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())

    async def test_an_answer_before_a_reset_still_counts(self) -> None:
        """A server that answers early and resets is heard: its answer comes before the RST."""
        joint = await self.join()
        await joint.left.send(b"an upload")
        await joint.right.read_exactly(9)
        joint.right.pause()
        await joint.left.send(b"x" * 1000)
        await self.when(lambda: joint.relay.bytes_from_left == 1009)
        await joint.right.send(b"413 too large")
        # Bytes are unread: Linux sends an RST in place of a FIN, behind the answer.
        joint.right.reset()
        await joint.left.read_away()
        if self.hears_before_a_reset:
            self.assertEqual(joint.left.received, b"413 too large")
        self.assertIs(joint.left.ended, Ended.RESET)

    async def test_a_connection_that_is_lost_before_the_start(self) -> None:
        """A relay of which one side is gone already ends at once, and closes the other."""
        left, left_transport = await self.left_end(None)
        right, right_transport = await self.end(None)
        left_transport.loseConnection()
        ending = Ending()
        made = self.make(left_transport, right_transport, ending, False)
        made.start(b"early")
        failure = await ending.why()
        self.assertIsNotNone(failure)
        await together(left.read_away(), right.read_away())
        self.assertEqual(len(ending.failures), 1)


class FinTests(TunnelCase):
    """And what a FIN does."""

    async def test_a_fin_from_the_left_passes(self) -> None:
        """The right side sees the FIN, and can still answer; then both close."""
        await self._a_fin_passes("left", "right")

    async def test_a_fin_from_the_right_passes(self) -> None:
        """The left side sees the FIN, and can still send; then both close."""
        await self._a_fin_passes("right", "left")

    async def _a_fin_passes(self, first: str, second: str) -> None:
        joint = await self.join()
        one, other = getattr(joint, first), getattr(joint, second)
        await one.send(BLOCK)
        one.finish()
        self.assertTrue(await other.read_to_end() == BLOCK)
        await self.turns(3)
        self.assertFalse(joint.relay.over)
        await other.send(BLOCK)
        self.assertTrue(await one.read_exactly(MEGABYTE) == BLOCK)
        other.finish()
        self.assertEqual(await one.read_to_end(), b"")
        self.assertIsNone(await joint.ending.why())
        self.assertEqual(joint.ending.failures, [None])

    async def test_fins_cross(self) -> None:
        """FINs from both sides at once close both in order."""
        joint = await self.join()
        await joint.left.send(b"a")
        await joint.right.send(b"b")
        joint.left.finish()
        joint.right.finish()
        self.assertEqual(await joint.left.read_to_end(), b"b")
        self.assertEqual(await joint.right.read_to_end(), b"a")
        self.assertIsNone(await joint.ending.why())

    async def test_a_fin_behind_a_stalled_stream(self) -> None:
        """A FIN waits until everything before it is out."""
        joint = await self.join(left_buffer=SMALL_BUFFER)
        joint.left.pause()
        sending = Deferred.fromCoroutine(stream(joint.right, 3))
        await self.when(lambda: joint.relay.bytes_from_right > 4 * SMALL_BUFFER)
        joint.left.resume()
        self.assertEqual(await digest_of(joint.left, 3 * MEGABYTE), await sending)
        joint.right.finish()
        self.assertEqual(await joint.left.read_to_end(), b"")

    async def test_the_left_one_had_finished_before(self) -> None:
        """A FIN that came before the start passes on behind the early bytes."""
        joint = await self.join(left_eof=True, left_bytes=BLOCK, right_buffer=SMALL_BUFFER)
        self.assertTrue(await joint.right.read_to_end() == BLOCK)
        await joint.right.send(b"answer")
        joint.right.finish()
        self.assertEqual(await joint.left.read_to_end(), b"answer")
        self.assertIsNone(await joint.ending.why())

    async def test_the_left_one_had_finished_and_sent_nothing(self) -> None:
        """The same without a byte."""
        joint = await self.join(left_eof=True)
        self.assertEqual(await joint.right.read_to_end(), b"")
        joint.right.finish()
        self.assertEqual(await joint.left.read_to_end(), b"")
        self.assertIsNone(await joint.ending.why())

    async def test_a_reset_after_a_fin(self) -> None:
        """When one direction is finished, a reset of the reader still ends all."""
        joint = await self.join()
        joint.left.finish()
        self.assertEqual(await joint.right.read_to_end(), b"")
        joint.right.reset()
        await joint.left.read_away()
        self.assertIs(joint.left.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())

    async def test_a_whole_answer_before_the_upload_ends(self) -> None:
        """
        A server that answered, closed in order, and resets because more comes, has answered whole:
        the client reads the answer and a FIN, however long it goes on sending.
        """
        joint = await self.join(left_buffer=SMALL_BUFFER)
        answer = BLOCK[:60_000]
        await joint.left.send(b"an upload")
        await joint.right.read_exactly(9)
        joint.left.pause()
        await joint.right.send(answer)
        joint.right.close()
        await self.turns(5)
        for _ in range(5):
            await joint.left.send(b"still sending")
            await self.turns(5)
        self.assertFalse(joint.relay.over)
        joint.left.resume()
        self.assertTrue(await joint.left.read_to_end() == answer)
        await joint.left.send(b"and still")
        joint.left.finish()
        self.assertIsNone(await joint.ending.why())


class GoneTests(TunnelCase):
    """
    A reader that had sent all, and then is gone: what is sent to it is read on, in case the sender
    has yet to read what it was told, but not for ever.
    """

    async def test_the_client(self) -> None:
        """A client that closes in the middle of what it gets does not have the rest fetched."""
        joint = await self.join()
        sending = Deferred.fromCoroutine(stream(joint.right, 40))
        await joint.left.read_exactly(1000)
        joint.left.close()
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        self.assertIs(joint.right.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())
        self.assertLess(joint.relay.bytes_from_right, 10 * MEGABYTE)

    async def test_the_server(self) -> None:
        """Nor is an upload taken on without end that its server has answered, and left."""
        joint = await self.join()
        await joint.right.send(b"no more, please")
        joint.right.close()
        self.assertEqual(await joint.left.read_to_end(), b"no more, please")
        sending = Deferred.fromCoroutine(stream(joint.left, 40))
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        self.assertIsNotNone(await joint.ending.why())
        self.assertLess(joint.relay.bytes_from_left, 10 * MEGABYTE)
