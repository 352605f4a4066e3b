"""The gateway and the origin that tests stand on."""

from __future__ import annotations

import base64
import json
import ssl
import typing

import trustme
from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from aluvia.testing import gateway
from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.faults import FaultPeer, Finish, Read, Send
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.http import read_response
from aluvia.testing.origin import FakeOrigin, Visit
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)
GOOD = b"Proxy-Authorization: Basic " + base64.b64encode(b"user:pass") + b"\r\n"


class GatewayTests(TestCase):
    """What comes through, and what does not."""

    timeout = 20

    def setUp(self) -> None:
        """Start an origin and a gateway."""
        self.origin = FakeOrigin(reactor)
        self.addCleanup(self.origin.stop)
        self.gateway = FakeGateway(reactor)
        self.addCleanup(self.gateway.stop)
        self.authority = b"www.example.com:%d" % self.origin.port

    async def test_connect(self) -> None:
        """A CONNECT by any name reaches loopback, and is a pipe afterwards."""
        connection = await dial(reactor, "127.0.0.1", self.gateway.port)
        self.addCleanup(connection.close)
        await connection.send(
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (self.authority, self.authority, GOOD)
        )
        self.assertEqual((await read_response(connection, b"CONNECT")).status, 200)
        await connection.send(b"GET /a HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
        answer = await read_response(connection)
        self.assertEqual(json.loads(answer.body)["target"], "/a")
        self.assertIsNone(answer.header(b"x-fake-gateway"))

    async def test_credentials(self) -> None:
        """Without them, and with others, the answer is a challenge; the connection stays."""
        connection = await dial(reactor, "127.0.0.1", self.gateway.port)
        self.addCleanup(connection.close)
        for method, wrong in ((b"GET", b""), (b"CONNECT", GOOD.replace(b"Basic ", b"Basic A"))):
            target = self.authority if method == b"CONNECT" else b"http://a/"
            await connection.send(b"%b %b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (method, target, wrong))
            answer = await read_response(connection, method)
            self.assertEqual(answer.status, 407)
            self.assertEqual(answer.header(b"proxy-authenticate"), b'Basic realm="fake gateway"')
        self.assertEqual([asked.authorized for asked in self.gateway.asked], [False, False])

    async def test_plain(self) -> None:
        """Absolute-form is forwarded with its body, marked, and without the credentials."""

        async def teapot(visit: Visit) -> None:
            body = await visit.body()
            headers = [(b"Transfer-Encoding", b"chunked"), (b"Trailer", b"X-Sum")]
            await visit.answer(418, headers, body * 2, trailers=[(b"X-Sum", b"9")])

        self.origin.routes["/teapot"] = teapot
        connection = await dial(reactor, "127.0.0.1", self.gateway.port)
        self.addCleanup(connection.close)
        for _ in range(2):
            await connection.send(
                b"POST http://%b/teapot?x HTTP/1.1\r\nHost: %b\r\n%bContent-Length: 3\r\n\r\nabc"
                % (self.authority, self.authority, GOOD)
            )
            answer = await read_response(connection)
            self.assertEqual((answer.status, answer.body), (418, b"abcabc"))
            self.assertEqual(answer.header(b"x-fake-gateway"), b"1")
            self.assertEqual(answer.trailers, [(b"x-sum", b"9")])
        visit = self.origin.visits[0]
        self.assertEqual((visit.method, visit.target), (b"POST", b"/teapot?x"))
        self.assertIsNone(visit.header(b"proxy-authorization"))
        self.assertEqual(self.gateway.peer.accepted, 1)

    async def test_client_gone_before_the_200(self) -> None:
        """Whoever asked for a tunnel and left does not leave the other end of it open."""
        connection = await dial(reactor, "127.0.0.1", self.gateway.port)

        async def late(*place: typing.Any) -> FaultConnection:
            upstream = await dial(*place)
            connection.reset()
            await self.gateway.peer.when(lambda: self.gateway.peer.connections[0].closed)
            return upstream

        self.patch(gateway, "dial", late)
        await connection.send(
            b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (self.authority, self.authority, GOOD)
        )
        origin = self.origin.peer
        await origin.when(lambda: origin.accepted == 1 and not origin.open)


class TLSTests(TestCase):
    """A gateway inside TLS."""

    timeout = 20

    def setUp(self) -> None:
        """Start it."""
        authority = trustme.CA()
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("gateway.test").configure_cert(server)
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        self.gateway = FakeGateway(reactor, context=server)
        self.addCleanup(self.gateway.stop)

    async def test_half_closes_pass(self) -> None:
        """A site's FIN is a close_notify to the client, whose bytes still come in the clear."""
        site = FaultPeer(reactor, [Send(b"hello"), Finish(), Read(until=b"bye")])
        self.addCleanup(site.stop)
        connection = await dial(reactor, "127.0.0.1", self.gateway.port)
        self.addCleanup(connection.close)
        await connection.start_tls(self.client, server_side=False, server_hostname="gateway.test")
        await connection.send(
            b"CONNECT a:%d HTTP/1.1\r\nHost: a:%d\r\n%b\r\n" % (site.port, site.port, GOOD)
        )
        self.assertEqual((await read_response(connection, b"CONNECT")).status, 200)
        self.assertEqual(await connection.read_to_end(), b"hello")
        await connection.send(b"still there, bye")
        connection.finish()
        await site.when(lambda: not site.open)
        self.assertEqual(site.connections[0].received, b"still there, bye")
