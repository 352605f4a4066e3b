"""The site that the agent's demo publishes."""

from __future__ import annotations

import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from aluvia.demo.published import EVENT_SECONDS, PublishedSite
from aluvia.demo.quiet_site import ADDRESS
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.http import read_response

reactor: typing.Any = global_reactor


class PublishedSiteTests(TestCase):
    """One that listens."""

    timeout = 20

    def setUp(self) -> None:
        """Listen."""
        self.clock = Clock()
        self.site = PublishedSite(reactor, self.clock)
        self.port = self.site.listen()
        self.addCleanup(self.site.stop)

    async def ask(self, path: str) -> FaultConnection:
        """A connection on which it was asked."""
        connection = await dial(reactor, ADDRESS, self.port)
        self.addCleanup(connection.close)
        head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        await connection.send(head.encode())
        return connection

    async def test_page(self) -> None:
        """It is there for every path but one."""
        for path in ("/", "/a/b?c=d", "/eventsx"):
            answer = await read_response(await self.ask(path))
            self.assertEqual(answer.status, 200)
            self.assertIn(f"site: GET -://a{path}, asked by".encode(), answer.body)

    async def test_events(self) -> None:
        """One comes at once, and the next when its time has come; then the stream ends."""
        connection = await self.ask("/events")
        head = await connection.read_until(b"\r\n\r\n")
        self.assertIn(b"\r\nContent-Type: text/event-stream\r\n", head)
        for number in (1, 2):
            self.assertIn(b"event %d of" % number, await connection.read_until(b" 3\n\n"))
            self.assertEqual(connection.received.count(b"event "), number)
            self.clock.advance(EVENT_SECONDS)
        self.assertIn(b"data: event 3 of 3\n\n", await connection.read_to_end())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_left(self) -> None:
        """A visitor who leaves is sent nothing, and no timer is left of it."""
        connection = await self.ask("/events")
        await connection.read_until(b"event 1")
        await self.site.stop()
        await connection.read_away()
        self.assertEqual(self.clock.getDelayedCalls(), [])
