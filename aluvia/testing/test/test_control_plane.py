"""Tests for :mod:`aluvia.testing.control_plane`: what a client of it relies on."""

from __future__ import annotations

import json

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.testing.control_plane import always
from aluvia.testing.dialling import dial
from aluvia.testing.fixtures import AluviaFixtures
from aluvia.testing.http import Response, read_response

GOOD = b"Authorization: Bearer t\r\n"


class ControlPlaneTests(AluviaFixtures, TestCase):
    """Questions and answers."""

    timeout = 30

    def setUp(self) -> None:
        """One with a user."""
        self.plane = self.fake_control_plane("t", username="u", password="p", rules=["a.example"])

    async def ask(
        self,
        path: str = "/v1/user",
        fields: bytes = GOOD,
        method: bytes = b"GET",
        body: bytes = b"",
    ) -> Response:
        """Ask on a connection of its own."""
        connection = await dial(reactor, "127.0.0.1", self.plane.port)
        try:
            await connection.send(
                b"%b %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%b\r\n%b"
                % (method, path.encode(), len(body), fields, body)
            )
            return await read_response(connection, method)
        finally:
            connection.close()

    async def test_get(self) -> None:
        """The user, in an envelope or without, for a user and for a connection."""
        for path in ("/v1/user", "/v1/account/connections/c"):
            answer = await self.ask(path)
            self.assertEqual((answer.status, answer.header(b"etag")), (200, b'"1"'))
            data = json.loads(answer.body)
            self.assertTrue(data["success"])
            self.assertEqual(data["data"]["proxy_password"], "p")
        self.plane.enveloped = False
        self.assertEqual(json.loads((await self.ask()).body)["rules"], ["a.example"])
        self.assertEqual((await self.ask("/v1/other")).status, 404)
        self.assertEqual([visit.path for visit in self.plane.asked][-1], "/v1/other")

    async def test_etag(self) -> None:
        """304 for the last one, until something changes."""
        fields = GOOD + b'If-None-Match: "1"\r\n'
        self.assertEqual((await self.ask(fields=fields)).status, 304)
        self.plane.change(rules=[])
        answer = await self.ask(fields=fields)
        self.assertEqual((answer.status, answer.header(b"etag")), (200, b'"2"'))

    async def test_token(self) -> None:
        """Another token, and none, are refused with an error of the API's form."""
        for fields in (b"", b"Authorization: Bearer x\r\n", b"Authorization: t\r\n"):
            answer = await self.ask(fields=fields)
            self.assertEqual(answer.status, 401)
            self.assertEqual(json.loads(answer.body)["error"]["code"], "invalid_token")

    async def test_patch(self) -> None:
        """It changes the user, and answers with it."""
        answer = await self.ask(method=b"PATCH", body=b'{"rules": ["b.example"]}')
        self.assertEqual((answer.status, answer.header(b"etag")), (200, b'"2"'))
        self.assertEqual(json.loads(answer.body)["data"]["rules"], ["b.example"])
        self.assertEqual(self.plane.user["rules"], ["b.example"])

    async def test_monitor(self) -> None:
        """It is named; it answers when something changes, or when the time is over."""
        self.plane.monitored = True
        link = (await self.ask()).header(b"link")
        self.assertEqual(link, b'</v1/monitor>; rel="monitor"')
        fields = GOOD + b'If-None-Match: "1"\r\n'
        asking = Deferred.fromCoroutine(self.ask("/v1/monitor?wait=30", fields))
        while len(self.plane.asked) < 2:
            await deferLater(reactor, 0.001)
        self.assertFalse(asking.called)
        self.plane.change(rules=[])
        self.assertEqual((await asking).status, 200)
        fields = GOOD + b'If-None-Match: "2"\r\n'
        self.assertEqual((await self.ask("/v1/monitor?wait=0.01", fields)).status, 304)

    async def test_lie(self) -> None:
        """It answers everything, until it is gone."""
        self.plane.lie = always(503, [(b"Retry-After", b"30")], b"later")
        answer = await self.ask("/anything", b"")
        self.assertEqual((answer.status, answer.header(b"retry-after")), (503, b"30"))
        self.assertEqual(answer.body, b"later")
        self.plane.lie = None
        self.assertEqual((await self.ask()).status, 200)

    async def test_away(self) -> None:
        """Down: connections end and are refused; back: at the same port."""
        kept, port = await dial(reactor, "127.0.0.1", self.plane.port), self.plane.port
        await self.plane.peer.when(lambda: len(self.plane.peer.open) == 1)
        self.plane.go_down()
        self.assertEqual(await kept.read_to_end(), b"")
        kept.close()
        with self.assertRaises(ConnectionRefusedError):
            await self.ask()
        self.plane.come_back()
        self.assertEqual((await self.ask()).status, 200)
        self.assertEqual(self.plane.port, port)
