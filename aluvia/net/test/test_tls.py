"""Tests of :mod:`aluvia.net.tls` in memory, with real handshakes."""

from __future__ import annotations

import errno

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost

from aluvia.net.dial import Dialers
from aluvia.net.errors import dial_error
from aluvia.net.parent import ParentProxy, ParentProxyDialer
from aluvia.net.test.dialling import Recorder, Through
from aluvia.net.test.handshaking import OURS, Server
from aluvia.net.test.tls_case import TLSCase
from aluvia.net.tls import TLSDialer, client_context


class Opened(TLSCase):
    """A good certificate."""

    def test_names(self) -> None:
        """A name, a name under a wildcard, and addresses of both families are verified."""
        for host, names in (
            ("gw.example", ["other.example", "gw.example"]),
            ("a.gw.example", ["*.gw.example"]),
            ("xn--bcher-kva.example", ["xn--bcher-kva.example"]),
            ("gw_1.example", ["gw_1.example"]),
            ("192.0.2.1", ["192.0.2.1"]),
            ("2001:db8::1", ["2001:db8::1"]),
        ):
            wire, _ = self.meet(OURS.issue(*names), host)
            self.assert_open(wire)

    def test_server_name(self) -> None:
        """A name is asked for by SNI, an address is not (RFC 6066 §3)."""
        _, server = self.meet(OURS.issue("gw.example"))
        self.assertEqual(server.server_name, b"gw.example")
        _, server = self.meet(OURS.issue("192.0.2.1"), "192.0.2.1")
        self.assertIsNone(server.server_name)

    def test_alpn(self) -> None:
        """http/1.1 is offered, and nothing else."""
        wire, server = self.meet(OURS.issue("gw.example"))
        self.assertEqual(server.offered, [b"http/1.1"])
        self.assertEqual(self.assert_open(wire).negotiatedProtocol, b"http/1.1")

    def test_no_alpn(self) -> None:
        """A server that knows no ALPN is as good."""
        self.dial()
        wire = self.tcp.dials[0].connect()
        Server(OURS.issue("gw.example"), takes=None).talk(wire)
        self.assertIsNone(self.assert_open(wire).negotiatedProtocol)

    def test_both_ways(self) -> None:
        """Bytes go both ways, what the protocol writes while it is connected too."""
        self.protocol.when_connected = lambda: self.protocol.transport.write(b"hello")
        self.dial()
        wire = self.tcp.dials[0].connect()
        server = Server(OURS.issue("gw.example"))
        server.talk(wire)
        self.assertEqual(b"".join(server.protocol.data), b"hello")
        server.protocol.transport.write(b"x" * 100_000)
        server.talk(wire)
        self.assertEqual(b"".join(self.protocol.data), b"x" * 100_000)

    def test_bytes_with_the_handshake(self) -> None:
        """Bytes in the same read as the end of the handshake reach the protocol, after it."""
        context = OURS.issue("gw.example")
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.dial()
        wire = self.tcp.dials[0].connect()
        server = Server(context)
        # In TLS 1.2 the server ends the handshake, and says what it has to say with it.
        server.protocol.transport.write(b"early")
        flights: list[bytes] = []
        deliver = wire.deliver

        def count(data: bytes) -> None:
            flights.append(data)
            deliver(data)

        self.patch(wire, "deliver", count)
        server.talk(wire)
        self.assertEqual((self.protocol.connections, self.protocol.data), (1, [b"early"]))
        self.assertEqual(len(flights), 2)

    def test_switch_protocol(self) -> None:
        """The protocol can be changed once more, and is not told of a connection."""
        wire, server = self.meet(OURS.issue("gw.example"))
        transport = self.assert_open(wire)
        other = Recorder()
        transport.switch_protocol(other)
        server.protocol.transport.write(b"for the other")
        server.talk(wire)
        self.assertEqual((self.protocol.data, other.data), ([], [b"for the other"]))
        self.assertEqual(other.connections, 0)
        wire.lose()
        self.assertEqual((len(self.protocol.lost), len(other.lost)), (0, 1))

    def test_close_does_not_wait(self) -> None:
        """Closing does not wait for the peer to close too: a silent one would keep the socket."""
        wire, _ = self.meet(OURS.issue("gw.example"))
        self.assert_open(wire).loseConnection()
        self.assertNotEqual(wire.value(), b"")
        self.assertTrue(wire.disconnecting)

    def test_peer_closes(self) -> None:
        """The peer's close_notify ends the connection."""
        wire, server = self.meet(OURS.issue("gw.example"))
        self.assert_open(wire)
        server.protocol.transport.loseConnection()
        server.talk(wire)
        self.assertTrue(wire.disconnecting)
        wire.lose()
        self.assertEqual(len(self.protocol.lost), 1)

    def test_parent_proxy(self) -> None:
        """A CONNECT through a parent with TLS leaves the protocol on the TLS itself."""
        dialers = Dialers()
        dialers.add("tls", self.dialer)
        parent = ParentProxy("gw.example", 8443, "user", "s3cret", tls=True)
        through = Through(ParentProxyDialer(self.clock, dialers, self.deadlines), parent)
        through.dial("site.example", 443, self.protocol, self.protocol.failed)
        wire = self.tcp.dials[0].connect()
        server = Server(OURS.issue("gw.example"))
        server.talk(wire)
        self.assertTrue(
            server.protocol.data[0].startswith(b"CONNECT site.example:443 HTTP/1.1\r\n")
        )
        server.protocol.transport.write(b"HTTP/1.1 200 OK\r\n\r\nbehind")
        server.talk(wire)
        self.assert_open(wire)
        self.assertEqual(self.protocol.data, [b"behind"])


class ProtocolErrors(TLSCase):
    """``tls_protocol_error``, and what becomes of a connection that is lost."""

    def test_garbage(self) -> None:
        """A peer that does not speak TLS."""
        for garbage in (
            b"HTTP/1.0 400 Bad Request\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            bytes(range(256)),
            b"\x15\x03\x03\x00\x02\x02\x28",
        ):
            self.protocol = Recorder()
            self.dial()
            wire = self.tcp.dials[-1].connect()
            wire.deliver(garbage)
            self.assert_failed(wire, "tls_protocol_error")

    def test_old_version(self) -> None:
        """A server that speaks nothing newer than TLS 1.1, where OpenSSL itself would allow it."""
        context = OURS.issue("gw.example")
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        lenient = client_context(OURS.pem)
        lenient.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        self.dialer = TLSDialer(self.clock, self.tcp, lenient, self.deadlines)
        self.dial()
        wire = self.tcp.dials[0].connect()
        Server(context, takes=None).talk(wire)
        self.assert_failed(wire, "tls_protocol_error")

    def test_no_protocol_in_common(self) -> None:
        """A server that speaks HTTP/2 alone."""
        self.dial()
        wire = self.tcp.dials[0].connect()
        Server(OURS.issue("gw.example"), takes=b"h2").talk(wire)
        self.assert_failed(wire, "tls_protocol_error")

    def test_eof(self) -> None:
        """EOF in the handshake, at its beginning or within it, is ``connection_terminated``."""
        self.dial()
        self.tcp.dials[0].connect().lose()
        self.assertEqual(self.protocol.outcome(), (0, ["connection_terminated"]))
        self.protocol = Recorder()
        self.dial()
        wire = self.tcp.dials[1].connect()
        wire.deliver(b"\x16\x03\x03")
        wire.lose()
        self.assertEqual(self.protocol.outcome(), (0, ["connection_terminated"]))

    def test_reset(self) -> None:
        """So is a reset."""
        self.dial()
        self.tcp.dials[0].connect().lose(ConnectionLost())
        self.assertEqual(self.protocol.outcome(), (0, ["connection_terminated"]))

    def test_silence(self) -> None:
        """A peer that accepts and stays silent is ``connection_timeout``."""
        self.dial()
        self.clock.advance(4)
        wire = self.tcp.dials[0].connect()
        self.clock.advance(6)
        self.deadlines.look()
        self.assert_failed(wire, "connection_timeout", 504)

    def test_deadline_told_late(self) -> None:
        """A deadline that is noticed after the end changes nothing."""
        self.dial()
        wire = self.tcp.dials[0].connect()
        (item,) = self.deadlines.watched
        Server(OURS.issue("gw.example")).talk(wire)
        item.deadline_passed(99.0)
        self.assert_open(wire)
        self.assertFalse(wire.closing)

    def test_not_reached(self) -> None:
        """What the dialer beneath says is passed on."""
        self.dial()
        self.tcp.dials[0].failed(dial_error(OSError(errno.ECONNREFUSED, "x")))
        self.assertEqual(self.protocol.outcome(), (0, ["connection_refused"]))
        self.assertEqual(self.deadlines.watched, set())


class Cancelled(TLSCase):
    """``cancel`` leaves nothing, in every state."""

    def test_while_connecting(self) -> None:
        """The dial beneath is cancelled."""
        dialing = self.dial()
        dialing.cancel()
        dialing.cancel()
        self.assertTrue(self.tcp.dials[0].cancelled)

    def test_while_shaking_hands(self) -> None:
        """The connection is closed, and nobody is told, whatever comes after."""
        dialing = self.dial()
        wire = self.tcp.dials[0].connect()
        server = Server(OURS.issue("gw.example"))
        server.wire.deliver(wire.value())
        wire.clear()
        dialing.cancel()
        dialing.cancel()
        self.assertTrue(wire.aborted)
        server.talk(wire)
        wire.lose()
        self.assertEqual((self.protocol.outcome(), self.protocol.lost), ((0, []), []))
        self.assertEqual(self.deadlines.watched, set())

    def test_afterwards(self) -> None:
        """Once it is open, the connection is the protocol's."""
        dialing = self.dial()
        wire = self.tcp.dials[0].connect()
        Server(OURS.issue("gw.example")).talk(wire)
        dialing.cancel()
        self.assert_open(wire)
        self.assertFalse(wire.closing)
