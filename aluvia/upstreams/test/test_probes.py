"""Tests for :mod:`aluvia.upstreams.probes`, in memory."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.errors import DialError
from aluvia.net.test.dialling import FakeDial, FakeDialer, FakeWire
from aluvia.upstreams.probes import (
    PROBE_SECONDS,
    ProbeFailed,
    ProbeInconclusive,
    http_probe,
    tcp_probe,
)
from aluvia.wire.errors import LocalProtocolError
from aluvia.wire.limits import Limits

REFUSED = DialError("connection_refused", 502, "The address refused the connection.")


class AtOnce:
    """A dialer that is through, or has failed, before it returns."""

    def __init__(self, error: DialError | None = None) -> None:
        self.error = error
        self.wire = FakeWire()
        self.dials: list[FakeDial] = []

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: typing.Callable[[DialError], object],
    ) -> FakeDial:
        """Do so."""
        if self.error is None:
            self.wire.start(protocol)
        else:
            failed(self.error)
        self.dials.append(FakeDial(host, port, protocol, failed))
        return self.dials[-1]


class ProbeCase(SynchronousTestCase):
    """A probe of a peer that a test plays."""

    def setUp(self) -> None:
        """Have a dialer."""
        self.clock = Clock()
        self.dialer = FakeDialer()

    @property
    def dial(self) -> FakeDial:
        """The dial of the probe."""
        (dial,) = self.dialer.dials
        return dial

    def assert_good(self, probe: Deferred[None]) -> None:
        """It is over, and has left nothing."""
        self.assertIsNone(self.successResultOf(probe))
        self.assertEqual([], self.clock.getDelayedCalls())

    def assert_bad(self, probe: Deferred[None], why: str) -> None:
        """It is over, has left nothing, and says why in one line."""
        failure = self.failureResultOf(probe, ProbeFailed)
        self.assertEqual(why, str(failure.value))
        self.assertEqual([], self.clock.getDelayedCalls())


class TCPProbeTests(ProbeCase):
    """Whether a connection comes about."""

    def probe(self) -> Deferred[None]:
        """Begin one."""
        return tcp_probe(self.dialer, "192.0.2.9", 8080, self.clock)

    def test_connected(self) -> None:
        """It is good, and the connection is closed in order."""
        probe = self.probe()
        self.assertEqual(("192.0.2.9", 8080), (self.dial.host, self.dial.port))
        self.assertNoResult(probe)
        wire = self.dial.connect()
        self.assert_good(probe)
        self.assertTrue(wire.disconnecting)
        wire.deliver(b"220 a greeting")
        wire.lose()

    def test_refused(self) -> None:
        """It is bad."""
        probe = self.probe()
        self.dial.failed(REFUSED)
        self.assert_bad(probe, "connection_refused: The address refused the connection.")

    def test_fault_of_our_own(self) -> None:
        """Where we have nothing left to connect with, nothing is found out."""
        probe = self.probe()
        self.dial.failed(DialError("connection_limit_reached", 503, "No descriptor is left."))
        self.failureResultOf(probe, ProbeInconclusive)

    def test_at_once(self) -> None:
        """Either may come before the dial returns."""
        dialer = AtOnce()
        self.assert_good(tcp_probe(dialer, "192.0.2.9", 80, self.clock))
        self.assertTrue(dialer.wire.disconnecting)
        self.assertFalse(dialer.dials[0].cancelled)
        self.assert_bad(
            tcp_probe(AtOnce(REFUSED), "192.0.2.9", 80, self.clock),
            "connection_refused: The address refused the connection.",
        )

    def test_deadline(self) -> None:
        """It takes no longer than it may, whatever the dialer's own deadline is."""
        probe = self.probe()
        self.clock.advance(PROBE_SECONDS - 0.1)
        self.assertNoResult(probe)
        self.clock.advance(0.1)
        self.assert_bad(probe, "connection_timeout: It was not connected in time.")
        self.assertTrue(self.dial.cancelled)

    def test_cancel(self) -> None:
        """It leaves nothing."""
        probe = self.probe()
        probe.cancel()
        self.failureResultOf(probe, CancelledError)
        self.assertTrue(self.dial.cancelled)
        self.assertEqual([], self.clock.getDelayedCalls())


class HTTPProbeTests(ProbeCase):
    """Whether an answer is a good one."""

    def probe(
        self, expect: typing.Collection[int] = (), limits: Limits | None = None
    ) -> Deferred[None]:
        """Begin one."""
        return http_probe(
            self.dialer,
            "192.0.2.9",
            8080,
            b"/health?deep=1",
            b"api.example.com",
            expect,
            self.clock,
            limits=limits or Limits(),
        )

    def asked(self, expect: typing.Collection[int] = ()) -> tuple[Deferred[None], FakeWire]:
        """Begin one, and connect it."""
        self.dialer.dials.clear()
        probe = self.probe(expect)
        return probe, self.dial.connect()

    def test_request(self) -> None:
        """One GET, for the host that is said."""
        probe, wire = self.asked()
        self.assertEqual(
            b"GET /health?deep=1 HTTP/1.1\r\nHost: api.example.com\r\n"
            b"User-Agent: aluvia-probe\r\nAccept: */*\r\n\r\n",
            wire.value(),
        )
        self.assertNoResult(probe)

    def test_statuses(self) -> None:
        """Those that are expected are good; if none is said, 200–399."""
        for expect, status, good in (
            ((), 200, True),
            ((), 204, True),
            ((), 302, True),
            ((), 399, True),
            ((), 400, False),
            ((), 503, False),
            ((200, 401), 401, True),
            ((200, 401), 204, False),
            ((503,), 503, True),
        ):
            probe, wire = self.asked(expect)
            wire.deliver(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status)
            if good:
                self.assert_good(probe)
            else:
                self.assert_bad(probe, f"The status of the answer is {status}.")
            self.assertTrue(wire.closing)

    def test_body_is_not_read(self) -> None:
        """It is over with the head, and the connection is closed, whatever follows."""
        probe, wire = self.asked()
        wire.deliver(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin")
        self.assert_good(probe)
        self.assertTrue(wire.closing)
        wire.deliver(b"and go on")
        wire.lose()

    def test_pieces(self) -> None:
        """A head that comes byte by byte is a head."""
        probe, wire = self.asked()
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        for index in range(len(head)):
            self.assertNoResult(probe)
            wire.deliver(head[index : index + 1])
        self.assert_good(probe)

    def test_informational(self) -> None:
        """A 1xx is not yet the answer."""
        probe, wire = self.asked()
        wire.deliver(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        self.assertNoResult(probe)
        wire.deliver(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        self.assert_bad(probe, "The status of the answer is 500.")

    def test_refused(self) -> None:
        """No connection is bad, also before the dial returns."""
        probe = self.probe()
        self.dial.failed(REFUSED)
        self.assert_bad(probe, "connection_refused: The address refused the connection.")
        self.dialer = typing.cast(FakeDialer, AtOnce(REFUSED))
        self.assert_bad(self.probe(), "connection_refused: The address refused the connection.")

    def test_at_once(self) -> None:
        """A dial that is through before it returns is one like any other."""
        dialer = AtOnce()
        self.dialer = typing.cast(FakeDialer, dialer)
        probe = self.probe()
        dialer.wire.deliver(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assert_good(probe)
        self.assertTrue(dialer.wire.closing)
        self.assertFalse(dialer.dials[0].cancelled)

    def test_no_answer(self) -> None:
        """A connection that ends without an answer is bad, and so is what is none."""
        probe, wire = self.asked()
        wire.lose()
        self.assert_bad(probe, "connection_terminated: The connection ended before the response.")
        probe, wire = self.asked()
        wire.deliver(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.assert_bad(
            probe,
            "http_protocol_error: The status line is malformed, or of another version.",
        )
        self.assertTrue(wire.aborted)

    def test_too_large(self) -> None:
        """A head beyond the bound is no answer."""
        probe = self.probe(limits=Limits(head_bytes=100))
        self.dial.connect().deliver(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100)
        failure = self.failureResultOf(probe, ProbeFailed)
        self.assertIn("http_response_header_section_size", str(failure.value))

    def test_deadline(self) -> None:
        """It is one for all of it: an answer that drips does not move it."""
        probe = self.probe()
        self.clock.advance(PROBE_SECONDS / 2)
        wire = self.dial.connect()
        wire.deliver(b"HTTP/1.1 200 OK\r\n")
        self.clock.advance(PROBE_SECONDS / 2)
        self.assert_bad(probe, "http_response_timeout: No answer came in time.")
        self.assertTrue(wire.closing)
        wire.lose()

    def test_deadline_of_the_dial(self) -> None:
        """It holds for the dial too."""
        probe = self.probe()
        self.clock.advance(PROBE_SECONDS)
        self.assert_bad(probe, "connection_timeout: It was not connected in time.")
        self.assertTrue(self.dial.cancelled)

    def test_cancel(self) -> None:
        """It leaves nothing, whenever it comes."""
        probe = self.probe()
        probe.cancel()
        self.failureResultOf(probe, CancelledError)
        self.assertTrue(self.dial.cancelled)
        probe, wire = self.asked()
        probe.cancel()
        self.failureResultOf(probe, CancelledError)
        self.assertTrue(wire.closing)
        self.assertEqual([], self.clock.getDelayedCalls())
        wire.lose()

    def test_a_peer_that_does_not_read(self) -> None:
        """The request may wait for its peer; pauses are nothing to it."""
        probe, wire = self.asked()
        producer: typing.Any = wire.producer
        producer.pauseProducing()
        producer.resumeProducing()
        wire.deliver(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assert_good(probe)

    def test_no_request(self) -> None:
        """What no request can be made of is refused before anything is dialled."""
        for target, host in ((b"/a b", b"host"), (b"/", b"a\r\nX: y")):
            with self.assertRaises(LocalProtocolError):
                http_probe(self.dialer, "192.0.2.9", 80, target, host, (), self.clock)
        self.assertEqual(([], []), (self.dialer.dials, self.clock.getDelayedCalls()))
