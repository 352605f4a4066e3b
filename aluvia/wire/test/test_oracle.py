"""The same bytes to us and to h11: where we differ there is a reason, and it is written here."""

from __future__ import annotations

import re
import typing

import h11
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import END, Event, Trailers
from aluvia.wire.framing import _may_trail
from aluvia.wire.head import RequestHead, ResponseHead
from aluvia.wire.limits import DEFAULT_LIMITS
from aluvia.wire.server_exchange import ServerExchange
from aluvia.wire.test.pieces import asking

Lowered = list[tuple[bytes, bytes]]
Read = tuple[tuple[object, ...], Lowered, bytes, Lowered]
"""One message: its start line, its fields, its body, its trailers; names in lower case."""

# Each reason is a sentence and how such a message is known. It need not tell what is wrong beyond
# doubt: a message that is in both lists is one that the other reader may see differently.
Reasons = dict[str, typing.Callable[[bytes], object]]


def pattern(expression: bytes) -> typing.Callable[[bytes], object]:
    """Return a test for bytes anywhere in a message."""
    return re.compile(expression, re.IGNORECASE | re.DOTALL).search


ACCEPTED_HERE_ALONE: Reasons = {
    "RFC 9112 2.2 wants an empty line in front of a request to be ignored": pattern(rb"\A\r\n"),
    "RFC 9112 7.1.1 wants white space before an extension to be tolerated": pattern(
        rb"\r\n[0-9a-f]+[ \t]+;"
    ),
}

REFUSED_HERE_ALONE: Reasons = {
    "a line that ends with a bare LF": pattern(rb"(?<!\r)\n"),
    "a bare CR": pattern(rb"\r(?!\n)"),
    "a folded line": pattern(rb"\r\n[ \t]"),
    "a control character": pattern(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
    "a version that is neither 1.0 nor 1.1": pattern(rb"HTTP/(?!1\.[01])"),
    "a status that is none": pattern(rb"HTTP/1\.[01] ([06-9]..)"),
    "lengths that are equal": pattern(rb"content-length:.*content-length:|content-length:[^\r]*,"),
    "a length that is too large": pattern(rb"content-length:\s*[0-9]{19}"),
    "both framings": pattern(rb"(?=.*content-length:)(?=.*transfer-encoding:)"),
    "chunks in HTTP/1.0": pattern(rb"HTTP/1\.0.*transfer-encoding:"),
    "a Host that is no authority": pattern(rb"host:(?![ \t]*[a-z0-9.:]+[ \t]*\r)"),
    "an expectation that cannot be met": pattern(rb"expect:(?![ \t]*100-continue[ \t]*\r)"),
    "a CONNECT with a body": pattern(rb"\A\s*CONNECT .*(content-length|transfer-encoding):"),
    "white space behind a chunk size": pattern(rb"\r\n[0-9a-f]+(;[^\r]*)?[ \t]+\r\n"),
    "a chunk size of more than 16 digits": pattern(rb"\r\n[0-9a-f]{17}"),
}


def cannot_be_explained(reasons: Reasons, raw: bytes) -> bool:
    """Tell whether none of the reasons fits."""
    return not any(reason(raw) for reason in reasons.values())


def read_here(receive: typing.Callable[[bytes], list[Event]], raw: bytes) -> Read | None:
    """Return the first message as we read it, or None if it is refused or not whole."""
    try:
        events = receive(raw)
    except ProtocolViolation:
        return None
    if END not in events:
        return None
    final = [event for event in events if isinstance(event, RequestHead | ResponseHead)][-1]
    start: tuple[object, ...]
    if isinstance(final, RequestHead):
        start = (final.method, final.target, final.minor)
    else:
        start = (final.status, final.reason, final.minor)
    trailers = [field for event in events if isinstance(event, Trailers) for field in event.fields]
    body = b"".join(event for event in events if isinstance(event, bytes))
    return start, lowered(final.fields), body, lowered(trailers)


def lowered(fields: typing.Iterable[tuple[bytes, bytes]]) -> Lowered:
    """Return fields as h11 gives them: names in lower case, and the name of a coding, too."""
    result = [(name.lower(), value) for name, value in fields]
    return [(n, v.lower() if n == b"transfer-encoding" else v) for n, v in result]


def read_by_h11(connection: h11.Connection, raw: bytes) -> Read | None:
    """Return the first message as h11 reads it, or None if it is refused or not whole."""
    start: tuple[object, ...] = ()
    fields: Lowered = []
    body = b""
    connection.receive_data(raw)
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Request):
            start = (event.method, event.target, int(event.http_version[-1:]))
            fields = list(event.headers)
        elif isinstance(event, h11.Response):
            start = (event.status_code, event.reason, int(event.http_version[-1:]))
            fields = list(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            trailers = [field for field in event.headers if _may_trail(field[0])]
            return start, fields, body, trailers
        elif not isinstance(event, h11.InformationalResponse):
            return None


FIELDS = rb"""
Content-Length: 3|content-length:3|Content-Length: 03 |Content-Length: 0|Content-Length: 3, 3
Content-Length: +3|Content-Length: 99999999999999999999|Content_Length: 3
Transfer-Encoding: chunked|transfer-encoding:\tCHUNKED|Transfer-Encoding: gzip
Transfer-Encoding: gzip, chunked|Transfer-Encoding: identity
Host: a.example|host: b|Host:|Host: a, b|Host: u@a
Connection: close|Connection: keep-alive|Connection: upgrade|Upgrade: x
Expect: 100-continue|Expect: 200-ok|TE: trailers|Cookie: a=b; c=d
A: b|A:|A: \xe9|A : b|A|: b| b|\tb|A: b\x07|A: b\x0bc"""
BODIES = rb"""
|abc|abcdef|3\r\nabc\r\n0\r\n\r\n|3;x=y\r\nabc\r\n0\r\n\r\n|0\r\n\r\n|3\r\nabc0\r\n
3 ;x\r\nabc\r\n0\r\n\r\n|3 \r\nabc\r\n0\r\n\r\n|3\nabc\r\n0\r\n\r\n
0\r\nDigest: x\r\n\r\n|0\r\nHost: x\r\nB: c\r\n\r\n|0\r\nA: b\r\n c\r\n\r\n
00000000000000003\r\nabc\r\n0\r\n\r\n|+3\r\nabc\r\n0\r\n\r\n|0x3\r\nabc\r\n0\r\n\r\n"""
REQUEST_LINES = rb"""
GET / HTTP/1.1|POST /a?b HTTP/1.1|HEAD * HTTP/1.1|BREW / HTTP/1.1
CONNECT a:1 HTTP/1.1|GET http://a/ HTTP/1.0|GET / HTTP/1.2|GET / HTTP/2.0
GET  / HTTP/1.1|GET /|G@T / HTTP/1.1|GET /\xe9 HTTP/1.1|\r\nGET / HTTP/1.1"""
STATUS_LINES = rb"""
HTTP/1.1 200 OK|HTTP/1.0 200 OK|HTTP/1.1 404|HTTP/1.1 204 |HTTP/1.1 304 \xe9
HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK|HTTP/1.1 101 Switching|HTTP/1.2 200 OK
HTTP/1.1 099 Low|HTTP/1.1 1000 High|HTTP/1.1 2000 OK|HTTP/2 200 OK|ICY 200 OK"""


def parts(listed: bytes) -> list[bytes]:
    """Return the members of a list above, its escapes resolved."""
    lines = listed.removeprefix(b"\n").replace(b"\n", b"|")
    return [part.decode("unicode_escape").encode("latin-1") for part in lines.split(b"|")]


def sampled(listed: bytes) -> st.SearchStrategy[bytes]:
    """Draw a member of a list above."""
    return st.sampled_from(parts(listed))


FITTING: list[tuple[list[bytes], bytes]] = [
    ([], b""),
    ([b"Content-Length: 3"], b"abc"),
    ([b"Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n"),
    ([b"Transfer-Encoding: chunked"], b"2;x\r\n\r\n\r\n0\r\nDigest: x\r\n\r\n"),
]


@st.composite
def messages(draw: st.DrawFn, listed: bytes, usual: list[bytes]) -> bytes:
    """Draw a message of parts that are mostly good, perhaps with one byte of it spoilt."""
    lines = parts(listed)
    line = draw(st.sampled_from(lines[:4]) | st.sampled_from(lines))
    fields = usual * draw(st.sampled_from([1, 1, 1, 0]))
    fitting, body = draw(st.sampled_from(FITTING) | st.tuples(st.just([]), sampled(BODIES)))
    others = draw(st.lists(sampled(FIELDS), max_size=draw(st.sampled_from([0, 1, 3]))))
    raw = b"\r\n".join([line, *fields, *fitting, *others, b"", body])
    spoilt = draw(
        st.sampled_from([None, None, b"", b"\r", b"\n", b"\r\n", b" ", b"\0", b",", b"0"])
    )
    if spoilt is None:
        return raw
    at = draw(st.integers(0, len(raw)))
    return raw[:at] + spoilt + raw[at + draw(st.integers(0, 2)) :]


class OracleTests(SynchronousTestCase):
    """h11 is the other reader."""

    def compare(self, ours: Read | None, theirs: Read | None, raw: bytes) -> None:
        """Both read the same, or there is a written reason why one of them does not read it."""
        if ours is not None and theirs is not None:
            self.assertEqual(ours, theirs, raw)
        elif ours is not None:
            self.assertFalse(cannot_be_explained(ACCEPTED_HERE_ALONE, raw), raw)
        elif theirs is not None:
            self.assertFalse(cannot_be_explained(REFUSED_HERE_ALONE, raw), raw)

    @settings_for_tests
    @given(messages(REQUEST_LINES, [b"Host: a.example"]))
    def test_requests(self, raw: bytes) -> None:
        """A request has one reading."""
        connection = h11.Connection(h11.SERVER, DEFAULT_LIMITS.head_bytes)
        self.compare(read_here(ServerExchange().receive, raw), read_by_h11(connection, raw), raw)

    @settings_for_tests
    @given(st.sampled_from([b"GET", b"HEAD"]), messages(STATUS_LINES, [b"Server: x"]))
    def test_responses(self, method: bytes, raw: bytes) -> None:
        """A response has one reading."""
        connection = h11.Connection(h11.CLIENT, DEFAULT_LIMITS.head_bytes)
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "a.example")]))
        connection.send(h11.EndOfMessage())
        self.compare(read_here(asking(method).receive, raw), read_by_h11(connection, raw), raw)

    def test_the_lists_are_true(self) -> None:
        """Every reason has an example that is read by the one and refused by the other."""
        get = b"GET / HTTP/1.1\r\nHost: a\r\n"
        chunked = get + b"Transfer-Encoding: chunked\r\n\r\n"
        examples = [
            (b"\r\n" + get + b"\r\n", True),
            (chunked + b"1 ;\r\nx\r\n0\r\n\r\n", True),
            (b"GET / HTTP/1.1\nHost: a\r\n\r\n", False),
            (get + b" b\r\n\r\n", False),
            (get + b"A: \x07\r\n\r\n", False),
            (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", False),
            (get + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", False),
            (get + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
            (chunked.replace(b"1.1", b"1.0") + b"0\r\n\r\n", False),
            (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", False),
            (get + b"Expect: b\r\n\r\n", False),
            (get.replace(b"GET", b"CONNECT") + b"Content-Length: 1\r\n\r\nx", False),
            (chunked + b"1 \r\nx\r\n0\r\n\r\n", False),
            (chunked + b"0" * 17 + b"\r\n\r\n", False),
        ]
        for raw, here in examples:
            connection = h11.Connection(h11.SERVER, DEFAULT_LIMITS.head_bytes)
            ours, theirs = read_here(ServerExchange().receive, raw), read_by_h11(connection, raw)
            self.assertEqual((ours is not None, theirs is not None), (here, not here), raw)
            self.compare(ours, theirs, raw)
