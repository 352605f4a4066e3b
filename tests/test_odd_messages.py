"""Messages that are unusual, broken, early or ended in the middle."""

from __future__ import annotations

from functools import partial

import h11

from aluvia.testing.faults import Close, FaultPeer, Read, Reset, Send
from aluvia.testing.http import Conversation, read_response
from tests.aluvia_process import until
from tests.support import MessageCase, tell

HEAD_END = b"\r\n\r\n"


class OddAnswerTests(MessageCase):
    """What an origin does."""

    async def test_odd_answers(self) -> None:
        """What is unusual and has one reading passes: codes, reasons, spellings of a framing."""
        odd = {
            b"200 \xc7a va\r\nContent-Length: 1\r\n\r\nx": (200, b"x"),
            b"200\r\nContent-Length: 1\r\n\r\nx": (200, b"x"),
            b"299 \r\nX:\r\nContent-Length:   1  \r\n\r\nx": (299, b"x"),
            b"599 Far\r\nContent-Length: 1\r\n\r\nx": (599, b"x"),
            b"200 OK\r\ntransfer-encoding: Chunked\r\n\r\n01;a=b\r\nx\r\n000\r\n\r\n": (200, b"x"),
            b"204 No Content\r\nContent-Length: 1\r\n\r\nx": (204, b""),
            b"304 Same\r\nTransfer-Encoding: chunked\r\n\r\n": (304, b""),
        }
        peer = self.peer(*(tell(b"HTTP/1.1 " + answer) for answer in odd))
        proxy = await self.aluvia()
        for said, expected in odd.items():
            answer = await self.get(proxy, f"http://{peer.authority}/")
            self.assertEqual((answer.status, answer.body), expected, said)
            # What is left over behind an answer must not be the next one's; begin anew.
            await until(partial(_quiet, peer), 5, "answered")
            for connection in tuple(peer.open):
                connection.reset()

    async def test_informational_to_1_0(self) -> None:
        """HTTP/1.0 knows no 1xx (RFC 9110 section 15.2): it gets the final answer alone."""
        peer = self.peer(
            tell(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        await connection.send(b"GET http://%b/ HTTP/1.0\r\n\r\n" % peer.authority.encode())
        self.assertTrue((await connection.read_to_end()).startswith(b"HTTP/1.1 200 "))

    async def test_stale_connection_of_the_pool(self) -> None:
        """A kept connection that its origin has closed meanwhile costs the client nothing."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        for end in (Close(), Reset()):
            # The first request leaves a kept connection; the second one meets its end.
            peer = self.peer([Read(until=HEAD_END), Send(answer), Read(until=HEAD_END), end],
                             [Read(until=HEAD_END), Send(answer)])  # fmt: skip
            proxy = await self.aluvia()
            for _ in range(2):
                got = await self.get(proxy, f"http://{peer.authority}/")
                self.assertEqual((got.status, got.body), (200, b"ok"))
            self.assertEqual(peer.accepted, 2)

    async def test_early_answer_of_an_origin_that_reads_on(self) -> None:
        """
        An origin may answer before it has read the body, and read it to its end all the same (nginx
        does): the body goes on, the client is not disturbed, and the connection serves another.
        """
        body = b"x" * 5_000_000
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"),
                Read(count=len(body)),
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"),
            ]
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        target = f"http://{peer.authority}/ HTTP/1.1\r\nHost: a\r\n".encode()
        await connection.send(b"POST %bContent-Length: %d\r\n\r\n" % (target, len(body)))
        self.assertEqual((await read_response(connection, b"POST")).body, b"early")
        await connection.send(body)
        await connection.send(b"GET %b\r\n" % target)
        self.assertEqual((await read_response(connection)).body, b"next")

    async def test_conversation_after_an_early_answer(self) -> None:
        """An answer that comes before the request's body is whole reaches the client."""
        peer = self.peer(
            [
                Read(until=HEAD_END),
                Send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"),
                Close(),
            ]
        )
        proxy = await self.aluvia()
        connection = await self.connect(proxy)
        conversation = Conversation(connection, h11.CLIENT)
        await conversation.send(
            h11.Request(
                method="POST",
                target=f"http://{peer.authority}/",
                headers=[("Host", "a"), ("Content-Length", "10000000")],
            )
        )
        await conversation.send(h11.Data(data=b"x" * 100_000))
        answer = await conversation.read_response()
        self.assertEqual((answer.status, answer.body), (413, b"no"))


class OddRequestTests(MessageCase):
    """What a client does."""

    async def test_half_close_behind_a_request(self) -> None:
        """A client that ends its half behind a whole request gets its answer, by both ways."""
        for base in await self.start():
            connection = await self.connect(self.proxy)
            await connection.send(f"GET {base}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            connection.finish()
            self.assertIn(b" 200 ", await connection.read_to_end())

    async def test_half_close_within_a_request(self) -> None:
        """In the middle of a body, or of a head, it is a 400, and the origin sees no whole one."""
        peer = self.peer([])
        proxy = await self.aluvia()
        start = b"POST http://%b/ HTTP/1.1\r\nHost: a\r\n" % peer.authority.encode()
        for part in (start, start + b"Content-Length: 9\r\n\r\nab"):
            connection = await self.connect(proxy)
            await connection.send(part)
            connection.finish()
            self.assertTrue((await connection.read_to_end()).startswith(b"HTTP/1.1 400 "))
        await until(partial(_ended, peer), 5, "the origin's connection ended")
        self.assertFalse(any(b"abc" in one.received for one in peer.connections))

    async def test_post_is_not_sent_twice(self) -> None:
        """What may not be repeated (RFC 9110 section 9.2.2) reaches the origin at most once."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        peer = self.peer([Read(until=HEAD_END), Send(answer), Read(until=b"body"), Close()])
        proxy = await self.aluvia()
        await self.get(proxy, f"http://{peer.authority}/")
        for _ in range(3):
            await self.ask(
                proxy,
                b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
                % peer.authority.encode(),
            )
        posts = sum(one.received.count(b"POST ") for one in peer.connections)
        self.assertLessEqual(posts, 3)

    async def test_broken_chunks(self) -> None:
        """
        A body whose chunks are broken is never passed off as whole: the client is told or cut off,
        the origin's connection ends, and nothing behind the break is read as a request.
        """
        for broken in (b"zz\r\n", b"-1\r\n", b"5 \r\nhello\r\n", b"5\r\nhelloXX0\r\n\r\n",
                       b"0x5\r\nhello\r\n", b"1" * 20 + b"\r\n", b"5\nhello\n",
                       b"5;" + b"a" * 5000 + b"\r\n", b"0\r\nX : 1\r\n\r\n",
                       b"0\r\n" + b"X: 1\r\n" * 5000 + b"\r\n"):  # fmt: skip
            peer = self.peer([])
            proxy = await self.aluvia()
            connection = await self.connect(proxy)
            await connection.send(
                b"POST http://%b/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"2\r\nok\r\n" % peer.authority.encode()
            )
            await until(partial(_has_body, peer), 5, "the body began to arrive")
            await connection.send(broken + b"GET http://smuggled.test/ HTTP/1.1\r\n\r\n")
            said = await connection.read_to_end()
            self.assertRegex(said, rb"^(HTTP/1\.1 4\d\d |$)", broken)
            self.assertLessEqual(said.count(b"HTTP/1.1"), 1)
            await until(partial(_ended, peer), 5, f"the origin's connection ended after {broken!r}")
            received = peer.connections[0].received
            self.assertNotIn(b"smuggled", received)
            self.assertFalse(received.endswith(b"0\r\n\r\n"), broken)
            await proxy.stop()


def _quiet(peer: FaultPeer) -> bool:
    return all(one.bytes_sent for one in peer.connections)


def _has_body(peer: FaultPeer) -> bool:
    return any(b"ok" in one.received.partition(HEAD_END)[2] for one in peer.connections)


def _ended(peer: FaultPeer) -> bool:
    return not peer.open
