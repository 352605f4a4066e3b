"""A fault-injecting peer does to a real socket what its script says, and nothing else."""

from __future__ import annotations

import socket
import ssl
import time
import typing

import attrs
import trustme
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aluvia.testing.connection import UNREAD_BYTES
from aluvia.testing.faults import (
    Accepting,
    Close,
    ConnectionEnded,
    Drip,
    Echo,
    Ended,
    FaultConnection,
    FaultPeer,
    Finish,
    Flood,
    HalfHandshake,
    Read,
    Reset,
    Script,
    Send,
    Stall,
    StartTLS,
    Step,
    dial,
    in_turn,
)
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)


class PeerCase(TestCase):
    """Gives peers that are stopped, and connections that are closed, when the test is over."""

    timeout = 20

    def peer(self, *scripts: Script, **options: typing.Any) -> FaultPeer:
        """A peer that plays *scripts*, one for each connection."""
        peer = FaultPeer(reactor, in_turn(*scripts), **options)
        self.addCleanup(peer.stop)
        return peer

    async def dial(self, peer: FaultPeer) -> FaultConnection:
        """Connect to *peer*."""
        connection = await dial(reactor, peer.address, peer.port)
        self.addCleanup(connection.close)
        return connection


class EndsTests(PeerCase):
    """The five ways not to go on, told apart by the other side."""

    async def test_reset_is_seen_as_econnreset(self) -> None:
        """A plain blocking socket gets ECONNRESET, after the bytes that were sent before it."""
        peer = self.peer([Send(b"abc"), Reset()])

        def look() -> bytes:
            with socket.create_connection(("127.0.0.1", peer.port)) as sock:
                got = sock.recv(3)
                with self.assertRaises(ConnectionResetError):
                    sock.recv(1)
                return got

        self.assertEqual(await deferToThread(look), b"abc")

    async def test_reset_comes_behind_what_was_sent(self) -> None:
        """Whatever was sent before it arrives, in however many pieces; late in a talk as well."""
        turn: list[Step] = [Read(count=1), Send(b"x")]
        peer = self.peer(
            [*turn * 40, Read(), *(Send(b"%d" % digit) for digit in range(10)), Reset()]
        )

        def look() -> bytes:
            with socket.create_connection(("127.0.0.1", peer.port)) as sock:
                for _ in range(40):
                    sock.sendall(b"?")
                    sock.recv(1)
                sock.sendall(b"?")
                return sock.recv(10, socket.MSG_WAITALL)

        self.assertEqual(await deferToThread(look), b"0123456789")

    async def test_close_is_seen_as_fin(self) -> None:
        """A plain blocking socket gets what was sent and then an orderly end."""
        peer = self.peer([Read(count=2), Send(b"abc"), Close()])

        def look() -> list[bytes]:
            with socket.create_connection(("127.0.0.1", peer.port)) as sock:
                sock.sendall(b"more than the script reads")
                return [sock.recv(3), sock.recv(1)]

        self.assertEqual(await deferToThread(look), [b"abc", b""])

    async def test_half_close_keeps_reading(self) -> None:
        """After ``Finish`` the peer still receives; both ends end in order."""
        peer = self.peer([Finish(), Read(until=b"bye")])
        connection = await self.dial(peer)
        self.assertEqual(await connection.read_to_end(), b"")
        await connection.send(b"good bye")
        connection.finish()
        await peer.when(lambda: not peer.open)
        self.assertEqual(peer.connections[0].received, b"good bye")
        self.assertIs(peer.connections[0].ended, Ended.FIN)

    async def test_reset_of_the_other_side_is_seen(self) -> None:
        """An RST ends a stall, and is told apart from a FIN."""
        peer = self.peer([Stall()])
        connection = await self.dial(peer)
        await peer.when(lambda: peer.accepted == 1)
        connection.reset()
        await peer.when(lambda: not peer.open)
        self.assertIs(peer.connections[0].ended, Ended.RESET)

    async def test_stall_does_not_answer_a_fin(self) -> None:
        """A stalled peer leaves the other side in its half-closed state."""
        peer = self.peer([Stall()])
        connection = await self.dial(peer)
        connection.finish()
        await peer.when(lambda: peer.accepted == 1 and peer.connections[0].ended is Ended.FIN)
        self.assertEqual(len(peer.open), 1)
        self.assertIsNone(connection.ended)

    async def test_reads_fail_when_the_other_side_ends(self) -> None:
        """A read that can no longer be satisfied says how the connection ended."""
        peer = self.peer([Send(b"ab"), Close()], [Read(count=1), Send(b"ab"), Reset()])
        for how in (Ended.FIN, Ended.RESET):
            connection = await self.dial(peer)
            await connection.send(b"x")
            with self.assertRaises(ConnectionEnded) as raised:
                await connection.read_exactly(3)
            self.assertIs(raised.exception.how, how)


class StepTests(PeerCase):
    """The steps that send and wait."""

    async def test_script_in_order(self) -> None:
        """Steps are played one after the other, and what was received is kept."""
        peer = self.peer([Read(until=b"\r\n\r\n"), Send(b"one"), Read(count=4), Send(b"two")])
        connection = await self.dial(peer)
        await connection.send(b"GET / HTTP/1.1\r\n\r\n1234")
        self.assertEqual(await connection.read_exactly(6), b"onetwo")
        self.assertEqual(peer.connections[0].received, b"GET / HTTP/1.1\r\n\r\n1234")

    async def test_each_connection_has_its_script(self) -> None:
        """The n-th connection gets the n-th script; the last one serves all that follow."""
        peer = self.peer([Send(b"a")], [Send(b"b")])
        got = [await (await self.dial(peer)).read_exactly(1) for _ in range(3)]
        self.assertEqual(got, [b"a", b"b", b"b"])
        self.assertEqual(peer.accepted, 3)

    async def test_echo(self) -> None:
        """What was sent comes back, and a FIN behind it."""
        connection = await self.dial(self.peer([Echo()]))
        await connection.send(b"hello")
        connection.finish()
        self.assertEqual(await connection.read_to_end(), b"hello")

    async def test_drip_by_a_given_clock(self) -> None:
        """Bytes go one by one, each when the clock says so."""
        clock = Clock()
        peer = self.peer([Drip(b"abc", every=5.0)], clock=clock)
        connection = await self.dial(peer)
        self.assertEqual(await connection.read_some(), b"a")
        for expected in (b"b", b"c"):
            clock.advance(4.9)
            self.assertEqual(connection.bytes_received, peer.connections[0].bytes_sent)
            clock.advance(0.2)
            self.assertEqual(await connection.read_some(), expected)

    async def test_flood_waits_for_its_reader(self) -> None:
        """A flood of a given size arrives whole; against a reader that does not read it waits."""
        peer = self.peer([Flood(3_000_000, block=b"abc" * 10_000)], [Flood()])
        connection = await self.dial(peer)
        self.assertEqual((await connection.read_exactly(3_000_000))[-4:], b"cabc")
        stuck = await self.dial(peer)
        stuck.pause()
        await peer.when(lambda: peer.accepted == 2)
        before = -1
        while before != peer.connections[1].bytes_sent:
            before = peer.connections[1].bytes_sent
            await connection.sleep(0.3)
        self.assertLess(before, 64_000_000)

    async def test_unread_bytes_are_bounded(self) -> None:
        """A script that does not read holds ``UNREAD_BYTES`` and a read at most, not what comes."""
        peer = self.peer([Stall()])
        connection = await self.dial(peer)
        sending = Deferred.fromCoroutine(Flood().play(connection))
        before = -1
        while before != connection.bytes_sent or before < UNREAD_BYTES:
            before = connection.bytes_sent
            await deferLater(global_reactor, 0.2)
        self.assertLess(peer.connections[0].bytes_received, UNREAD_BYTES + 65_536)
        self.assertEqual(len(peer.connections[0].received), 65_536)
        sending.addErrback(lambda failure: None)
        sending.cancel()

    async def test_step_of_a_user(self) -> None:
        """Anything with ``play`` is a step."""

        @attrs.frozen
        class Backwards:
            async def play(self, connection: FaultConnection) -> None:
                await connection.send((await connection.read_some())[::-1])

        peer = self.peer([Backwards(), Close()])
        connection = await self.dial(peer)
        await connection.send(b"hello")
        self.assertEqual(await connection.read_to_end(), b"olleh")

    async def test_error_of_a_step_is_not_lost(self) -> None:
        """A step that fails by itself is logged, and its connection closed."""

        class Wrong:
            async def play(self, connection: FaultConnection) -> None:
                raise ZeroDivisionError

        peer = self.peer([Wrong()])
        connection = await self.dial(peer)
        self.assertEqual(await connection.read_to_end(), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DoorTests(PeerCase):
    """What becomes of a connect."""

    async def test_refuse(self) -> None:
        """The port is bound and known, and refuses."""
        peer = self.peer([], accepting=Accepting.REFUSE)
        with self.assertRaises(ConnectionRefusedError):
            await self.dial(peer)

    async def test_ignore(self) -> None:
        """A connect is not answered at all."""
        peer = self.peer([], accepting=Accepting.IGNORE)

        def look() -> float:
            began = time.monotonic()
            with self.assertRaises(TimeoutError):
                socket.create_connection(("127.0.0.1", peer.port), timeout=0.5)
            return time.monotonic() - began

        self.assertGreater(await deferToThread(look), 0.4)

    async def test_change_while_it_runs(self) -> None:
        """The same port refuses, and accepts again."""
        peer = self.peer([Send(b"a")])
        port = peer.port
        peer.set_accepting(Accepting.REFUSE)
        with self.assertRaises(ConnectionRefusedError):
            await self.dial(peer)
        peer.set_accepting(Accepting.ACCEPT)
        self.assertEqual(peer.port, port)
        self.assertEqual(await (await self.dial(peer)).read_exactly(1), b"a")

    async def test_ipv6(self) -> None:
        """An IPv6 address works and is written in brackets."""
        peer = self.peer([Send(b"a")], address="::1")
        self.assertEqual(peer.authority, f"[::1]:{peer.port}")
        self.assertEqual(await (await self.dial(peer)).read_exactly(1), b"a")


class TLSTests(PeerCase):
    """Faults within and under TLS."""

    def setUp(self) -> None:
        """Make an authority, and a server's and a client's context."""
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("gateway.test").configure_cert(self.server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)

    async def tls(self, peer: FaultPeer, hostname: str = "gateway.test") -> FaultConnection:
        """Connect to *peer* and shake hands."""
        connection = await self.dial(peer)
        await connection.start_tls(self.client, server_side=False, server_hostname=hostname)
        return connection

    async def test_transfer(self) -> None:
        """Both ends speak through TLS, and a close is a close_notify and a FIN."""
        peer = self.peer([StartTLS(self.server), Read(count=5), Flood(2_000_000), Close()])
        connection = await self.tls(peer)
        await connection.send(b"hello")
        self.assertEqual(len(await connection.read_to_end()), 2_000_000)
        self.assertEqual(peer.connections[0].received, b"hello")

    async def test_half_close_within(self) -> None:
        """After ``Finish`` what comes is still read in the clear, and both end in order."""
        peer = self.peer([StartTLS(self.server), Finish(), Read(until=b"bye"), Read(to_end=True)])
        connection = await self.tls(peer)
        self.assertEqual(await connection.read_to_end(), b"")
        await connection.send(b"still there, bye")
        connection.finish()
        await peer.connections[0].until_closed()
        self.assertEqual(peer.connections[0].received, b"still there, bye")
        self.assertIs(peer.connections[0].ended, Ended.FIN)

    async def test_half_close_behind_what_comes(self) -> None:
        """What is on its way to one that half-closes is not lost to it."""
        peer = self.peer([StartTLS(self.server), Send(b"first"), Read(), Send(b"second"), Close()])
        connection = await self.tls(peer)
        connection.pause()
        await connection.send(b"go on")
        await peer.when(lambda: not peer.open)
        connection.finish()
        self.assertEqual(await connection.read_to_end(), b"firstsecond")

    async def test_half_close_without_a_word(self) -> None:
        """A FIN alone is a truncation to whoever looks for it; with a close_notify it is none."""
        said = iter([True, False])

        class FinishBothWays:
            async def play(self, connection: FaultConnection) -> None:
                connection.finish(close_notify=next(said))

        peer = self.peer([StartTLS(self.server), FinishBothWays()])

        def look() -> bytes:
            with self.client.wrap_socket(
                socket.create_connection(("127.0.0.1", peer.port)),
                server_hostname="gateway.test",
                suppress_ragged_eofs=False,
            ) as sock:
                return sock.recv(1)

        self.assertEqual(await deferToThread(look), b"")
        with self.assertRaises(ssl.SSLEOFError):
            await deferToThread(look)

    async def test_reset_in_the_transfer(self) -> None:
        """An RST under TLS is an RST."""
        peer = self.peer([StartTLS(self.server), Send(b"ab"), Read(), Reset()])
        connection = await self.tls(peer)
        await connection.read_exactly(2)
        await connection.send(b"go")
        with self.assertRaises(ConnectionEnded) as raised:
            await connection.read_exactly(1)
        self.assertIs(raised.exception.how, Ended.RESET)

    async def test_client_refuses_the_certificate(self) -> None:
        """A client that does not like the name goes away; the peer's script ends quietly."""
        peer = self.peer([StartTLS(self.server)])
        with self.assertRaises(ssl.SSLCertVerificationError):
            await self.tls(peer, "other.test")
        await peer.when(lambda: not peer.open)

    async def test_half_a_handshake(self) -> None:
        """The client is left in the middle of its handshake by an RST, by a FIN and by garbage."""
        half = HalfHandshake(self.server)
        peer = self.peer([half, Reset()], [half, Close()], [half, Send(b"x" * 10_000), Close()])
        with self.assertRaises(ConnectionEnded):
            await self.tls(peer)
        for _ in range(2):
            with self.assertRaises(ssl.SSLError):
                await self.tls(peer)
