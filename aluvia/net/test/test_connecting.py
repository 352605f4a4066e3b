"""Connecting: one ``connect``, and what comes of it."""

from __future__ import annotations

import errno
import os
import socket
import typing

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost

from aluvia.net import connecting as connecting_module
from aluvia.net.connecting import ClientWire, Connecting
from aluvia.net.test.listening import Greeter
from aluvia.net.test.tunnels import TunnelCase, loopback, reactor
from aluvia.net.test.wires import Listener
from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import Accepting, FaultPeer

#: More than one read, and less than a kernel that is asked to keeps.
MUCH = bytes(range(256)) * 700


class ConnectTests(TunnelCase):
    """Connecting, with one ``connect``."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Note what is told."""
        await super().setUp()
        self.told: list[ClientWire | OSError] = []
        self.done: Deferred[None] = Deferred()

    def note(self, what: ClientWire | OSError) -> None:
        """Note it."""
        self.told.append(what)
        self.done.callback(None)

    def begin(self, host: str, port: int, family: int = socket.AF_INET) -> Connecting:
        """Connect."""
        return ClientWire.connect(reactor, family, (host, port), self.note, self.note)

    def peer_at(self, address: str = "127.0.0.1", **options: typing.Any) -> FaultPeer:
        """Somebody to connect to."""
        peer = FaultPeer(reactor, address=address, **options)
        self.addCleanup(peer.stop)
        return peer

    async def _connects(self, address: str, family: int) -> None:
        peer = self.peer_at(address)
        connecting = self.begin(address, peer.port, family)
        await self.done
        (made,) = self.told
        assert isinstance(made, ClientWire)
        protocol = Greeter(b"hello")
        made.start(protocol)
        self.assertTrue(made.getTcpNoDelay())
        self.assertEqual(made.getPeer().host, address)
        self.assertFalse(os.get_inheritable(made.fileno()))
        # It is spent: this does not touch the connection.
        connecting.cancel()
        await self.when(lambda: bool(peer.connections) and peer.connections[0].received == b"hello")
        made.loseConnection()
        await self.when(lambda: protocol.lost == 1)

    async def test_it_connects(self) -> None:
        """``connected`` is called with a transport, which starts when it is told to."""
        await self._connects("127.0.0.1", socket.AF_INET)

    async def test_ipv6(self) -> None:
        """The same on IPv6."""
        await self._connects("::1", socket.AF_INET6)

    async def test_where_the_state_cannot_be_asked(self) -> None:
        """Off Linux it waits for a write event, and asks for the error."""
        self.patch(connecting_module, "_TCP_INFO", None)
        self.patch(connecting_module, "_SOCK_NONBLOCK", 0)
        self.patch(connecting_module, "_STREAM", socket.SOCK_STREAM)
        await self._connects("127.0.0.1", socket.AF_INET)

    async def test_refused(self) -> None:
        """``failed`` is called with the system's error."""
        peer = self.peer_at(accepting=Accepting.REFUSE)
        connecting = self.begin("127.0.0.1", peer.port)
        await self.done
        (error,) = self.told
        assert isinstance(error, ConnectionRefusedError)
        connecting.cancel()
        self.assertEqual(connecting.fileno(), -1)

    async def test_refused_where_the_state_cannot_be_asked(self) -> None:
        """The same off Linux."""
        self.patch(connecting_module, "_TCP_INFO", None)
        await self.test_refused()

    async def test_no_such_address(self) -> None:
        """An error of the ``connect`` itself is told the same way."""
        self.begin("not an address", 80)
        self.assertIsInstance(self.told[0], OSError)

    async def test_no_descriptor_is_left(self) -> None:
        """An error of ``socket`` too."""

        def exhausted(*_: object) -> typing.NoReturn:
            raise OSError(errno.EMFILE, "too many")

        self.patch(socket, "socket", exhausted)
        self.begin("127.0.0.1", 80)
        error = self.told[0]
        assert isinstance(error, OSError)
        self.assertEqual(error.errno, errno.EMFILE)

    async def test_cancelled(self) -> None:
        """A connect that takes its time is cancelled: nobody is called, nothing is left."""
        peer = self.peer_at(accepting=Accepting.IGNORE)
        connecting = self.begin("127.0.0.1", peer.port)
        self.assertIn(connecting, reactor.getWriters())
        connecting.cancel()
        connecting.cancel()
        connecting.doWrite()
        await self.turns(3)
        self.assertEqual(self.told, [])

    async def test_an_event_of_somebody_else(self) -> None:
        """A write or error event before anything has happened is not believed."""
        peer = self.peer_at(accepting=Accepting.IGNORE)
        connecting = self.begin("127.0.0.1", peer.port)
        connecting.doWrite()
        reactor.removeWriter(connecting)
        connecting.connectionLost(typing.cast(typing.Any, None))
        self.assertEqual(self.told, [])
        self.assertIn(connecting, reactor.getWriters())
        self.assertEqual(connecting.logPrefix(), "Connecting")
        connecting.cancel()

    async def test_one_that_is_never_started(self) -> None:
        """A connection that nobody wants after all can be closed or aborted."""
        peer = self.peer_at()
        for end in ("loseConnection", "abortConnection"):
            self.done = Deferred()
            self.told = []
            self.begin("127.0.0.1", peer.port)
            await self.done
            getattr(self.told[0], end)()
            await self.turns(2)
            self.assertEqual(typing.cast(ClientWire, self.told[0]).fileno(), -1)


class BrokenTests(TunnelCase):
    """A connection that its other end has reset, because we went on writing."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Connect; what is said on it waits in the kernel."""
        await super().setUp()
        theirs, ours = loopback()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * len(MUCH))
        self.server = FaultConnection(reactor, theirs)
        self.protocol = Listener()
        self.made = ClientWire(ours, None, ours.getpeername(), reactor)
        self.made.start(self.protocol)
        self.made.stopReading()
        self.addCleanup(self.made.release)
        await self.server.send(MUCH)
        self.server.reset()
        self.made.startReading()

    async def test_what_it_said_before_is_heard(self) -> None:
        """All of it, where we meet the reset in writing; and then that it was one."""
        self.made.write(b"x")
        self.made.write(b"x")
        await self.protocol.gone
        self.assertEqual(len(self.protocol.received), len(MUCH))
        self.assertTrue(self.protocol.received == MUCH)
        self.assertTrue(self.protocol.lost[0].check(ConnectionLost))

    async def test_who_writes_past_us(self) -> None:
        """The same, where somebody else has met it, who has the descriptor."""
        self.made.broke()
        self.assertTrue(self.protocol.received == MUCH)
        self.assertTrue(self.protocol.lost[0].check(ConnectionLost))

    async def test_enough_is_heard(self) -> None:
        """A protocol that aborts hears no more."""
        self.protocol.when_data = self.made.abortConnection
        self.made.broke()
        await self.turns(2)
        self.assertLess(len(self.protocol.received), len(MUCH))
        self.assertEqual(len(self.protocol.lost), 1)
