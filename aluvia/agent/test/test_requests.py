"""Tests for :mod:`aluvia.agent.requests`: what a hub hands out, and what comes of it."""

from __future__ import annotations

import base64
import errno
import typing

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from aluvia.agent import requests
from aluvia.agent.health import TargetStatus
from aluvia.agent.requests import MOST_ANSWER_BYTES, SILENCE_SECONDS, Document
from aluvia.agent.test.longpoll_case import LongPollCase
from aluvia.net.held import Held

GIVEN: Document = {
    "request_id": "r1",
    "tunnel_id": "app",
    "method": "GET",
    "path": "/a",
    "query": "",
    "headers": {"Host": ["app.test"]},
    "body": "",
    "remote_addr": "",
}


class RequestCase(LongPollCase):
    """Requests, and responses that a test takes."""

    def setUp(self) -> None:
        """None is taken yet."""
        super().setUp()
        self.taken: list[Document] = []

    async def take(self, response: Document) -> None:
        """Note it."""
        self.taken.append(response)

    def give(self, **more: object) -> Deferred[None]:
        """Hand one out."""
        return Deferred.fromCoroutine(self.requests.answer(GIVEN | more, self.take))

    def response(self) -> Document:
        """The one that was taken."""
        [response] = self.taken
        self.taken.clear()
        self.assertEqual((response["request_id"], response["tunnel_id"]), ("r1", "app"))
        return response

    def answered(self, data: bytes, **more: object) -> Document:
        """What comes of an answer of the target's."""
        with capturedLogs():
            self.give(**more)
            self.connect.attempts[-1].connect()
            self.wire.deliver(data)
        return self.response()

    def error(self, **more: object) -> str:
        """Of a request that is not sent."""
        before = len(self.connect.attempts)
        with capturedLogs():
            self.give(**more)
        self.assertEqual(len(self.connect.attempts), before)
        [response] = self.taken
        self.taken.clear()
        self.assertEqual((response["status"], response["body"]), (502, ""))
        error: str = response["error"]
        return error


class SentTests(RequestCase):
    """What reaches the target."""

    def test_whole(self) -> None:
        """Everything end-to-end, in its order, and nothing of a hop."""
        headers = {
            "X-Two": ["one", "tw\u00f6"],
            "Host": ["app.test"],
            "Connection": ["X-Hop"],
            "X-Hop": ["gone"],
            "Transfer-Encoding": ["chunked"],
            "Content-Length": ["999"],
            "Expect": ["100-continue"],
            "Accept-Encoding": ["gzip"],
        }
        body = base64.b64encode(b"\x00body").decode()
        with capturedLogs():
            self.give(method="POST", path="/a%2Fb", query="q=1&q=%20", headers=headers, body=body)
        wire = self.connect.attempts[0].connect()
        self.assertEqual(
            wire.value(),
            b"POST /a%2Fb?q=1&q=%20 HTTP/1.1\r\nHost: app.test\r\nX-Two: one\r\n"
            b"X-Two: tw\xc3\xb6\r\nAccept-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x00body",
        )
        self.assertEqual(self.connect.attempts[0].sockaddr, ("127.0.0.1", 3000))

    def test_no_host(self) -> None:
        """The target's own."""
        self.give(headers=None)
        wire = self.connect.attempts[0].connect()
        self.assertEqual(wire.value(), b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n")

    def test_what_is_not_published_is_refused(self) -> None:
        """Another id, and a port that speaks something else: the hub reaches neither."""
        for id in ("other", "db", "127.0.0.1:22", None, 7):
            self.assertIn("not published here", self.error(tunnel_id=id))

    def test_what_is_no_request(self) -> None:
        """It is not sent; nor is one that would be two."""
        bad: list[dict[str, typing.Any]] = [
            {"method": "GET /x HTTP/1.1\r\nX: y\r\n\r\nGET"},
            {"method": "CONNECT"},
            {"method": None},
            {"method": "G\u00cbT"},
            {"path": "http://10.0.0.1/"},
            {"path": "/a b"},
            {"path": "/a\r\nX: y"},
            {"path": "/a?b"},
            {"path": ""},
            {"query": "a b"},
            {"query": 7},
            {"headers": {"A\r\nB": ["x"]}},
            {"headers": {"A": ["x\r\nB: y"]}},
            {"headers": {"Host": ["a", "b"]}},
            {"headers": []},
            {"body": "?"},
            {"body": 7},
        ]
        for each in bad:
            self.assertEqual(self.error(**each), "the hub's request is none")

    def test_as_much_as_may_be_held(self) -> None:
        """A request, or an answer, for which there is no room is an error; nothing is left held."""
        held = self.requests._held = Held(10)
        self.assertIn("holds as much", self.error(body=base64.b64encode(b"x" * 11).decode()))
        said = self.answered(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11)
        self.assertIn("holds as much", said["error"])
        self.assertEqual(held.count, 0)


class AnswerTests(RequestCase):
    """What comes back."""

    def test_answers_are_not_touched(self) -> None:
        """A redirect is not followed, and gzip not unpacked; fields of the hop are gone."""
        said = self.answered(
            b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Encoding: gzip\r\n"
            b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nConnection: X-Hop, close\r\nX-Hop: gone\r\n"
            b"Keep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\n\x1f\x8b\x08\r\n0\r\n\r\n"
        )
        self.assertEqual(said["status"], 302)
        self.assertEqual(base64.b64decode(said["body"]), b"\x1f\x8b\x08")
        self.assertEqual(
            said["headers"],
            {
                "Location": ["http://10.0.0.1/"],
                "Content-Encoding": ["gzip"],
                "Set-Cookie": ["a=1", "b=2"],
            },
        )
        self.assertEqual(len(self.connect.attempts), 1)
        self.assertIn("latency_ms", said)
        self.assertNotIn("error", said)

    def test_lengths_without_a_body(self) -> None:
        """To a HEAD, and with 304, it is that of a GET."""
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
        self.assertEqual(self.answered(head, method="HEAD")["headers"], {"content-length": ["999"]})
        head = b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 9\r\n\r\n"
        headers = {"ETag": ["x"], "content-length": ["9"]}
        self.assertEqual(self.answered(head)["headers"], headers)
        self.assertEqual(
            self.answered(head.replace(b"304", b"200") + b"123456789")["headers"], {"ETag": ["x"]}
        )

    def test_informational(self) -> None:
        """It is not the answer."""
        said = self.answered(
            b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 204 No\r\n\r\n"
        )
        self.assertEqual((said["status"], said["headers"]), (204, {}))

    def test_until_close(self) -> None:
        """An answer that ends with its connection."""
        with capturedLogs():
            self.give()
            wire = self.connect.attempts[-1].connect()
            wire.deliver(b"HTTP/1.0 200 OK\r\n\r\nabc")
            self.assertEqual(self.taken, [])
            wire.lose()
        self.assertEqual(base64.b64decode(self.response()["body"]), b"abc")

    def test_an_answer_that_is_too_long(self) -> None:
        """It is an error, whether it says so before or not."""
        self.assertEqual(MOST_ANSWER_BYTES, self.hub.limits.poll_body_out_bytes)
        self.patch(requests, "MOST_ANSWER_BYTES", 10)
        for head in (b"Content-Length: 11\r\n", b""):
            said = self.answered(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * 11)
            self.assertEqual(said["error"], "The response's body is too large.")
            self.assertTrue(self.wire.aborted)

    def test_errors(self) -> None:
        """A target that refuses, resets, speaks something else or is silent: in words."""
        self.patch(requests, "SILENCE_SECONDS", 30.0)
        with capturedLogs() as events:
            self.give()
            self.connect.attempts[-1].fail(ConnectionRefusedError(errno.ECONNREFUSED, "x"))
        said = self.response()
        self.assertIn("refused", said["error"])
        self.assertEqual(said["latency_ms"], 0)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "app: nothing listens at 127.0.0.1:3000",
                "app: GET /a was not answered, after 0.0 ms",
            ],
        )
        status = TargetStatus(False, "nothing listens at the target")
        self.assertEqual(self.health.statuses, {"app": status})
        self.assertNotIn("refused", self.answered(b"SSH-2.0-refused\r\n\r\n")["error"])
        with capturedLogs():
            self.give()
            self.connect.attempts[-1].connect().lose()
            self.assertIn("connection ended", self.response()["error"])
            self.give()
            self.connect.attempts[-1].connect()
            self.pass_time(30)
        said = self.response()
        self.assertEqual((said["error"], said["latency_ms"]), ("No answer came in time.", 30_000))
        self.assertGreater(SILENCE_SECONDS, self.hub.limits.poll_request_seconds)

    def test_our_own_want(self) -> None:
        """It is told of in the log, and says nothing of the target."""
        with capturedLogs() as events:
            self.give()
            self.connect.attempts[-1].fail(OSError(errno.EMFILE, "x"))
        self.assertIn("No descriptor is left", self.response()["error"])
        self.assertIn("visitor's connection to the target failed", formatEvent(events[0]) or "")
        self.assertEqual(self.health.statuses, {})

    def test_nothing_is_left(self) -> None:
        """Whenever it is given up."""
        for connected in (False, True):
            waiting = self.give()
            self.assertEqual(len(self.requests), 1)
            if connected:
                self.connect.attempts[-1].connect()
            with capturedLogs():
                waiting.cancel()
            waiting.addErrback(lambda _: None)
            attempt = self.connect.attempts[-1]
            self.assertEqual((attempt.cancelled, attempt.wire.aborted), (not connected, connected))
            self.assertEqual((len(self.requests), self.taken), (0, []))
