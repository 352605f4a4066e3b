"""A server's connection over a transport in memory, and whoever answers on it, for its tests."""

from __future__ import annotations

import typing

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.accept import Sweep
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import Limits

GET = b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8\r\n\r\n"
CHUNKED_POST = b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"


class HalfClosingTransport(StringTransport):
    """A string transport that remembers how it was closed."""

    half_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        """Remember the FIN, which is out when a test says so."""
        self.half_closed = True

    def abortConnection(self) -> None:
        """Remember the reset."""
        self.aborted = True

    def unregisterProducer(self) -> None:
        """Drop it; twice is harmless, as with real ones."""
        self.producer = None


@attrs.define(eq=False)
class RecordingResponder:
    """Remembers what the connection told it."""

    head: RequestHead
    body: bytes = b""
    told: list[str] = attrs.field(factory=list)

    def request_data(self, data: bytes) -> None:
        """Keep it."""
        self.body += data

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """Keep it."""
        self.told.append("trailers")

    def request_end(self) -> None:
        """Keep it."""
        self.told.append("end")

    def request_broken(self, violation: ProtocolViolation) -> None:
        """Keep it."""
        self.told.append(f"broken {violation.status}")

    def client_ended(self) -> None:
        """Keep it."""
        self.told.append("client ended")

    def client_lost(self) -> None:
        """Keep it."""
        self.told.append("client lost")

    def pause_response(self) -> None:
        """Keep it."""
        self.told.append("pause")

    def resume_response(self) -> None:
        """Keep it."""
        self.told.append("resume")

    def timed_out(self) -> None:
        """Keep it."""
        self.told.append("timed out")


@attrs.define(eq=False)
class RecordingApplication:
    """Answers at once where ``at_once``, otherwise leaves the answer to the test."""

    at_once: bool = False
    responders: list[RecordingResponder] = attrs.field(factory=list)
    violations: list[int] = attrs.field(factory=list)

    def request(self, connection: ServerConnection, head: RequestHead) -> RecordingResponder | None:
        """Take a request."""
        responder = RecordingResponder(head)
        self.responders.append(responder)
        if self.at_once:
            connection.answer(200, b"OK", (), head.target)
            return None
        return responder

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """Answer the status alone."""
        self.violations.append(violation.status)
        connection.answer(violation.status, b"No", (), close=True)


class ServerConnectionCase(SynchronousTestCase):
    """A connection over a transport in memory and a clock of ours."""

    limits = Limits()
    at_once = False
    transport: HalfClosingTransport

    def setUp(self) -> None:
        """Connect."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.addCleanup(self.sweep.stop)
        self.application = self.make_application()
        self.connection = ServerConnection(
            self.application, self.sweep, self.limits, idle_seconds=600.0
        )
        self.transport = self.make_transport()
        self.connection.makeConnection(self.transport)

    def make_application(self) -> RecordingApplication:
        """Who answers."""
        return RecordingApplication(self.at_once)

    def make_transport(self) -> HalfClosingTransport:
        """What it is connected by."""
        return HalfClosingTransport()

    def lose(self) -> None:
        """The transport tells that it is gone."""
        self.connection.connectionLost(Failure(ConnectionDone()))

    def pass_time(self, seconds: int) -> None:
        """Let the sweep run once a second."""
        for _ in range(seconds):
            self.clock.advance(1.0)
