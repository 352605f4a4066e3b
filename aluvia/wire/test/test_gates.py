"""The gates of :mod:`aluvia.wire`, one row for each: what has two readings has none here."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ServerExchange
from aluvia.wire.head import _declared_length, parse_request_head, parse_response_head
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.test.messages import HOST, post, request, response
from aluvia.wire.test.pieces import asking, refusals

LENGTH = b"Content-Length: 5\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
UPGRADE = b"Connection: upgrade\r\nUpgrade: x\r\n"

# What is wrong with field sections, whichever way they travel: name, fields, status for a client.
BAD_FIELDS: list[tuple[str, bytes, int]] = [
    ("a folded line", b"A: b\r\n c\r\n", 400),
    ("a folded line with a tab", b"A: b\r\n\tc\r\n", 400),
    ("white space before the first name", b" A: b\r\n", 400),
    ("white space before the colon", b"A : b\r\n", 400),
    ("a tab before the colon", b"A\t: b\r\n", 400),
    ("no colon", b"A\r\n", 400),
    ("no name", b": b\r\n", 400),
    ("a name with a space in it", b"A b: c\r\n", 400),
    ("a name with a bracket in it", b"A(b): c\r\n", 400),
    ("a name that is not ASCII", b"\xc3\xa4: c\r\n", 400),
    ("a NUL in a value", b"A: b\0c\r\n", 400),
    ("a NUL in a name", b"A\0: b\r\n", 400),
    ("a bare LF between fields", b"A: b\nC: d\r\n", 400),
    ("a bare CR between fields", b"A: b\rC: d\r\n", 400),
    ("a bare CR at the end of a value", b"A: b\r\r\nC: d\r\n", 400),
    ("a bell in a value", b"A: \x07\r\n", 400),
    ("a DEL in a value", b"A: \x7f\r\n", 400),
    ("a vertical tab behind a length", b"Content-Length: 5\x0b\r\n", 400),
    (
        "Content-Length and Transfer-Encoding",
        LENGTH + CHUNKED,
        400,
    ),
    (
        "Transfer-Encoding and Content-Length",
        CHUNKED + LENGTH,
        400,
    ),
    (
        "both, far apart and in other cases",
        b"transfer-ENCODING: chunked\r\nA: b\r\ncontent-LENGTH: 0\r\n",
        400,
    ),
    ("differing lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
    ("equal lengths", b"Content-Length: 5\r\nContent-Length: 5\r\n", 400),
    ("equal lengths in other cases", b"Content-Length: 5\r\ncontent-length: 5\r\n", 400),
    ("a list of lengths", b"Content-Length: 5, 5\r\n", 400),
    ("a list of differing lengths", b"Content-Length: 5,6\r\n", 400),
    ("a length with a sign", b"Content-Length: +5\r\n", 400),
    ("a negative length", b"Content-Length: -5\r\n", 400),
    ("a length with a space in it", b"Content-Length: 1 5\r\n", 400),
    ("a length with an underscore in it", b"Content-Length: 1_5\r\n", 400),
    ("a hexadecimal length", b"Content-Length: 0x5\r\n", 400),
    ("a length with a fraction", b"Content-Length: 5.0\r\n", 400),
    ("an empty length", b"Content-Length:\r\n", 400),
    ("a length in digits that are not ASCII", b"Content-Length: \xb2\r\n", 400),
    ("a length of 2^63", b"Content-Length: 9223372036854775808\r\n", 400),
    ("a length of 2^64 + 5", b"Content-Length: 18446744073709551621\r\n", 400),
    ("a length of 30 digits", b"Content-Length: %s\r\n" % (b"1" * 30), 400),
    ("a length of many zeros", b"Content-Length: %s5\r\n" % (b"0" * 19), 400),
    ("Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", 501),
    ("two fields of codings", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
    ("Transfer-Encoding: gzip", b"Transfer-Encoding: gzip\r\n", 400),
    ("Transfer-Encoding: identity", b"Transfer-Encoding: identity\r\n", 400),
    ("Transfer-Encoding: xchunked", b"Transfer-Encoding: xchunked\r\n", 400),
    ("Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: chunked, chunked\r\n", 400),
    ("chunked twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
    ("Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: chunked, gzip\r\n", 400),
    ("Transfer-Encoding: chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", 400),
    ("Transfer-Encoding: ,chunked", b"Transfer-Encoding: ,chunked\r\n", 400),
    ("Transfer-Encoding: chunked;a=b", b"Transfer-Encoding: chunked;a=b\r\n", 400),
    ('Transfer-Encoding: "chunked"', b'Transfer-Encoding: "chunked"\r\n', 400),
    ("an empty Transfer-Encoding", b"Transfer-Encoding:\r\n", 400),
    ("too many fields", b"A: b\r\n" * 201, 431),
    ("a field too large", b"A: " + b"b" * 65_536 + b"\r\n", 431),
]

BAD_REQUESTS: list[tuple[str, bytes, int]] = [
    *((name, post(fields), status) for name, fields, status in BAD_FIELDS),
    ("HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("RTSP/1.0", request(line=b"GET / RTSP/1.0"), 400),
    ("HTTP in lower case", request(line=b"GET / http/1.1"), 400),
    ("HTTP/2.0", request(line=b"GET / HTTP/2.0"), 505),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("HTTP/1.2", request(line=b"GET / HTTP/1.2"), 505),
    ("HTTP/0.9, spelled out", request(line=b"GET / HTTP/0.9"), 505),
    ("HTTP/1.10", request(line=b"GET / HTTP/1.10"), 400),
    ("HTTP/1", request(line=b"GET / HTTP/1"), 400),
    ("HTTP/01.1", request(line=b"GET / HTTP/01.1"), 400),
    ("two spaces before the target", request(line=b"GET  / HTTP/1.1"), 400),
    ("two spaces before the version", request(line=b"GET /  HTTP/1.1"), 400),
    ("a space in the target", request(line=b"GET /a b HTTP/1.1"), 400),
    ("a tab for a space", request(line=b"GET\t/ HTTP/1.1"), 400),
    ("a space in front", request(line=b" GET / HTTP/1.1"), 400),
    ("a space behind", request(line=b"GET / HTTP/1.1 "), 400),
    ("no method", request(line=b" / HTTP/1.1"), 400),
    ("no target", request(line=b"GET HTTP/1.1"), 400),
    ("an empty target", request(line=b"GET  HTTP/1.1"), 400),
    ("a method that is no token", request(line=b"G(T / HTTP/1.1"), 400),
    ("a method that is not ASCII", request(line=b"G\xc3\x84T / HTTP/1.1"), 400),
    ("a target that is not ASCII", request(line=b"GET /\xc3\xa4 HTTP/1.1"), 400),
    ("a NUL in the target", request(line=b"GET /\0 HTTP/1.1"), 400),
    ("a DEL in the target", request(line=b"GET /\x7f HTTP/1.1"), 400),
    ("a bare CR in the request line", request(line=b"GET /\rA: HTTP/1.1"), 400),
    ("a bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("a head of bare LFs", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("a bare LF before the request line", b"\n" + request(), 400),
    ("the beginning of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    ("five empty lines", b"\r\n" * 5 + request(), 400),
    ("no Host in HTTP/1.1", request(host=b""), 400),
    ("two Hosts", request(HOST), 400),
    ("two Hosts in other cases", request(b"hOST: b.example\r\n"), 400),
    ("an empty Host", request(host=b"Host:\r\n"), 400),
    ("a list of Hosts", request(host=b"Host: a.example, b.example\r\n"), 400),
    ("a Host with a space", request(host=b"Host: a b\r\n"), 400),
    ("a Host with a path", request(host=b"Host: a.example/b\r\n"), 400),
    ("a Host with a user", request(host=b"Host: u@a.example\r\n"), 400),
    ("a Host with a port that is none", request(host=b"Host: a.example:x\r\n"), 400),
    ("a Host with two ports", request(host=b"Host: a.example:1:2\r\n"), 400),
    ("a Host that is an open bracket", request(host=b"Host: [::1\r\n"), 400),
    ("a Host with brackets around a name", request(host=b"Host: [name]\r\n"), 400),
    ("a Host that is not ASCII", request(host=b"Host: b\xc3\xbccher.example\r\n"), 400),
    ("a Host of HTTP/1.0 that is none", request(b"", b"GET / HTTP/1.0", b"Host: a b\r\n"), 400),
    ("Transfer-Encoding in HTTP/1.0", request(CHUNKED, b"POST / HTTP/1.0"), 400),
    ("a CONNECT with a body", request(LENGTH, b"CONNECT a:1 HTTP/1.1"), 400),
    ("a CONNECT in chunks", request(CHUNKED, b"CONNECT a:1 HTTP/1.1"), 400),
    ("Expect other than 100-continue", post(b"Expect: 200-ok\r\n"), 417),
    ("two expectations", post(b"Expect: 100-continue\r\nExpect: 200-ok\r\n"), 417),
]

BAD_RESPONSES: list[tuple[str, bytes]] = [
    *((name, response(fields)) for name, fields, _ in BAD_FIELDS),
    ("status 099", response(line=b"HTTP/1.1 099 Low")),
    ("status 000", response(line=b"HTTP/1.1 000 Zero")),
    ("status 1000", response(line=b"HTTP/1.1 1000 High")),
    ("a status of four digits", response(line=b"HTTP/1.1 2000 OK")),
    ("a status of two digits", response(line=b"HTTP/1.1 20 OK")),
    ("a status with a sign", response(line=b"HTTP/1.1 +20 OK")),
    ("a status in letters", response(line=b"HTTP/1.1 abc OK")),
    ("no status", response(line=b"HTTP/1.1")),
    ("two spaces before the status", response(line=b"HTTP/1.1  200 OK")),
    ("a tab before the reason", response(line=b"HTTP/1.1 200\tOK")),
    ("a NUL in the reason", response(line=b"HTTP/1.1 200 O\0K")),
    ("a bare CR in the reason", response(line=b"HTTP/1.1 200 O\rK")),
    ("a bare LF behind the status line", b"HTTP/1.1 200 OK\nA: b\r\n\r\n"),
    ("a head of bare LFs", b"HTTP/1.1 200 OK\nA: b\n\n"),
    ("HTTP/2.0", response(line=b"HTTP/2.0 200 OK")),
    ("HTTP/1.2", response(line=b"HTTP/1.2 200 OK")),
    ("HTTP/0.9, spelled out", response(line=b"HTTP/0.9 200 OK")),
    ("RTSP/1.0", response(line=b"RTSP/1.0 200 OK")),
    ("ICY", response(line=b"ICY 200 OK")),
    ("HTTP in lower case", response(line=b"http/1.1 200 OK")),
    ("HTTP/0.9", b"<html>Hello"),
    ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("an empty line in front", b"\r\n" + response()),
    ("a space in front", b" " + response()),
    ("Transfer-Encoding in HTTP/1.0", response(CHUNKED, b"HTTP/1.0 200 OK")),
    ("both framings of a 204", response(LENGTH + CHUNKED, b"HTTP/1.1 204 No")),
    ("a bad length of a 304", response(b"Content-Length: x\r\n", b"HTTP/1.1 304 Not Modified")),
    ("101 that nobody asked for", response(UPGRADE, b"HTTP/1.1 101 Switching")),
]


class GateTests(SynchronousTestCase):
    """What has two readings has none here."""

    def test_requests(self) -> None:
        """Each row is refused with its status, whole, byte by byte and in pieces."""
        for name, raw, status in BAD_REQUESTS:
            statuses = [v and v.status for v in refusals(ServerExchange, raw)]
            self.assertEqual(statuses, [status] * 3, name)

    def test_responses(self) -> None:
        """Each row is refused as a 502 with an RFC 9209 name, however it is split."""
        for name, raw in BAD_RESPONSES:
            for violation in refusals(asking, raw):
                assert violation is not None, name
                self.assertEqual(violation.status, 502, name)
                self.assertIn(
                    violation.error,
                    (
                        "http_protocol_error",
                        "http_response_header_section_size",
                        "http_response_transfer_coding",
                    ),
                    name,
                )

    def test_the_head_alone(self) -> None:
        """The functions refuse by themselves what the exchange refuses by them."""
        for name, fields, status in BAD_FIELDS:
            for parse in (
                lambda f: parse_request_head(post(f), DEFAULT_LIMITS),
                lambda f: parse_response_head(response(f), b"GET", DEFAULT_LIMITS),
            ):
                if name == "a field too large":
                    continue  # the exchange counts bytes, before it is a head
                violation = typing.cast(
                    ProtocolViolation, self.assertRaises(ProtocolViolation, parse, fields)
                )
                self.assertEqual(violation.status, status, name)

    def test_reasons_quote_nothing(self) -> None:
        """A reason is a sentence of ours, the same whatever the bytes were."""
        for name, raw, _ in BAD_REQUESTS:
            violation = refusals(ServerExchange, raw)[0]
            assert violation is not None
            self.assertRegex(str(violation), r"\A[A-Z][ -~]+\.\Z", name)

    def test_more_than_one_head(self) -> None:
        """Bytes behind the empty line are not a part of the head."""
        for raw in (
            request() + b"A: b\r\n\r\n",
            post(b"Content-Length: 6\r\n") + b"A: b\r\n\r\n",
        ):
            self.assertRaises(ProtocolViolation, parse_request_head, raw, DEFAULT_LIMITS)


class OwnGateTests(SynchronousTestCase):
    """The worst gate is ours too, and does not stand on what a release of llhttp thinks."""

    def test_both_framings(self) -> None:
        """Two framings are refused even where llhttp would let them pass."""
        found = {b"content-length": b"5", b"transfer-encoding": b"chunked"}
        self.assertRaises(ProtocolViolation, _declared_length, found, 1)


class LimitTests(SynchronousTestCase):
    """Bounds are met exactly."""

    def test_head_bytes(self) -> None:
        """A head of just the limit passes, and one byte more does not."""
        size = len(request()) + len(b"A: \r\n")
        limits = Limits(head_bytes=size + 10)
        for length, expected in ((10, [None] * 3), (11, [431] * 3)):
            raw = request(b"A: %b\r\n" % (b"b" * length))
            violations = refusals(lambda: ServerExchange(limits), raw)
            self.assertEqual([v and v.status for v in violations], expected)

    def test_response_head_bytes(self) -> None:
        """The same of a response; it has a name of its own."""
        limits = Limits(head_bytes=64)
        self.assertEqual(refusals(lambda: asking(limits=limits), response())[0], None)
        for raw in (response(b"A: %b\r\n" % (b"b" * 64)), b"HTTP/1.1 200 " + b"O" * 64):
            for violation in refusals(lambda: asking(limits=limits), raw):
                assert violation is not None
                self.assertEqual(violation.error, "http_response_header_section_size")

    def test_field_count(self) -> None:
        """As many fields as the limit pass, and one more does not."""
        limits = Limits(field_count=3)
        self.assertEqual(len(parse_request_head(request(b"A: b\r\n" * 2), limits).fields), 3)
        violation = self.assertRaises(
            ProtocolViolation, parse_request_head, request(b"A: b\r\n" * 3), limits
        )
        self.assertEqual(violation.status, 431)
        self.assertEqual(violation.error, "http_response_header_section_size")
