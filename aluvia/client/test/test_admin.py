"""Tests for the admin port: who may ask, how much, and for how long."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies

from aluvia.api.test.site_case import Reply
from aluvia.client.admin_site import BOUNDS
from aluvia.client.test.admin_case import PAGES, AdminCase
from aluvia.testing.properties import settings_for_tests


class GuardTests(AdminCase):
    """Who is answered: nobody's web page."""

    def test_hosts(self) -> None:
        """127.0.0.1 and localhost, with or without a port, and nothing that only looks so."""
        for host in ("127.0.0.1", "localhost", "LOCALHOST:1", "127.0.0.1:65535"):
            self.assertEqual(200, self.ask("/healthz", host=host).status, host)
        strange: tuple[str | None, ...] = (
            None,
            "",
            "evil.example",
            "evil.example:18788",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "localhost.",
            "127.0.0.1:",
            "127.0.0.1:x",
            "127.0.0.1:123456",
            "127.1",
            "2130706433",
            "[::1]",
            "0.0.0.0",
            "localhost localhost",
        )
        for target in (*PAGES, "/nothing", "*"):
            for name in strange:
                reply = self.ask(target, host=name)
                self.assertEqual(421, reply.status, name)
                self.assertNotIn(b"aluvia_", reply.body)

    def test_two_hosts(self) -> None:
        """One of them may be the one that somebody else judged."""
        self.assertEqual(421, self.ask("/healthz", "Host: localhost").status)

    def test_older_requests(self) -> None:
        """HTTP/1.0 without a Host is not answered either."""
        self.assertEqual(421, Reply(self.send(b"GET /healthz HTTP/1.0\r\n\r\n")).status)

    def test_origins(self) -> None:
        """Only a page of our own; which is one that the same Host gave."""
        for origin, status in (
            ("http://127.0.0.1:18788", 200),
            ("http://evil.example", 403),
            ("http://127.0.0.1", 403),
            ("https://127.0.0.1:18788", 403),
            ("http://localhost:18788", 403),
            ("null", 403),
            ("", 403),
        ):
            self.assertEqual(status, self.ask("/metrics", f"Origin: {origin}").status, origin)
        two = ("Origin: http://127.0.0.1:18788", "Origin: http://evil.example")
        self.assertEqual(403, self.ask("/metrics", *two).status)


class BoundTests(AdminCase):
    """How much, and how long."""

    def test_bodies(self) -> None:
        """A short one is taken and dropped; a long one, or one of no known length, is refused."""
        reply = self.ask(
            "/healthz", f"Content-Length: {BOUNDS.body_bytes}", body=b"x" * BOUNDS.body_bytes
        )
        self.assertEqual(200, reply.status)
        for field, status in (
            (f"Content-Length: {BOUNDS.body_bytes + 1}", 413),
            ("Content-Length: 999999999999999", 413),
            ("Transfer-Encoding: chunked", 411),
        ):
            for expect in ((), ("Expect: 100-continue",)):
                transport = self.connect()
                head = "\r\n".join(
                    ["POST /healthz HTTP/1.1", "Host: localhost", field, *expect, "", ""]
                )
                transport.deliver(head.encode())
                self.assertEqual(status, Reply(transport.value()).status)
                self.assertEqual("close", Reply(transport.value()).fields["connection"])
                self.assertNotIn(b"100 Continue", transport.value())
                self.assertFalse(transport.connected)

    def test_a_body_behind_its_refusal(self) -> None:
        """What came in the same read is not taken for a request, and raises nothing."""
        for field, body in (
            (b"Content-Length: 5000", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200),
            (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"),
        ):
            raw = self.send(
                b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n" + field + b"\r\n\r\n" + body
            )
            self.assertEqual(1, raw.count(b"HTTP/1.1 "))

    def test_heads(self) -> None:
        """A head without end is cut off."""
        for flood in (b"A" * 100_000, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000):
            transport = self.connect()
            transport.deliver(flood)
            self.assertFalse(transport.connected)

    def test_connections(self) -> None:
        """Beyond the cap they are closed; when one ends there is room again."""
        transports = [self.connect() for _ in range(BOUNDS.connections)]
        for transport in transports:
            transport.deliver(b"GET / HT")
        self.assertIsNone(self.site.buildProtocol(None))
        transports[0].leave()
        self.assertIsNotNone(self.site.buildProtocol(None))

    def test_idle(self) -> None:
        """A connection on which nothing comes is closed; so is one after its last request."""
        silent, used = self.connect(), self.connect()
        self.advance(BOUNDS.idle_seconds - 1)
        used.deliver(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.advance(2)
        self.assertEqual((False, True), (silent.connected, used.connected))
        self.advance(BOUNDS.idle_seconds)
        self.assertFalse(used.connected)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_drips(self) -> None:
        """A byte now and then wins no time: not in a head, not in a body, not behind an answer."""
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for raw in (
            b"G",
            whole[:-2],
            whole.replace(b"\r\n\r\n", b"\r\nContent-Length: 4000\r\n\r\n"),
            whole * 2 + b"G",
        ):
            transport = self.connect()
            transport.deliver(raw)
            for _ in range(int(BOUNDS.request_seconds)):
                self.assertTrue(transport.connected)
                transport.deliver(b"a")
                self.advance(1)
            self.assertFalse(transport.connected)

    def test_closing(self) -> None:
        """All connections end with the site, and leave no timer; an idle site has none."""
        self.site.doStart()
        self.assertEqual([], self.clock.getDelayedCalls())
        transports = [self.connect() for _ in range(3)]
        self.site.close()
        self.advance(0)
        self.assertFalse(any(transport.connected for transport in transports))
        self.site.doStop()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_gone_in_the_middle(self) -> None:
        """A client that leaves in the middle of a head leaves nothing."""
        transport = self.connect()
        transport.deliver(b"GET /hea")
        transport.leave()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual({}, self.site.channels)

    @settings_for_tests
    @hypothesis.given(
        strategies.lists(
            strategies.binary(max_size=200)
            | strategies.sampled_from(
                [
                    b"GET ",
                    b"/healthz",
                    b" HTTP/1.1\r\n",
                    b"Host: localhost\r\n",
                    b"\r\n",
                    b"Content-Length: 3\r\n",
                ]
            )
        )
    )
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """Whatever comes, nothing is raised or logged, and nothing stays behind."""
        transport = self.connect()
        for piece in pieces:
            transport.deliver(piece)
        transport.leave()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual([], self.flushLoggedErrors())
