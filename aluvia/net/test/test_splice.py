"""What only the fast relay has: pipes, their leases, and a way back to copying."""

from __future__ import annotations

import errno
import os
import socket
import typing
import unittest

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Protocol

from aluvia.net.accept import open_descriptors
from aluvia.net.pipes import CAN_SPLICE, Pipes
from aluvia.net.readiness import READ, WRITE
from aluvia.net.relay import WireRelay
from aluvia.net.test.relay_cases import BLOCK, MEGABYTE, digest_of, stream
from aluvia.net.test.tunnels import Ending, Joint, Splicing, loopback, reactor, wire
from aluvia.net.transport import Wire
from aluvia.testing.ended import ConnectionEnded, Ended
from aluvia.wire.limits import DEFAULT_LIMITS, Limits


def fast(joint: Joint) -> WireRelay:
    """Its relay, as what it is."""
    assert isinstance(joint.relay, WireRelay)
    return joint.relay


@unittest.skipUnless(CAN_SPLICE, "no splice here")
class SpliceTests(Splicing):
    """Tunnels with a pool of their own."""

    async def stalled(self) -> tuple[Joint, Deferred[str]]:
        """A tunnel whose left side does not read, at its bound, and what its right side sends."""
        joint = await self.join()
        joint.left.pause()
        sending = Deferred.fromCoroutine(stream(joint.right, 40))
        await self.when(lambda: self.pipes.leased == 1)
        await self.turns(20)
        return joint, sending

    async def test_a_pipe_is_leased_only_while_bytes_are_in_flight(self) -> None:
        """A stalled direction has one, no fuller than it is large; one that has flown has none."""
        joint, sending = await self.stalled()
        self.assertEqual(self.pipes.leased, 1)
        self.assertGreater(fast(joint).held, 65_536)
        self.assertLessEqual(fast(joint).held, DEFAULT_LIMITS.pipe_bytes)
        self.assertFalse(fast(joint)._back.source.watched & READ)
        joint.left.resume()
        self.assertEqual(await digest_of(joint.left, 40 * MEGABYTE), await sending)
        self.assertEqual(self.pipes.leased, 0)
        self.assertEqual(fast(joint).held, 0)

    async def test_small_messages_need_no_pipe(self) -> None:
        """Questions and answers are copied."""
        joint = await self.join()
        for _ in range(20):
            await joint.left.send(b"x" * 1000)
            await joint.right.read_exactly(1000)
        self.assertEqual((self.pipes.leased, self.pipes.idle), (0, 0))

    async def test_bulk_ends_with_the_stream(self) -> None:
        """After a stream, small messages are copied again, and get through."""
        joint = await self.join()
        sending = Deferred.fromCoroutine(stream(joint.right, 20))
        self.assertEqual(await digest_of(joint.left, 20 * MEGABYTE), await sending)
        self.assertGreater(self.pipes.idle, 0)
        calls: list[int] = []
        stock = os.splice

        def counted(*args: typing.Any, **names: typing.Any) -> int:
            calls.append(1)
            return stock(*args, **names)

        for _ in range(3):
            await joint.right.send(b"x")
            await joint.left.read_exactly(1)
        self.patch(os, "splice", counted)
        for _ in range(20):
            await joint.right.send(b"x")
            await joint.left.read_exactly(1)
        self.assertEqual(calls, [])

    async def test_no_pipe_survives_the_last_tunnel(self) -> None:
        """Idle pipes are closed with it."""
        before = open_descriptors()
        joint = await self.join()
        sending = Deferred.fromCoroutine(stream(joint.right, 20))
        self.assertEqual(await digest_of(joint.left, 20 * MEGABYTE), await sending)
        self.assertGreater(self.pipes.idle, 0)
        joint.relay.abort()
        self.assertEqual(self.pipes.idle, 0)
        await joint.left.read_away()
        await joint.right.read_away()
        self.assertEqual(open_descriptors(), before)

    async def test_bytes_in_a_pipe_reach_no_other_tunnel(self) -> None:
        """A tunnel that is reset with bytes in its pipe does not leave them to the next one."""
        pipes = Pipes(1, DEFAULT_LIMITS.pipe_bytes, 65_536)
        self.make = lambda left, right, ending, left_eof: WireRelay(  # type: ignore[method-assign]
            left, right, ended=ending, left_eof=left_eof, pipes=pipes
        )
        self.pipes = pipes
        # Somebody is there all the time, so that the pool keeps what it is given back.
        pipes.enter()
        self.addCleanup(pipes.leave)
        joint, sending = await self.stalled()
        self.assertEqual(pipes.leased, 1)
        joint.relay.abort()
        self.assertEqual((pipes.leased, pipes.idle), (0, 0))
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        other = await self.join()
        again = Deferred.fromCoroutine(stream(other.right, 10))
        self.assertEqual(await digest_of(other.left, 10 * MEGABYTE), await again)
        self.assertEqual(pipes.idle, 1)

    async def test_without_a_free_pipe_it_copies(self) -> None:
        """When the pool is empty the stream is copied, byte for byte."""
        joint = await self.join()
        taken = []
        while (pipe := self.pipes.lease()) is not None:
            taken.append(pipe)
        count = len(taken)
        sending = Deferred.fromCoroutine(stream(joint.right, 20))
        self.assertEqual(await digest_of(joint.left, 20 * MEGABYTE), await sending)
        self.assertEqual(self.pipes.leased, count)
        for pipe in taken:
            self.pipes.give_back(pipe)

    async def test_the_system_does_not_splice(self) -> None:
        """A refused splice, in a sandbox say, is met once; the stream is copied."""
        calls: list[int] = []

        def refused(*args: typing.Any, **names: typing.Any) -> int:
            calls.append(1)
            raise PermissionError(errno.EPERM, "not in this sandbox")

        self.patch(os, "splice", refused)
        joint = await self.join()
        sending = Deferred.fromCoroutine(stream(joint.right, 20))
        self.assertEqual(await digest_of(joint.left, 20 * MEGABYTE), await sending)
        self.assertEqual(len(calls), 1)
        self.assertFalse(self.pipes.usable)

    async def test_one_event_moves_no_more_than_its_rounds(self) -> None:
        """However much has come, the others get their turn."""
        self.limits = Limits(splice_rounds=2, pipe_bytes=65_536)
        joint = await self.join(right_buffer=4 * MEGABYTE)
        left = fast(joint)._forth.source
        left.stopReading()
        sending = Deferred.fromCoroutine(stream(joint.left, 4))
        await self.turns(20)
        seen = joint.relay.bytes_from_left
        left.doRead()
        # One read that finds that it is bulk, and two rounds.
        self.assertGreater(joint.relay.bytes_from_left - seen, 2 * 65_536)
        self.assertLessEqual(joint.relay.bytes_from_left - seen, 3 * 65_536)
        left.startReading()
        self.assertEqual(await digest_of(joint.right, 4 * MEGABYTE), await sending)

    async def test_urgent_data_does_not_stop_a_stream(self) -> None:
        """``splice`` does not step over an urgent byte; the stream goes on nevertheless."""
        near, far = loopback()
        other_near, other_far = loopback()
        ending = Ending()
        made = self.make(wire(far, Protocol()), wire(other_far, Protocol()), ending, False)
        made.start()
        reading = self.peer(other_near)
        self.addCleanup(near.close)
        self.addCleanup(made.abort)
        near.setblocking(False)
        sent = 0
        for number in range(60):
            block = BLOCK[:100_000]
            while block:
                try:
                    count = near.send(block)
                except BlockingIOError:
                    await self.turns()
                else:
                    sent += count
                    block = block[count:]
            if number % 3 == 0:
                near.send(b"!", socket.MSG_OOB)
        self.assertEqual(len(await reading.read_exactly(sent)), sent)

    async def test_what_came_before_a_reset_is_passed_on_first(self) -> None:
        """
        The sink of an upload resets, and that is met by a write before its answer is read: the
        upload is not read any more, the answer is, and then the reader is reset.
        """
        joint = await self.join()
        right = fast(joint)._back.source
        right.stopReading()
        await joint.right.send(b"413 too large")
        joint.right.reset()
        await joint.left.send(b"an upload")
        await self.when(lambda: joint.relay.bytes_from_left == 9)
        await joint.left.send(b"and more of it")
        await self.turns(5)
        self.assertEqual(joint.relay.bytes_from_left, 9)
        self.assertFalse(joint.relay.over)
        right.startReading()
        await joint.left.read_away()
        self.assertEqual(joint.left.received, b"413 too large")
        self.assertIs(joint.left.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())

    async def test_a_sink_that_resets_under_a_pipe(self) -> None:
        """The same when it is met by a splice: what is in the pipe is dropped with the pipe."""
        joint = await self.join()
        back = fast(joint)._back
        left = back.sink
        left.stopReading()
        back.bulk = True
        joint.left.reset()
        await joint.right.send(b"x" * 100_000)
        await self.when(lambda: joint.relay.bytes_from_right > 0)
        self.assertEqual((self.pipes.leased, self.pipes.idle), (0, 0))
        left.startReading()
        await joint.right.read_away()
        self.assertIs(joint.right.ended, Ended.RESET)
        self.assertIsNotNone(await joint.ending.why())

    async def test_a_sink_that_had_finished_resets_under_a_stalled_stream(self) -> None:
        """A reader that had sent its FIN and goes away in the middle: the stream is dropped."""
        joint, sending = await self.stalled()
        joint.left.finish()
        await self.turns(3)
        joint.left.close()
        await sending.addErrback(lambda failure: failure.trap(ConnectionEnded))
        joint.right.close()
        await joint.ending.why()
        self.assertEqual(self.pipes.leased, 0)

    async def test_other_errors_end_it(self) -> None:
        """An error of a splice that means nothing else resets the other side, either way."""
        stock = os.splice
        for into_the_pipe in (True, False):
            joint = await self.join()
            back = fast(joint)._back
            descriptor = (back.source if into_the_pipe else back.sink).descriptor

            def failing(
                source: int, sink: int, *rest: typing.Any, bad: int = descriptor, **names: int
            ) -> int:
                if bad in (source, sink):
                    raise OSError(errno.EIO, "failed")
                return stock(source, sink, *rest, **names)

            back.bulk = True
            self.patch(os, "splice", failing)
            await joint.right.send(b"x" * 100_000)
            self.assertIsNotNone(await joint.ending.why())
            await joint.left.read_away()
            await joint.right.read_away()
            other = joint.left if into_the_pipe else joint.right
            self.assertIs(other.ended, Ended.RESET)
            self.assertEqual((self.pipes.leased, self.pipes.idle), (0, 0))

    async def test_what_others_write_goes_out_in_its_place(self) -> None:
        """A write to a relayed transport goes out behind what has passed, even if it stalls."""
        joint, sending = await self.stalled()
        target = fast(joint)._back.sink
        target.write(b"a word of ours, ")
        target.writeSequence([b"and ", b"another"])
        joint.left.resume()
        everything = await joint.left.read_exactly(40 * MEGABYTE + 27)
        self.assertIn(b"a word of ours, and another", everything)
        await sending
        target.write(b"and the last")
        self.assertEqual(await joint.left.read_exactly(12), b"and the last")
        self.assertEqual(joint.relay.bytes_from_right, 40 * MEGABYTE)

    async def test_a_write_event_that_comes_late(self) -> None:
        """An event for a direction that does not wait any more is not asked for again."""
        joint = await self.join()
        sink = fast(joint)._forth.sink
        sink.startWriting()
        await self.turns(3)
        self.assertFalse(sink.watched & WRITE)
        await joint.left.send(b"x")
        self.assertEqual(await joint.right.read_exactly(1), b"x")

    async def test_closing_a_relayed_transport_ends_the_tunnel(self) -> None:
        """``loseConnection`` on either transport closes both, in the next turn."""
        joint = await self.join()
        left: Wire = fast(joint)._forth.source
        left.loseConnection()
        self.assertFalse(joint.relay.over)
        failure = await joint.ending.why()
        assert failure is not None
        self.assertTrue(failure.check(ConnectionDone))
        await joint.right.read_away()

    async def test_aborting_a_relayed_transport_resets_both(self) -> None:
        """``abortConnection`` on either transport, as a drain does it, resets both."""
        joint = await self.join()
        fast(joint)._forth.source.abortConnection()
        failure = await joint.ending.why()
        assert failure is not None
        self.assertTrue(failure.check(ConnectionAborted))
        await joint.left.read_away()
        await joint.right.read_away()
        self.assertIs(joint.left.ended, Ended.RESET)
        self.assertIs(joint.right.ended, Ended.RESET)

    async def test_an_abort_before_the_start(self) -> None:
        """A relay that never started can be aborted, and leaves nothing."""
        near, far = loopback()
        other_near, other_far = loopback()
        ending = Ending()
        made = self.make(wire(far, Protocol()), wire(other_far, Protocol()), ending, False)
        made.abort()
        self.assertEqual(len(ending.failures), 1)
        near.close()
        other_near.close()

    async def test_a_thousand_tunnels_leave_nothing(self) -> None:
        """Opened a hundred at a time, closed by either side: no descriptor or reader remains."""
        for turn in range(10):
            joints = [await self.join() for _ in range(100)]
            for number, joint in enumerate(joints):
                await joint.left.send(b"ping")
                await joint.right.read_exactly(4)
                first, second = joint.left, joint.right
                if number % 2:
                    first, second = second, first
                if turn % 2:
                    first.reset()
                else:
                    first.finish()
                    await second.read_to_end()
                    second.close()
            for joint in joints:
                await joint.ending.why()
                joint.left.close()
                joint.right.close()
        self.assertEqual(reactor.getDelayedCalls()[1:], [])
