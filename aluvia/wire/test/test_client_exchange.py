"""Tests for :mod:`aluvia.wire.client_exchange`."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.exchange import CHUNKED, END, UNTIL_CLOSE, ClientExchange, Trailers
from aluvia.wire.head import ResponseHead, parse_response_head
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.test.messages import response
from aluvia.wire.test.pieces import asking, received, splits

HOST = [(b"Host", b"a.example")]
UPGRADE = [(b"Upgrade", b"websocket")]
EMPTY = response(b"Content-Length: 0\r\n")
CONTINUE = response(line=b"HTTP/1.1 100 Continue")
SWITCHING = response(
    b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"HTTP/1.1 101 Switching Protocols"
)


def head_of(raw: bytes, method: bytes = b"GET") -> ResponseHead:
    """Return what the head of this says."""
    return parse_response_head(raw[: raw.index(b"\r\n\r\n") + 4], method, DEFAULT_LIMITS)


class RequestTests(SynchronousTestCase):
    """Requests, and the framing that is written with them."""

    def assert_written(
        self, method: bytes, length: int, pieces: list[bytes], expected: bytes
    ) -> None:
        """Write a request with trailers; compare."""
        exchange = ClientExchange()
        written = exchange.request(method, b"/", HOST, length)
        written += b"".join(map(exchange.data, pieces)) + exchange.end([(b"T", b"t")])
        self.assertEqual(written, b"%b / HTTP/1.1\r\nHost: a.example\r\n%b" % (method, expected))

    def test_framing(self) -> None:
        """An exact length, chunks with trailers, or nothing."""
        self.assert_written(b"GET", 0, [], b"\r\n")
        self.assert_written(b"GET", 0, [b""], b"\r\n")
        self.assert_written(b"POST", 5, [b"he", b"llo"], b"Content-Length: 5\r\n\r\nhello")
        self.assert_written(b"GET", 5, [b"hello"], b"Content-Length: 5\r\n\r\nhello")
        self.assert_written(
            b"POST",
            CHUNKED,
            [b"he", b"", b"llo"],
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n",
        )

    def test_no_body_is_said_where_one_is_expected(self) -> None:
        """POST, PUT and PATCH say that there is none (RFC 9110 section 8.6)."""
        for method in (b"POST", b"PUT", b"PATCH"):
            self.assert_written(method, 0, [], b"Content-Length: 0\r\n\r\n")
        for method in (b"DELETE", b"OPTIONS", b"CONNECT", b"BREW"):
            self.assert_written(method, 0, [], b"\r\n")

    def test_upgrade(self) -> None:
        """Upgrade among the fields is said in Connection."""
        written = ClientExchange().request(b"GET", b"/", HOST + UPGRADE, 0)
        self.assertEqual(
            written,
            b"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n\r\n",
        )


class ReceiveTests(SynchronousTestCase):
    """Responses, however they arrive."""

    def assert_read(
        self, raw: bytes, *after_head: object, method: bytes = b"GET", reusable: bool = True
    ) -> None:
        """Read ``raw`` in every split, alone and with bytes behind it that nobody asked for."""
        for behind in (b"", EMPTY) if reusable else (b"",):
            for pieces in splits(raw + behind):
                exchange = asking(method)
                self.assertFalse(exchange.any_bytes_received)
                events, violation = received(exchange, pieces)
                self.assertIs(violation, None)
                self.assertEqual(events, [head_of(raw, method), *after_head])
                self.assertEqual(exchange.response, head_of(raw, method))
                self.assertIs(exchange.reusable, reusable and not behind, pieces)
                self.assertTrue(exchange.any_bytes_received)
                self.assertEqual(exchange.held, 0)

    def test_exact_body(self) -> None:
        """So many bytes."""
        self.assert_read(EMPTY, END)
        self.assert_read(response(b"Content-Length: 5\r\n") + b"hello", b"hello", END)

    def test_chunked_body(self) -> None:
        """Chunks, with trailers or without."""
        head = response(b"Transfer-Encoding: chunked\r\n")
        self.assert_read(head + b"5\r\nhello\r\n0\r\n\r\n", b"hello", END)
        self.assert_read(head + b"0\r\nA: b\r\n\r\n", Trailers([(b"A", b"b")]), END)

    def test_until_close(self) -> None:
        """Until the connection ends; then it is whole, and there is nothing to use again."""
        for raw in (response(), response(line=b"HTTP/1.0 200 OK")):
            self.assert_read(raw, reusable=False)
            self.assert_read(raw + b"hello", b"hello", reusable=False)
            for pieces in splits(raw + b"hello"):
                exchange = asking()
                received(exchange, pieces)
                self.assertEqual(exchange.receive_eof(), [END])
                self.assertEqual(exchange.receive_eof(), [])
                self.assertFalse(exchange.reusable)

    def test_never_a_body(self) -> None:
        """HEAD, 204 and 304 end with their heads."""
        self.assert_read(response(b"Content-Length: 5\r\n"), END, method=b"HEAD")
        self.assert_read(response(), END, method=b"HEAD")
        self.assert_read(response(b"Transfer-Encoding: chunked\r\n"), END, method=b"HEAD")
        for line in (b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified"):
            self.assert_read(response(b"Content-Length: 5\r\n", line), END)

    def test_close(self) -> None:
        """A server that closes is not asked again."""
        for raw in (
            response(b"Content-Length: 0\r\nConnection: close\r\n"),
            response(b"Content-Length: 0\r\n", b"HTTP/1.0 200 OK"),
        ):
            self.assert_read(raw, END, reusable=False)

    def test_informational(self) -> None:
        """They come before the response, each an event of its own."""
        hints = response(b"Link: </a>\r\n", b"HTTP/1.1 103 Early Hints")
        for pieces in splits(CONTINUE + hints + EMPTY):
            exchange = asking()
            events, violation = received(exchange, pieces)
            self.assertIs(violation, None)
            self.assertEqual(events, [*map(head_of, (CONTINUE, hints, EMPTY)), END])
            self.assertTrue(exchange.reusable)

    def test_informational_heads_are_bounded(self) -> None:
        """A server that says nothing for ever is stopped; the bound is for each request."""
        exchange = asking(limits=Limits(informational_heads=2))
        for _ in range(2):
            exchange.receive(CONTINUE * 2 + EMPTY)
            exchange.next_cycle()
            exchange.request(b"GET", b"/", HOST, 0)
            exchange.end()
        violation = self.assertRaises(ProtocolViolation, exchange.receive, CONTINUE * 3)
        self.assertEqual(violation.status, 502)

    def test_an_early_answer(self) -> None:
        """An answer may be whole before its request is; the connection is then of no use."""
        exchange = ClientExchange()
        exchange.request(b"POST", b"/", HOST, 5)
        self.assertEqual(exchange.receive(EMPTY), [head_of(EMPTY), END])
        self.assertFalse(exchange.reusable)
        self.assertRaises(LocalProtocolError, exchange.next_cycle)
        exchange.data(b"hello")
        exchange.end()
        self.assertTrue(exchange.reusable)

    def test_the_next_one(self) -> None:
        """Nothing of one cycle is left in the next."""
        exchange = asking(b"HEAD")
        exchange.receive(response(b"Content-Length: 5\r\n"))
        exchange.next_cycle()
        self.assertIs(exchange.response, None)
        self.assertFalse(exchange.any_bytes_received)
        self.assertFalse(exchange.reusable)
        exchange.request(b"GET", b"/", HOST, 0)
        exchange.end()
        self.assertEqual(
            exchange.receive(response(b"Content-Length: 2\r\n") + b"ab")[1:], [b"ab", END]
        )
        self.assertTrue(exchange.reusable)

    def test_unasked(self) -> None:
        """Bytes on an idle connection answer no request, before the first and between two."""
        idle = asking()
        idle.receive(EMPTY)
        idle.next_cycle()
        for exchange in (ClientExchange(), idle):
            violation = self.assertRaises(ProtocolViolation, exchange.receive, EMPTY)
            self.assertEqual(violation.status, 502)
            self.assertFalse(exchange.reusable)
            self.assertEqual(exchange.receive(EMPTY), [])

    def test_bytes_behind_an_answer_are_not_kept(self) -> None:
        """They are of no use, in any number."""
        exchange = asking()
        for data in (EMPTY + b"x" * 300_000, b"x" * 300_000):
            exchange.receive(data)
            self.assertEqual((exchange.held, exchange.reusable), (0, False))
        self.assertRaises(LocalProtocolError, exchange.next_cycle)

    def test_a_broken_body(self) -> None:
        """It is a 502, and none of what came with it is used."""
        exchange = asking()
        raw = response(b"Transfer-Encoding: chunked\r\n") + b"5\r\nhello\r\nx"
        violation = self.assertRaises(ProtocolViolation, exchange.receive, raw)
        self.assertEqual(
            (violation.status, violation.error), (502, "http_response_transfer_coding")
        )


class EndOfInputTests(SynchronousTestCase):
    """The server's FIN."""

    def test_where_it_may_come(self) -> None:
        """On an idle connection, behind an answer, behind an agreement."""
        answered = asking()
        answered.receive(EMPTY)
        agreed = asking(b"CONNECT")
        agreed.receive(response())
        for exchange in (ClientExchange(), answered, agreed):
            self.assertEqual(exchange.receive_eof(), [])
            self.assertFalse(exchange.reusable)

    def test_cut(self) -> None:
        """Anywhere else it cuts the response, and the name says how far it came."""
        for raw, error in (
            (b"", "connection_terminated"),
            (CONTINUE, "connection_terminated"),
            (b"H", "http_response_incomplete"),
            (EMPTY[:-1], "http_response_incomplete"),
            (response(b"Content-Length: 5\r\n") + b"hell", "http_response_incomplete"),
            (response(b"Transfer-Encoding: chunked\r\n") + b"0\r\n", "http_response_incomplete"),
        ):
            for pieces in splits(raw):
                exchange = asking()
                received(exchange, pieces)
                violation = self.assertRaises(ProtocolViolation, exchange.receive_eof)
                self.assertEqual((violation.status, violation.error), (502, error), raw)
                self.assertFalse(exchange.reusable)
                self.assertEqual(exchange.receive(EMPTY), [])


class SwitchTests(SynchronousTestCase):
    """The end of HTTP."""

    def test_connect(self) -> None:
        """Any 2xx of either version opens; its framing is ignored, and what is behind it kept."""
        for line in (b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 299 OK"):
            for fields in (b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"):
                for pieces in splits(CONTINUE + response(fields, line) + b"early"):
                    exchange = asking(b"CONNECT")
                    events, violation = received(exchange, pieces)
                    self.assertIs(violation, None)
                    self.assertEqual(len(events), 2)
                    self.assertEqual(exchange.held, 5)
                    self.assertFalse(exchange.reusable)
                    self.assertEqual(exchange.switch(), b"early")

    def test_refused_connect(self) -> None:
        """Anything else is an answer, with a body."""
        exchange = asking(b"CONNECT")
        events = exchange.receive(response(b"Content-Length: 2\r\n", b"HTTP/1.1 407 X") + b"no")
        self.assertEqual(events[1:], [b"no", END])
        self.assertRaises(LocalProtocolError, exchange.switch)

    def test_upgrade(self) -> None:
        """A 101 opens where it was asked for."""
        for pieces in splits(SWITCHING + b"early"):
            exchange = asking(fields=UPGRADE)
            self.assertEqual(received(exchange, pieces), ([head_of(SWITCHING)], None))
            self.assertEqual(exchange.switch(), b"early")

    def test_upgrade_that_is_none(self) -> None:
        """A 101 that nobody asked for, or that does not say to what, is a violation."""
        for method, fields, raw in (
            (b"GET", [], SWITCHING),
            (b"CONNECT", [], SWITCHING),
            (b"GET", UPGRADE, response(line=b"HTTP/1.1 101 X")),
            (b"GET", UPGRADE, response(b"Upgrade: websocket\r\n", b"HTTP/1.1 101 X")),
        ):
            exchange = asking(method, fields)
            self.assertRaises(ProtocolViolation, exchange.receive, raw)
            self.assertRaises(LocalProtocolError, exchange.switch)

    def test_the_end_of_the_request_may_be_left_out(self) -> None:
        """It would be empty; but a body that is owed must be written."""
        for length, possible in ((0, True), (5, False)):
            exchange = ClientExchange()
            exchange.request(b"GET", b"/", HOST + UPGRADE, length)
            exchange.receive(SWITCHING)
            if possible:
                self.assertEqual(exchange.switch(), b"")
            else:
                self.assertRaises(LocalProtocolError, exchange.switch)

    def test_held_bytes_are_bounded(self) -> None:
        """A server that talks on before anybody took over is stopped."""
        exchange = asking(b"CONNECT", limits=Limits(held_bytes=100))
        exchange.receive(response() + b"x" * 60)
        exchange.receive(b"x" * 40)
        self.assertRaises(ProtocolViolation, exchange.receive, b"x")
        self.assertEqual(exchange.held, 0)

    def test_afterwards(self) -> None:
        """Nothing is HTTP any more."""
        exchange = asking(b"CONNECT")
        exchange.receive(response())
        exchange.switch()
        for call in (
            lambda: exchange.receive(b"x"),
            lambda: exchange.request(b"GET", b"/", HOST, 0),
            exchange.end,
            exchange.switch,
            exchange.next_cycle,
        ):
            self.assertRaises(LocalProtocolError, call)
        self.assertFalse(exchange.reusable)


class MistakeTests(SynchronousTestCase):
    """What cannot be asked is a mistake of ours, and changes nothing."""

    def test_out_of_turn(self) -> None:
        """Each call that is not possible where the exchange is leaves it as it is."""
        begun = ClientExchange()
        begun.request(b"POST", b"/", HOST, 5)
        line = [(b"A", b"b\r\nC: d")]
        own = [(b"Connection", b"x")]
        rows: list[tuple[str, ClientExchange, typing.Callable[[ClientExchange], object]]] = [
            ("data before the head", ClientExchange(), lambda e: e.data(b"x")),
            ("end before the head", ClientExchange(), lambda e: e.end()),
            ("two requests", begun, lambda e: e.request(b"GET", b"/", HOST, 0)),
            ("too much data", begun, lambda e: e.data(b"123456")),
            ("too little data", begun, lambda e: e.end()),
            ("next cycle before the response", asking(), lambda e: e.next_cycle()),
            ("a switch before the response", asking(b"CONNECT"), lambda e: e.switch()),
            ("no length", ClientExchange(), lambda e: e.request(b"GET", b"/", HOST, UNTIL_CLOSE)),
            ("a line end", ClientExchange(), lambda e: e.request(b"GET", b"/", line, 0)),
            ("a space", ClientExchange(), lambda e: e.request(b"GET", b"/ b", HOST, 0)),
            ("our own field", ClientExchange(), lambda e: e.request(b"GET", b"/", own, 0)),
        ]
        for name, exchange, call in rows:
            before = (exchange.reading, exchange.writing)
            self.assertRaises(LocalProtocolError, call, exchange)
            self.assertEqual((exchange.reading, exchange.writing), before, name)
