"""The origin of tests, with clients that behave and with clients that leave."""

from __future__ import annotations

import typing

import h11
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from aluvia.testing.faults import dial
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)


class OriginTests(TestCase):
    """What :class:`FakeOrigin` makes of its clients."""

    async def start(self) -> FakeOrigin:
        """An origin that ends with the test."""
        origin = FakeOrigin(reactor)
        self.addCleanup(origin.stop)
        return origin

    async def test_clients_that_leave(self) -> None:
        """A request that is cut short, in its head or in its body, is no fault of the origin's."""
        origin = await self.start()
        for part in (
            b"GET / HT",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            connection = await dial(reactor, "127.0.0.1", origin.port)
            await connection.send(part)
            connection.finish()
            self.assertEqual(await connection.read_to_end(), b"")
            connection.close()
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_clients_that_talk_nonsense(self) -> None:
        """What is no HTTP is an error that the test sees, and the next client is served."""
        origin = await self.start()
        connection = await dial(reactor, "127.0.0.1", origin.port)
        await connection.send(b"nonsense\r\n\r\n")
        await connection.read_to_end()
        connection.close()
        self.assertEqual(len(self.flushLoggedErrors(h11.RemoteProtocolError)), 1)
        connection = await dial(reactor, "127.0.0.1", origin.port)
        await connection.send(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(b'"target": "/here"', (await read_response(connection)).body)
        connection.close()
