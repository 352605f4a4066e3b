"""A WebSocket over a transport: its handshake, its messages, its end."""

from __future__ import annotations

import logging
import tracemalloc

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.net.test.cables import Cable
from aluvia.net.websocket import (
    CLOSE_SECONDS,
    HANDSHAKE_SECONDS,
    MESSAGE_BYTES,
    MOST_UNANSWERED_PINGS,
    Asked,
    Close,
    HandshakeRefused,
    WebSocket,
    WebSocketClosed,
)

ASKED = Asked("ws://hub.test/agent", [("Authorization", "Bearer s3cret")])


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.opens = 0
        self.data = b""
        self.texts: list[str] = []
        self.ends: list[BaseException] = []

    def websocket_open(self) -> None:
        """Note it."""
        self.opens += 1

    def data_received(self, data: bytes) -> None:
        """Note it."""
        self.data += data

    def text_received(self, text: str) -> None:
        """Note it."""
        self.texts.append(text)

    def websocket_ended(self, why: BaseException) -> None:
        """Note it."""
        self.ends.append(why)


@implementer(IPushProducer)
class Producer:
    """Notes whether it is paused."""

    paused = False

    def pauseProducing(self) -> None:
        """Note it."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Note it."""
        self.paused = False

    def stopProducing(self) -> None:
        """Not of interest."""


class WebSocketCase(SynchronousTestCase):
    """A client's end and a server's."""

    def setUp(self) -> None:
        """Shake hands, but for the server's answer."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.client_is, self.server_is = Owner(), Owner()
        self.client = WebSocket(self.client_is, self.sweep, ASKED)
        self.server = WebSocket(self.server_is, self.sweep)
        self.cable = Cable(self.server, self.client)
        self.request = b"".join(self.cable.far.written)
        self.cable.far.written.clear()

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Of the client's request."""
        lines = self.request.split(b"\r\n")[1:-2]
        return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]

    def shake(self) -> None:
        """Answer."""
        agreed = self.server.agree(b"/agent", self.fields())
        assert agreed is not None
        lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade"]
        lines += [b"%b: %b" % field for field in agreed]
        self.cable.near.write(b"\r\n".join([*lines, b"", b""]))
        self.server.opened()
        self.cable.carry()


class HandshakeTests(WebSocketCase):
    """They agree, or they do not."""

    def test_agreed(self) -> None:
        """Both are told, and the key is in a field and not in the URL."""
        self.assertTrue(self.request.startswith(b"GET /agent HTTP/1.1\r\nHost: hub.test\r\n"))
        self.assertIn((b"Authorization", b"Bearer s3cret"), self.fields())
        self.shake()
        self.assertEqual((self.client_is.opens, self.server_is.opens), (1, 1))

    def test_no_key_in_a_repr(self) -> None:
        """It may come into a traceback."""
        self.assertNotIn("s3cret", repr(ASKED))

    def test_byte_by_byte_and_with_trailing_data(self) -> None:
        """However the answer comes, and what is behind it."""
        agreed = self.server.agree(b"/agent", self.fields())
        assert agreed is not None
        head = b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n"
        head += b"".join(b"%b: %b\r\n" % field for field in agreed) + b"\r\n"
        self.server.opened()
        self.server.send_text("first")
        whole = head + b"".join(self.cable.near.written)
        for byte in whole:
            self.client.dataReceived(bytes([byte]))
        self.assertEqual((self.client_is.opens, self.client_is.texts), (1, ["first"]))

    def test_not_a_request_for_one(self) -> None:
        """The server says so."""
        for wrong in (b"sec-websocket-key", b"sec-websocket-version", b"upgrade"):
            fields = [field for field in self.fields() if field[0].lower() != wrong]
            server = WebSocket(Owner(), self.sweep)
            self.assertIsNone(server.agree(b"/agent", fields))

    def test_refused(self) -> None:
        """The client knows the status."""
        self.cable.near.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        self.cable.carry()
        [why] = self.client_is.ends
        assert isinstance(why, HandshakeRefused)
        self.assertEqual(why.status, 401)

    def test_a_wrong_accept(self) -> None:
        """It is the answer to somebody else."""
        self.cable.near.write(
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
        )
        self.cable.carry()
        self.assertIsInstance(self.client_is.ends[0], HandshakeRefused)
        self.assertEqual(
            str(self.client_is.ends[0]), "The server's 101 is no answer to our handshake."
        )
        self.assertEqual(self.client_is.opens, 0)

    def test_garbage(self) -> None:
        """That is no answer; nor is one without an end."""
        for noise in (b"\x16\x03\x01garbage\r\n\r\n", b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 20_000):
            self.setUp()
            self.cable.near.write(noise)
            self.cable.carry()
            self.assertIsInstance(self.client_is.ends[0], HandshakeRefused)

    def test_no_answer(self) -> None:
        """It is not waited for without end."""
        for _ in range(int(HANDSHAKE_SECONDS) + 1):
            self.clock.advance(1)
        self.cable.carry()
        [why] = self.client_is.ends
        self.assertIn("too long", str(why))
        self.assertEqual(len(self.sweep), 0)

    def test_nothing_is_logged(self) -> None:
        """A key does not reach a log by way of the library's, whatever its level."""
        with self.assertNoLogs(level=logging.DEBUG):
            logging.getLogger("websockets").setLevel(logging.DEBUG)
            self.addCleanup(logging.getLogger("websockets").setLevel, logging.NOTSET)
            self.setUp()
            self.shake()


class MessageTests(WebSocketCase):
    """What is sent comes."""

    def setUp(self) -> None:
        """It is open."""
        super().setUp()
        self.shake()

    def raw(self, *frames: tuple[Opcode, bytes, bool]) -> None:
        """Send frames as the client, whatever they are."""
        for opcode, data, fin in frames:
            wire = Frame(opcode, data, fin).serialize(mask=True, extensions=[])
            self.cable.far.write(wire)
        self.cable.carry()

    def test_both_ways(self) -> None:
        """Bytes and texts."""
        self.client.send([b"up" * 10_000])
        self.client.send_text("grüße")
        self.server.send([b"down"])
        self.server.send_text("ok")
        self.cable.carry()
        self.assertEqual((self.server_is.data, self.server_is.texts), (b"up" * 10_000, ["grüße"]))
        self.assertEqual((self.client_is.data, self.client_is.texts), (b"down", ["ok"]))

    def test_byte_by_byte(self) -> None:
        """However it comes."""
        self.client.send([b"bytes"])
        self.client.send_text("text")
        for byte in b"".join(self.cable.far.written):
            self.server.dataReceived(bytes([byte]))
        self.assertEqual((self.server_is.data, self.server_is.texts), (b"bytes", ["text"]))

    def test_pieces(self) -> None:
        """A message in fragments, with a ping between them."""
        self.raw(
            (Opcode.TEXT, "gr\u00fc".encode()[:3], False),
            (Opcode.PING, b"?", True),
            (Opcode.CONT, "\u00fc".encode()[1:] + b"n", True),
            (Opcode.BINARY, b"a", False),
            (Opcode.CONT, b"b", True),
        )
        self.assertEqual((self.server_is.texts, self.server_is.data), (["grün"], b"ab"))

    def test_a_message_that_is_too_long(self) -> None:
        """It is not held: the peer is told, and it is over. In fragments as well."""
        self.raw((Opcode.TEXT, bytes(MESSAGE_BYTES), False), (Opcode.CONT, b"x", True))
        self.assertEqual(len(self.server_is.ends), 1)
        self.assertEqual(self.server_is.texts, [])

    def test_empty_fragments_without_end(self) -> None:
        """They are held by nobody, however many there are."""
        self.raw((Opcode.TEXT, b"a", False))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            self.raw(*[(Opcode.CONT, b"", False)] * 1_000)
        after, _ = tracemalloc.get_traced_memory()
        self.assertLess(after - before, 20_000)
        self.raw((Opcode.CONT, b"b", True))
        self.assertEqual(self.server_is.texts, ["ab"])

    def test_no_utf_8(self) -> None:
        """A text that is none is not handed on."""
        self.raw((Opcode.TEXT, b"\xff\xfe", True))
        self.assertEqual((self.server_is.texts, len(self.server_is.ends)), ([], 1))
        self.assertIn("UTF-8", str(self.client_is.ends[0]))

    def test_not_masked(self) -> None:
        """A client masks (RFC 6455 section 5.1)."""
        wire = Frame(Opcode.BINARY, b"x", True).serialize(mask=False, extensions=[])
        self.cable.far.write(wire)
        self.cable.carry()
        self.assertEqual((self.server_is.data, len(self.server_is.ends)), (b"", 1))
        self.assertIn("rules", str(self.server_is.ends[0]))

    def test_pings_of_a_peer_that_reads_nothing(self) -> None:
        """They are not answered without end."""
        self.server.use_producer(Producer())
        self.server.pauseProducing()
        for _ in range(MOST_UNANSWERED_PINGS + 1):
            self.raw((Opcode.PING, b"?", True))
        self.assertEqual(len(self.server_is.ends), 1)

    def test_pings_of_a_peer_that_reads_nothing_before_anybody_writes(self) -> None:
        """Likewise: nobody has to be let in for it."""
        self.cable.near.producer.pauseProducing()
        for _ in range(MOST_UNANSWERED_PINGS + 1):
            self.raw((Opcode.PING, b"?", True))
        self.assertEqual(len(self.server_is.ends), 1)

    def test_a_producer_that_comes_late(self) -> None:
        """It is paused, if the transport was."""
        producer = Producer()
        self.cable.near.producer.pauseProducing()
        self.server.use_producer(producer)
        self.assertTrue(producer.paused)

    def test_a_producer_is_paused(self) -> None:
        """By the transport's word."""
        producer = Producer()
        self.server.use_producer(producer)
        self.cable.near.producer.pauseProducing()
        self.assertTrue(producer.paused)
        self.cable.near.producer.resumeProducing()
        self.assertFalse(producer.paused)


class EndTests(WebSocketCase):
    """It ends, in order or not."""

    def setUp(self) -> None:
        """It is open."""
        super().setUp()
        self.shake()

    def test_closed_by_either(self) -> None:
        """The other side hears why; both are over."""
        for closing in ("client", "server"):
            self.setUp()
            ends: dict[str, WebSocket] = {"client": self.client, "server": self.server}
            ends[closing].close(Close.GOING_AWAY, "enough")
            self.cable.carry()
            [why] = (self.server_is if closing == "client" else self.client_is).ends
            assert isinstance(why, WebSocketClosed)
            self.assertEqual((why.code, str(why)), (Close.GOING_AWAY, "enough"))
            self.assertEqual((len(self.client_is.ends), len(self.server_is.ends)), (1, 1))
            self.assertEqual(len(self.sweep), 0)

    def test_a_close_that_is_not_answered(self) -> None:
        """It is not waited for without end."""
        self.server.close()
        self.cable.near.written.clear()
        for _ in range(int(CLOSE_SECONDS) + 1):
            self.clock.advance(1)
        self.cable.carry()
        self.assertEqual(len(self.server_is.ends), 1)

    def test_what_is_sent_behind_a_close(self) -> None:
        """It is dropped, on both sides."""
        self.server.close()
        self.server.send([b"late"])
        self.server.send_text("late")
        self.client.send([b"too late"])
        self.cable.carry()
        self.assertEqual((self.client_is.data, self.client_is.texts), (b"", []))
        self.assertEqual(self.server_is.data, b"")

    def test_pings_behind_our_close(self) -> None:
        """They are not answered: its reader may be gone, and there may be many."""
        self.server.close()
        sent = [*self.cable.near.written]
        ping = Frame(Opcode.PING, b"?").serialize(mask=True)
        for _ in range(2):
            self.server.dataReceived(ping)
        self.assertEqual(self.cable.near.written, sent)
        self.cable.carry()
        self.assertEqual((len(self.server_is.ends), len(self.client_is.ends)), (1, 1))

    def test_an_answer_to_what_came_with_a_close(self) -> None:
        """Both in one read: the owner may answer, and nothing is sent or raised."""

        def answer(text: str) -> None:
            self.client.send([b"late"])
            self.client.send_text("late")
            self.client.close(Close.GOING_AWAY, "late")

        self.patch(self.client_is, "text_received", answer)
        self.server.send_text("sorry")
        self.server.close(Close.NORMAL, "enough")
        self.cable.carry()
        self.assertEqual((self.server_is.data, self.server_is.texts), (b"", []))
        self.assertEqual([str(why) for why in self.client_is.ends], ["enough"])

    def test_lost(self) -> None:
        """The reason is the connection's."""
        self.cable.near.abortConnection()
        self.cable.carry()
        self.assertEqual((len(self.client_is.ends), len(self.server_is.ends)), (1, 1))
        self.client.close()
        self.client.abort()
        self.assertEqual(len(self.client_is.ends), 1)

    def test_a_reason_is_fit_for_a_log(self) -> None:
        """Whatever a peer writes there, and however long it is."""
        self.server.close(Close.GOING_AWAY, "a\nb" + "ä" * 200)
        self.cable.carry()
        self.assertTrue(str(self.client_is.ends[0]).startswith("a?bä"))
