"""Tests for :mod:`aluvia.wire.head`: what heads say. ``test_gates.py`` has what they must not."""

from __future__ import annotations

import typing

from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import CHUNKED, UNTIL_CLOSE
from aluvia.wire.head import (
    parse_request_head,
    parse_response_head,
    write_request_head,
    write_response_head,
)
from aluvia.wire.limits import DEFAULT_LIMITS
from aluvia.wire.test.messages import post, request, response


class RequestHeadTests(SynchronousTestCase):
    """What a request head says."""

    def parse(self, raw: bytes) -> typing.Any:
        """Parse one head."""
        return parse_request_head(raw, DEFAULT_LIMITS)

    def test_parts(self) -> None:
        """The line is taken apart, and the fields keep order, spelling and repetition."""
        head = self.parse(request(b"b: 1\r\nA:2\r\nB:  3 \t\r\nE:\r\nF: \t \r\nO: \xe9\xff\r\n"))
        self.assertEqual((head.method, head.target, head.minor), (b"GET", b"/", 1))
        self.assertEqual(
            head.fields,
            [
                (b"Host", b"a.example"),
                (b"b", b"1"),
                (b"A", b"2"),
                (b"B", b"3"),
                (b"E", b""),
                (b"F", b""),
                (b"O", b"\xe9\xff"),
            ],
        )
        self.assertEqual(head.host, b"a.example")

    def test_any_method(self) -> None:
        """A method is any token, case and all, known or not."""
        for method in (b"GET", b"get", b"BREW", b"M-SEARCH", b"a!#$%&'*+-.^_`|~9"):
            self.assertEqual(self.parse(request(line=method + b" / HTTP/1.1")).method, method)

    def test_any_target(self) -> None:
        """A target is visible ASCII; what it means is not asked here."""
        for target in (b"*", b"/a?b#c", b"http://u@h/%zz", b"[::1]:443", b"\\", b'"<>{}|^`'):
            line = b"GET " + target + b" HTTP/1.1"
            self.assertEqual(self.parse(request(line=line)).target, target)

    def test_valid_hosts(self) -> None:
        """A Host is a name or an address, perhaps with a port."""
        for host in (b"a", b"a.example.", b"127.0.0.1:80", b"[::1]", b"[2001:db8::1]:8080", b"a:",
                     b"a_b.example", b"%61.example", b"xn--bcher-kva.de"):  # fmt: skip
            self.assertEqual(self.parse(request(host=b"Host: " + host + b"\r\n")).host, host)

    def test_host_in_http_1_0(self) -> None:
        """HTTP/1.0 did not have Host."""
        self.assertIsNone(self.parse(request(line=b"GET / HTTP/1.0", host=b"")).host)

    def test_length(self) -> None:
        """The framing fields give the length; without any there is no body."""
        for fields, length in (
            (b"", 0),
            (b"Content-Length: 0\r\n", 0),
            (b"Content-Length: 5\r\n", 5),
            (b"content-length:\t5 \r\n", 5),
            (b"Content-Length: 0000000000000000005\r\n", 5),
            (b"Content-Length: 9223372036854775807\r\n", 2**63 - 1),
            (b"Transfer-Encoding: chunked\r\n", CHUNKED),
            (b"transfer-encoding: CHUNKED\r\n", CHUNKED),
            (b"Content_Length: 5\r\n", 0),
        ):
            self.assertEqual(self.parse(post(fields)).length, length, fields)

    def test_connect_with_a_length_of_nothing(self) -> None:
        """WinINet says of a CONNECT that it has no body; that is true."""
        line = b"CONNECT a:1 HTTP/1.0"
        self.assertEqual(self.parse(request(b"Content-Length: 0\r\n", line)).length, 0)

    def test_keep_alive(self) -> None:
        """HTTP/1.1 stays unless it says close; HTTP/1.0 never does, through a proxy."""
        for line, fields, keep_alive in (
            (b"GET / HTTP/1.1", b"", True),
            (b"GET / HTTP/1.1", b"Connection: keep-alive\r\n", True),
            (b"GET / HTTP/1.1", b"Connection: close\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: a, CLOSE\r\n", False),
            (b"GET / HTTP/1.1", b"Connection: a\r\nConnection: close\r\n", False),
            (b"GET / HTTP/1.0", b"", False),
            (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", False),
        ):
            self.assertIs(self.parse(request(fields, line)).keep_alive, keep_alive, fields)

    def test_connection(self) -> None:
        """All its options, in lower case."""
        head = self.parse(request(b"Connection: TE, , X-a\r\nconnection: Foo\r\n"))
        self.assertEqual(head.connection, {b"te", b"x-a", b"foo"})

    def test_expect_continue(self) -> None:
        """It counts where there is a body, and not in HTTP/1.0."""
        for line, fields, expected in (
            (b"POST / HTTP/1.1", b"Content-Length: 5\r\n", True),
            (b"POST / HTTP/1.1", b"Transfer-Encoding: chunked\r\n", True),
            (b"POST / HTTP/1.1", b"", False),
            (b"POST / HTTP/1.0", b"Content-Length: 5\r\n", False),
        ):
            head = self.parse(request(fields + b"Expect: 100-Continue\r\n", line))
            self.assertIs(head.expect_continue, expected, line + fields)
        self.assertFalse(self.parse(post(b"Content-Length: 5\r\n")).expect_continue)

    def test_upgrade(self) -> None:
        """It counts where Connection lists it, and not in HTTP/1.0 (RFC 9110 section 7.8)."""
        for line, fields, expected in (
            (b"GET / HTTP/1.1", b"Connection: keep-alive, Upgrade\r\n", b"websocket"),
            (b"GET / HTTP/1.1", b"Connection: keep-alive\r\n", None),
            (b"GET / HTTP/1.1", b"", None),
            (b"GET / HTTP/1.0", b"Connection: upgrade\r\n", None),
        ):
            head = self.parse(request(fields + b"Upgrade: WebSocket\r\n", line))
            self.assertEqual(head.upgrade, expected, line + fields)
        self.assertIsNone(self.parse(request(b"Connection: upgrade\r\n")).upgrade)


class ResponseHeadTests(SynchronousTestCase):
    """What a response head says."""

    def parse(self, raw: bytes, method: bytes = b"GET") -> typing.Any:
        """Parse one head."""
        return parse_response_head(raw, method, DEFAULT_LIMITS)

    def test_parts(self) -> None:
        """The line is taken apart; a reason may hold anything printable, or be missing."""
        for line, status, reason, minor in (
            (b"HTTP/1.1 200 OK", 200, b"OK", 1),
            (b"HTTP/1.0 404 Not Found", 404, b"Not Found", 0),
            (b"HTTP/1.1 200 ", 200, b"", 1),
            (b"HTTP/1.1 200", 200, b"", 1),
            (b"HTTP/1.1 599 \xe9\t ", 599, b"\xe9\t ", 1),
            (b"HTTP/1.1 100 Continue", 100, b"Continue", 1),
        ):
            head = self.parse(response(b"A: b\r\na: c\r\n", line))
            self.assertEqual((head.status, head.reason, head.minor), (status, reason, minor))
            self.assertEqual(head.fields, [(b"A", b"b"), (b"a", b"c")])

    def test_length(self) -> None:
        """Framing fields, then the end of the connection (RFC 9112 section 6.3)."""
        for fields, length in (
            (b"", UNTIL_CLOSE),
            (b"Content-Length: 5\r\n", 5),
            (b"Content-Length: 0\r\n", 0),
            (b"Transfer-Encoding: chunked\r\n", CHUNKED),
        ):
            head = self.parse(response(fields))
            self.assertEqual((head.length, head.declared_length), (length, length), fields)

    def test_never_a_body(self) -> None:
        """HEAD, 1xx, 204 and 304 have none, whatever they declare; that is kept."""
        fields = b"Content-Length: 5\r\n"
        for method, status in (
            (b"HEAD", 200),
            (b"GET", 100),
            (b"GET", 204),
            (b"GET", 304),
        ):
            head = self.parse(response(fields, b"HTTP/1.1 %d X" % status), method)
            self.assertEqual((head.length, head.declared_length), (0, 5), status)
        self.assertEqual(self.parse(response(fields, b"HTTP/1.1 404 X"), b"CONNECT").length, 5)

    def test_connect(self) -> None:
        """A 2xx to a CONNECT has no body, and its framing fields are ignored."""
        for fields in (
            b"",
            b"Content-Length: 5\r\n",
            b"Content-Length: 5\r\ncontent-length: 6\r\n",
            b"Content-Length: x\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"TRANSFER-ENCODING: identity\r\nX-A: b\r\n",
            b"X-A: b\r\nTransfer-Encoding: gzip\r\n",
        ):
            for line in (b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 299 OK"):
                head = self.parse(response(fields, line), b"CONNECT")
                self.assertEqual(head.length, 0)
                self.assertEqual(b"X-A" in fields, (b"X-A", b"b") in head.fields)
        for fields in (b"Content-Length: 5\r\n x\r\n", b"Content-Length : 5\r\n"):
            head = response(fields, b"HTTP/1.1 200 OK")
            self.assertRaises(ProtocolViolation, self.parse, head, b"CONNECT")

    def test_informational(self) -> None:
        """1xx but 101, which is final."""
        for status in (100, 101, 103, 199, 200):
            head = self.parse(response(line=b"HTTP/1.1 %d X" % status))
            self.assertIs(head.informational, status in (100, 103, 199), status)

    def test_keep_alive(self) -> None:
        """HTTP/1.1 stays unless it says close, HTTP/1.0 goes unless it says keep-alive."""
        length = b"Content-Length: 5\r\n"
        for line, fields, keep_alive in (
            (b"HTTP/1.1 200 OK", length, True),
            (b"HTTP/1.1 200 OK", b"", False),
            (b"HTTP/1.1 200 OK", length + b"Connection: close\r\n", False),
            (b"HTTP/1.0 200 OK", length, False),
            (b"HTTP/1.0 200 OK", length + b"Connection: Keep-Alive\r\n", True),
            (b"HTTP/1.0 200 OK", length + b"Connection: keep-alive, close\r\n", False),
            (b"HTTP/1.0 200 OK", b"Connection: keep-alive\r\n", False),
        ):
            self.assertIs(self.parse(response(fields, line)).keep_alive, keep_alive, fields)

    def test_upgrade(self) -> None:
        """The value of Upgrade, if Connection lists it."""
        fields = b"Upgrade: WebSocket\r\n"
        self.assertIsNone(self.parse(response(fields)).upgrade)
        fields += b"Connection: upgrade\r\n"
        self.assertEqual(self.parse(response(fields)).upgrade, b"websocket")


class WritingTests(SynchronousTestCase):
    """What is written is one head, and never two."""

    def test_request(self) -> None:
        """A request line, the fields as they are, an empty line."""
        self.assertEqual(
            write_request_head(b"GET", b"/a", 1, [(b"Host", b"a"), (b"x", b"\xe9")]),
            b"GET /a HTTP/1.1\r\nHost: a\r\nx: \xe9\r\n\r\n",
        )
        self.assertEqual(write_request_head(b"GET", b"/", 0, ()), b"GET / HTTP/1.0\r\n\r\n")

    def test_response(self) -> None:
        """A status line, the fields as they are, an empty line."""
        self.assertEqual(
            write_response_head(200, b"OK", [(b"A", b"b")]), b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
        )
        self.assertEqual(write_response_head(200, b"", ()), b"HTTP/1.1 200 \r\n\r\n")

    def test_line_ends_and_nul_are_refused(self) -> None:
        """CR, LF and NUL pass in no part, alone or together."""
        for bad in (b"\r", b"\n", b"\r\n", b"\0", b"\r\nA: b", b"x\r\n\r\ny", b"\n\r"):
            name, value = [(b"A" + bad, b"b")], [(b"A", b"b" + bad)]
            for write in (
                lambda bad=bad: write_request_head(b"GET" + bad, b"/", 1, ()),
                lambda bad=bad: write_request_head(b"GET", b"/" + bad, 1, ()),
                lambda fields=name: write_request_head(b"GET", b"/", 1, fields),
                lambda fields=value: write_request_head(b"GET", b"/", 1, fields),
                lambda bad=bad: write_response_head(200, b"OK" + bad, ()),
                lambda fields=name: write_response_head(200, b"OK", fields),
                lambda fields=value: write_response_head(200, b"OK", fields),
            ):
                self.assertRaises(LocalProtocolError, write)

    def test_spaces_in_the_request_line(self) -> None:
        """A target with a space in it would be another request."""
        for method, target in ((b"GET", b"/ HTTP/1.1"), (b"GET /", b"/"), (b"GET", b"/a b")):
            self.assertRaises(LocalProtocolError, write_request_head, method, target, 1, ())
