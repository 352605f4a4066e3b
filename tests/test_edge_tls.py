"""TLS at the edge: who is shown which certificate, and what the others notice of that."""

from __future__ import annotations

import socket
import ssl
import typing
import warnings

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from aluvia.testing.connection import FaultConnection
from tests.edge_case import EdgeCase, backend, request
from tests.edge_process import EdgeProcess


class HandshakeTests(EdgeCase):
    """TLS."""

    async def test_must_not_happen_an_unknown_sni_killing_the_handshake_of_others(self) -> None:
        """
        Before there is any certificate everybody is refused, by ``unrecognized_name``. Then a
        handshake that has begun comes to its end, whatever others ask for meanwhile.
        """
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin = self.api(edge), self.origin()
        await self.route(api, "a.example", backend(origin))
        for name in ("a.example", "unknown.example"):
            with self.assertRaisesRegex(ssl.SSLError, "(?i)unrecognized.name"):
                await self.secure(edge, name)
        pair = self.pair("a.example")
        await api.done("PUT", "/certificates/a.example", {"cert": pair.cert, "key": pair.key})

        async def begun() -> tuple[FaultConnection, ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.certificates.authority.configure_trust(context)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = context.wrap_bio(incoming, outgoing, server_hostname="a.example")
            with self.assertRaises(ssl.SSLWantReadError):
                session.do_handshake()
            connection = await self.dial(edge.https)
            hello = outgoing.read()
            await connection.send(hello[:50])
            await connection.sleep(0.01)
            await connection.send(hello[50:])
            return connection, session, incoming, outgoing

        waiting = [await begun() for _ in range(3)]
        stream = await self.secure(edge, "a.example")
        self.assertEqual((await self.upgrade(stream, "a.example")).status, 101)
        for number in range(20):
            bad = await self.dial(edge.https)
            await bad.send(b"\x16\x03\x01\x00\x05garbage" * number)
            self._connections.append(bad)
            with self.assertRaises(ssl.SSLError):
                await self.secure(edge, f"unknown{number}.example")
            (await self.secure(edge, "a.example")).close()
        for connection, session, incoming, outgoing in waiting:
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(await connection.read_some())
            await connection.send(outgoing.read())
            session.write(request("a.example"))
            await connection.send(outgoing.read())
            answer = b""
            while b" 200 OK" not in answer:
                incoming.write(await connection.read_some())
                try:
                    answer += session.read()
                except ssl.SSLWantReadError:
                    continue
        await stream.send(b"still")
        self.assertEqual(await stream.read_exactly(5), b"still")

    async def test_host_that_the_certificate_does_not_serve(self) -> None:
        """421: who comes by one name does not get what is behind another."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin = self.api(edge), self.origin()
        for host in ("a.example", "b.example"):
            pair = self.pair(host)
            await self.route(api, host, backend(origin), ssl={"cert": pair.cert, "key": pair.key})
        connection = await self.secure(edge, "a.example")
        self.assertEqual((await self.say(connection, "a.example")).status, 200)
        self.assertEqual((await self.say(connection, "b.example")).status, 421)
        self.assertEqual(len(origin.visits), 1)

    async def test_names(self) -> None:
        """The exact one goes before the wildcard, and the first that came is for all others."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api = self.api(edge)
        for domain in ("first.example", "*.wild.example", "exact.wild.example"):
            pair = self.pair(domain)
            await api.done(
                "POST", "/certificates", {"domain": domain, "cert": pair.cert, "key": pair.key}
            )
        for name, domain in (
            ("first.example", "first.example"),
            ("a.wild.example", "*.wild.example"),
            ("A.Wild.Example", "*.wild.example"),
            ("exact.wild.example", "exact.wild.example"),
            ("a.b.wild.example", "first.example"),
            ("other.example", "first.example"),
        ):
            self.assertEqual(await self.presented(edge, name), ([domain], "http/1.1"), name)
        with self.assertRaises(ssl.SSLError):
            await self.presented(edge, "first.example", ssl.TLSVersion.TLSv1_1)

    def presented(
        self, edge: EdgeProcess, name: str, most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> Deferred[tuple[list[str], str | None]]:
        """The names of the certificate that is shown to who asks for a name; and the protocol."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.set_alpn_protocols(["h2", "http/1.1"])
        self.certificates.authority.configure_trust(context)
        with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = most

        def look() -> tuple[list[str], str | None]:
            with (
                socket.create_connection(("127.0.0.1", edge.https), timeout=20) as plain,
                context.wrap_socket(plain, server_hostname=name) as secure,
            ):
                shown: typing.Any = secure.getpeercert()
                names = [str(each[1]) for each in shown["subjectAltName"]]
                return names, secure.selected_alpn_protocol()

        return deferToThread(look)

    async def test_auto_https(self) -> None:
        """308 to https where there is a certificate for it, but for the challenges of ACME."""
        edge = await self.edge("--https", "127.0.0.1:0")
        api, origin = self.api(edge), self.origin()
        await self.route(api, "a.example", backend(origin), autoHttps=True)
        self.assertEqual((await self.visit(edge, "a.example")).status, 200)
        pair = self.pair("a.example")
        await api.done("PUT", "/certificates/a.example", {"cert": pair.cert, "key": pair.key})
        answer = await self.visit(edge, "a.example", "/x?y=1", method="POST", body=b"z")
        self.assertEqual(answer.status, 308)
        location = f"https://a.example:{edge.https}/x?y=1"
        self.assertEqual(answer.header(b"location"), location.encode())
        challenge = "/.well-known/acme-challenge/token"
        self.assertEqual((await self.visit(edge, "a.example", challenge)).status, 200)
        secure = await self.secure(edge, "a.example")
        self.assertEqual((await self.say(secure, "a.example", "/x")).status, 200)
        self.assertEqual(len(origin.visits), 3)
