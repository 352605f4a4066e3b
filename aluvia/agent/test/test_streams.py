"""Tests for :mod:`aluvia.agent.streams`, over a mux in memory, to targets in memory."""

from __future__ import annotations

import errno
import gc
import typing

from twisted.internet.error import ConnectionLost
from twisted.logger import capturedLogs, formatEvent

from aluvia.agent.health import Health
from aluvia.agent.journal import Journal
from aluvia.agent.observed_http import HTTPObserver
from aluvia.agent.streams import Streams
from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.net.mux_stream import Stream
from aluvia.net.test.dialling import FakeConnect, FakeWire, NamedAddresses, addresses
from aluvia.net.test.muxes import CarrierInMemory, HalfEar, MuxCase
from aluvia.wire.frames import Capability, Code, Kind, read_rst

APP = Published("app", "http", False, "127.0.0.1", 3000)
DB = Published("db", "tcp", False, "db.lan", 5432)

REQUEST = b"GET /a?token=canary HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


class StreamsCase(MuxCase):
    """A hub's mux, an agent's streams, and connections to targets that a test makes by hand."""

    def setUp(self) -> None:
        """Publish two targets."""
        super().setUp()
        self.connect = FakeConnect()
        self.names = NamedAddresses()
        targets = Targets(
            [APP, DB],
            self.clock,
            self.names,
            self.sweep,
            connect_timeout=10.0,
            connect=self.connect,
        )
        self.health = Health(targets, self.clock.seconds, self.sweep)
        self.streams = Streams(
            targets,
            self.health,
            Journal(self.clock),
            self.clock,
            self.sweep,
            idle_timeout=80.0,
            most=4,
        )
        self.agent_is.accepts = self.streams.incoming
        self.codes: list[Code] = []
        self.patch(self.to_hub, "take", self.take)

    def take(self) -> list[bytes]:
        """What the agent has sent; note what it resets with."""
        for kind, _, payload in self.to_hub.frames():
            if kind == Kind.RST:
                self.codes.append(Code(read_rst(payload)[0]))
        return CarrierInMemory.take(self.to_hub)

    def ask(self, name: str = "app", capability: Capability = Capability.PUBLISH) -> HalfEar:
        """Open a stream, as the hub does."""
        ear = HalfEar()
        self.hub.open(capability, name, ear, self.errors.append)
        self.deliver()
        return ear

    def connected(self, name: str = "app") -> tuple[HalfEar, FakeWire]:
        """A stream whose target is connected: the hub's end, and the target's."""
        ear = self.ask(name)
        wire = self.connect.attempts[-1].connect()
        self.deliver()
        return ear, wire

    def lines(self, events: typing.Iterable[typing.Any]) -> list[str]:
        """Of the log."""
        return [formatEvent(event) for event in events]


class PolicyTests(StreamsCase):
    """What a hub may ask for."""

    def test_what_is_not_published_is_refused(self) -> None:
        """An id that was not declared, an exit, anything else: without a dial, and told once."""
        with capturedLogs() as events:
            for name, capability in (
                ("other", Capability.PUBLISH),
                ("127.0.0.1:22", Capability.PUBLISH),
                ("app", Capability.EXIT),
                ("app", typing.cast(Capability, 77)),
            ):
                self.ask(name, capability)
                self.ask(name, capability)
        self.assertEqual(self.connect.attempts, [])
        self.assertEqual(self.codes, [Code.REFUSED] * 8)
        self.assertEqual({error.error for error in self.errors}, {"destination_unavailable"})
        self.assertEqual(
            self.lines(events),
            [
                "The hub asked for other, and was refused: it is not published here",
                "The hub asked for 127.0.0.1:22, and was refused: it is not published here",
                "The hub asked for app, and was refused: this agent publishes, and is no exit",
            ],
        )

    def test_too_many(self) -> None:
        """Over the limit it is refused, until one is over."""
        ears = [self.connected()[0] for _ in range(4)]
        with capturedLogs():
            self.ask()
        self.assertEqual(self.codes, [Code.LIMIT])
        self.assertEqual(self.errors[0].error, "connection_limit_reached")
        ears[0].stream.abortConnection()
        self.deliver()
        self.connect.attempts[0].wire.lose()
        self.assertEqual(len(self.streams), 3)
        self.connected()
        self.assertEqual(len(self.errors), 1)


class DialTests(StreamsCase):
    """To the target."""

    def test_the_declared_target(self) -> None:
        """It is dialled, whatever the stream carries."""
        self.ask()
        self.assertEqual(self.connect.attempts[0].sockaddr, ("127.0.0.1", 3000))

    def test_failures(self) -> None:
        """Each says what it was."""
        for number, code, error in (
            (errno.ECONNREFUSED, Code.TARGET_REFUSED, "connection_refused"),
            (errno.ETIMEDOUT, Code.TARGET_TIMEOUT, "connection_timeout"),
            (errno.EHOSTUNREACH, Code.TARGET_UNREACHABLE, "destination_ip_unroutable"),
            (errno.ECONNRESET, Code.TARGET_RESET, "connection_terminated"),
            (errno.EMFILE, Code.LIMIT, "connection_limit_reached"),
        ):
            self.ask()
            with capturedLogs():
                self.connect.attempts[-1].fail(OSError(number, "x"))
                self.deliver()
            self.assertEqual((self.codes[-1], self.errors[-1].error), (code, error))
        self.assertEqual(len(self.streams), 0)
        self.assertFalse(self.health.statuses["app"].up)

    def test_withdrawn(self) -> None:
        """A stream that nobody waits for any more leaves no dial."""
        dialing = self.hub.open(Capability.PUBLISH, "app", HalfEar(), self.errors.append)
        self.deliver()
        dialing.cancel()
        self.deliver()
        self.assertEqual((self.connect.open(), len(self.streams)), ([], 0))
        self.hub.open(Capability.PUBLISH, "app", HalfEar(), self.errors.append)
        self.deliver()
        self.agent.ended()
        self.assertEqual((self.connect.open(), len(self.streams)), ([], 0))

    def test_troubles_with_each_stream_are_told_once(self) -> None:
        """What is not about whether it listens is told by the journal, and by nobody else."""
        with capturedLogs() as events:
            for _ in range(3):
                self.ask()
                self.connect.attempts[-1].fail(OSError(errno.EMFILE, "x"))
        self.assertEqual(
            self.lines(events),
            [
                "app: a visitor's connection to the target failed: No descriptor is left for "
                "another connection."
            ],
        )


class CarryTests(StreamsCase):
    """Between the two connections."""

    def test_a_request(self) -> None:
        """It passes to the byte, and so does its answer; one line tells it, without secrets."""
        ear, wire = self.connected()
        with capturedLogs() as events:
            ear.stream.write(REQUEST)
            self.deliver()
            self.assertEqual(wire.value(), REQUEST)
            self.clock.advance(0.0125)
            wire.deliver(ANSWER)
            self.deliver()
        self.assertEqual(ear.received, ANSWER)
        self.assertEqual(self.lines(events), ["app: GET /a 200, 3 bytes in 12.5 ms"])

    def test_redirects_and_compressed_bodies_are_the_visitors(self) -> None:
        """The agent follows nothing, and unpacks nothing."""
        ear, wire = self.connected()
        answer = (
            b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
        )
        ear.stream.write(REQUEST)
        self.deliver()
        with capturedLogs():
            wire.deliver(answer)
        self.deliver()
        self.assertEqual(ear.received, answer)
        self.assertEqual(len(self.connect.attempts), 1)

    def test_one_slow_request_does_not_hold_up_the_others(self) -> None:
        """Each stream has a connection of its own."""
        slow, _ = self.connected()
        slow.stream.write(REQUEST)
        quick, wire = self.connected()
        quick.stream.write(REQUEST)
        self.deliver()
        with capturedLogs():
            wire.deliver(ANSWER)
        self.deliver()
        self.assertEqual((slow.received, quick.received), (b"", ANSWER))

    def test_ends(self) -> None:
        """An end of the target's is the stream's, behind all that came before it."""
        ear, wire = self.connected()
        with capturedLogs() as events:
            ear.stream.write(REQUEST)
            self.deliver()
            wire.deliver(b"HTTP/1.1 200 OK\r\n\r\nabc")
            wire.fin()
            self.deliver()
            self.assertEqual((ear.received[-3:], ear.fins), (b"abc", 1))
            ear.stream.loseConnection()
            self.deliver()
            wire.lose()
        self.assertEqual(self.lines(events), ["app: GET /a 200, 3 bytes in 0.0 ms"])
        self.assertEqual(len(self.streams), 0)

    def test_cut_off(self) -> None:
        """A target that resets, and a visitor who leaves: the other side hears, the log tells."""
        with capturedLogs() as events:
            ear, wire = self.connected()
            ear.stream.write(REQUEST)
            self.deliver()
            wire.deliver(ANSWER[:-1])
            wire.lose(ConnectionLost())
            self.deliver()
            self.assertEqual(len(ear.lost), 1)
            self.assertFalse(ear.ended_in_order)
            ear, wire = self.connected()
            ear.stream.write(REQUEST)
            self.deliver()
            ear.stream.abortConnection()
            self.deliver()
            self.assertTrue(wire.aborted)
            wire.lose()
        self.assertEqual(
            self.lines(events),
            [
                "app: GET /a 200, cut off after 2 bytes and 0.0 ms",
                "app: GET /a was not answered, after 0.0 ms",
            ],
        )
        self.assertEqual(len(self.streams), 0)

    def test_lost_carrier(self) -> None:
        """Every connection to a target is cut off with it."""
        _, wire = self.connected()
        with capturedLogs():
            self.agent.ended()
            self.assertTrue(wire.aborted)
            wire.lose()
        self.assertEqual(len(self.streams), 0)

    def test_other_protocols(self) -> None:
        """What is no HTTP passes as well; of a TCP tunnel nothing is read, and the end is told."""
        self.names.names["db.lan"] = addresses("192.0.2.7")
        ear, wire = self.connected("db")
        with capturedLogs() as events:
            ear.stream.write(REQUEST)
            self.deliver()
            wire.deliver(b"220 hello\r\n")
            self.deliver()
            self.clock.advance(2)
            ear.stream.loseConnection()
            self.deliver()
            wire.fin()
            wire.lose()
            self.deliver()
        self.assertEqual(ear.received, b"220 hello\r\n")
        self.assertEqual(
            self.lines(events),
            [
                f"db: a connection ended after 2.0 s, {len(REQUEST)} bytes from the visitor, 11 to "
                "it"
            ],
        )

    def test_a_slow_reader_holds_its_target_and_nobody_else(self) -> None:
        """What the target may send ahead is bounded; another stream goes on."""
        slow, wire = self.connected()
        quick, other = self.connected()
        slow.stream.pauseProducing()
        sent = 0
        while wire.producerState == "producing":
            wire.deliver(b"x" * 16_384)
            sent += 16_384
            self.deliver()
            self.assertLess(sent, 1_000_000)
        other.deliver(b"quick")
        self.deliver()
        self.assertEqual((slow.received, quick.received), (b"", b"quick"))
        slow.stream.resumeProducing()
        self.deliver()
        self.assertEqual((len(slow.received), wire.producerState), (sent, "producing"))

    def test_idle(self) -> None:
        """What nothing moves in ends."""
        ear, wire = self.connected()
        self.pass_seconds(100)
        self.assertTrue(wire.aborted)
        with capturedLogs():
            wire.lose()
        self.deliver()
        self.assertEqual((len(ear.lost), len(self.streams)), (1, 0))

    def test_drain(self) -> None:
        """What is kept for a next request ends, at once or after its answer; nothing is lost."""
        kept, kept_wire = self.connected()
        busy, busy_wire = self.connected()
        new, _ = self.connected()
        kept.stream.write(REQUEST)
        busy.stream.write(REQUEST)
        self.deliver()
        with capturedLogs():
            kept_wire.deliver(ANSWER)
            self.streams.drain()
            self.deliver()
            self.assertEqual((kept.received, kept.fins, busy.fins), (ANSWER, 1, 0))
            self.assertEqual(new.fins, 0)
            busy_wire.deliver(ANSWER)
            self.deliver()
            self.assertEqual((busy.received, busy.fins), (ANSWER, 1))
        for wire in (kept_wire, busy_wire):
            self.assertTrue(wire.closing)
            wire.lose()
        self.assertEqual(len(self.streams), 1)

    def test_abort(self) -> None:
        """All of them end at once, connected or not."""
        ear, wire = self.connected()
        self.ask()
        self.streams.abort()
        self.deliver()
        self.assertEqual(self.connect.open(), [])
        wire.lose()
        self.deliver()
        self.assertEqual((len(self.streams), len(ear.lost), len(self.errors)), (0, 1, 1))

    def test_nothing_is_left(self) -> None:
        """When it is over nothing is left of it."""
        before = {id(one) for one in gc.get_objects()}
        ear, wire = self.connected()
        with capturedLogs():
            ear.stream.abortConnection()
            self.deliver()
            wire.lose()
        del ear, wire
        self.connect.attempts.clear()
        gc.collect()
        # Other tests' are left alone.
        left = [one for one in gc.get_objects() if isinstance(one, Stream | HTTPObserver)]
        self.assertEqual([one for one in left if id(one) not in before], [])
