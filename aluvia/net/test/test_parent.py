"""Tests of :class:`aluvia.net.parent.ParentProxyDialer` in memory."""

from __future__ import annotations

import errno

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.dial import Dialers, Dialing
from aluvia.net.errors import DialError, dial_error
from aluvia.net.parent import ParentProxy, ParentProxyDialer
from aluvia.net.test.dialling import FakeDeadlines, FakeDialer, FakeWire, Recorder
from aluvia.wire.errors import LocalProtocolError
from aluvia.wire.limits import DEFAULT_LIMITS

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"


class ParentCase(SynchronousTestCase):
    """A dialer through a parent proxy, over a dialer that the test ends by hand."""

    def setUp(self) -> None:
        """Make the dialer."""
        self.clock = Clock()
        self.deadlines = FakeDeadlines(self.clock)
        self.tcp, self.tls = FakeDialer(), FakeDialer()
        dialers = Dialers()
        dialers.add("tcp", self.tcp)
        dialers.add("tls", self.tls)
        self.parent = ParentProxy("gw.example", 8080, "user", "s3cret")
        self.dialer = ParentProxyDialer(self.clock, dialers, self.deadlines)
        self.protocol = Recorder()

    def dial(self, host: str = "site.example", port: int = 443) -> Dialing:
        """Dial for the recorder."""
        return self.dialer.dial(self.parent, host, port, self.protocol, self.protocol.failed)

    def asking(self) -> FakeWire:
        """Dial for a new recorder, and connect the parent."""
        self.protocol = Recorder()
        self.dial()
        return self.tcp.dials[-1].connect()

    def assert_refused(self, wire: FakeWire, name: str, status: int = 502) -> DialError:
        """Assert that this was the outcome, that the connection closes, and nothing is left."""
        self.assertEqual(self.protocol.outcome(), (0, [name]))
        error = self.protocol.errors[0]
        self.assertEqual(error.status, status)
        self.assertNotIn("s3cret", str(error))
        self.assertTrue(wire.closing)
        self.assertEqual((self.deadlines.watched, self.clock.getDelayedCalls()), (set(), []))
        # What was on its way already changes nothing.
        wire.deliver(OPEN)
        wire.lose()
        self.assertEqual(self.protocol.outcome(), (0, [name]))
        self.assertEqual((self.protocol.data, self.protocol.lost), ([], []))
        return error


class Asking(ParentCase):
    """What the parent is asked."""

    def test_request(self) -> None:
        """A CONNECT with Host and Proxy-Authorization, and the name as it is: not resolved here."""
        self.dial("site.example", 443)
        (dial,) = self.tcp.dials
        self.assertEqual((dial.host, dial.port), ("gw.example", 8080))
        self.assertEqual(
            dial.connect().value(),
            b"CONNECT site.example:443 HTTP/1.1\r\n"
            b"Host: site.example:443\r\n"
            b"Proxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n"
            b"\r\n",
        )

    def test_ipv6(self) -> None:
        """An IPv6 address has brackets."""
        self.dial("2001:db8::1", 8443)
        self.assertIn(
            b"CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n",
            self.tcp.dials[0].connect().value(),
        )

    def test_no_credentials(self) -> None:
        """A parent that wants none gets none."""
        self.parent = ParentProxy("gw.example", 8080)
        self.assertNotIn(b"Authorization", self.asking().value())

    def test_tls(self) -> None:
        """A parent with TLS is dialled by the other dialer."""
        self.parent = ParentProxy("gw.example", 8443, tls=True)
        self.dial()
        self.assertEqual((len(self.tcp.dials), len(self.tls.dials)), (0, 1))

    def test_fields(self) -> None:
        """Fields of the caller go out behind ours, to this parent."""
        other = ParentProxy("other.example", 3128)
        self.dialer.dial(
            other,
            "site.example",
            443,
            self.protocol,
            self.protocol.failed,
            fields=[(b"X-Aluvia-Request-ID", b"r1")],
        )
        (dial,) = self.tcp.dials
        self.assertEqual(dial.host, "other.example")
        self.assertEqual(
            dial.connect().value(),
            b"CONNECT site.example:443 HTTP/1.1\r\n"
            b"Host: site.example:443\r\n"
            b"X-Aluvia-Request-ID: r1\r\n"
            b"\r\n",
        )

    def test_fields_that_split(self) -> None:
        """A field that would split the request is a bug, found before anything is dialled."""
        self.assertRaises(
            LocalProtocolError,
            self.dialer.dial,
            self.parent,
            "site.example",
            443,
            self.protocol,
            self.protocol.failed,
            fields=[(b"X", b"a\r\nb: c")],
        )
        self.assertEqual((self.tcp.dials, self.deadlines.watched), ([], set()))

    def test_rotation(self) -> None:
        """New credentials are used by the next dial."""
        self.asking()
        self.parent = ParentProxy("gw.example", 8080, "user", "new")
        self.assertIn(b"Basic dXNlcjpuZXc=", self.asking().value())

    def test_parent_not_reached(self) -> None:
        """What the dialer of the parent says is passed on."""
        self.dial()
        self.tcp.dials[0].failed(dial_error(OSError(errno.ECONNREFUSED, "x")))
        self.assertEqual(self.protocol.outcome(), (0, ["connection_refused"]))
        self.assertEqual(self.deadlines.watched, set())


class Opened(ParentCase):
    """Any 2xx opens."""

    def assert_open(self, wire: FakeWire) -> None:
        """Assert that the connection is the protocol's, with nothing in between or left."""
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assertIs(self.protocol.transport, wire)
        self.assertIs(wire.protocol, self.protocol)
        self.assertFalse(wire.closing)
        self.assertEqual((self.deadlines.watched, self.clock.getDelayedCalls()), (set(), []))

    def test_every_2xx(self) -> None:
        """200, 201, 299; HTTP/1.1 and 1.0; whatever a body's fields say, there is no body."""
        for answer in (
            OPEN,
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 201 Created\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 299 \r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nConnection: close\r\nVia: 1.1 gw\r\n\r\n",
        ):
            wire = self.asking()
            wire.deliver(answer)
            self.assert_open(wire)
            self.assertEqual(self.protocol.data, [])
            wire.deliver(b"later")
            wire.lose()
            self.assertEqual(self.protocol.data, [b"later"])
            self.assertEqual(len(self.protocol.lost), 1)

    def test_byte_by_byte(self) -> None:
        """An answer that comes in pieces is the same answer."""
        wire = self.asking()
        for n in range(len(OPEN)):
            self.assertEqual(self.protocol.outcome(), (0, []))
            wire.deliver(OPEN[n : n + 1])
        self.assert_open(wire)

    def test_bytes_behind(self) -> None:
        """Bytes right behind the 2xx go to the protocol, after it is connected."""
        wire = self.asking()
        order: list[int] = []
        self.protocol.when_connected = lambda: order.append(len(self.protocol.data))
        wire.deliver(OPEN + b"220 mail.example\r\n\r\nHTTP/1.1 502 x\r\n\r\n")
        self.assert_open(wire)
        self.assertEqual(self.protocol.data, [b"220 mail.example\r\n\r\nHTTP/1.1 502 x\r\n\r\n"])
        self.assertEqual(order, [0])

    def test_informational(self) -> None:
        """1xx are skipped, together with the final answer or before it."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 ")
        wire.deliver(b"Continue\r\n\r\n" + OPEN + b"x")
        self.assert_open(wire)
        self.assertEqual(self.protocol.data, [b"x"])

    def test_cancel_afterwards(self) -> None:
        """Once it is open, the connection is the protocol's."""
        dialing = self.dial()
        wire = self.tcp.dials[0].connect()
        wire.deliver(OPEN)
        dialing.cancel()
        self.assert_open(wire)


class Refused(ParentCase):
    """What the parent can answer but a 2xx."""

    def test_statuses(self) -> None:
        """A refusal is ``http_request_denied`` with the status, a 407 too; its body is not read."""
        for status in (301, 400, 403, 404, 407, 429, 500, 502, 503, 504, 599):
            wire = self.asking()
            wire.deliver(
                b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nbody"
                % status
            )
            error = self.assert_refused(wire, "http_request_denied")
            self.assertEqual(error.received_status, status)
            self.assertIn(str(status), error.detail)
            self.assertIn("gw.example", error.detail)

    def test_refusal_without_end(self) -> None:
        """A refusal's body is not waited for."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.0 403 No\r\n\r\n")
        self.assert_refused(wire, "http_request_denied")

    def test_garbage(self) -> None:
        """What is no HTTP is ``http_protocol_error``."""
        for garbage in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
            b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\nX: y\n\n\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            b"HTTP/1.1 403 No\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        ):
            wire = self.asking()
            wire.deliver(garbage)
            self.assert_refused(wire, "http_protocol_error")

    def test_huge_head(self) -> None:
        """A head without end is refused at the bound, not when it ends."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 200 OK\r\n")
        delivered = 0
        while not wire.closing and delivered < 2 * DEFAULT_LIMITS.head_bytes:
            wire.deliver(b"X: " + b"y" * 1000 + b"\r\n")
            delivered += 1005
        self.assertLess(delivered, DEFAULT_LIMITS.head_bytes + 2000)
        self.assert_refused(wire, "http_response_header_section_size")

    def test_megabyte_head_at_once(self) -> None:
        """So is one of a megabyte that comes whole."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_048_576 + b"\r\n\r\n")
        self.assert_refused(wire, "http_response_header_section_size")

    def test_endless_informational(self) -> None:
        """1xx for ever are a violation."""
        wire = self.asking()
        for _ in range(DEFAULT_LIMITS.informational_heads + 1):
            self.assertFalse(wire.closing)
            wire.deliver(b"HTTP/1.1 102 Processing\r\n\r\n")
        self.assert_refused(wire, "http_protocol_error")


class Lost(ParentCase):
    """The connection ends, or nothing comes."""

    def assert_lost(self, name: str) -> None:
        """Assert the outcome of a connection that is gone."""
        self.assertEqual(self.protocol.outcome(), (0, [name]))
        self.assertEqual(self.protocol.errors[0].status, 502)
        self.assertEqual(self.deadlines.watched, set())

    def test_eof(self) -> None:
        """EOF instead of an answer is ``connection_terminated``."""
        self.asking().lose()
        self.assert_lost("connection_terminated")

    def test_eof_within_the_head(self) -> None:
        """EOF within its head is ``http_response_incomplete``."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 200 OK\r\nX:")
        wire.lose()
        self.assert_lost("http_response_incomplete")

    def test_eof_after_informational(self) -> None:
        """A 1xx is no answer."""
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.lose()
        self.assert_lost("connection_terminated")

    def test_reset(self) -> None:
        """A reset is ``connection_terminated``, wherever it comes."""
        self.asking().lose(ConnectionLost())
        self.assert_lost("connection_terminated")
        wire = self.asking()
        wire.deliver(b"HTTP/1.1 200 OK\r\nX:")
        wire.lose(ConnectionLost())
        self.assert_lost("connection_terminated")

    def test_silence(self) -> None:
        """A parent that accepts and stays silent is ``connection_timeout``."""
        wire = self.asking()
        self.clock.advance(10)
        self.deadlines.look()
        self.assert_refused(wire, "connection_timeout", 504)

    def test_drip(self) -> None:
        """One byte now and then does not move the deadline, which is one for the whole dial."""
        self.dial()
        self.clock.advance(6)
        wire = self.tcp.dials[0].connect()
        for n in range(4):
            self.clock.advance(0.9)
            self.deadlines.look()
            wire.deliver(OPEN[n : n + 1])
        self.assertEqual(self.protocol.outcome(), (0, []))
        self.clock.advance(0.5)
        self.deadlines.look()
        self.assert_refused(wire, "connection_timeout", 504)

    def test_deadline_told_late(self) -> None:
        """A deadline that is noticed after the end changes nothing."""
        wire = self.asking()
        (item,) = self.deadlines.watched
        wire.deliver(OPEN)
        item.deadline_passed(99.0)
        self.assertEqual(self.protocol.outcome(), (1, []))
        self.assertFalse(wire.closing)


class Cancelled(ParentCase):
    """``cancel`` leaves nothing, in every state."""

    def test_while_dialling(self) -> None:
        """The dial of the parent is cancelled."""
        dialing = self.dial()
        dialing.cancel()
        dialing.cancel()
        self.assertTrue(self.tcp.dials[0].cancelled)
        self.assertEqual(self.protocol.outcome(), (0, []))

    def test_while_asking(self) -> None:
        """The connection is closed, and nobody is told."""
        dialing = self.dial()
        wire = self.tcp.dials[0].connect()
        dialing.cancel()
        dialing.cancel()
        self.assertTrue(wire.aborted)
        self.assertFalse(self.tcp.dials[0].cancelled)
        wire.lose()
        self.assertEqual((self.protocol.outcome(), self.protocol.lost), ((0, []), []))
        self.assertEqual(self.deadlines.watched, set())

    def test_after_failure(self) -> None:
        """There is nothing left to cancel."""
        dialing = self.dial()
        self.tcp.dials[0].failed(dial_error(OSError(errno.ECONNREFUSED, "x")))
        dialing.cancel()
        self.assertFalse(self.tcp.dials[0].cancelled)
