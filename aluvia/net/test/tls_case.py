"""A TLS dialer over connections in memory, for the tests of it."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.test.dialling import FakeDeadlines, FakeDialer, FakeWire, Recorder
from aluvia.net.test.handshaking import Server, trusting_ours
from aluvia.net.tls import TLSDialer, TLSWire


class TLSCase(SynchronousTestCase):
    """A TLS dialer over a dialer that the test ends by hand."""

    def setUp(self) -> None:
        """Make the dialer."""
        self.clock = Clock()
        self.deadlines = FakeDeadlines(self.clock)
        self.tcp = FakeDialer()
        self.dialer = TLSDialer(self.clock, self.tcp, trusting_ours(), self.deadlines)
        self.protocol = Recorder()

    def dial(self, host: str = "gw.example") -> Dialing:
        """Dial for the recorder."""
        return self.dialer.dial(host, 8443, self.protocol, self.protocol.failed)

    def meet(self, context: SSL.Context, host: str = "gw.example") -> tuple[FakeWire, Server]:
        """Dial for a new recorder, and let a server with this context answer."""
        self.protocol = Recorder()
        self.dial(host)
        wire = self.tcp.dials[-1].connect()
        server = Server(context)
        server.talk(wire)
        return wire, server

    def assert_open(self, wire: FakeWire) -> TLSWire:
        """Assert that the protocol has the connection, with nothing left in between."""
        self.assertEqual(self.protocol.outcome(), (1, []))
        transport = self.protocol.transport
        assert isinstance(transport, TLSWire)
        self.assertIs(wire.protocol, transport)
        self.assertIs(transport.wrappedProtocol, self.protocol)
        self.assertTrue(ITransport.providedBy(transport))
        self.assertEqual((self.deadlines.watched, self.clock.getDelayedCalls()), (set(), []))
        return transport

    def assert_failed(self, wire: FakeWire, name: str, status: int = 502) -> DialError:
        """Assert that this was the outcome, that the connection closes, and nothing is left."""
        self.assertTrue(wire.closing)
        wire.lose()
        self.assertEqual(self.protocol.outcome(), (0, [name]))
        self.assertEqual(self.protocol.errors[0].status, status)
        self.assertEqual((self.deadlines.watched, self.clock.getDelayedCalls()), (set(), []))
        self.assertEqual((self.protocol.data, self.protocol.lost), ([], []))
        return self.protocol.errors[0]
