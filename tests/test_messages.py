"""HTTP/1.1 messages of every framing, through the proxy as they were sent, both ways out."""

from __future__ import annotations

import h11

from aluvia.testing.faults import Close, ConnectionEnded, Finish, Read, Reset, Send
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit
from tests.support import MessageCase

HEAD_END = b"\r\n\r\n"


class ResponseTests(MessageCase):
    """What an origin answers."""

    async def test_chunked(self) -> None:
        """A chunked body arrives whole, chunked to a 1.1 client, and the connection stays."""

        async def chunked(visit: Visit) -> None:
            await visit.begin(200, [(b"Transfer-Encoding", b"chunked")])
            for number in range(50):
                await visit.send(b"%d," % number)
            await visit.end()

        for base in await self.start():
            self.site.routes["/chunked"] = chunked
            connection = await self.connect(self.proxy)
            for _ in range(2):
                await connection.send(f"GET {base}/chunked HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                answer = await read_response(connection)
                self.assertEqual(answer.body, b"".join(b"%d," % n for n in range(50)))
                self.assertEqual(answer.header(b"transfer-encoding"), b"chunked")

    async def test_trailers(self) -> None:
        """Trailers pass behind a chunked body; those that would frame or route are dropped."""

        async def trailers(visit: Visit) -> None:
            headers = [(b"Transfer-Encoding", b"chunked"), (b"Trailer", b"X-Sum")]
            await visit.answer(200, headers, b"body", trailers=[(b"X-Sum", b"42")])

        for base in await self.start():
            self.site.routes["/trailers"] = trailers
            answer = await self.get(self.proxy, f"{base}/trailers")
            self.assertEqual((answer.body, answer.trailers), (b"body", [(b"x-sum", b"42")]))
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
                Send(b"Content-Length: 7\r\nHost: evil\r\nX-Ok: 1\r\n\r\n"),
            ]
        )
        answer = await self.get(self.proxy, f"http://127.0.0.1:{peer.port}/")
        self.assertEqual(answer.trailers, [(b"x-ok", b"1")])

    async def test_bodies_that_end_with_the_connection(self) -> None:
        """Without a length the body ends at the FIN, and the client sees it whole and ended."""
        for version in (b"1.0", b"1.1"):
            peer = self.peer(
                [
                    Read(until=HEAD_END),
                    Send(b"HTTP/%b 200 OK\r\nConnection: close\r\n\r\nuntil " % version),
                    Send(b"close"),
                    Close(),
                ]
            )
            proxy = await self.aluvia()
            for client in (b"1.0", b"1.1"):
                answer = await self.ask(
                    proxy,
                    b"GET http://%b/ HTTP/%b\r\nHost: a\r\n\r\n"
                    % (peer.authority.encode(), client),
                )
                self.assertEqual(answer.body, b"until close")

    async def test_answers_without_a_body(self) -> None:
        """HEAD, 204 and 304 have none, whatever their fields say; the connection goes on."""

        async def head(visit: Visit) -> None:
            await visit.answer(200, [(b"Content-Length", b"1000")])

        async def no_content(visit: Visit) -> None:
            await visit.answer(204, [(b"X-A", b"1"), (b"Content-Length", b"0")])

        async def not_modified(visit: Visit) -> None:
            await visit.answer(304, [(b"Content-Length", b"1000"), (b"ETag", b'"a"')])

        for base in await self.start():
            self.site.routes.update({"/head": head, "/204": no_content, "/304": not_modified})
            connection = await self.connect(self.proxy)
            for method, path, status in (
                ("HEAD", "/head", 200),
                ("GET", "/204", 204),
                ("GET", "/304", 304),
                ("HEAD", "/304", 304),
                ("GET", "/", 200),
            ):
                request = f"{method} {base}{path} HTTP/1.1\r\nHost: a\r\n\r\n"
                await connection.send(request.encode())
                answer = await read_response(connection, method.encode())
                self.assertEqual(answer.status, status)
                if path == "/head":
                    self.assertEqual(answer.header(b"content-length"), b"1000")
                if status != 200:
                    self.assertEqual(answer.body, b"")

    async def test_informational(self) -> None:
        """1xx answers pass, in their order and at once, before the final one."""
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"),
                Send(b"HTTP/1.1 102 Processing\r\n\r\n"),
                Read(until=b"go on"),
                Send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
            ]
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        await connection.send(
            b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
            % peer.authority.encode()
        )
        early = await connection.read_until(HEAD_END)
        self.assertTrue(early.startswith(b"HTTP/1.1 103 "), early)
        self.assertIn(b"\r\nLink: </a.css>\r\n", early)
        self.assertIn(b" 102 ", await connection.read_until(HEAD_END))
        await connection.send(b"go on")
        answer = await read_response(connection, b"POST")
        self.assertEqual((answer.status, answer.body), (200, b"ok"))

    async def test_fields_pass_as_they_are(self) -> None:
        """Repeated fields, their order, their case and bytes beyond ASCII are the origin's."""
        fields = b"Set-Cookie: a=1\r\nSET-COOKIE: b=2\r\nX-Name: caf\xe9\r\nServer: mine\r\n"
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 299 Made Up\r\n" + fields + b"Content-Length: 0\r\n\r\n"),
            ]
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        await connection.send(
            b"GET http://%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % peer.authority.encode()
        )
        head = await connection.read_until(HEAD_END)
        self.assertTrue(head.startswith(b"HTTP/1.1 299 Made Up\r\n"), head)
        self.assertIn(fields, head)

    async def test_answers_cut_short(self) -> None:
        """
        A body that ends before its length, or before its last chunk, or whose chunks are broken, is
        never passed off as whole: the client's connection ends without the rest, or it is a 502.
        """
        proxy = await self.aluvia()
        chunked = b"Transfer-Encoding: chunked"
        for framing, body in (
            (b"Content-Length: 100", b"only this"),
            (chunked, b"9\r\nonly this\r\n"),
            (chunked, b"9\r\nonly this\r\n0\r\nX: 1"),
            (chunked, b"9\r\nonly this\r\nzz\r\n"),
            (chunked, b"9\r\nonly this\r\n0\r\n" + b"X: 1\r\n" * 5000 + b"\r\n"),
        ):
            for end in (Close(), Reset(), Finish()):
                peer = self.peer(
                    [
                        Read(until=HEAD_END),
                        Send(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (framing, body)),
                        end,
                    ]
                )
                connection = await self.connect(proxy)
                await connection.send(
                    b"GET http://%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % peer.authority.encode()
                )
                try:
                    answer = await read_response(connection)
                except (h11.RemoteProtocolError, ConnectionEnded):
                    continue
                # What came with the head, and was judged before anything was passed on.
                self.assert_failed(answer, 502, "http_.*")


class RequestTests(MessageCase):
    """What a client sends."""

    async def test_chunked_upload(self) -> None:
        """A chunked body with trailers passes, streaming: the origin sees its begin at once."""
        for base in await self.start():
            connection = await self.connect(self.proxy)
            await connection.send(
                f"POST {base}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n".encode()
            )
            answer = await read_response(connection, b"POST")
            self.assertEqual(answer.status, 200)
            self.assertIn(b'"body": "hello world"', answer.body)

    async def test_body_streams(self) -> None:
        """The begin of a request's body reaches the origin before its end was sent."""
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Read(until=b"first half"),
                Send(b"HTTP/1.1 100 Continue\r\n\r\n"),
                Read(until=b"second half"),
                Send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
            ]
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        await connection.send(
            b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nfirst half"
            % peer.authority.encode()
        )
        self.assertIn(b" 100 ", await connection.read_until(HEAD_END))
        await connection.send(b"second half")
        self.assertEqual((await read_response(connection, b"POST")).status, 200)

    async def test_expect_100_continue(self) -> None:
        """The origin's 100 is what lets the client go on; its refusal comes without a body sent."""
        for base in await self.start():
            for path, status in (("/", 200), ("/refuse", 413)):

                async def refuse(visit: Visit) -> None:
                    await visit.answer(413, [(b"Connection", b"close")], b"no")

                self.site.routes["/refuse"] = refuse
                connection = await self.connect(self.proxy)
                await connection.send(
                    f"POST {base}{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                    "Expect: 100-continue\r\n\r\n".encode()
                )
                if status == 200:
                    self.assertIn(b" 100 ", await connection.read_until(HEAD_END))
                    await connection.send(b"body")
                answer = await read_response(connection, b"POST")
                self.assertEqual(answer.status, status)

    async def test_pipelined_requests_in_order(self) -> None:
        """Requests sent at once are answered one by one, in their order, to their own origins."""
        direct, proxied = await self.start()
        connection = await self.connect(self.proxy)
        requests = [f"{direct if n % 2 else proxied}/{n}" for n in range(20)]
        await connection.send(
            b"".join(f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for url in requests)
        )
        for number in range(20):
            answer = await read_response(connection)
            self.assertIn(b'"target": "/%d"' % number, answer.body)

    async def test_connection_close_is_kept(self) -> None:
        """
        A client that says close gets its answer and then a FIN; so does one of HTTP/1.0 that asks
        for keep-alive, which a proxy must not give it (RFC 9112 section 9.3).
        """
        base, _ = await self.start()
        for ask in ("1.1\r\nHost: a\r\nConnection: close", "1.0\r\nConnection: keep-alive"):
            connection = await self.connect(self.proxy)
            await connection.send(f"GET {base}/ HTTP/{ask}\r\n\r\n".encode())
            said = await connection.read_to_end()
            self.assertIn(b"200 OK", said)
            self.assertNotIn(b"keep-alive", said.lower())
