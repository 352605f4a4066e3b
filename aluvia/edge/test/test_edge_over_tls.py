"""Requests inside TLS, and what sends clients there."""

from __future__ import annotations

import ssl
import typing

import attrs
import trustme

from aluvia.edge.model import Backend, BackendTLS, Certificate, KeyPair, Snapshot
from aluvia.edge.test.edge_case import ANYWHERE, HOST, EdgeCase, backend, reactor, seen
from aluvia.testing.connection import FaultConnection
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin

OTHER = "other.test"


class OverTLSTests(EdgeCase):
    """An edge with certificates for two hosts."""

    def setUp(self) -> None:
        """Make an authority."""
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.open(https=ANYWHERE)
        self.use(certificates={host: self.certificate(host) for host in (HOST, OTHER)})

    def certificate(self, host: str) -> Certificate:
        """One that is good for a host."""
        issued = self.authority.issue_cert(host, key_type=trustme.KeyType.ECDSA)
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems).decode()
        return Certificate(
            domain=host, pair=KeyPair(cert=chain, key=issued.private_key_pem.bytes().decode())
        )

    async def connect_tls(self, host: str = HOST) -> FaultConnection:
        """A client that verifies."""
        client = await self.connect("https")
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        await client.start_tls(context, server_side=False, server_hostname=host)
        return client

    async def ask_tls(self, host: str = HOST, name: str = HOST, path: str = "/") -> Response:
        """Ask for a host on a connection that was made for a name."""
        return await self.ask(path, client=await self.connect_tls(name), host=host)

    async def test_by_name(self) -> None:
        """Each host has its certificate, and its backend knows that it was https."""
        self.route(backend(self.origin()))
        fields = await self.echo("/", client=await self.connect_tls())
        self.assertEqual(seen(fields, "X-Forwarded-Proto"), ["https"])
        self.assertEqual((await self.ask_tls(OTHER, OTHER)).status, 404)

    async def test_misdirected(self) -> None:
        """A request for a host that has another certificate: 421."""
        self.route(backend(self.origin()))
        self.assertEqual((await self.ask_tls(OTHER, HOST)).status, 421)
        self.assertEqual((await self.ask_tls(HOST, HOST)).status, 200)

    async def test_a_certificate_is_changed(self) -> None:
        """Connections that are open live on, and new ones are shown the new one."""
        self.route(backend(self.origin()))
        before = await self.connect_tls()
        self.assertEqual((await self.ask("/", client=before)).status, 200)
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.use(certificates={**self.state.certificates, HOST: self.certificate(HOST)})
        self.assertEqual((await self.ask("/", client=before)).status, 200)
        self.assertEqual((await self.ask_tls()).status, 200)

    async def test_sent_to_a_port_that_is_mapped(self) -> None:
        """Clients are sent where they reach it, which may be another port than it has here."""
        for public, place in ((443, HOST), (1443, f"{HOST}:1443")):
            for https in (ANYWHERE, None):
                self.open(https=https, public_https_port=public)
                self.state = Snapshot()
                self.use(certificates={HOST: self.certificate(HOST)})
                self.route(auto_https=True)
                answer = await self.ask("/a?b")
                self.assertEqual(answer.status, 308)
                self.assertEqual(answer.header(b"location"), f"https://{place}/a?b".encode())

    async def test_sent_to_https(self) -> None:
        """308 where there is a certificate; not for a challenge, nor for who is there already."""
        self.route(backend(self.origin()), auto_https=True)
        answer = await self.ask("/a?b")
        port = self.edge.place("https")[1]
        self.assertEqual(answer.status, 308)
        self.assertEqual(answer.header(b"location"), f"https://{HOST}:{port}/a?b".encode())
        self.assertEqual((await self.ask("/.well-known/acme-challenge/x")).status, 200)
        self.assertEqual((await self.ask_tls()).status, 200)
        self.use(certificates={OTHER: self.state.certificates[OTHER]})
        self.assertEqual((await self.ask("/")).status, 200)

    async def test_large_bodies(self) -> None:
        """By the plain way, and every byte."""
        body = bytes(range(256)) * 4096
        origin = self.origin()

        async def swallow(visit: typing.Any) -> None:
            await visit.answer(200, [], await visit.body())

        origin.routes["/big"] = swallow
        self.route(backend(origin))
        client = await self.connect_tls()
        answer = await self.ask("/big", client=client, method="POST", body=body)
        self.assertEqual(answer.body == body, True)

    async def test_a_backend_over_tls(self) -> None:
        """Verified by its name and authority, which the route says; refused where it is another."""
        issued = self.authority.issue_cert("inside.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        origin = self.peer(FakeOrigin(reactor, context=context))
        authority = self.authority.cert_pem.bytes().decode()

        def over(**tls: typing.Any) -> Backend:
            return attrs.evolve(backend(origin), tls=BackendTLS(**tls))

        self.route(over(sni="inside.test", ca=authority))
        self.assertEqual((await self.ask("/")).status, 200)
        self.route(over(verify=False))
        self.assertEqual((await self.ask("/")).status, 200)
        for bad in (over(sni="inside.test"), over(ca=authority)):
            self.route(bad)
            answer = await self.ask("/")
            self.assertEqual(answer.status, 502)
            self.assertIn(b"tls_certificate_error", answer.header(b"proxy-status") or b"")

    async def test_a_backend_by_its_endpoint(self) -> None:
        """``tcp:`` and ``tls:`` with a host and a port, by which it is verified and called."""
        plain = self.origin()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        inside = self.peer(FakeOrigin(reactor, context=context))
        authority = BackendTLS(ca=self.authority.cert_pem.bytes().decode())
        for way, origin, tls in (("tcp", plain, None), ("tls", inside, authority)):
            for host in ("localhost", "127.0.0.1"):
                place = f"{host}:{origin.port}"
                there = Backend(id="b", endpoint=f"{way}:{place}", tls=tls)
                self.route(there, preserve_host=False)
                self.assertEqual(seen(await self.echo("/"), "Host"), [place])
                self.route(there)
                self.assertEqual(seen(await self.echo("/"), "Host"), [HOST])
        # What no authority is named for is verified by the machine's.
        self.route(Backend(id="b", endpoint=f"tls:localhost:{inside.port}"))
        answer = await self.ask("/")
        self.assertEqual(answer.status, 502)
        self.assertIn(b"tls_certificate_error", answer.header(b"proxy-status") or b"")

    async def test_misdirected_from_the_default(self) -> None:
        """Whoever was shown the default may ask for what has no certificate, and for its own."""
        self.route(backend(self.origin()), v_host="*")
        client = await self.connect("https")
        context = ssl.create_default_context()
        context.check_hostname = False
        self.authority.configure_trust(context)
        await client.start_tls(context, server_side=False, server_hostname="nobody.test")
        for host, status in (
            ("nobody.test", 200),
            ("neither.test", 200),
            (HOST, 200),
            (OTHER, 421),
            ("nobody.test", 200),
        ):
            answer = await self.ask("/", client=client, host=host)
            self.assertEqual((host, answer.status), (host, status))

    async def test_plain_http_at_the_https_port(self) -> None:
        """It is refused, and others are served."""
        self.route(backend(self.origin()))
        client = await self.connect("https")
        await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        self.assertNotIn(b"HTTP/1.1 200", await client.read_to_end())
        self.assertEqual((await self.ask_tls()).status, 200)

    async def test_an_unknown_name(self) -> None:
        """It gets the first that was uploaded; nobody else notices."""
        self.route(backend(self.origin()))
        good = await self.connect_tls()
        with self.assertRaises(ssl.SSLError):
            await self.connect_tls("nobody.test")
        self.assertEqual((await self.ask("/", client=good)).status, 200)
        self.assertEqual((await read_response_of(self, good)).status, 200)


async def read_response_of(case: EdgeCase, client: FaultConnection) -> Response:
    """One more."""
    await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    return await read_response(client)
