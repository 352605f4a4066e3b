"""Streams over one carrier: what they carry, in which order, and how they end."""

from __future__ import annotations

import functools
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from aluvia.net.mux import CLOSING_SECONDS
from aluvia.net.mux_opening import Incoming
from aluvia.net.mux_outgoing import HIGH_WATER, LOW_WATER
from aluvia.net.mux_presence import PROBE_SECONDS
from aluvia.net.mux_writer import MESSAGE_BYTES, MOST_CONTROL_FRAMES, WRITE_BYTES
from aluvia.net.test.muxes import Ear, HalfEar, MuxCase
from aluvia.wire.frames import (
    FRAME_DATA_BYTES,
    HIGHEST_STREAM,
    INITIAL_CREDIT,
    MOST_CREDIT,
    Capability,
    Code,
    Kind,
    data_frame,
    fin_frame,
    goaway_frame,
    open_frame,
    ping_frame,
    rst_frame,
    window_frame,
)

MUCH = hashlib.shake_256(b"mux").digest(3 * INITIAL_CREDIT)


def _refuse(code: Code, incoming: Incoming) -> None:
    incoming.refuse(code, "no")


class Producer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.told.append("stop")


class FaultyProducer(Producer):
    """Raises when it is resumed."""

    def resumeProducing(self) -> None:
        """Raise."""
        raise ZeroDivisionError


class Faulty(Ear):
    """Raises from one of its methods, behind what it does there."""

    def __init__(self, method: str) -> None:
        super().__init__()
        does = getattr(self, method)

        def fail(*args: object) -> None:
            does(*args)
            raise ZeroDivisionError

        setattr(self, method, fail)


class FaultyHalf(Faulty, HalfEar):
    """The same, which knows half-closes."""


class OpeningTests(MuxCase):
    """Streams come about, or they do not."""

    def test_accepted(self) -> None:
        """Both ends are connected, and the agent knows what is asked for."""
        asked = self.agent_is.asked
        near, far = Ear(), Ear()
        self.hub.open(Capability.PUBLISH, "app", near, self.errors.append)
        self.deliver()
        self.assertIsNone(near.transport)
        [incoming] = asked
        self.assertEqual((incoming.capability, incoming.name), (Capability.PUBLISH, "app"))
        incoming.accept(far)
        self.deliver()
        self.assertTrue(near.stream.connected)
        self.assertTrue(far.stream.connected)
        self.assertEqual(near.stream.getPeer().host, "app")

    def test_refused(self) -> None:
        """The one who dials hears why, and nothing is left."""
        for code, error, status in (
            (Code.TARGET_REFUSED, "connection_refused", 502),
            (Code.TARGET_TIMEOUT, "connection_timeout", 504),
            (Code.TARGET_UNREACHABLE, "destination_ip_unroutable", 502),
            (Code.REFUSED, "destination_unavailable", 502),
            (Code.LIMIT, "connection_limit_reached", 503),
            (Code.INTERNAL_ERROR, "connection_terminated", 502),
        ):
            self.agent_is.accepts = functools.partial(_refuse, code)
            self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
            self.deliver()
            failed = self.errors.pop()
            self.assertEqual((failed.error, failed.status), (error, status))
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_cancelled(self) -> None:
        """Who was asked hears that nobody wants it any more."""
        withdrawn = []
        dialing = self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.deliver()
        [incoming] = self.agent_is.asked
        incoming.withdrawn = lambda: withdrawn.append(1)
        dialing.cancel()
        self.deliver()
        incoming.refuse(Code.TARGET_REFUSED)
        self.deliver()
        self.assertEqual((withdrawn, self.errors), ([1], []))
        self.assertRaises(RuntimeError, incoming.accept, Ear())
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_cancelled_while_the_answer_is_on_its_way(self) -> None:
        """The answer is for nobody, and no fault."""
        dialing = self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        far = Ear()
        self.agent_is.accepts = lambda incoming: incoming.accept(far)
        for message in self.to_agent.take():
            self.agent.received(message)
        dialing.cancel()
        self.deliver()
        self.assertEqual(len(far.lost), 1)
        self.assertEqual((self.hub_is.faults, self.hub.streams), ([], {}))

    def test_nobody_answers(self) -> None:
        """After a while that is an answer as well."""
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.pass_seconds(16)
        self.assertEqual([each.status for each in self.errors], [504])
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_more_streams_than_there_may_be(self) -> None:
        """It is refused here, and nothing is sent."""
        for _ in range(8):
            self.pair()
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertEqual([each.error for each in self.errors], ["connection_limit_reached"])
        self.assertEqual(self.to_agent.messages, [])

    def test_more_streams_than_the_agent_takes(self) -> None:
        """It refuses, and goes on."""
        self.agent = self.mux(self.to_hub, self.agent_is, opens=False, most=1)
        self.pair()
        self.pair()
        self.assertEqual([each.error for each in self.errors], ["connection_limit_reached"])
        self.assertEqual(self.agent_is.faults, [])

    def test_numbers_run_out(self) -> None:
        """No number is used twice: another carrier has others."""
        self.hub._last_stream = HIGHEST_STREAM
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertEqual([each.error for each in self.errors], ["destination_unavailable"])


class BytesTests(MuxCase):
    """What is written comes, both ways, and no more than there is credit for."""

    def test_much_comes_whole(self) -> None:
        """More than any window, in order."""
        near, far = self.pair()
        near.stream.write(MUCH)
        far.stream.write(MUCH[::-1])
        self.deliver()
        self.assertEqual((far.received, near.received), (MUCH, MUCH[::-1]))

    def test_credit_is_what_may_come(self) -> None:
        """A protocol that reads nothing is sent no more than its window, and gets it later."""
        near, far = self.pair()
        far.stream.pauseProducing()
        near.stream.write(MUCH)
        self.deliver()
        self.assertEqual(len(near.stream._queue[0]) - near.stream._at, len(MUCH) - INITIAL_CREDIT)
        self.assertEqual(far.received, b"")
        far.stream.resumeProducing()
        self.assertEqual(far.received, b"")
        self.deliver()
        self.assertEqual(far.received, MUCH)

    def test_one_slow_reader_does_not_stall_others(self) -> None:
        """The others go on, whatever one of them leaves unread."""
        near, far = self.pair()
        far.stream.pauseProducing()
        near.stream.write(MUCH)
        others = [self.pair() for _ in range(4)]
        for one, _ in others:
            one.stream.write(MUCH)
        self.deliver()
        self.assertEqual([other.received == MUCH for _, other in others], [True] * 4)

    def test_a_producer_without_credit_is_paused(self) -> None:
        """It is told once, and again when there is room."""
        near, far = self.pair()
        producer = Producer()
        near.stream.registerProducer(producer, True)
        far.stream.pauseProducing()
        near.stream.write(MUCH[:INITIAL_CREDIT])
        near.stream.write(MUCH[: HIGH_WATER + 1])
        self.deliver()
        near.stream.write(b"more")
        self.assertEqual(producer.told[-1:], ["pause"])
        self.assertNotIn("resume", producer.told[2:])
        far.stream.resumeProducing()
        self.deliver()
        self.assertEqual(producer.told[-1:], ["resume"])
        self.assertLess(LOW_WATER, HIGH_WATER)

    def test_a_producer_is_resumed_once(self) -> None:
        """What is below the mark goes out in several frames; it is there for one resumption."""
        near, far = self.pair()
        resumed = []

        class Fast(Producer):
            def resumeProducing(self) -> None:
                resumed.append(1)
                near.stream.write(MUCH)

        near.stream.registerProducer(Fast(), True)
        far.stream.pauseProducing()
        near.stream.write(MUCH[:INITIAL_CREDIT])
        self.deliver()
        near.stream.write(MUCH[: HIGH_WATER + 1])
        far.stream.resumeProducing()
        self.clock.advance(0)
        for message in self.to_hub.take():
            self.hub.received(message)
        self.clock.advance(0)
        self.assertEqual(resumed, [1])

    def test_a_pull_producer_is_asked_when_nothing_is_queued(self) -> None:
        """As of a stock transport."""
        near, far = self.pair()
        pieces = [b"one", b"two", b"three"]

        class Pull(Producer):
            def resumeProducing(self) -> None:
                if pieces:
                    near.stream.write(pieces.pop(0))
                else:
                    near.stream.unregisterProducer()

        near.stream.registerProducer(Pull(), False)
        self.deliver()
        self.assertEqual(far.received, b"onetwothree")

    def test_small_writes_are_one_frame(self) -> None:
        """What was written within a turn goes out together."""
        near, _ = self.pair()
        self.to_agent.room = 0
        self.hub.writer.pauseProducing()
        for _ in range(1000):
            near.stream.write(b"x" * 10)
        self.hub.writer.resumeProducing()
        self.assertEqual([kind for kind, _, _ in self.to_agent.frames()], [Kind.DATA])

    def test_bulk_does_not_starve_the_small(self) -> None:
        """A small stream's bytes wait for one frame of each other stream, and no longer."""
        bulk = [self.pair()[0] for _ in range(4)]
        small, _ = self.pair()
        self.hub.writer.pauseProducing()
        for each in bulk:
            each.stream.write(MUCH)
        small.stream.write(b"small")
        self.hub.writer.resumeProducing()
        order = [id for _, id, _ in self.to_agent.frames()]
        self.assertLessEqual(order.index(small.stream.id), 4)

    def test_messages_have_a_size(self) -> None:
        """A message is no longer than it may be, but for one frame."""
        near, far = self.pair()
        near.stream.write(MUCH)
        self.assertLessEqual(
            max(map(len, self.to_agent.messages)), MESSAGE_BYTES + FRAME_DATA_BYTES + 8
        )
        self.deliver()
        self.assertEqual(far.received, MUCH)

    def test_much_to_tell_is_several_messages(self) -> None:
        """What waited beside data while the peer read nothing is no longer at once than data is."""
        self.hub = self.mux(self.to_agent, self.hub_is, opens=True, most=1_024)
        self.hub.writer.pauseProducing()
        for _ in range(1_024):
            self.hub.open(Capability.PUBLISH, "a" * 63, Ear(), self.errors.append)
        self.hub.writer.resumeProducing()
        self.assertLess(max(map(len, self.to_agent.messages)), MESSAGE_BYTES + FRAME_DATA_BYTES)
        self.assertEqual(len(self.to_agent.frames()), 1_024)

    def test_the_carrier_has_enough(self) -> None:
        """Then nothing is sent until it has room, and nothing is lost."""
        near, far = self.pair()
        self.to_agent.room = 1
        near.stream.write(MUCH)
        self.assertEqual(len(self.to_agent.messages), WRITE_BYTES // MESSAGE_BYTES)
        self.deliver()
        self.assertEqual(far.received, MUCH)

    def test_a_peer_that_reads_nothing(self) -> None:
        """What is to be told is bounded as well, though no data is."""
        self.agent.writer.pauseProducing()
        self.agent_is.accepts = lambda incoming: incoming.refuse(Code.REFUSED)
        for id in range(1, MOST_CONTROL_FRAMES + 2):
            self.agent.received(open_frame(id, Capability.PUBLISH, "app"))
        self.clock.advance(0)
        self.assertEqual([code for code, _ in self.agent_is.faults], [Code.LIMIT])

    def test_a_peer_that_reads_nothing_when_a_stream_is_aborted(self) -> None:
        """That it is given up for this frame is not told from within the call that sends it."""
        _, far = self.pair()
        self.agent.writer.pauseProducing()
        self.agent_is.accepts = lambda incoming: incoming.refuse(Code.REFUSED)
        for id in range(2, MOST_CONTROL_FRAMES + 2):
            self.agent.received(open_frame(id, Capability.PUBLISH, "app"))
        far.stream.abortConnection()
        self.assertEqual((far.lost, self.agent_is.faults), ([], []))
        self.clock.advance(0)
        self.assertEqual((len(far.lost), len(self.agent_is.faults)), (1, 1))

    def test_pings_of_a_peer_that_reads_nothing(self) -> None:
        """One answer waits, the last."""
        self.agent.writer.pauseProducing()
        for number in range(1000):
            self.agent.received(ping_frame(number.to_bytes(8, "big")))
        self.agent.writer.resumeProducing()
        self.assertEqual(self.to_hub.frames(), [(Kind.PONG, 0, (999).to_bytes(8, "big"))])


class PropertyTests(MuxCase):
    """Whatever is written, in whatever order it is carried."""

    @given(st.data())
    def test_streams_carry_what_is_written(self, data: st.DataObject) -> None:
        """Each stream its own, whole, with messages cut anywhere."""
        self.setUp()
        pairs = [self.pair() for _ in range(3)]
        sent = [b"", b"", b""]
        for _ in range(data.draw(st.integers(1, 12))):
            which = data.draw(st.integers(0, 2))
            piece = MUCH[: data.draw(st.integers(0, 90_000))]
            pairs[which][0].stream.write(piece)
            sent[which] += piece
            if data.draw(st.booleans()):
                pairs[which][1].stream.pauseProducing()
            whole = b"".join(self.to_agent.take())
            cut = data.draw(st.integers(0, len(whole)))
            self.agent.received(whole[:cut])
            self.agent.received(whole[cut:])
            if data.draw(st.booleans()):
                pairs[which][1].stream.resumeProducing()
            self.clock.advance(0)
        for _, far in pairs:
            far.stream.resumeProducing()
        self.deliver()
        self.assertEqual([far.received for _, far in pairs], sent)


class EndingTests(MuxCase):
    """FIN, RST, and the carrier's end."""

    def test_fin_behind_what_is_queued(self) -> None:
        """All comes before the end."""
        near, far = self.pair()
        near.stream.write(MUCH)
        near.stream.loseConnection()
        self.assertEqual(near.lost, [])
        self.deliver()
        self.assertEqual(far.received, MUCH)
        self.assertTrue(near.ended_in_order)
        self.assertTrue(far.ended_in_order)
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_half_close(self) -> None:
        """The other direction lives on, and both ends are told when it has ended too."""
        near, far = HalfEar(), HalfEar()
        self.pair(near, far)
        near.stream.write(b"request")
        near.stream.loseWriteConnection()
        self.deliver()
        self.assertEqual((far.received, far.fins, far.lost, near.lost), (b"request", 1, [], []))
        far.stream.write(MUCH)
        far.stream.loseWriteConnection()
        self.deliver()
        self.assertEqual((near.received, near.fins, far.fins), (MUCH, 1, 1))
        self.assertTrue(near.ended_in_order)
        self.assertTrue(far.ended_in_order)
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_a_peer_that_knows_no_half_close(self) -> None:
        """It is gone with the FIN that it hears, as with TCP; for who sent that it is no reset."""
        far = HalfEar()
        near, _ = self.pair(far=far)
        far.stream.write(b"last")
        far.stream.loseWriteConnection()
        self.deliver()
        self.assertEqual(near.received, b"last")
        self.assertTrue(near.ended_in_order)
        self.assertTrue(far.ended_in_order)
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_fin_behind_what_is_not_read(self) -> None:
        """Who reads later hears of the end behind the last byte."""
        far = HalfEar()
        near, _ = self.pair(far=far)
        far.stream.pauseProducing()
        near.stream.write(b"last")
        near.stream.loseConnection()
        self.deliver()
        self.assertEqual((far.received, far.fins), (b"", 0))
        far.stream.resumeProducing()
        self.deliver()
        self.assertEqual((far.received, far.fins), (b"last", 1))

    def test_closed_here_and_written_there(self) -> None:
        """As of a closed socket: whoever writes is reset."""
        far = HalfEar()
        near, _ = self.pair(far=far)
        near.stream.loseConnection()
        self.deliver()
        self.assertTrue(near.ended_in_order)
        far.stream.write(b"nobody reads this")
        self.deliver()
        self.assertEqual(len(far.lost), 1)
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_closed_here_and_never_there(self) -> None:
        """A peer's end that never comes is not waited for without end."""
        far = HalfEar()
        near, _ = self.pair(far=far)
        near.stream.loseConnection()
        self.deliver()
        self.assertEqual(len(self.hub.streams), 1)
        self.pass_seconds(int(CLOSING_SECONDS) + 1)
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))
        self.assertEqual(len(far.lost), 1)

    def test_closed_on_both_sides_while_it_was_not_read(self) -> None:
        """Nothing is left of it, though whoever paused it does not resume what is gone."""
        near, far = HalfEar(), HalfEar()
        self.pair(near, far)
        near.stream.pauseProducing()
        near.stream.loseConnection()
        self.deliver()
        far.stream.loseConnection()
        self.deliver()
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_closed_with_no_credit(self) -> None:
        """What a peer never takes is not kept for it without end."""
        near, far = self.pair()
        far.stream.pauseProducing()
        near.stream.write(MUCH)
        near.stream.loseConnection()
        self.deliver()
        self.assertEqual(near.lost, [])
        self.pass_seconds(int(CLOSING_SECONDS) + 1)
        self.assertEqual((len(near.lost), len(far.lost)), (1, 1))
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_aborted(self) -> None:
        """Both are told, this one not within its own call."""
        near, far = self.pair()
        near.stream.write(MUCH)
        near.stream.abortConnection()
        self.assertEqual(near.lost, [])
        self.deliver()
        self.assertEqual((len(near.lost), len(far.lost)), (1, 1))
        self.assertFalse(near.ended_in_order or far.ended_in_order)
        near.stream.write(b"too late") if near.transport and near.transport.protocol else None
        self.assertEqual((self.hub.streams, self.agent.streams), ({}, {}))

    def test_frames_of_a_stream_that_was(self) -> None:
        """What was on its way is dropped, and is no fault."""
        near, _ = self.pair()
        id = near.stream.id
        near.stream.abortConnection()
        for frame in (
            data_frame(id, b"x"),
            window_frame(id, 1),
            fin_frame(id),
            rst_frame(id, Code.NO_ERROR),
        ):
            self.hub.received(frame)
        self.assertEqual(self.hub_is.faults, [])

    def test_the_carrier_is_lost(self) -> None:
        """Every stream is, and who dials hears of it."""
        near, far = self.pair()
        self.agent_is.accepts = self.agent_is.asked.append
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.deliver()
        self.hub.ended()
        self.agent.ended()
        self.assertEqual((len(near.lost), len(far.lost)), (1, 1))
        self.assertEqual([each.error for each in self.errors], ["destination_unavailable"])
        self.assertEqual(len(self.sweep), 0)
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertEqual(len(self.errors), 2)

    def test_drained(self) -> None:
        """No new streams; those that are there end as they would; then the owner is told."""
        near, far = self.pair()
        self.hub.drain("update")
        self.deliver()
        self.assertEqual(self.agent_is.goodbyes, [(Code.NO_ERROR, "update")])
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertEqual(len(self.errors), 1)
        near.stream.write(b"still")
        self.deliver()
        self.assertEqual((far.received, self.hub_is.times_drained), (b"still", 0))
        near.stream.loseConnection()
        self.deliver()
        self.assertEqual(self.hub_is.times_drained, 1)

    def test_an_agent_drains(self) -> None:
        """What it has not begun is failed, so that another member is asked."""
        self.agent_is.accepts = self.agent_is.asked.append
        self.agent.drain("bye")
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.deliver()
        self.assertEqual([each.error for each in self.errors], ["destination_unavailable"])
        self.assertEqual(self.agent_is.times_drained, 1)
        self.assertEqual(self.hub_is.goodbyes, [(Code.NO_ERROR, "bye")])


class FaultyProtocolTests(MuxCase):
    """What the protocol of a stream raises is logged, and costs no other stream anything."""

    def logged(self) -> int:
        """How often something was."""
        return len(self.flushLoggedErrors(ZeroDivisionError))

    def test_bytes(self) -> None:
        """Its own stream ends, at both ends."""
        near, far = self.pair(far=Faulty("dataReceived"))
        one, other = self.pair()
        near.stream.write(b"x")
        one.stream.write(b"y")
        self.deliver()
        self.assertEqual((other.received, other.lost, self.logged()), (b"y", [], 1))
        self.assertEqual((len(near.lost), len(far.lost)), (1, 1))
        self.assertEqual(len(self.agent.streams), 1)

    def test_bytes_that_waited(self) -> None:
        """Others that are read again in the same turn are read."""
        near, far = self.pair(far=Faulty("dataReceived"))
        one, other = self.pair()
        for ear in (far, other):
            ear.stream.pauseProducing()
        near.stream.write(b"x")
        one.stream.write(b"y")
        self.deliver()
        for ear in (far, other):
            ear.stream.resumeProducing()
        self.deliver()
        self.assertEqual((other.received, len(near.lost), self.logged()), (b"y", 1, 1))

    def test_a_fin(self) -> None:
        """The same."""
        near, far = self.pair(far=FaultyHalf("readConnectionLost"))
        near.stream.loseWriteConnection()
        self.deliver()
        self.assertEqual((len(near.lost), len(far.lost), self.logged()), (1, 1, 1))

    def test_its_beginning(self) -> None:
        """On either side."""
        for near, far in ((Faulty("makeConnection"), Ear()), (Ear(), Faulty("makeConnection"))):
            self.pair(near, far)
            self.assertEqual((len(near.lost), len(far.lost), self.logged()), (1, 1, 1))

    def test_the_end_of_all(self) -> None:
        """Every one is told, and every one who dials."""
        ears = [self.pair(near=Faulty("connectionLost"))[0] for _ in range(3)]
        self.agent_is.accepts = self.agent_is.asked.append
        for _ in range(2):
            self.hub.open(Capability.PUBLISH, "app", Ear(), lambda error: 1 // 0)
        self.deliver()
        for incoming in self.agent_is.asked:
            incoming.withdrawn = lambda: 1 // 0
        self.hub.ended()
        self.agent.ended()
        self.assertEqual([len(each.lost) for each in ears], [1, 1, 1])
        self.assertEqual(self.logged(), 3 + 2 + 2)

    def test_a_producer(self) -> None:
        """What is resumed beside it is resumed."""
        near, far = self.pair()
        one, other = self.pair()
        near.stream.registerProducer(FaultyProducer(), True)
        near.stream.write(MUCH)
        other.stream.pauseProducing()
        one.stream.write(b"y")
        self.deliver()
        other.stream.resumeProducing()
        self.deliver()
        self.assertEqual((far.received, other.received, self.logged()), (MUCH, b"y", 1))


class SilenceTests(MuxCase):
    """Whether the other side is there."""

    def test_a_half_open_connection_is_noticed_within_25_seconds(self) -> None:
        """Packets are dropped, and no FIN comes: both sides find out by themselves."""
        near, far = self.pair()
        for _ in range(25):
            self.clock.advance(1)
            self.to_agent.take()
            self.to_hub.take()
        for owner in (self.hub_is, self.agent_is):
            self.assertEqual([code for code, _ in owner.faults], [Code.NO_ERROR])
        self.assertEqual((len(near.lost), len(far.lost)), (1, 1))

    def test_an_idle_carrier_lives(self) -> None:
        """Pings are answered, and tell how far it is."""
        self.pair()
        self.pass_seconds(300)
        self.assertEqual((self.hub_is.faults, self.agent_is.faults), ([], []))
        self.assertEqual(self.hub.presence.round_trip, 0.0)

    def test_probed(self) -> None:
        """A peer that is there stays; one that is not is found out sooner."""
        self.pair()
        for _ in range(3):
            self.hub.probe()
            self.pass_seconds(int(PROBE_SECONDS) + 2)
        self.assertEqual(self.hub_is.faults, [])
        self.hub.probe()
        for _ in range(int(PROBE_SECONDS)):
            self.clock.advance(1)
            self.to_agent.take()
        self.assertEqual([code for code, _ in self.hub_is.faults], [Code.NO_ERROR])


class ViolationTests(MuxCase):
    """Whatever a bad peer sends costs its own carrier, and nothing else."""

    def refused(self, *frames: bytes) -> str:
        """Send them to the hub; why it ends."""
        for frame in frames:
            self.hub.received(frame)
        [(code, reason)] = self.hub_is.faults
        self.assertEqual(code, Code.PROTOCOL_ERROR)
        self.assertEqual(self.to_agent.frames()[-1][0], Kind.GOAWAY)
        self.assertEqual(self.hub.streams, {})
        return reason

    def test_a_bad_length(self) -> None:
        """No frame is that long."""
        self.assertIn("length", self.refused(b"\x02\x00\xff\xff\x00\x00\x00\x01"))

    def test_an_unknown_kind(self) -> None:
        """ACK is one of them, for now."""
        self.assertIn("kind", self.refused(b"\x09\x00\x00\x00\x00\x00\x00\x01"))

    def test_an_unknown_stream(self) -> None:
        """One that was never opened."""
        self.assertIn("never", self.refused(data_frame(77, b"x")))

    def test_too_much_credit(self) -> None:
        """More than there can be."""
        near, _ = self.pair()
        id = near.stream.id
        frame = window_frame(id, MOST_CREDIT)
        self.assertIn("credit", self.refused(frame))
        self.assertEqual(len(near.lost), 1)

    def test_no_credit(self) -> None:
        """A WINDOW that gives nothing says nothing."""
        near, _ = self.pair()
        frame = b"\x03\x00\x00\x04" + near.stream.id.to_bytes(4, "big") + bytes(4)
        self.assertIn("credit", self.refused(frame))

    def test_more_than_its_credit(self) -> None:
        """It would be memory without a bound."""
        near, _ = self.pair()
        near.stream.pauseProducing()
        frame = data_frame(near.stream.id, bytes(FRAME_DATA_BYTES))
        count = INITIAL_CREDIT // FRAME_DATA_BYTES
        self.assertIn("more than its credit", self.refused(*[frame] * (count + 1)))

    def test_data_behind_a_fin(self) -> None:
        """A FIN is the end."""
        near, _ = self.pair(HalfEar())
        id = near.stream.id
        self.assertIn("behind a FIN", self.refused(fin_frame(id), data_frame(id, b"x")))

    def test_two_fins(self) -> None:
        """One is enough."""
        near, _ = self.pair(HalfEar())
        self.assertIn(
            "two FINs", self.refused(fin_frame(near.stream.id), fin_frame(near.stream.id))
        )

    def test_data_before_it_is_connected(self) -> None:
        """Nobody reads it yet."""
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertIn("not connected", self.refused(data_frame(1, b"x")))
        self.assertEqual(len(self.errors), 1)

    def test_fin_before_it_is_connected(self) -> None:
        """What would end has not begun."""
        self.hub.open(Capability.PUBLISH, "app", Ear(), self.errors.append)
        self.assertIn("not connected", self.refused(fin_frame(1)))

    def test_an_agent_opens_a_stream(self) -> None:
        """That is the hub's part."""
        frame = open_frame(1, Capability.EXIT, "intranet:80")
        self.assertIn("not its part", self.refused(frame))

    def test_a_stream_is_opened_twice(self) -> None:
        """Numbers rise."""
        for id in (2, 1):
            self.agent.received(open_frame(id, Capability.PUBLISH, "app"))
        self.assertEqual([code for code, _ in self.agent_is.faults], [Code.PROTOCOL_ERROR])

    def test_credit_before_it_is_accepted(self) -> None:
        """There is nothing to send yet."""
        self.agent.received(open_frame(1, Capability.PUBLISH, "app"))
        self.agent.received(window_frame(1, 5))
        self.assertEqual([code for code, _ in self.agent_is.faults], [Code.PROTOCOL_ERROR])

    def test_nothing_is_heard_of_who_was_cut_off(self) -> None:
        """What comes behind a violation is dropped."""
        self.refused(data_frame(77, b"x"))
        self.hub.received(goaway_frame(0, Code.NO_ERROR))
        self.assertEqual((len(self.hub_is.faults), self.hub_is.goodbyes), (1, []))
