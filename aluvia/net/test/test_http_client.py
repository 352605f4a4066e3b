"""A connection on which we are the client, and how it is closed when it is idle."""

from __future__ import annotations

import socket
import typing

from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection, Requester
from aluvia.net.test.tunnels import SMALL_BUFFER, TunnelCase, loopback, wire
from aluvia.net.transport import Wire
from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import Ended
from aluvia.wire.limits import DEFAULT_LIMITS


class CloseTests(TunnelCase):
    """Nobody watches a connection any more that was closed: its socket must go by itself."""

    def connect(self) -> tuple[FaultConnection, ClientConnection, Wire]:
        """The peer, a connection to it, and its transport."""
        near, far = loopback()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        connection = ClientConnection("here", DEFAULT_LIMITS, 0.0, lambda connection: None)
        made = wire(far, typing.cast(Protocol, connection))
        self.addCleanup(made.abortConnection)
        return self.peer(near), connection, made

    async def test_in_order(self) -> None:
        """A FIN, where nothing is left to be said."""
        peer, connection, made = self.connect()
        made.write(b"all of it")
        connection.close()
        self.assertEqual(await peer.read_to_end(), b"all of it")
        self.assertTrue(made.disconnected)

    async def test_a_peer_that_does_not_read(self) -> None:
        """
        Whoever answers a request before he has read it, and never does, keeps no socket of ours.
        """
        peer, connection, made = self.connect()
        peer.pause()
        made.write(b"x" * 1_000_000)
        self.assertTrue(made.queued)
        connection.close()
        await self.when(lambda: bool(made.disconnected))
        peer.resume()
        await peer.read_away()
        self.assertIs(peer.ended, Ended.RESET)


class _Waiting:
    """Somebody who waits for a response."""

    def __init__(self) -> None:
        self.errors: list[DialError] = []

    def upstream_failed(self, error: DialError) -> None:
        """Keep it."""
        self.errors.append(error)


class LostTests(SynchronousTestCase):
    """Why a connection was lost."""

    def test_a_transport_that_knows_better(self) -> None:
        """A reason that is a DialError is what the requester gets; an idle one is stale."""
        error = DialError("http_response_timeout", 504, "It did not answer in time.")
        for waiting in (_Waiting(), None):
            stale: list[ClientConnection] = []
            connection = ClientConnection("here", DEFAULT_LIMITS, 0.0, stale.append)
            connection.makeConnection(StringTransport())
            connection.requester = typing.cast(Requester, waiting)
            connection.connectionLost(Failure(error))
            self.assertTrue(connection.closed)
            if waiting is None:
                self.assertEqual(stale, [connection])
            else:
                self.assertEqual((waiting.errors, stale), ([error], []))
