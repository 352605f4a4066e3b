"""Clients that ask, and do not read what they are answered: nothing more is begun for them."""

from __future__ import annotations

from aluvia.net.http_server import ServerConnection
from aluvia.net.pace import Phase
from aluvia.net.test.serving import (
    GET,
    POST,
    HalfClosingTransport,
    RecordingApplication,
    RecordingResponder,
    ServerConnectionCase,
)
from aluvia.wire.head import RequestHead

ANSWER = b"x" * 400


def numbered(number: int) -> bytes:
    """A request that can be told from the others."""
    return GET.replace(b"/ HTTP", b"/%d HTTP" % number)


class UnreadTransport(HalfClosingTransport):
    """
    A transport whose peer reads when a test says so.

    Above its mark it tells the producer to pause, at each write; and to resume when all is read.

    :cvar mark: bytes.
    """

    mark = 2_000

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""

    def write(self, data: bytes) -> None:
        """Queue it."""
        super().write(data)
        if self.producer is not None and len(self.value()) > self.mark:
            self.producer.pauseProducing()

    def read(self) -> None:
        """The peer reads all that is queued."""
        full = len(self.value()) > self.mark
        self.taken += self.value()
        self.clear()
        if full and self.producer is not None:
            self.producer.resumeProducing()

    def read_all(self) -> bytes:
        """The peer reads until nothing comes any more; what it has read in all."""
        while self.value():
            self.read()
        return self.taken


class SlowClientCase(ServerConnectionCase):
    """A connection over such a transport."""

    transport: UnreadTransport

    def make_transport(self) -> UnreadTransport:
        """One of these."""
        return UnreadTransport()

    def most_queued(self, answer: bytes) -> int:
        """The mark, and one answer."""
        return self.transport.mark + len(answer) + 200


class Answering(RecordingApplication):
    """Answers each request at once, with its target and more."""

    def request(self, connection: ServerConnection, head: RequestHead) -> RecordingResponder | None:
        """Answer."""
        self.responders.append(RecordingResponder(head))
        connection.answer(407, b"No", (), head.target + b";" + ANSWER)
        return None


class AnsweredAtOnceTests(SlowClientCase):
    """An application that refuses within the call."""

    def make_application(self) -> Answering:
        """One of these."""
        return Answering()

    def test_what_is_queued_is_bounded(self) -> None:
        """Requests without end: no more is answered than fits, and then no more is read."""
        sent = 0
        while self.transport.producerState == "producing":
            self.connection.dataReceived(GET * 10)
            sent += 10
            self.assertLess(sent, 10_000)
        self.assertLessEqual(len(self.transport.value()), self.most_queued(ANSWER))
        self.assertLess(len(self.application.responders), 10)
        self.assertLess(self.connection.exchange.held, 2 * self.limits.pipelined_bytes)

    def test_all_is_answered_in_order(self) -> None:
        """When the client reads, what it asked is answered, each once."""
        for number in range(1000):
            self.connection.dataReceived(numbered(number))
        answers = self.transport.read_all()
        targets = [part.rpartition(b"/")[2] for part in answers.split(b";")[:-1]]
        self.assertEqual(targets, [b"%d" % number for number in range(1000)])
        self.assertIs(self.connection.phase, Phase.WAITING)
        self.assertEqual(self.transport.producerState, "producing")

    def test_a_body_in_one_piece_with_its_head(self) -> None:
        """What is refused at once is of no other kind for having a body, and waits as long."""
        self.connection.dataReceived((POST + b"12345678") * 20)
        self.assertLess(len(self.application.responders), 10)
        self.pass_time(500)
        self.assertFalse(self.transport.aborted)
        self.transport.read_all()
        self.assertEqual(len(self.application.responders), 20)

    def test_fin_behind_them(self) -> None:
        """A client that has sent all, and reads at last, is answered to its last request."""
        for number in range(20):
            self.connection.dataReceived(numbered(number))
        self.connection.readConnectionLost()
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.transport.read_all().count(b"HTTP/1.1 407 No"), 20)
        self.assertTrue(self.transport.disconnecting)

    def test_fin_behind_the_last_one(self) -> None:
        """Where none is left to be answered it closes behind what is queued."""
        while not len(self.transport.value()) > self.transport.mark:
            self.connection.dataReceived(GET)
        self.connection.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)
        self.assertIs(self.connection.phase, Phase.CLOSING)

    def test_connection_close_among_them(self) -> None:
        """The request that asks for the close is the last one that is answered."""
        last = numbered(10).replace(b"Host", b"Connection: close\r\nHost")
        self.connection.dataReceived(GET * 10 + last + GET * 10)
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.transport.read_all().count(b"HTTP/1.1 407 No"), 11)
        self.assertTrue(self.transport.disconnecting)

    def test_drain(self) -> None:
        """A drain begins none of those that wait, and closes when the client has read."""
        self.connection.dataReceived(GET * 20)
        begun = len(self.application.responders)
        self.connection.drain()
        self.transport.read_all()
        self.assertEqual(len(self.application.responders), begun)
        self.assertTrue(self.transport.disconnecting)

    def test_one_that_never_reads(self) -> None:
        """Is reset when nothing has moved for the idle time."""
        self.connection.dataReceived(GET * 20)
        self.pass_time(599)
        self.assertFalse(self.transport.aborted)
        self.pass_time(602)
        self.assertTrue(self.transport.aborted)

    def test_a_violation_behind_them(self) -> None:
        """More than is ever kept closes, without an answer out of turn."""
        self.connection.dataReceived(GET * 20)
        begun = len(self.application.responders)
        self.connection.dataReceived(b"x" * self.limits.held_bytes)
        self.assertTrue(self.transport.half_closed)
        answers = self.transport.read_all()
        self.assertEqual(answers.count(b"HTTP/1.1 "), begun)
        self.assertEqual(self.application.violations, [])


class AnsweredInOneSegmentTests(SlowClientCase):
    """Responders whose answers are whole in one write, which pauses them at their end."""

    def test_the_next_one_waits(self) -> None:
        """The next request is not begun before the client has read; then it is, and once."""
        self.connection.dataReceived(b"".join(map(numbered, range(20))))
        while len(self.transport.value()) <= self.transport.mark:
            self.connection.answer(200, b"OK", (), ANSWER)
        begun = len(self.application.responders)
        self.assertIsNone(self.connection.responder)
        self.assertIs(self.connection.phase, Phase.ANSWER)
        self.transport.read()
        self.assertEqual(len(self.application.responders), begun + 1)
        head = self.application.responders[-1].head
        self.assertEqual(head.target, b"http://a.test/%d" % begun)
        self.assertNotIn("pause", self.application.responders[-1].told)

    def test_bounded(self) -> None:
        """However many there are, what is queued is."""
        self.connection.dataReceived(GET * 1000)
        for _ in range(1000):
            if self.connection.responder is None:
                break
            self.connection.answer(200, b"OK", (), ANSWER)
        self.assertLessEqual(len(self.transport.value()), self.most_queued(ANSWER))

    def test_lost_while_it_waits(self) -> None:
        """Nothing is begun for a client that has gone."""
        self.connection.dataReceived(GET * 20)
        while self.connection.responder is not None:
            self.connection.answer(200, b"OK", (), ANSWER)
        begun = len(self.application.responders)
        self.lose()
        self.pass_time(1000)
        self.assertEqual(len(self.application.responders), begun)
        self.assertEqual(len(self.sweep), 0)

    def test_a_violation_is_no_request(self) -> None:
        """What comes behind a violation is not read when the client does."""
        self.connection.dataReceived(GET)
        self.connection.pauseProducing()
        self.connection.answer(200, b"OK", (), ANSWER)
        self.connection.dataReceived(b"NOT HTTP\r\n\r\n" + GET)
        self.assertEqual(self.application.violations, [])
        self.connection.resumeProducing()
        self.assertEqual(self.application.violations, [400])
        self.assertEqual(len(self.application.responders), 1)
