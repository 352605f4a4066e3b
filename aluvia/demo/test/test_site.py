"""The demo's site, and how it knows by which way a request came."""

from __future__ import annotations

import errno
import socket
import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.demo.site import DIRECT, GATEWAY, DemoSite, Line
from aluvia.net.connecting import ClientWire
from aluvia.net.door import port_of
from aluvia.testing.connection import FaultConnection
from aluvia.testing.http import read_response

reactor: typing.Any = global_reactor
ADDRESS = "127.0.0.1"
GET = b"GET / HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\n\r\n"


class SiteTests(TestCase):
    """A site, another one, and a line to both."""

    timeout = 20

    def setUp(self) -> None:
        """Listen."""
        self.line = Line()
        self.site = self.listen(DemoSite(self.line, reactor))
        self.line.site = (ADDRESS, self.site)

    def listen(self, factory: IProtocolFactory) -> int:
        """Open a port, until the test is over."""
        port = reactor.listenTCP(0, factory, interface=ADDRESS)
        self.addCleanup(port.stopListening)
        return port_of(port)

    def dial(self, port: int) -> ClientWire:
        """Connect by the line."""
        wires: list[ClientWire] = []
        self.line.connect(reactor, socket.AF_INET, (ADDRESS, port), wires.append, self.fail)
        # On this machine a connection is through at once.
        (wire,) = wires
        return wire

    async def ask(self, skt: socket.socket) -> bytes:
        """The first word of the site's answer; its connection is gone then, on both sides."""
        connection = FaultConnection(reactor, skt)
        await connection.send(GET)
        answer = await read_response(connection)
        await connection.read_to_end()
        connection.close()
        await deferLater(reactor, 0)
        return answer.body.partition(b":")[0]

    async def test_by_the_line(self) -> None:
        """What comes by the line came through the gateway; its port is forgotten behind it."""
        wire = self.dial(self.site)
        self.assertEqual(self.line.ports, {wire.getHost().port})
        self.assertEqual(await self.ask(wire.socket.dup()), GATEWAY)
        self.assertEqual(self.line.ports, set())
        wire.release()

    async def test_past_it(self) -> None:
        """What comes from elsewhere came directly."""
        skt = socket.create_connection((ADDRESS, self.site))
        self.assertEqual(await self.ask(skt), DIRECT)

    async def test_from_a_port_that_the_line_had_to_another_place(self) -> None:
        """Connections to other sites say nothing about those to this one."""
        other = self.listen(Factory.forProtocol(Protocol))
        skt = None
        while skt is None:
            wire = self.dial(other)
            number = wire.getHost().port
            self.assertEqual(self.line.ports, set())
            wire.release(reset=True)
            skt = self.from_port(number)
        self.assertEqual(await self.ask(skt), DIRECT)

    def from_port(self, number: int) -> socket.socket | None:
        """Connect to the site from this port; None if a connection to somewhere else shares it."""
        try:
            return socket.create_connection((ADDRESS, self.site), source_address=(ADDRESS, number))
        except OSError as error:
            # The kernel lends a port once for each destination: even a connection that waits
            # for its end (TIME_WAIT) keeps us from asking for it by number.
            self.assertEqual(error.errno, errno.EADDRINUSE)
            return None
