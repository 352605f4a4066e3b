"""A door's port on a socket that somebody else has bound."""

from __future__ import annotations

import secrets
import socket

from aluvia.net.door import Door
from aluvia.net.ports import ServerWire, adopt
from aluvia.net.test.listening import Greeters, PortCase
from aluvia.net.test.tunnels import reactor


class AdoptedTests(PortCase):
    """A socket that somebody else has bound."""

    async def test_adopted(self) -> None:
        """It gets our transports; it is the door's, by name, and its queue is not shut down."""
        door = Door(reactor, max_connections=10, connect_timeout=1.0)
        with socket.create_server(("127.0.0.1", 0)) as given:
            where = given.getsockname()
            door.adopt("http", given, self.factory)
            door.admit()
            self.assertEqual((door.place("http"), door.own), (where, [where]))
            peer = await self.connect(door.ports["http"])
            self.assertEqual(await peer.read_exactly(5), b"hello")
            transport = self.factory.made[0].transport
            assert isinstance(transport, ServerWire)
            self.assertTrue(transport.getTcpNoDelay())
            peer.close()
            await door.stop()
            late = socket.create_connection(where)
            late.close()

    async def test_what_cannot_be(self) -> None:
        """A socket that does not listen, a UNIX socket and one for datagrams."""
        listening = socket.socket(socket.AF_UNIX)
        self.addCleanup(listening.close)
        listening.bind(f"\0aluvia-test-{secrets.token_hex(8)}")
        listening.listen()
        silent = socket.socket()
        self.addCleanup(silent.close)
        datagrams = socket.socket(type=socket.SOCK_DGRAM)
        self.addCleanup(datagrams.close)
        for each in (listening, silent, datagrams):
            self.assertRaises(ValueError, adopt, reactor, each, Greeters())

    async def test_ipv6(self) -> None:
        """The same on IPv6."""
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as given:
            port = adopt(reactor, given, self.factory)
        self.addCleanup(port.stopListening)
        peer = await self.connect(port)
        self.assertEqual(await peer.read_exactly(5), b"hello")
        transport = self.factory.made[0].transport
        assert isinstance(transport, ServerWire)
        self.assertEqual(transport.getPeer().host, "::1")
