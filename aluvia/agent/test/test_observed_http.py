"""Tests for :mod:`aluvia.agent.observed_http`, against messages that h11 makes."""

from __future__ import annotations

import itertools
import typing

import attrs
import h11
from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.observed_http import MOST_WAITING, HTTPObserver, ObservedRequest
from aluvia.testing.properties import settings_for_tests
from aluvia.wire.limits import Limits

#: What is told of a request: method, path, status, bytes in, bytes out, whole.
Told = tuple[bytes, str, int, int, int, bool]

GET = b"GET /a?token=canary HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


@attrs.frozen
class Exchanged:
    """One request and its answer."""

    method: str
    path: str
    body: bytes | None
    chunked: bool
    status: int
    answer: bytes
    answer_chunked: bool
    informational: int
    identified: bool

    def request_bytes(self) -> bytes:
        """As h11 writes it."""
        connection = h11.Connection(h11.CLIENT)
        fields = [("Host", "x")]
        if self.body is not None:
            fields.append(_framing(self.body, self.chunked))
        if self.identified:
            # Behind the others, as the edge writes it.
            fields.append(("X-Request-ID", f"id-{id(self)}"))
        request = h11.Request(method=self.method, target=self.path + "?q=canary", headers=fields)
        return _sent(connection, request, self.body or b"")

    def answer_bytes(self) -> bytes:
        """As h11 writes it."""
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(self.request_bytes())
        while type(connection.next_event()) is not h11.EndOfMessage:
            pass
        first = b"".join(
            connection.send(h11.InformationalResponse(status_code=103, headers=[])) or b""
            for _ in range(self.informational)
        )
        response = h11.Response(
            status_code=self.status, headers=[_framing(self.answer, self.answer_chunked)]
        )
        bodiless = self.status in (204, 304) or self.method == "HEAD"
        return first + _sent(connection, response, b"" if bodiless else self.answer)

    def told(self) -> Told:
        """What should be told of it."""
        bodiless = self.status in (204, 304) or self.method == "HEAD"
        out = 0 if bodiless else len(self.answer)
        method = self.method.encode()
        return method, self.path, self.status, len(self.body or b""), out, True


def _framing(body: bytes, chunked: bool) -> tuple[str, str]:
    if chunked:
        return "Transfer-Encoding", "chunked"
    return "Content-Length", str(len(body))


def _sent(connection: h11.Connection, head: typing.Any, body: bytes) -> bytes:
    parts = [connection.send(head)]
    # In two, so that there is more than one chunk.
    for piece in (body[: len(body) // 2], body[len(body) // 2 :]):
        if piece:
            parts.append(connection.send(h11.Data(data=piece)))
    parts.append(connection.send(h11.EndOfMessage()))
    return b"".join(part or b"" for part in parts)


exchanges = some.builds(
    Exchanged,
    method=some.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    path=some.from_regex(r"/[a-z0-9/]{0,12}", fullmatch=True),
    body=some.none() | some.binary(max_size=40),
    chunked=some.booleans(),
    status=some.sampled_from([200, 204, 304, 404, 500]),
    answer=some.binary(max_size=40),
    answer_chunked=some.booleans(),
    informational=some.integers(0, 2),
    identified=some.booleans(),
)


class Log:
    """A clock that stands still, and what was finished."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 0.0
        self.finished: list[ObservedRequest] = []
        self.observer = HTTPObserver(lambda: self.now, self.finished.append, limits or Limits())

    @property
    def told(self) -> list[Told]:
        """What was finished."""
        return [
            (each.method, each.path, each.status, each.bytes_in, each.bytes_out, each.whole)
            for each in self.finished
        ]

    def feed(self, *parts: tuple[str, bytes]) -> Log:
        """Feed what each side sent: ``>`` for the visitor, ``<`` for the target."""
        for side, data in parts:
            read = self.observer.request_bytes if side == ">" else self.observer.answer_bytes
            read(data)
        return self

    def close(self, *, in_order: bool = True) -> list[Told]:
        """End the connection."""
        self.observer.closed(in_order=in_order)
        return self.told


def split(data: bytes, cuts: typing.Iterable[int]) -> list[bytes]:
    """The bytes in pieces."""
    places = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[one:other] for one, other in itertools.pairwise(places) if one < other]


class PropertyTests(SynchronousTestCase):
    """However the bytes come, the same is told."""

    @settings_for_tests
    @given(
        some.lists(exchanges, max_size=5),
        some.booleans(),
        some.lists(some.integers(0), max_size=40),
    )
    def test_h11(self, made: list[Exchanged], pipelined: bool, cuts: list[int]) -> None:
        """Each request is told once, in order, as h11 made it; pipelined or not."""
        requests = [each.request_bytes() for each in made]
        answers = [each.answer_bytes() for each in made]
        log = Log()
        if pipelined:
            requests, answers = [b"".join(requests)], [b"".join(answers)]
        for request, answer in zip(requests, answers, strict=True):
            log.feed(*((">", piece) for piece in split(request, cuts)))
            log.feed(*(("<", piece) for piece in split(answer, cuts)))
        self.assertEqual(log.told, [each.told() for each in made])
        self.assertFalse(log.observer.given_up)
        self.assertEqual(len(log.close()), len(made))

    @settings_for_tests
    @given(exchanges)
    def test_byte_by_byte(self, made: Exchanged) -> None:
        """So it is in pieces of one byte."""
        log = Log()
        log.feed(*((">", bytes([byte])) for byte in made.request_bytes()))
        log.feed(*(("<", bytes([byte])) for byte in made.answer_bytes()))
        self.assertEqual(log.told, [made.told()])

    @settings_for_tests
    @given(some.lists(some.tuples(some.sampled_from("><"), some.binary(max_size=80))))
    def test_anything(self, parts: list[tuple[str, bytes]]) -> None:
        """Whatever comes, nothing is raised."""
        Log().feed(*parts).close()

    @settings_for_tests
    @given(
        some.lists(
            some.tuples(
                some.sampled_from("><"),
                some.sampled_from([GET, OK, GET[:20], GET[20:], OK[:30], OK[30:], b"\r\n", b"x"]),
            )
        )
    )
    def test_pieces_of_http(self, parts: list[tuple[str, bytes]]) -> None:
        """Nor by what is nearly HTTP; a secret in a query is never told."""
        told = Log().feed(*parts).close()
        self.assertNotIn("canary", repr(told))


class StreamTests(SynchronousTestCase):
    """What ends otherwise than by the next request."""

    def test_upgrade(self) -> None:
        """After a 101 it is a stream, which is told when it ends."""
        log = Log().feed(
            (">", b"GET /ws HTTP/1.1\r\nHost: x\r\n" + UPGRADE),
            ("<", b"HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + b"HTTP"),
            (">", GET),
            ("<", b"12"),
        )
        self.assertEqual(log.told, [])
        told = (b"GET", "/ws", 101, len(GET), 6, True)
        self.assertEqual(log.close(), [told])
        self.assertEqual(log.close(), [told])

    def test_until_close(self) -> None:
        """An answer that ends with its connection is whole if that ended in order."""
        for in_order in (True, False):
            log = Log().feed((">", GET), ("<", b"HTTP/1.1 200 OK\r\n\r\nab"), ("<", b"c"))
            self.assertEqual(log.told, [])
            self.assertEqual(log.close(in_order=in_order), [(b"GET", "/a", 200, 0, 3, in_order)])

    def test_cut(self) -> None:
        """What is not answered to its end is told when the connection is gone, and is not whole."""
        log = Log().feed((">", GET), (">", GET), ("<", OK[:-1]))
        self.assertEqual(
            log.close(), [(b"GET", "/a", 200, 0, 2, False), (b"GET", "/a", 0, 0, 0, False)]
        )

    def test_answered_early(self) -> None:
        """An answer may come before its request is whole; the next one is told apart from it."""
        post = b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
        log = Log().feed((">", post + b"ab"), ("<", OK), (">", b"cd" + GET), ("<", OK))
        self.assertEqual([each[1:3] for each in log.told], [("/up", 200), ("/a", 200)])

    def test_time(self) -> None:
        """From the end of the head."""
        log = Log()
        log.now = 5.0
        log.feed((">", GET))
        self.assertEqual([], log.finished)
        log.now = 7.0
        log.feed(("<", OK))
        self.assertEqual([each.began for each in log.finished], [5.0])


class GivenUpTests(SynchronousTestCase):
    """What is not HTTP, or too much of it."""

    def given_up(self, *parts: tuple[str, bytes], limits: Limits | None = None) -> None:
        """It is, and nothing is told, nor later."""
        log = Log(limits).feed(*parts)
        self.assertTrue(log.observer.given_up, parts)
        self.assertEqual(log.feed((">", GET), ("<", OK)).close(), [])

    def test_not_http(self) -> None:
        """A line that is none, an answer to nothing, a body that breaks its framing."""
        self.given_up((">", b"\x16\x03\x01\r\n\r\n"))
        self.given_up(("<", b"220 mail.example\r\n"))
        self.given_up((">", GET), ("<", b"RTSP/1.0 200 OK\r\n\r\n"))
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.given_up((">", GET), ("<", chunked + b"zz\r\n"))

    def test_too_much(self) -> None:
        """A head over its limit, whole or not; more requests than anybody pipelines."""
        limits = Limits(head_bytes=100)
        self.given_up((">", b"GET /" + b"a" * 100), limits=limits)
        self.given_up(*((">", b"a") for _ in range(101)), limits=limits)
        self.given_up(*((">", GET) for _ in range(MOST_WAITING + 1)))
        log = Log().feed(*((">", GET) for _ in range(MOST_WAITING)))
        self.assertEqual(len(log.close()), MOST_WAITING)


class PathTests(SynchronousTestCase):
    """What is shown of a target."""

    def test_paths(self) -> None:
        """The path alone, of every form; not all of a long one."""
        for target, path in (
            (b"/a/b?token=canary", "/a/b"),
            (b"/", "/"),
            (b"/?x", "/"),
            (b"*", "*"),
            (b"http://user:canary@x/a/b?canary", "/a/b"),
            (b"http://canary", "/"),
            (b"canary:443", "/"),
            (b"/" + b"a" * 1000, "/" + "a" * 255),
        ):
            self.assertEqual(ObservedRequest(b"GET", target, 0.0).path, path)
        self.assertNotIn("canary", repr(ObservedRequest(b"GET", b"/?canary", 0.0)))
