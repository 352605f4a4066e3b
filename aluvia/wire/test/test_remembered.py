"""Heads that are remembered read as those that are not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import parse_request_head, parse_response_head
from aluvia.wire.limits import DEFAULT_LIMITS
from aluvia.wire.remembered import REMEMBERED_BYTES, LastRequestHead, LastResponseHead


def request(line: bytes, *fields: bytes) -> bytes:
    """A request head."""
    return b"\r\n".join([line, b"Host: a.test", *fields, b"", b""])


def response(line: bytes, *fields: bytes) -> bytes:
    """A response head."""
    return b"\r\n".join([line, *fields, b"", b""])


class RequestTests(SynchronousTestCase):
    """:class:`LastRequestHead`."""

    def test_as_without_memory(self) -> None:
        """Whatever came before, a head reads as it does by itself."""
        last = LastRequestHead()
        length = b"Content-Length: 3"
        for raw in (
            request(b"GET http://a.test/1 HTTP/1.1"),
            request(b"GET http://a.test/2 HTTP/1.1"),
            request(b"GET http://a.test/2 HTTP/1.0"),
            request(b"GET http://a.test/2 HTTP/1.0", b"Upgrade: websocket", b"Connection: upgrade"),
            request(b"GET http://a.test/2 HTTP/1.1", b"Upgrade: websocket", b"Connection: upgrade"),
            request(b"POST http://a.test/ HTTP/1.1", length),
            request(b"PUT http://a.test/ HTTP/1.1", length),
            request(b"GET http://a.test/ HTTP/1.1", b"X-Y: z"),
        ):
            for _ in range(2):
                head = last.parse(raw, DEFAULT_LIMITS)
                self.assertEqual(head, parse_request_head(raw, DEFAULT_LIMITS))
                self.assertEqual(
                    head.end_to_end(), parse_request_head(raw, DEFAULT_LIMITS).end_to_end()
                )

    def test_what_a_method_forbids(self) -> None:
        """A CONNECT with the section of a good POST is judged as a CONNECT."""
        last = LastRequestHead()
        last.parse(request(b"POST http://a.test/ HTTP/1.1", b"Content-Length: 3"), DEFAULT_LIMITS)
        connect = request(b"CONNECT a.test:443 HTTP/1.1", b"Content-Length: 3")
        self.assertRaises(ProtocolViolation, last.parse, connect, DEFAULT_LIMITS)

    def test_long_heads_are_not_kept(self) -> None:
        """Nor do they push out the one that is."""
        last = LastRequestHead()
        short = request(b"GET http://a.test/ HTTP/1.1")
        first = last.parse(short, DEFAULT_LIMITS)
        long = request(b"GET http://a.test/ HTTP/1.1", b"X: " + b"y" * REMEMBERED_BYTES)
        kept = last.parse(long, DEFAULT_LIMITS)
        self.assertIsNot(last.parse(long, DEFAULT_LIMITS).fields, kept.fields)
        self.assertIs(last.parse(short, DEFAULT_LIMITS).fields, first.fields)


class ResponseTests(SynchronousTestCase):
    """:class:`LastResponseHead`."""

    def test_as_without_memory(self) -> None:
        """Whatever came before, a head reads as it does by itself; the method belongs to it."""
        last = LastResponseHead()
        fields = (b"Content-Length: 3", b"ETag: x")
        for raw, method in (
            (response(b"HTTP/1.1 200 OK", *fields), b"GET"),
            (response(b"HTTP/1.1 200 OK", *fields), b"HEAD"),
            (response(b"HTTP/1.1 200 OK", *fields), b"GET"),
            (response(b"HTTP/1.1 304 Not Modified", *fields), b"GET"),
            (response(b"HTTP/1.0 200 OK", *fields), b"GET"),
        ):
            for _ in range(2):
                self.assertEqual(
                    last.parse(raw, method, DEFAULT_LIMITS),
                    parse_response_head(raw, method, DEFAULT_LIMITS),
                )

    def test_long_heads_are_not_kept(self) -> None:
        """They are read each time."""
        last = LastResponseHead()
        long = response(b"HTTP/1.1 200 OK", b"X: " + b"y" * REMEMBERED_BYTES)
        first = last.parse(long, b"GET", DEFAULT_LIMITS)
        self.assertIsNot(last.parse(long, b"GET", DEFAULT_LIMITS), first)
