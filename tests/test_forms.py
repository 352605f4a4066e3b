"""Request forms: what is a request to a proxy, and what is answered with 400 and the like."""

from __future__ import annotations

from aluvia.testing.lies import REQUEST_LIES
from tests.support import ProxyCase


class FormTests(ProxyCase):
    """Forms that a web server would take, and that a proxy must not."""

    async def test_origin_form(self) -> None:
        """Origin-form gets 400 and a short page that says what this is; never a side effect."""
        proxy = await self.aluvia()
        for request in (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"POST /quit HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}",
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET //example.com/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ):
            answer = await self.ask(proxy, request)
            self.assert_failed(answer, 400, "http_request_error")
            self.assertIn(b"proxy", answer.body)

    async def test_other_schemes(self) -> None:
        """Absolute-form is for http alone."""
        proxy = await self.aluvia()
        origin = self.origin()
        for scheme in (b"https", b"ftp", b"file", b"ws", b"gopher", b"httpx"):
            target = scheme + b"://127.0.0.1:%d/" % origin.port
            answer = await self.ask(proxy, b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % target)
            self.assert_failed(answer, 400, "http_request_error")
        self.assertEqual(origin.peer.accepted, 0)

    async def test_scheme_in_capitals(self) -> None:
        """Schemes are case-insensitive (RFC 3986 section 3.1)."""
        proxy = await self.aluvia()
        origin = self.origin()
        answer = await self.get(proxy, f"HTTP://127.0.0.1:{origin.port}/")
        self.assertEqual(answer.status, 200)

    async def test_targets_that_are_none(self) -> None:
        """User information, fragments, empty hosts and bytes that no URL has: 400."""
        proxy = await self.aluvia()
        origin = self.origin()
        port = origin.port
        for target in (
            b"http://user:pw@127.0.0.1:%d/" % port,
            b"http://127.0.0.1:%d/#fragment" % port,
            b"http://:%d/" % port,
            b"http:///",
            b"http://127.0.0.1:%d/\xc3\xa4" % port,
            b"http://127.0.0.1:%d/\x7f" % port,
            b"http:127.0.0.1:%d" % port,
            b"http://[::1:%d/" % port,
            b"http://127.0.0.1:%dx/" % port,
            b"http://127.0.0.1:+%d/" % port,
            b"127.0.0.1:%d" % port,
            b"nonsense",
        ):
            answer = await self.ask(proxy, b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            self.assert_failed(answer, 400, "http_request_error")
        self.assertEqual(origin.peer.accepted, 0)

    async def test_connect_targets_that_are_none(self) -> None:
        """A CONNECT names a host and a port, and nothing else."""
        proxy = await self.aluvia()
        for target in (
            b"127.0.0.1",
            b"127.0.0.1:",
            b":443",
            b"127.0.0.1:http",
            b"127.0.0.1:0x50",
            b"127.0.0.1:-1",
            b"127.0.0.1:80:80",
            b"::1:443",
            b"[::1]443",
            b"[::1]",
            b"[::1",
            b"[127.0.0.1]:80",
            b"user@127.0.0.1:80",
            b"http://127.0.0.1:80/",
            b"127.0.0.1:80/",
            b"/",
            b"*",
            b"a b:80",
            b"a..b:80",
            b"%31:80",
        ):
            answer = await self.ask(proxy, b"CONNECT %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
            self.assert_failed(answer, 400, "http_request_error")

    async def test_empty_line_before_a_request(self) -> None:
        """One is ignored (RFC 9112 section 2.2), also between two requests; not any number."""
        proxy = await self.aluvia()
        origin = self.origin()
        connection = await self.connect(proxy)
        request = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port
        await connection.send(b"\r\n" + request + b"\r\n" + request)
        for _ in range(2):
            self.assertIn(b"200 OK", await connection.read_until(b"\r\n\r\n"))
            await connection.read_until(b"}\n")
        answer = await self.ask(proxy, b"\r\n" * 1000 + request, b"GET")
        self.assert_failed(answer, 400, "http_request_error")

    async def test_host_is_the_targets(self) -> None:
        """A Host that differs from an absolute-form target is replaced (RFC 9112 section 3.2.2)."""
        proxy = await self.aluvia()
        origin = self.origin()
        target = b"http://127.0.0.1:%d/" % origin.port
        await self.ask(proxy, b"GET %b HTTP/1.1\r\nHost: other.example\r\n\r\n" % target)
        self.assertEqual(origin.visits[0].header(b"host"), b"127.0.0.1:%d" % origin.port)

    async def test_options_without_a_path(self) -> None:
        """``OPTIONS http://host`` is ``OPTIONS *`` at the origin (RFC 9112 section 3.2.4)."""
        proxy = await self.aluvia()
        origin = self.origin()
        target = b"http://127.0.0.1:%d" % origin.port
        for method, seen in ((b"OPTIONS", b"*"), (b"GET", b"/")):
            await self.ask(proxy, b"%b %b HTTP/1.1\r\nHost: a\r\n\r\n" % (method, target))
            self.assertEqual(origin.visits[-1].target, seen)


class GateTests(ProxyCase):
    """Requests with two readings."""

    async def test_requests_with_two_readings(self) -> None:
        """Each is refused with a 4xx or 5xx of our own, the connection closes, nothing goes out."""
        proxy = await self.aluvia()
        origin = self.origin()
        authority = b"127.0.0.1:%d" % origin.port
        for name, lie in REQUEST_LIES.items():
            connection = await self.connect(proxy)
            await connection.send(lie.replace(b"%s", authority))
            said = await connection.read_to_end()
            self.assertRegex(said, rb"^HTTP/1.1 (400|501|505) ", name)
            self.assertIn(b"\r\nProxy-Status: aluvia; error=http_request_error\r\n", said, name)
        self.assertEqual(origin.peer.accepted, 0)

    async def test_connect_with_a_body(self) -> None:
        """A CONNECT has none."""
        proxy = await self.aluvia()
        origin = self.origin()
        for framing in (b"Content-Length: 5", b"Transfer-Encoding: chunked"):
            answer = await self.ask(
                proxy,
                b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % (origin.port, framing),
            )
            self.assert_failed(answer, 400, "http_request_error")
        self.assertEqual(origin.peer.accepted, 0)

    async def test_other_transfer_codings(self) -> None:
        """A coding that is not exactly chunked is refused, whatever stands behind it."""
        proxy = await self.aluvia()
        origin = self.origin()
        for coding in (b"gzip, chunked", b"chunked, chunked", b"identity", b"xchunked", b"chunke"):
            answer = await self.ask(
                proxy,
                b"POST http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: %b\r\n\r\n"
                b"0\r\n\r\n" % (origin.port, coding),
            )
            self.assertIn(answer.status, (400, 501), coding)
        self.assertEqual(origin.peer.accepted, 0)

    async def test_heads_over_the_bound(self) -> None:
        """A head over 64 KiB or 200 fields is 431; one that just fits passes."""
        proxy = await self.aluvia()
        origin = self.origin()
        start = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n" % origin.port
        for fields, status in (
            (b"X: " + b"a" * 60_000 + b"\r\n", 200),
            (b"X: " + b"a" * 66_000 + b"\r\n", 431),
            (b"X: " + b"a" * 1_000_000, 431),
            (b"".join(b"X-%d: 1\r\n" % n for n in range(190)), 200),
            (b"".join(b"X-%d: 1\r\n" % n for n in range(201)), 431),
        ):
            answer = await self.ask(proxy, start + fields + b"\r\n")
            self.assertEqual(answer.status, status, (len(fields), answer.body[:200]))

    async def test_underscore_look_alikes(self) -> None:
        """Spellings of forwarding and framing fields with ``_`` are dropped, other names pass."""
        proxy = await self.aluvia()
        origin = self.origin()
        await self.get(
            proxy,
            f"http://127.0.0.1:{origin.port}/",
            b"X_Forwarded_For: 1.2.3.4",
            b"Content_Length: 5",
            b"Transfer_Encoding: chunked",
            b"my_own: 1",
        )
        names = {name.lower() for name, _ in origin.visits[0].headers}
        self.assertEqual(names, {b"host", b"my_own"})

    async def test_what_connection_lists_is_removed(self) -> None:
        """Hop-by-hop fields, and whatever Connection lists, do not reach the origin."""
        proxy = await self.aluvia()
        origin = self.origin()
        await self.get(
            proxy,
            f"http://127.0.0.1:{origin.port}/",
            b"Connection: close, X-Secret",
            b"X-Secret: 1",
            b"X-Public: 1",
            b"Proxy-Connection: keep-alive",
            b"Keep-Alive: timeout=5",
            b"TE: trailers",
        )
        names = {name.lower() for name, _ in origin.visits[0].headers} - {b"connection"}
        self.assertEqual(names, {b"host", b"x-public"})
