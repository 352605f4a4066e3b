"""A client's connection: phases, deadlines, order, and the ways it closes."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from aluvia.net.pace import Phase
from aluvia.net.test.serving import (
    CHUNKED_POST,
    GET,
    POST,
    RecordingResponder,
    ServerConnectionCase,
)


class RequestTests(ServerConnectionCase):
    """Requests in, answers out."""

    def test_whole_request(self) -> None:
        """A request without a body is one head and one end."""
        self.connection.dataReceived(GET)
        (responder,) = self.application.responders
        self.assertEqual(responder.head.method, b"GET")
        self.assertEqual(responder.told, ["end"])

    def test_body(self) -> None:
        """A body goes to the responder as it comes."""
        self.connection.dataReceived(POST + b"1234")
        self.connection.dataReceived(b"5678")
        (responder,) = self.application.responders
        self.assertEqual(responder.body, b"12345678")
        self.assertEqual(responder.told, ["end"])

    def test_one_at_a_time_and_in_order(self) -> None:
        """The second of two pipelined requests waits for the first one's answer."""
        self.connection.dataReceived(GET + GET.replace(b"/ HTTP", b"/2 HTTP"))
        self.assertEqual(len(self.application.responders), 1)
        self.connection.answer(200, b"OK", (), b"first")
        self.assertEqual(len(self.application.responders), 2)
        self.assertEqual(self.application.responders[1].head.target, b"http://a.test/2")
        self.connection.answer(200, b"OK", (), b"second")
        sent = self.transport.value()
        self.assertLess(sent.index(b"first"), sent.index(b"second"))
        self.assertIs(self.connection.phase, Phase.WAITING)

    def test_a_responder_that_raises(self) -> None:
        """Who waits for the client to be gone is told all the same."""
        gone: list[str] = []
        self.connection.dataReceived(GET)
        self.connection.when_gone("a", lambda: gone.append("a"))
        self.patch(RecordingResponder, "client_lost", lambda _: 1 / 0)
        lost = Failure(ConnectionDone())
        self.assertRaises(ZeroDivisionError, self.connection.connectionLost, lost)
        self.assertEqual(gone, ["a"])

    def test_connection_close_is_honoured(self) -> None:
        """``Connection: close`` closes after the answer, without a reset."""
        self.connection.dataReceived(GET.replace(b"Host", b"Connection: close\r\nHost"))
        self.connection.answer(200, b"OK", (), b"bye")
        self.assertIn(b"Connection: close", self.transport.value())
        self.assertTrue(self.transport.disconnecting)

    def test_answer_before_the_body_is_read(self) -> None:
        """An early answer half-closes, discards what comes, and closes at the client's FIN."""
        self.connection.dataReceived(POST + b"1234")
        self.connection.answer(413, b"Content Too Large", ())
        self.assertTrue(self.transport.half_closed)
        self.assertFalse(self.transport.disconnecting)
        self.connection.dataReceived(b"5678")
        self.connection.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)

    def test_violation_is_answered(self) -> None:
        """What is no request is refused by the application, and the connection closes."""
        self.connection.dataReceived(b"NOT HTTP\r\n\r\n")
        self.assertEqual(self.application.violations, [400])
        self.assertIn(self.connection.phase, (Phase.LINGER, Phase.CLOSING))

    def test_violation_in_a_body(self) -> None:
        """A bad chunk ends the request: its responder is told, and answers."""
        self.connection.dataReceived(CHUNKED_POST)
        self.connection.dataReceived(b"zz\r\n")
        self.assertEqual(self.application.responders[0].told, ["broken 400"])
        self.assertEqual(self.application.violations, [])

    def test_fin_after_a_whole_request(self) -> None:
        """A half-closed client gets its answer, and then the close."""
        self.connection.dataReceived(GET)
        self.connection.readConnectionLost()
        self.assertEqual(self.application.responders[0].told, ["end", "client ended"])
        self.connection.answer(200, b"OK", (), b"still here")
        self.assertIn(b"still here", self.transport.value())
        self.assertTrue(self.transport.disconnecting)

    def test_fin_behind_pipelined_requests(self) -> None:
        """All that was asked before the FIN is answered."""
        self.connection.dataReceived(GET * 2)
        self.connection.readConnectionLost()
        self.connection.answer(200, b"OK", (), b"first")
        self.assertFalse(self.transport.disconnecting)
        self.connection.answer(200, b"OK", (), b"second")
        self.assertIn(b"second", self.transport.value())
        self.assertTrue(self.transport.disconnecting)

    def test_fin_in_the_middle(self) -> None:
        """A FIN in the middle of a head is answered, for a client that may still read."""
        self.connection.dataReceived(GET[:10])
        self.connection.readConnectionLost()
        self.assertEqual(self.application.violations, [400])
        self.assertTrue(self.transport.disconnecting)

    def test_fin_between_requests(self) -> None:
        """A FIN on an idle connection closes it."""
        self.connection.readConnectionLost()
        self.assertTrue(self.transport.disconnecting)

    def test_lost(self) -> None:
        """A lost connection tells its responder, and watches nothing."""
        self.connection.dataReceived(GET)
        self.lose()
        self.assertEqual(self.application.responders[0].told, ["end", "client lost"])
        self.pass_time(100)
        self.assertFalse(self.transport.aborted)

    def test_backpressure_reaches_the_responder(self) -> None:
        """A slow client pauses and resumes whoever answers."""
        self.connection.dataReceived(GET)
        self.connection.pauseProducing()
        self.connection.resumeProducing()
        self.assertEqual(self.application.responders[0].told, ["end", "pause", "resume"])

    def test_pipelined_bytes_are_bounded(self) -> None:
        """Beyond the limit the transport is paused, and read again when an answer makes room."""
        self.connection.dataReceived(GET)
        waiting = GET * (self.limits.pipelined_bytes // len(GET) + 2)
        self.connection.dataReceived(waiting)
        self.assertEqual(self.transport.producerState, "paused")
        while self.transport.producerState == "paused":
            self.connection.answer(200, b"OK", ())
        self.assertGreater(self.connection.exchange.held, 0)

    def test_drain(self) -> None:
        """A drained connection answers what it has begun with ``Connection: close``."""
        self.connection.dataReceived(GET)
        self.connection.drain()
        self.assertFalse(self.transport.disconnecting)
        self.connection.answer(200, b"OK", ())
        self.assertIn(b"Connection: close", self.transport.value())
        self.assertTrue(self.transport.disconnecting)

    def test_drain_idle(self) -> None:
        """An idle connection closes at once."""
        self.connection.drain()
        self.assertTrue(self.transport.disconnecting)


class AnswersAtOnceTests(ServerConnectionCase):
    """An application that answers within the call."""

    at_once = True

    def test_a_thousand_pipelined_requests(self) -> None:
        """They do not nest."""
        self.connection.dataReceived(GET * 1000)
        self.assertEqual(len(self.application.responders), 1000)
        self.assertEqual(self.transport.value().count(b"HTTP/1.1 200 OK"), 1000)


class DeadlineTests(ServerConnectionCase):
    """Each phase has an absolute end."""

    def test_nothing_ever_comes(self) -> None:
        """A connection without a request closes after the head deadline, unanswered."""
        self.pass_time(29)
        self.assertFalse(self.transport.disconnecting)
        self.pass_time(2)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.transport.value(), b"")

    def test_slowloris(self) -> None:
        """One byte every five seconds does not hold a connection past the head deadline."""
        for at in range(7):
            self.connection.dataReceived(GET[at : at + 1])
            self.pass_time(5)
        self.assertEqual(self.application.violations, [408])

    def test_keep_alive(self) -> None:
        """An idle connection is kept for its time and no longer."""
        self.connection.dataReceived(GET)
        self.connection.answer(200, b"OK", ())
        self.pass_time(74)
        self.assertFalse(self.transport.disconnecting)
        self.pass_time(2)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_body(self) -> None:
        """A body that comes slower than the least rate is refused."""
        self.connection.dataReceived(POST.replace(b": 8", b": 80000"))
        for _ in range(62):
            self.connection.dataReceived(b"x" * 50)
            self.pass_time(1)
        self.assertEqual(self.application.responders[0].told, ["broken 408"])

    def test_body_at_the_least_rate(self) -> None:
        """A body at the least rate goes on."""
        self.connection.dataReceived(POST.replace(b": 8", b": 80000"))
        for _ in range(200):
            self.connection.dataReceived(b"x" * 101)
            self.pass_time(1)
        self.assertEqual(self.application.responders[0].told, [])

    def test_body_that_we_do_not_read(self) -> None:
        """While we keep the client waiting its rate is not its fault."""
        self.connection.dataReceived(POST.replace(b": 8", b": 80000"))
        self.connection.pause_request()
        self.pass_time(130)
        self.assertEqual(self.application.responders[0].told, [])
        self.pass_time(500)
        self.assertEqual(self.application.responders[0].told, ["timed out"])

    def test_silent_answer(self) -> None:
        """A responder without a byte for the idle time is told."""
        self.connection.dataReceived(GET)
        self.pass_time(602)
        self.assertEqual(self.application.responders[0].told, ["end", "timed out"])

    def test_keep_alive_after_a_silent_answer(self) -> None:
        """When it is answered that nothing came, the connection is idle as after any answer."""
        connection = self.connection

        class GivesUp(RecordingResponder):
            """Answers."""

            def timed_out(self) -> None:
                """Say so."""
                connection.answer(504, b"Gateway Timeout", ())

        connection.dataReceived(GET)
        connection.responder = GivesUp(self.application.responders[0].head)
        self.pass_time(601)
        self.assertIs(connection.phase, Phase.WAITING)
        self.pass_time(77)
        self.assertTrue(self.transport.disconnecting)

    def test_slow_answer(self) -> None:
        """An answer that moves is not idle."""
        self.connection.dataReceived(GET)
        self.connection.write(self.connection.exchange.respond(200, b"OK", (), 5))
        for _ in range(4):
            self.pass_time(500)
            self.connection.write(self.connection.exchange.data(b"x"))
        self.assertEqual(self.application.responders[0].told, ["end"])

    def test_linger_is_bounded_in_time(self) -> None:
        """A client that does not close is cut, but not before it has read its early answer."""
        self.connection.dataReceived(POST)
        self.connection.answer(413, b"Content Too Large", ())
        self.pass_time(100)
        self.assertFalse(self.transport.aborted)
        self.connection.writeConnectionLost()
        self.pass_time(7)
        self.assertTrue(self.transport.aborted)

    def test_linger_is_bounded_in_bytes(self) -> None:
        """A client that goes on sending after an early answer is cut."""
        self.connection.dataReceived(POST.replace(b": 8", b": 8000000"))
        self.connection.answer(413, b"Content Too Large", ())
        self.connection.dataReceived(b"x" * self.limits.discarded_bytes)
        self.assertFalse(self.transport.aborted)
        self.connection.dataReceived(b"x")
        self.assertTrue(self.transport.aborted)
