"""Tests for :mod:`aluvia.wire.server_exchange`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.exchange import CHUNKED, END, UNTIL_CLOSE, ServerExchange, Trailers
from aluvia.wire.head import RequestHead, parse_request_head
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.test.messages import post, request
from aluvia.wire.test.pieces import GET, received, splits

CONNECT = request(line=b"CONNECT a.example:443 HTTP/1.1")
UPGRADE = request(b"Connection: Upgrade\r\nUpgrade: websocket\r\n")


def asked(raw: bytes = GET, limits: Limits = DEFAULT_LIMITS) -> ServerExchange:
    """Return an exchange that has received this."""
    exchange = ServerExchange(limits)
    exchange.receive(raw)
    return exchange


def head_of(raw: bytes) -> RequestHead:
    """Return what the head of this says."""
    return parse_request_head(raw[: raw.index(b"\r\n\r\n") + 4], DEFAULT_LIMITS)


class ReceiveTests(SynchronousTestCase):
    """Requests, however they arrive."""

    def assert_read(self, raw: bytes, *after_head: object) -> None:
        """Read ``raw`` in every split, alone and with the next request behind it."""
        for behind in (b"", GET):
            for pieces in splits(raw + behind):
                exchange = ServerExchange()
                events, violation = received(exchange, pieces)
                self.assertIs(violation, None)
                self.assertEqual(events, [head_of(raw), *after_head])
                self.assertEqual(exchange.held, len(behind))
                self.assertEqual(exchange.request, head_of(raw))

    def test_without_a_body(self) -> None:
        """A head, and the end."""
        self.assert_read(GET, END)
        self.assert_read(post(b""), END)
        self.assert_read(post(b"Content-Length: 0\r\n"), END)
        self.assert_read(request(line=b"GET / HTTP/1.0", host=b""), END)

    def test_exact_body(self) -> None:
        """So many bytes."""
        self.assert_read(post(b"Content-Length: 5\r\n") + b"hello", b"hello", END)

    def test_chunked_body(self) -> None:
        """Chunks, with trailers or without."""
        head = post(b"Transfer-Encoding: chunked\r\n")
        self.assert_read(head + b"5\r\nhello\r\n0\r\n\r\n", b"hello", END)
        self.assert_read(head + b"0\r\n\r\n", END)
        self.assert_read(head + b"0\r\nA: b\r\n\r\n", Trailers([(b"A", b"b")]), END)

    def test_empty_lines_in_front(self) -> None:
        """A few are ignored, and are nothing of a request yet (RFC 9112 section 2.2)."""
        for pieces in splits(b"\r\n\r\n" + GET):
            self.assertEqual(received(ServerExchange(), pieces)[0], [head_of(GET), END])
        exchange = asked(b"\r\n")
        self.assertTrue(exchange.idle)
        self.assertFalse(exchange.mid_message)

    def test_empty_lines_are_counted_anew(self) -> None:
        """The bound is for each request."""
        exchange = ServerExchange(Limits(leading_empty_lines=2))
        for _ in range(3):
            self.assertEqual(len(exchange.receive(b"\r\n\r\n" + GET)), 2)
            exchange.respond(200, b"OK", (), 0)
            exchange.end()
            exchange.next_cycle()
        self.assertRaises(ProtocolViolation, exchange.receive, b"\r\n\r\n\r\n" + GET)

    def test_a_head_that_comes_byte_by_byte_is_searched_once(self) -> None:
        """No byte is looked at again and again: 60 000 of them are no 1 800 000 000."""
        exchange = ServerExchange()
        raw = b"GET /" + b"a" * 60_000
        for at in range(len(raw)):
            exchange.receive(raw[at : at + 1])
            self.assertGreaterEqual(exchange._searched, at - 2)

    def test_where_it_is(self) -> None:
        """Idle, in the middle, done; from byte to byte."""
        exchange = ServerExchange()
        self.assertEqual((exchange.idle, exchange.mid_message, exchange.held), (True, False, 0))
        raw = post(b"Content-Length: 2\r\n") + b"ab"
        for byte in raw[:-1]:
            exchange.receive(bytes([byte]))
            self.assertEqual((exchange.idle, exchange.mid_message, exchange.held), (False, True, 0))
        exchange.receive(raw[-1:])
        self.assertEqual((exchange.idle, exchange.mid_message), (False, False))

    def test_pipelined(self) -> None:
        """Requests that came together are answered one by one, in order."""
        paths = [b"/%d" % number for number in range(1000)]
        exchange = ServerExchange()
        events = exchange.receive(
            b"".join(request(line=b"GET %b HTTP/1.1" % path) for path in paths)
        )
        for path in paths:
            head, end = events
            assert isinstance(head, RequestHead)
            self.assertEqual((head.target, end), (path, END))
            exchange.respond(204, b"No Content", (), 0)
            exchange.end()
            events = exchange.next_cycle()
        self.assertEqual(events, [])
        self.assertTrue(exchange.idle)

    def test_pipelined_bodies(self) -> None:
        """Bodies among them, and half a request at the end."""
        raw = post(b"Transfer-Encoding: chunked\r\n") + b"1\r\nx\r\n0\r\n\r\n"
        exchange = ServerExchange()
        exchange.receive(raw + post(b"Content-Length: 3\r\n") + b"abc" + raw[:-4])
        results = []
        for _ in range(2):
            exchange.respond(200, b"OK", (), 0)
            exchange.end()
            results.append(exchange.next_cycle()[1:])
        self.assertEqual(results, [[b"abc", END], [b"x"]])
        self.assertEqual(exchange.receive(b"\r\n\r\n"), [END])

    def test_a_bad_request_behind_a_good_one(self) -> None:
        """It is refused when it is its turn."""
        exchange = asked(GET + b"GET /\r\n\r\n")
        exchange.respond(200, b"OK", (), 0)
        exchange.end()
        self.assertRaises(ProtocolViolation, exchange.next_cycle)
        self.assertTrue(exchange.must_close)
        self.assertIs(exchange.request, None)

    def test_held_bytes_are_bounded(self) -> None:
        """Early bytes and pipelined ones are kept up to the bound, in one read or in many."""
        limits = Limits(held_bytes=100)
        for raw in (GET, CONNECT, UPGRADE):
            exchange = asked(raw + b"x" * 100, limits)
            self.assertEqual(exchange.held, 100)
            self.assertRaises(ProtocolViolation, exchange.receive, b"x")
            self.assertEqual(exchange.held, 0)
            self.assertRaises(ProtocolViolation, asked, raw + b"x" * 101, limits)
            for many, kept in ((100, True), (101, False)):
                violation = received(ServerExchange(limits), [raw[:-1], b"\n" + b"x" * many])[1]
                self.assertIs(violation is None, kept)

    def test_after_a_violation(self) -> None:
        """Nothing that comes is believed, or kept."""
        exchange = ServerExchange()
        self.assertRaises(ProtocolViolation, exchange.receive, b"GET /\r\n\r\n" + GET)
        self.assertEqual(exchange.receive(GET), [])
        self.assertEqual(exchange.receive_eof(), [])
        self.assertEqual(exchange.held, 0)
        self.assertTrue(exchange.must_close)
        self.assertTrue(exchange.may_respond)


class EndOfInputTests(SynchronousTestCase):
    """The client's FIN."""

    def test_between_requests(self) -> None:
        """It is no mistake there, nor behind a whole request."""
        for raw in (b"", b"\r\n", GET, post(b"Content-Length: 1\r\n") + b"x", CONNECT + b"early"):
            self.assertEqual(asked(raw).receive_eof(), [])

    def test_in_the_middle(self) -> None:
        """Half a head or half a body is a violation, which may be answered."""
        for raw in (
            b"G",
            GET[:-1],
            post(b"Content-Length: 2\r\n") + b"x",
            post(b"Transfer-Encoding: chunked\r\n"),
        ):
            exchange = asked(raw)
            violation = self.assertRaises(ProtocolViolation, exchange.receive_eof)
            self.assertEqual(violation.status, 400)
            self.assertTrue(exchange.may_respond)
            self.assertTrue(exchange.must_close)


class RespondTests(SynchronousTestCase):
    """Responses, and the framing that is written with them."""

    def assert_written(
        self, raw: bytes, answer: tuple[int, int], expected: bytes, must_close: bool
    ) -> None:
        """Answer ``raw`` with a status and ``hello`` of a length; compare what is written."""
        status, length = answer
        exchange = asked(raw)
        written = exchange.respond(status, b"X", [(b"A", b"b")], length)
        written += exchange.data(b"hello") + exchange.data(b"") + exchange.end([(b"T", b"t")])
        line, _, rest = expected.partition(b"|")
        self.assertEqual(written, b"HTTP/1.1 %d X\r\nA: b\r\n%b%b" % (status, line, rest), raw)
        self.assertIs(exchange.must_close, must_close, raw)
        self.assertTrue(exchange.complete)

    def test_framing(self) -> None:
        """An exact length, chunks with trailers, or until the connection ends."""
        for raw in (GET, post(b"Content-Length: 1\r\n") + b"x"):
            self.assert_written(raw, (200, 5), b"Content-Length: 5\r\n\r\nhello", False)
            self.assert_written(
                raw,
                (200, CHUNKED),
                b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: t\r\n\r\n",
                False,
            )
            self.assert_written(raw, (200, UNTIL_CLOSE), b"Connection: close\r\n\r\nhello", True)

    def test_http_1_0(self) -> None:
        """Chunks become until-close, and the connection closes in any case."""
        raw = request(b"Connection: keep-alive\r\n", b"GET / HTTP/1.0")
        for length in (CHUNKED, UNTIL_CLOSE):
            self.assert_written(raw, (200, length), b"Connection: close\r\n\r\nhello", True)
        expected = b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
        self.assert_written(raw, (200, 5), expected, True)

    def test_close_is_asked_for(self) -> None:
        """By the client, it is said back."""
        raw = request(b"Connection: close\r\n")
        expected = b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
        self.assert_written(raw, (200, 5), expected, True)

    def test_head_and_304(self) -> None:
        """They say what a GET would get, and send nothing of it."""
        not_modified = (GET, 304)
        for raw, status in ((request(line=b"HEAD / HTTP/1.1"), 200), not_modified):
            self.assert_written(raw, (status, 5), b"Content-Length: 5\r\n\r\n", False)
            for length in (0, CHUNKED, UNTIL_CLOSE):
                self.assert_written(raw, (status, length), b"\r\n", False)

    def test_204(self) -> None:
        """It has no length at all (RFC 9110 section 8.6)."""
        for length in (0, 5, CHUNKED, UNTIL_CLOSE):
            self.assert_written(GET, (204, length), b"\r\n", False)

    def test_close(self) -> None:
        """We may want to close, too."""
        exchange = asked()
        self.assertFalse(exchange.must_close)
        written = exchange.respond(200, b"OK", (), 0, close=True)
        self.assertIn(b"\r\nConnection: close\r\n", written)
        self.assertTrue(exchange.must_close)

    def test_keep_alive_is_for_the_next_one_too(self) -> None:
        """Nothing of one cycle is left in the next."""
        exchange = asked(GET + request(line=b"HEAD / HTTP/1.1") + GET)
        lengths = []
        for _ in range(3):
            exchange.respond(200, b"OK", (), 5)
            lengths.append(len(exchange.data(b"hello")))
            exchange.end()
            exchange.next_cycle()
        self.assertEqual(lengths, [5, 0, 5])

    def test_answered_before_the_body_is_read(self) -> None:
        """The connection closes behind the answer, unless the body comes in time."""
        exchange = asked(post(b"Content-Length: 2\r\n"))
        exchange.respond(413, b"Content Too Large", (), 0)
        self.assertFalse(exchange.must_close)
        exchange.end()
        self.assertTrue(exchange.must_close)
        self.assertFalse(exchange.complete)
        self.assertRaises(LocalProtocolError, exchange.next_cycle)
        exchange.receive(b"ab")
        self.assertFalse(exchange.must_close)
        self.assertEqual(exchange.next_cycle(), [])

    def test_a_violation_is_answered(self) -> None:
        """Also when there is no request to answer; and it is the last answer."""
        for raw in (b"GET /\r\n\r\n", post(b"Transfer-Encoding: chunked\r\n") + b"x"):
            exchange = ServerExchange()
            self.assertRaises(ProtocolViolation, exchange.receive, raw)
            written = exchange.respond(400, b"Bad Request", (), 2) + exchange.data(b"no")
            self.assertEqual(
                written + exchange.end(),
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
            )
            self.assertTrue(exchange.must_close)
            self.assertRaises(LocalProtocolError, exchange.next_cycle)

    def test_a_refusal_without_a_request(self) -> None:
        """A head that took too long is answered, and what comes of it is dropped."""
        for length in (0, CHUNKED):
            exchange = asked(GET[:-2])
            written = exchange.respond(408, b"Request Timeout", (), length)
            self.assertIn(b"\r\nConnection: close\r\n", written)
            exchange.end()
            self.assertEqual(exchange.receive(GET[-2:]), [])
            self.assertTrue(exchange.must_close)

    def test_upgrade_required(self) -> None:
        """Upgrade among the fields is said in Connection, beside close if need be."""
        fields = [(b"Upgrade", b"x")]
        written = asked().respond(426, b"Upgrade Required", fields, 0)
        self.assertIn(b"\r\nConnection: Upgrade\r\n", written)
        written = asked().respond(426, b"Upgrade Required", fields, 0, close=True)
        self.assertIn(b"\r\nConnection: close, Upgrade\r\n", written)

    def test_informational(self) -> None:
        """As many as one likes, before the response, and none for HTTP/1.0."""
        exchange = asked()
        hints = exchange.informational(103, [(b"Link", b"</a>")])
        self.assertEqual(hints, b"HTTP/1.1 103 \r\nLink: </a>\r\n\r\n")
        self.assertEqual(exchange.informational(100), b"HTTP/1.1 100 \r\n\r\n")
        exchange.respond(200, b"OK", (), 0)
        old = asked(request(line=b"GET / HTTP/1.0"))
        self.assertEqual(old.informational(100), b"")
