"""The ends of our transport: in order, half, by an RST, and behind TLS."""

from __future__ import annotations

import socket
import ssl

import trustme
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.ssl import PrivateCertificate

from aluvia.net.test.tunnels import SMALL_BUFFER, TunnelCase
from aluvia.net.test.wires import MUCH, Listener, WireCase
from aluvia.net.transport import address_of
from aluvia.testing.ended import Ended


class CloseTests(WireCase):
    """Ends, of every kind."""

    async def test_nothing_queued(self) -> None:
        """``loseConnection`` closes without a write event, and not before it has returned."""
        peer, protocol, made = self.connect()
        self.refused_write_events(made)
        made.write(b"bye")
        made.loseConnection()
        made.loseConnection()
        self.assertEqual(protocol.lost, [])
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionDone))
        self.assertEqual(await peer.read_to_end(), b"bye")

    async def test_within_data_received(self) -> None:
        """It is closed when ``dataReceived`` has returned, in the same event."""
        peer, protocol, made = self.connect()
        self.refused_write_events(made)

        def answer() -> None:
            made.write(b"bye")
            made.loseConnection()

        protocol.when_data = answer
        await peer.send(b"x")
        self.assertEqual(await peer.read_to_end(), b"bye")
        self.assertTrue(protocol.lost[0].check(ConnectionDone))

    async def test_what_is_queued_goes_out_first(self) -> None:
        """Also what is written after ``loseConnection``, as with the stock one."""
        peer, protocol, made = self.connect(SMALL_BUFFER)
        made.write(MUCH)
        made.loseConnection()
        made.write(b"late")
        self.assertTrue(await peer.read_to_end() == MUCH + b"late")
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionDone))

    async def test_written_after_a_close_with_nothing_queued(self) -> None:
        """It still goes out."""
        peer, protocol, made = self.connect()
        made.loseConnection()
        made.write(b"late")
        self.assertEqual(await peer.read_to_end(), b"late")
        await protocol.gone

    async def test_written_after_a_close_from_another_event(self) -> None:
        """The same where the write is met by the close that was put off."""
        peer, protocol, made = self.connect()
        other_peer, other, _ = self.connect()

        def close_then_write() -> None:
            made.loseConnection()
            made.write(b"late")
            made.stopWriting()

        other.when_data = close_then_write
        await other_peer.send(b"x")
        self.assertEqual(await peer.read_to_end(), b"late")
        await protocol.gone

    async def test_nothing_is_delivered_after_a_close(self) -> None:
        """Bytes that had come by then are not."""
        peer, protocol, made = self.connect()
        await peer.send(b"x")
        made.loseConnection()
        made.doRead()
        self.assertEqual(protocol.received, b"")
        await protocol.gone
        await peer.read_away()

    async def test_half_close(self) -> None:
        """``loseWriteConnection`` sends a FIN behind what is queued, and reading goes on."""
        peer, protocol, made = self.connect(SMALL_BUFFER)
        made.write(MUCH)
        made.loseWriteConnection()
        self.assertTrue(await peer.read_to_end() == MUCH)
        self.assertEqual(protocol.write_ended, 1)
        made.write(b"dropped")
        await peer.send(b"still read")
        await self.when(lambda: protocol.received == b"still read")
        made.loseConnection()
        self.assertEqual(protocol.lost, [])
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionDone))

    async def test_half_close_then_close(self) -> None:
        """A close right behind a half-close, with bytes queued, loses none of them."""
        peer, protocol, made = self.connect(SMALL_BUFFER)
        made.write(MUCH)
        made.loseWriteConnection()
        made.loseConnection()
        self.assertTrue(await peer.read_to_end() == MUCH)
        await protocol.gone

    async def test_the_other_side_half_closes(self) -> None:
        """The protocol is told, and can still answer."""
        peer, protocol, made = self.connect()
        peer.finish()
        await self.when(lambda: protocol.read_ended == 1)
        made.write(b"answer")
        made.loseConnection()
        self.assertEqual(await peer.read_to_end(), b"answer")
        await protocol.gone
        self.assertEqual(len(protocol.lost), 1)

    async def test_abort(self) -> None:
        """``abortConnection`` resets in the next turn, and drops what is queued."""
        peer, protocol, made = self.connect(SMALL_BUFFER)
        made.write(MUCH)
        made.abortConnection()
        made.abortConnection()
        made.doWrite()
        made.doRead()
        self.assertEqual(protocol.lost, [])
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionAborted))
        await peer.read_away()
        self.assertIs(peer.ended, Ended.RESET)

    async def test_nothing_is_sent_after_an_abort(self) -> None:
        """Not even what could be written at once."""
        peer, protocol, made = self.connect()
        made.abortConnection()
        made.write(b"x")
        await protocol.gone
        await peer.read_away()
        self.assertEqual(peer.received, b"")

    async def test_abort_after_close(self) -> None:
        """An abort in the turn of a close is a reset."""
        peer, protocol, made = self.connect()
        made.loseConnection()
        made.abortConnection()
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionAborted))
        await peer.read_away()
        self.assertIs(peer.ended, Ended.RESET)

    async def test_abort_of_what_is_reset_already(self) -> None:
        """Is no error."""
        peer, protocol, made = self.connect()
        made.stopReading()
        peer.reset()
        made.abortConnection()
        await protocol.gone
        self.assertEqual(len(protocol.lost), 1)

    async def test_a_protocol_that_raises(self) -> None:
        """Its connection is lost with its error, and that is logged."""
        peer, protocol, made = self.connect()

        def fail() -> None:
            made.loseConnection()
            raise RuntimeError("a bug")

        protocol.when_data = fail
        await peer.send(b"x")
        await protocol.gone
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(protocol.lost), 1)
        await peer.read_away()

    async def test_a_reset_is_told(self) -> None:
        """The other side's RST is a lost connection."""
        peer, protocol, _ = self.connect()
        peer.reset()
        await protocol.gone
        self.assertTrue(protocol.lost[0].check(ConnectionLost))


class StartTLSTests(WireCase):
    """Twisted's ``startTLS`` works over it; then it does not write at once."""

    async def test_start_tls(self) -> None:
        """Bytes pass both ways, and the protocol can be switched underneath."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        own = PrivateCertificate.loadPEM(issued.private_key_and_cert_chain_pem.bytes())
        peer, _, made = self.connect()
        made.startTLS(own.options(), True)
        context = ssl_context(authority)
        await peer.start_tls(context, server_side=False, server_hostname="localhost")
        made.write(b"hello")
        self.assertEqual(await peer.read_exactly(5), b"hello")
        new = Listener()
        made.switch_protocol(new)
        await peer.send(b"x")
        await self.when(lambda: new.received == b"x")
        made.loseConnection()
        self.assertEqual(await peer.read_to_end(), b"")
        peer.close()
        await new.gone


def ssl_context(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts it."""
    return ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())


class AddressTests(TunnelCase):
    """Addresses as Twisted names them."""

    def test_addresses(self) -> None:
        """IPv4, IPv6 of two and of four parts, and a scope."""
        self.assertEqual(address_of(("127.0.0.1", 80)).host, "127.0.0.1")
        self.assertEqual(repr(address_of(("::1", 80))), repr(address_of(("::1", 80, 0, 0))))
        index, name = socket.if_nameindex()[0]
        scoped = address_of(("fe80::1", 80, 0, index))
        self.assertEqual(scoped.host, f"fe80::1%{name}")
