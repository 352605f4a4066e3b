"""Tests for :mod:`aluvia.api.site` and :mod:`aluvia.api.rest`: what may be sent, and how slowly."""

from __future__ import annotations

import io
import typing

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from aluvia.api.answers import prepare
from aluvia.api.problems import Problem
from aluvia.api.rest import BOUNDS, rest_site
from aluvia.api.test.site_case import MemoryTransport, Reply, connect, head


class Echo(Resource):
    """
    Answers with the body; ``/slow`` when it is told to, ``/bug`` and ``/problem`` fail, ``/half``
    fails in the middle.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[Request] = []

    def render(self, request: Request) -> int:
        """Answer."""
        if request.path == b"/bug":
            raise ZeroDivisionError
        if request.path == b"/half":
            request.write(b"half")
            raise ZeroDivisionError
        if request.path == b"/problem":
            raise Problem(409, "conflict", "No.", fields=[(b"X-Why", b"so")])
        if request.path == b"/slow":
            self.slow.append(request)
        else:
            self.answer(request)
        return NOT_DONE_YET

    @staticmethod
    def answer(request: Request) -> None:
        """The body."""
        prepare(request, 200, b"text/plain")
        assert request.content is not None
        body = b"got " + request.content.read()
        request.setHeader(b"Content-Length", b"%d" % len(body))
        request.write(body)
        request.finish()


class SiteTests(SynchronousTestCase):
    """A site over connections in memory."""

    def setUp(self) -> None:
        """A site, at second 100."""
        self.clock = Clock()
        self.clock.advance(100)
        self.echo = Echo()
        self.site = rest_site(self.echo, typing.cast(typing.Any, self.clock))
        self.transports: list[MemoryTransport] = []

    def tearDown(self) -> None:
        """Nothing is left of a connection that is gone."""
        for transport in self.transports:
            transport.leave()
        self.assertEqual(self.site.channels, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def connect(self) -> MemoryTransport:
        """A connection that is closed behind the test."""
        transport = connect(self.site)
        self.transports.append(transport)
        return transport

    def send(self, raw: bytes) -> Reply:
        """The answer to these bytes on a new connection."""
        transport = self.connect()
        transport.deliver(raw)
        return Reply(transport.value())

    def advance(self, seconds: float) -> None:
        """Let time pass, and connections end."""
        self.clock.advance(seconds)
        for transport in self.transports:
            transport.settle()

    def assert_problem(self, reply: Reply, status: int, code: str) -> None:
        """It is an error as both kinds of clients read it."""
        self.assertEqual(reply.status, status)
        self.assertEqual(reply.fields["content-type"], "application/problem+json")
        self.assertIn("date", reply.fields)
        body = reply.json()
        self.assertEqual((body["status"], body["success"]), (status, False))
        self.assertEqual((body["type"], body["error"]["code"]), ("about:blank", code))
        self.assertEqual(body["error"]["message"], body["detail"])

    def test_answer(self) -> None:
        """A request is answered, without a banner and for no cache."""
        reply = self.send(head("POST", "/", "Content-Length: 3") + b"abc")
        self.assertEqual((reply.status, reply.body), (200, b"got abc"))
        self.assertEqual(reply.fields["cache-control"], "no-store")
        self.assertNotIn("server", reply.fields)

    def test_long_body(self) -> None:
        """A body over the bound is refused by its length alone, before a byte of it came."""
        transport = self.connect()
        transport.deliver(head("POST", "/", f"Content-Length: {BOUNDS.body_bytes + 1}"))
        self.assert_problem(Reply(transport.value()), 413, "body_too_long")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(
            self.send(
                head("POST", "/", f"Content-Length: {BOUNDS.body_bytes}") + b"a" * BOUNDS.body_bytes
            ).status,
            200,
        )

    def test_bodies_of_anybody(self) -> None:
        """They are taken before it is asked who sends them, up to a bound of their own."""

        def admit(request: Request) -> None:
            raise Problem(401, "token_missing", "Who are you?")

        self.site.admit = admit
        self.site.bounds = attrs.evolve(BOUNDS, bodies_of_anybody={b"/form": 3})
        for target, length, status in (
            ("/form", 3, 200),
            ("/form?a=/b", 3, 200),
            ("/form", 4, 413),
            ("/form/", 3, 401),
            ("/", 3, 401),
        ):
            reply = self.send(head("POST", target, f"Content-Length: {length}") + b"a" * length)
            self.assertEqual(reply.status, status, target)

    def test_longer_bodies(self) -> None:
        """A path may have a bound of its own, whatever its query, and it alone."""
        most = BOUNDS.body_bytes + 1
        self.site.bounds = attrs.evolve(BOUNDS, longer_bodies={b"/all": most})
        for target, length, taken in (
            ("/all", most, True),
            ("/all?a=/b", most, True),
            ("/all", most + 1, False),
            ("/all/", most, False),
            ("/?/all", most, False),
        ):
            transport = self.connect()
            transport.deliver(head("PUT", target, f"Content-Length: {length}"))
            if not taken:
                self.assert_problem(Reply(transport.value()), 413, "body_too_long")
            else:
                self.assertEqual(transport.value(), b"")

    def test_no_length(self) -> None:
        """A chunked body is refused, and nobody is asked for it."""
        reply = self.send(
            head("POST", "/", "Transfer-Encoding: chunked", "Expect: 100-continue") + b"0\r\n\r\n"
        )
        self.assert_problem(reply, 411, "length_required")

    def test_hosts(self) -> None:
        """A request has one host, and it is one."""
        for raw in (
            head("GET", "/", host=None),
            head("GET", "/", "Host: a"),
            head("GET", "/", host=""),
            head("GET", "/", host="a b"),
            head("GET", "/", host="a:b:c"),
            head("GET", "/", host="a/b"),
        ):
            self.assert_problem(self.send(raw), 400, "bad_host")
        for host in ("a.example", "[::1]:80", "10.0.0.1"):
            self.assertEqual(self.send(head("GET", "/", host=host)).status, 200)
        self.assertEqual(self.send(b"GET / HTTP/1.0\r\n\r\n").status, 200)

    def test_paths(self) -> None:
        """What is no plain path is nowhere."""
        for target in ("*", "http://a/", "/%ff", "/a%2fb", "//", "/a//b", "a"):
            self.assert_problem(self.send(head("GET", target)), 404, "not_found")

    def test_encoded_paths(self) -> None:
        """
        Where an API has names that need it, each segment is decoded by itself; what would be
        another path, or none, is nowhere.
        """
        seen: list[list[bytes]] = []

        class Segments(Echo):
            def render(self, request: Request) -> int:
                seen.append(request.postpath or [])
                return super().render(request)

        self.site = rest_site(Segments(), typing.cast(typing.Any, self.clock), encoded=True)
        for target, segments in (
            ("/a/b", [b"a", b"b"]),
            ("/%2A.a/x%20y", [b"*.a", b"x y"]),
            ("/%C3%A9%25", ["é%".encode()]),
            ("/a/%2e%2E", [b"a", b".."]),
            ("/a?b=%2F", [b"a"]),
        ):
            self.assertEqual(self.send(head("GET", target)).status, 200, target)
            self.assertEqual(seen.pop(), segments)
        for target in ("/a%2fb", "/%ff", "/%", "/a%2", "/%zz", "/a//b", "/%00", "/%0a", "/%7f"):
            self.assert_problem(self.send(head("GET", target)), 404, "not_found")
        self.assertEqual(seen, [])

    def test_admission(self) -> None:
        """
        Who may not ask is told so before anything is looked for, and before a body is taken; the
        connection of a body that was not taken ends.
        """

        def admit(request: Request) -> None:
            if request.getHeader("x-may") is None:
                raise Problem(401, "no", "You may not.")

        self.site = rest_site(self.echo, typing.cast(typing.Any, self.clock), admit=admit)
        for target in ("/", "/nowhere//", "/%ff"):
            self.assert_problem(self.send(head("GET", target)), 401, "no")
        transport = self.connect()
        transport.deliver(head("POST", "/", "Content-Length: 9", "Expect: 100-continue"))
        self.assert_problem(Reply(transport.value()), 401, "no")
        self.assertTrue(transport.disconnecting)
        reply = self.send(head("POST", "/", "Content-Length: 3", "X-May: yes") + b"abc")
        self.assertEqual((reply.status, reply.body), (200, b"got abc"))

    def test_problem(self) -> None:
        """A problem is answered with its fields; a HEAD of it without its body."""
        reply = self.send(head("GET", "/problem"))
        self.assert_problem(reply, 409, "conflict")
        self.assertEqual(reply.fields["x-why"], "so")
        headed = self.send(head("HEAD", "/problem"))
        self.assertEqual((headed.status, headed.body), (409, b""))
        self.assertEqual(headed.fields, reply.fields)

    def test_bug(self) -> None:
        """A bug is 500 with nothing of it in the answer, and in the log."""
        reply = self.send(head("GET", "/bug"))
        self.assert_problem(reply, 500, "internal_error")
        self.assertNotIn(b"ZeroDivision", reply.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_drip(self) -> None:
        """A request that is not whole in time is cut, however its bytes drip in."""
        for raw in (b"", head("GET", "/")[:-2], head("POST", "/", "Content-Length: 99")):
            transport = self.connect()
            transport.deliver(raw)
            for _ in range(int(BOUNDS.request_seconds) - 1):
                self.advance(1)
                transport.deliver(b"X" if raw else b"")
            self.assertFalse(transport.disconnecting)
            self.advance(1)
            self.assertTrue(transport.disconnecting)

    def test_half_an_answer(self) -> None:
        """A bug behind the first bytes of an answer ends the connection, unlike an answer does."""
        transport = self.connect()
        transport.deliver(head("GET", "/half"))
        self.assertFalse(transport.connected)
        self.assertFalse(transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_head(self) -> None:
        """A head is cut off where it is too long, in one line or in many."""
        self.site.bounds = attrs.evolve(BOUNDS, head_bytes=200)
        for flood in (b"GET /" + b"a" * 250, head("GET", "/", *["A: b"] * 50)):
            transport = self.connect()
            transport.deliver(flood)
            self.assertFalse(transport.connected)
        self.assertEqual(self.send(head("GET", "/")).status, 200)

    def test_body_stays_in_memory(self) -> None:
        """However long it may be: a file would be written in the thread that serves."""
        transport = self.connect()
        transport.deliver(head("POST", "/", f"Content-Length: {BOUNDS.body_bytes}"))
        (request,) = transport.protocol.requests
        self.assertIsInstance(request.content, io.BytesIO)

    def test_idle(self) -> None:
        """Without a request a connection is closed, and cut if it does not go."""
        self.site.bounds = attrs.evolve(BOUNDS, idle_seconds=5.0, request_seconds=10.0)
        silent, used, held = self.connect(), self.connect(), self.connect()
        used.deliver(head("GET", "/"))
        self.advance(4)
        used.deliver(head("GET", "/")[:-2])
        held.deliver(head("GET", "/"))
        self.assertTrue(silent.connected)
        self.advance(1)
        self.assertEqual((silent.connected, silent.cut), (False, False))
        held.settles = False
        self.advance(4)
        self.assertEqual((held.disconnecting, held.cut), (True, False))
        self.assertTrue(used.connected)
        self.advance(5)
        self.assertEqual((used.connected, used.cut), (False, True))
        self.advance(5)
        self.assertTrue(held.cut)
        held.settles = True

    def test_next_request_has_its_time(self) -> None:
        """One that begins late in the idle time has all of its own, also behind an answer."""
        transport = self.connect()
        self.advance(BOUNDS.idle_seconds - 1)
        transport.deliver(head("GET", "/slow") + head("GET", "/")[:-2])
        self.advance(10 * BOUNDS.request_seconds)
        self.echo.answer(self.echo.slow.pop())
        self.advance(BOUNDS.request_seconds - 1)
        transport.clear()
        transport.deliver(b"\r\n")
        self.assertEqual(Reply(transport.value()).status, 200)

    def test_answer_takes_its_time(self) -> None:
        """We may take longer; then the next request has as long again."""
        transport = self.connect()
        transport.deliver(head("GET", "/slow"))
        self.advance(10 * BOUNDS.request_seconds)
        self.assertFalse(transport.disconnecting)
        self.echo.answer(self.echo.slow.pop())
        self.assertEqual(Reply(transport.value()).status, 200)
        self.advance(BOUNDS.request_seconds - 1)
        transport.clear()
        transport.deliver(head("GET", "/"))
        self.assertEqual(Reply(transport.value()).status, 200)
        self.advance(BOUNDS.request_seconds)
        self.assertTrue(transport.disconnecting)

    def test_pipelined(self) -> None:
        """A second request that waits is answered after the first."""
        transport = self.connect()
        transport.deliver(head("GET", "/slow") + head("GET", "/"))
        self.advance(10 * BOUNDS.request_seconds)
        self.echo.answer(self.echo.slow.pop())
        self.assertEqual(transport.value().count(b"HTTP/1.1 200"), 2)

    def test_connections(self) -> None:
        """One more than there may be is closed unanswered; but who says nothing gives way to it."""
        self.site.bounds = attrs.evolve(BOUNDS, connections=2)
        first, second = self.connect(), self.connect()
        first.deliver(b"GET / HT")
        third = self.connect()
        self.advance(0)
        self.assertEqual((first.connected, second.connected), (True, False))
        third.deliver(b"GET / HT")
        self.assertIsNone(self.site.buildProtocol(None))
        first.leave()
        self.connect()

    def test_connections_that_come_together(self) -> None:
        """Each puts another one out, also where none is gone yet."""
        self.site.bounds = attrs.evolve(BOUNDS, connections=2)
        every = [self.connect() for _ in range(5)]
        self.assertEqual(len(self.site.channels), 2)
        self.advance(0)
        self.assertEqual([each.connected for each in every], [False] * 3 + [True] * 2)

    def test_close(self) -> None:
        """Every connection ends at once."""
        self.connect()
        self.site.close()
        self.advance(0)
        self.assertEqual(self.site.channels, {})
