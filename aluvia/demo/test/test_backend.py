"""A backend of the edge's demo, and what it shares with the other demo's site."""

from __future__ import annotations

import typing

from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from aluvia.demo.backend import DemoBackend
from aluvia.demo.quiet_site import ADDRESS
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.http import read_response

reactor: typing.Any = global_reactor

TOLD = (
    "X-Forwarded-Proto: https",
    "X-Forwarded-For: 192.0.2.7",
)


class BackendTests(TestCase):
    """One backend."""

    timeout = 20

    def setUp(self) -> None:
        """Listen."""
        self.backend = DemoBackend("one", reactor)
        self.port = self.backend.listen()
        self.addCleanup(self.backend.stop)

    async def connect(self) -> FaultConnection:
        """A connection, which is closed with the test."""
        connection = await dial(reactor, ADDRESS, self.port)
        self.addCleanup(connection.close)
        return connection

    async def ask(self, *fields: str, line: str = "GET /a?b=c HTTP/1.1") -> bytes:
        """Its answer."""
        connection = await self.connect()
        await connection.send(
            "\r\n".join([line, "Host: app.localhost:8443", *fields, "", ""]).encode()
        )
        answer = await read_response(connection, line.partition(" ")[0].encode())
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.header(b"cache-control"), b"no-store")
        return answer.body

    async def test_what_it_was_told(self) -> None:
        """It says its name, and the request as it was before the edge, with who asked."""
        url = b"https://app.localhost:8443/a?b=c"
        self.assertEqual(await self.ask(*TOLD), b"one: GET %b, asked by 192.0.2.7\n" % url)
        body = await self.ask(*TOLD, "X-Forwarded-User: alice", line="PUT /a?b=c HTTP/1.1")
        self.assertEqual(body, b"one: PUT %b, asked by alice at 192.0.2.7\n" % url)
        self.assertEqual(await self.ask(*TOLD, line="HEAD / HTTP/1.1"), b"")
        body = await self.ask(*TOLD, "X-Forwarded-Prefix: /t/app")
        self.assertIn(b" https://app.localhost:8443/t/app/a?b=c, ", body)

    async def test_asked_past_the_edge(self) -> None:
        """What nobody has told it, it does not make up."""
        body = await self.ask()
        self.assertEqual(body, b"one: GET -://app.localhost:8443/a?b=c, asked by -\n")

    async def test_the_end(self) -> None:
        """Connections that are open end with it, and it takes no others."""
        connection = await self.connect()
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await read_response(connection)
        self.assertEqual(len(self.backend.channels), 1)
        await self.backend.stop()
        self.assertEqual(self.backend.channels, set())
        await connection.read_away()
        with self.assertRaises(ConnectionRefusedError):
            await self.connect()

    async def test_never_begun(self) -> None:
        """One that does not listen can be stopped as well."""
        await DemoBackend("two", reactor).stop()
