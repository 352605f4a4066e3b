"""Requests that are odd, each with one reading or with none, for whoever is next to judge."""

from __future__ import annotations

import random
import typing

from tests.peers.edge import HOST

#: What must be seen by nobody as a request of its own.
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

_NAME = HOST.encode()
_HOST = b"Host: %b" % _NAME

_LINES = (
    b"get /a HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"GET /a HTTP/1.2",
    b"GET /a HTTP/2.0",
    b"GET  /a HTTP/1.1",
    b"GET /a  HTTP/1.1",
    b"GET /a HTTP/1.1 ",
    b"GET\t/a\tHTTP/1.1",
    b"GET /a HTTP/1.1\rX: a",
    b"GET /a b HTTP/1.1",
    b"GET /a",
    b"GET a HTTP/1.1",
    b"GET ? HTTP/1.1",
    b"GET * HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"GET //a HTTP/1.1",
    b"GET /a# HTTP/1.1",
    b"GET /../../a HTTP/1.1",
    b"GET /%2e%2e/%00%ff%zz HTTP/1.1",
    b"GET /a;b=c?d=e&f HTTP/1.1",
    b'GET /|{}\\^`"<> HTTP/1.1',
    b"GET /\xc3\xa4 HTTP/1.1",
    b"GET /\xff HTTP/1.1",
    b"GET /\x7f HTTP/1.1",
    b"GET /\x01 HTTP/1.1",
    b"GET /a\0b HTTP/1.1",
    b"GET /" + b"x" * 6000 + b" HTTP/1.1",
    b"GET http://%b/a HTTP/1.1" % _NAME,
    b"GET HTTP://%b HTTP/1.1" % _NAME,
    b"GET http://user@%b/a HTTP/1.1" % _NAME,
    b"GET http://other.example.com/ HTTP/1.1",
    b"GET http:/a HTTP/1.1",
    b"GET ftp://a/ HTTP/1.1",
    b"CONNECT a:1 HTTP/1.1",
    b"TRACE /a HTTP/1.1",
    b"X!#$%&'*+-.^_`|~ /a HTTP/1.1",
    b"G(T /a HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"HTTP/1.1 200 OK",
)

# Without a key HAProxy takes nothing for a handshake (RFC 6455 section 4.2.1): no concern of ours.
_KEY = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

_FIELDS = (
    b"X:",
    b"X: \xff\x80",
    b"X: \x01",
    b"X: a\0",
    b"X: a\rb",
    b"X: a\nY: b",
    b"X: a\r\n b",
    b"X: " + b"a" * 6000,
    b"X!#$%&'*+-.^_`|~: a",
    b"X(: a",
    b"X\xe4: a",
    b"X : a",
    b" X: a",
    b"X",
    b": a",
    b"\r\n".join(b"X-%d: a" % number for number in range(90)),
    b"Connection: Host",
    b"Connection: close, , X,",
    b"Connection: \xff",
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Upgrade: h2c, websocket\r\nConnection: Upgrade\r\n" + _KEY,
    b"Upgrade: WebSocket\r\nConnection: Upgrade, X\r\n" + _KEY,
    b"Expect: 100-continue",
    b"Expect: 200-maybe",
    b"Expect:",
    b"TE: gzip",
    b"Trailer: X",
    b"Proxy-Connection: keep-alive",
    b"Keep-Alive: timeout=9",
    b"Cookie: a=1\r\nCookie: b=2",
    b"Range: bytes=0-0,-1",
    b"Host: x",
    b"Host:",
    b"Content_Length: 5",
    b"Transfer_Encoding: chunked",
    b"X-Forwarded-For: a, b",
    b'Forwarded: for="_x"',
)

_HOSTS = (
    b"",
    b"Host:",
    b"Host: WWW.Example.COM.",
    b"Host: %b:80" % _NAME,
    b"host:%b" % _NAME,
    b"Host : a",
    b"Host: a b",
    b"Host: a/b",
    b"Host: a:b",
    b"Host: a,b",
    b"Host: user@a",
    b"Host: [::1]:80",
    b"Host: 1.2.3",
    b"Host: \xff",
    b"Host: \xc3\xa4.example.com",
    _HOST + b"\r\n" + _HOST,
)

_CHUNKED = b"Transfer-Encoding: chunked"
_FIVE = b"Content-Length: 5"
_ENDED = b"5\r\nhello\r\n0\r\n\r\n"

_CHUNKS = (
    _ENDED,
    b"0\r\n\r\n",
    b'005;a=b;c="d;\\"e"\r\nhello\r\n000\r\n\r\n',
    b"5;\r\nhello\r\n0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5;a=\rb\r\nhello\r\n0\r\n\r\n",
    b"5 \r\nhello\r\n0\r\n\r\n",
    b"5\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n",
    b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n",
    b"\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhelloXX0\r\n\r\n",
    b"ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: x\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
    b"5\r\nhello\r\n0\r\n" + HIDDEN,
)

_CODINGS = (
    b"Transfer-Encoding:\tCHUNKED ",
    b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: chunked;a=b",
    b"Transfer-Encoding: chunked\x0b",
    b'Transfer-Encoding: "chunked"',
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding:",
    b"Transfer-Encoding",
    _CHUNKED + b"\r\n" + _CHUNKED,
    _CHUNKED + b"\r\n" + _FIVE,
    b"Connection: Transfer-Encoding\r\n" + _CHUNKED,
)

_LENGTHS = (
    b"Content-Length: 5, 5",
    b"Content-Length: 5, 6",
    b"Content-Length: 005",
    b"Content-Length: +5",
    b"Content-Length: -5",
    b"Content-Length: 0x5",
    b"Content-Length: 5 \t",
    b"Content-Length: 5;a",
    b"Content-Length: 0_5",
    b"Content-Length: 18446744073709551621",
    b"Content-Length:",
    b"Content-Length: 6",
    b"Content-Length : 5",
    b"",
    _FIVE + b"\r\n" + _FIVE,
    _FIVE + b"\r\nContent-Length: 6",
    _FIVE + b"\r\nTransfer-Encoding: identity",
    _FIVE + b"\r\nExpect: 100-continue",
    _FIVE + b"\r\nX: a\nTransfer-Encoding: chunked",
    _FIVE + b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + _KEY,
)

#: Fields of a body, and that.
_BODIES = (
    *((_CHUNKED, body) for body in _CHUNKS),
    *((coding, _ENDED) for coding in _CODINGS),
    *((length, b"hello") for length in _LENGTHS),
    (_FIVE + b"\r\n" + _CHUNKED, b"0\r\n\r\n" + HIDDEN),
    (b"Connection: Content-Length\r\nContent-Length: %d" % len(HIDDEN), HIDDEN),
)

_METHODS = (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"ODD")


def _request(
    line: bytes = b"GET /echo HTTP/1.1",
    fields: bytes = b"",
    body: bytes = b"",
    host: bytes = _HOST,
) -> bytes:
    lines = (each for each in (line, host, fields) if each)
    return b"\r\n".join([*lines, b"", body])


def odd_requests() -> typing.Iterator[bytes]:
    """Those that are written by hand."""
    for before in (b"\r\n", b"\r\n\r\n\r\n", b"\n", b" ", b"\0"):
        yield before + _request()
    yield from (_request(line) for line in _LINES)
    yield from (_request(fields=fields) for fields in _FIELDS)
    for host in _HOSTS:
        yield _request(host=host)
        yield _request(b"GET /a HTTP/1.0", host=host)
    for fields, body in _BODIES:
        for line in (b"POST /echo HTTP/1.1", b"GET /echo HTTP/1.1", b"POST /echo HTTP/1.0"):
            yield _request(line, fields, body)
    length = b"Content-Length: %d" % len(HIDDEN)
    yield from (_request(b"%b /echo HTTP/1.1" % each, length, HIDDEN) for each in _METHODS)


_INSERTED = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"\x0b", b"\x85"),
    *(b"0", b"\xff", b"chunked", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
)


def mutated_requests(count: int, seed: int) -> typing.Iterator[bytes]:
    """So many of a kind that nobody would write: good ones, with something in their middle."""
    chosen = random.Random(seed)
    chunks = b"%x\r\n%b\r\n0\r\nT: a\r\n\r\n" % (len(HIDDEN), HIDDEN)
    post = b"POST /echo HTTP/1.1"
    good = (
        _request(post, b"Content-Length: %d\r\nX: a" % len(HIDDEN), HIDDEN),
        _request(post, _CHUNKED + b"\r\nX: a", chunks),
        _request(fields=b"Connection: close, X\r\nX: a, b"),
    )
    for _ in range(count):
        request = bytearray(chosen.choice(good))
        for _ in range(chosen.randint(1, 2)):
            at = chosen.randrange(len(request))
            dropped = chosen.choice((0, 0, 1, 2))
            request[at : at + dropped] = chosen.choice(_INSERTED)
        yield bytes(request)
