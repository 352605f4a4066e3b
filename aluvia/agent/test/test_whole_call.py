"""Tests for :mod:`aluvia.agent.whole_call`."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.whole_call import PIECE_BYTES, WholeAnswer, WholeRequest, call
from aluvia.net.accept import Sweep
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.test.dialling import FakeDial, FakeDialer, FakeWire
from aluvia.wire.errors import LocalProtocolError
from aluvia.wire.limits import DEFAULT_LIMITS

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"


class PausingWire(FakeWire):
    """One that asks its producer to pause at every write, until a test says otherwise."""

    def write(self, data: bytes) -> None:
        """Take it, and ask for no more."""
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()


class WholeCallTests(SynchronousTestCase):
    """Calls on a wire in memory."""

    def setUp(self) -> None:
        """Have a clock, and dials that a test ends."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.addCleanup(self.sweep.stop)
        self.dialer = FakeDialer()
        self.kept: list[ClientConnection] = []
        self.stale: list[ClientConnection] = []

    def connection(self) -> ClientConnection:
        """A fresh one."""
        return ClientConnection("key", DEFAULT_LIMITS, 0.0, self.stale.append)

    def begin(
        self, body: bytes = b"", method: bytes = b"GET", **more: typing.Any
    ) -> Deferred[WholeAnswer]:
        """Begin a call on a connection that is dialled."""
        request = WholeRequest(method, b"/x", [(b"Host", b"a.test")], body)
        given: dict[str, typing.Any] = {"connection": self.connection(), "dial": self.dial, **more}
        return call(
            request=request, sweep=self.sweep, most=10, silence=5.0, keep=self.kept.append, **given
        )

    def dial(self, protocol: typing.Any, failed: typing.Any) -> FakeDial:
        """To where it leads."""
        return self.dialer.dial("a.test", 80, protocol, failed)

    def wire(self) -> FakeWire:
        """Let the last dial succeed."""
        return self.dialer.dials[-1].connect()

    def failure(self, done: Deferred[WholeAnswer]) -> str:
        """What it has come to."""
        error = self.failureResultOf(done, DialError).value
        self.assertEqual(len(self.sweep), 0)
        return typing.cast(DialError, error).error

    def test_answered(self) -> None:
        """The connection may be used again, and is."""
        done = self.begin()
        wire = self.wire()
        self.assertEqual(wire.value(), b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n")
        wire.deliver(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"ab")
        self.assertNoResult(done)
        wire.deliver(b"c")
        answer = self.successResultOf(done)
        self.assertEqual((answer.head.status, answer.body), (200, b"abc"))
        [kept] = self.kept
        self.assertEqual((kept.reused, kept.requester, len(self.sweep)), (True, None, 0))
        done = self.begin(connection=kept, dial=None)
        wire.deliver(HEAD + b"abc")
        self.assertEqual(self.successResultOf(done).body, b"abc")
        self.assertEqual(len(self.dialer.dials), 1)

    def test_not_kept(self) -> None:
        """One that is to be closed is."""
        done = self.begin()
        wire = self.wire()
        wire.deliver(HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"abc")
        self.successResultOf(done)
        self.assertEqual((self.kept, wire.disconnecting), ([], True))

    def test_a_body_goes_in_pieces(self) -> None:
        """As the other side reads; it is as long as it takes, while it moves."""
        body = bytes(3 * PIECE_BYTES)
        done = self.begin(body, b"POST")
        dial = self.dialer.dials[-1]
        dial.wire = wire = PausingWire()
        dial.connect()
        for pieces in range(1, 4):
            self.assertLess(len(wire.value()), pieces * PIECE_BYTES)
            self.clock.pump([1.0] * 4)
            typing.cast(typing.Any, wire.producer).resumeProducing()
        self.assertTrue(wire.value().endswith(body))
        wire.deliver(HEAD + b"abc")
        self.successResultOf(done)

    def test_an_answer_before_the_request_is_through(self) -> None:
        """It is the answer, and the rest is not sent."""
        done = self.begin(bytes(3 * PIECE_BYTES), b"POST")
        dial = self.dialer.dials[-1]
        dial.wire = wire = PausingWire()
        dial.connect()
        wire.deliver(HEAD.replace(b"200", b"413") + b"abc")
        self.assertEqual(self.successResultOf(done).head.status, 413)
        self.assertEqual((self.kept, wire.closing), ([], True))

    def test_too_long(self) -> None:
        """A body beyond the bound is not taken, whether its length is told or not."""
        for length in (b"Content-Length: 11\r\n", b"Transfer-Encoding: chunked\r\n", b""):
            done = self.begin()
            wire = self.wire()
            wire.deliver(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
            if length[:1] != b"C":
                wire.deliver(b"b\r\n" + b"x" * 11)
            self.assertEqual(self.failure(done), "http_response_body_size")
            self.assertTrue(wire.aborted)

    def test_silence(self) -> None:
        """Of a name, a host or an answer; what moves is waited for."""
        done = self.begin()
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.failure(done), "http_response_timeout")
        self.assertTrue(self.dialer.dials[-1].cancelled)
        done = self.begin()
        wire = self.wire()
        for byte in HEAD:
            self.clock.pump([1.0] * 4)
            wire.deliver(bytes([byte]))
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.failure(done), "http_response_timeout")
        self.assertTrue(wire.aborted)

    def test_failures(self) -> None:
        """No connection, one that breaks off, and one that is no HTTP."""
        done = self.begin()
        self.dialer.dials[-1].failed(DialError("connection_refused", 502, "No."))
        self.assertEqual(self.failure(done), "connection_refused")
        done = self.begin()
        self.wire().lose()
        self.assertEqual(self.failure(done), "connection_terminated")
        done = self.begin()
        self.wire().deliver(b"SSH-2.0\r\n\r\n")
        self.assertEqual(self.failure(done), "http_protocol_error")

    def test_cancelled(self) -> None:
        """Nothing is left, before it is connected and behind that."""
        for connected in (False, True):
            done = self.begin()
            if connected:
                wire = self.wire()
            done.cancel()
            self.failureResultOf(done, CancelledError)
            self.assertEqual(len(self.sweep), 0)
        self.assertTrue(self.dialer.dials[0].cancelled)
        self.assertTrue(wire.aborted)

    def test_no_request(self) -> None:
        """What cannot be one is not dialled."""
        request = WholeRequest(b"GET", b"/a b", [(b"Host", b"a.test")])
        self.assertRaises(
            LocalProtocolError,
            call,
            self.connection(),
            request,
            self.sweep,
            most=1,
            silence=1.0,
            dial=self.dial,
        )
        self.assertEqual(self.dialer.dials, [])
