"""
What a gateway says to a CONNECT and to a plain request, good, bad and absurd: each has one outcome.
"""

from __future__ import annotations

import base64
import json

from aluvia.testing.faults import (
    Accepting,
    Close,
    Drip,
    FaultPeer,
    HalfHandshake,
    Read,
    Reset,
    Script,
    Send,
    Stall,
    StartTLS,
)
from aluvia.testing.http import Response, read_response
from aluvia.testing.lies import LIES
from tests.aluvia_process import AluviaProcess, reactor, until
from tests.support import PASSWORD, USERNAME, Certificates, ProxyCase, refused_lie, tell

ASKED = Read(until=b"\r\n\r\n")
AUTHORITY = "www.example.com:443"
URL = "http://www.example.com/"

#: Lies whose head has one reading, but for what it says of a body.
BODY_LIES = {name for name in LIES if "length" in name or "chunked" in name}


class GatewayCase(ProxyCase):
    """A proxy whose gateway is a peer with a script."""

    async def refused(
        self, peer: FaultPeer, status: int, error: str, proxy: AluviaProcess | None = None
    ) -> Response:
        """Ask for a tunnel through *peer*; it must fail as said."""
        proxy = proxy or await self.aluvia(gateway=peer)
        connection, answer = await self.tunnel(proxy, AUTHORITY)
        self.assert_failed(answer, status, error)
        connection.close()
        return answer


class OpeningTests(GatewayCase):
    """Answers that open the tunnel."""

    async def opens(self, *answer: bytes) -> None:
        """A gateway that says *answer* and then echoes carries a tunnel."""
        peer = self.peer([ASKED, *(Send(part) for part in answer), Read(until=b"ping"),
                          Send(b"pong"), Read(to_end=True), Close()])  # fmt: skip
        proxy = await self.aluvia(gateway=peer)
        connection, response = await self.tunnel(proxy, AUTHORITY)
        self.assertEqual(response.status, 200)
        await connection.send(b"ping")
        self.assertEqual(await connection.read_exactly(4), b"pong")

    async def test_must_not_happen_4_any_2xx_opens(self) -> None:
        """200, 201 and 299, in HTTP/1.1 and 1.0, with body fields that mean nothing there."""
        await self.opens(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self.opens(b"HTTP/1.0 200 OK\r\n\r\n")
        await self.opens(b"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n")
        await self.opens(b"HTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n")
        await self.opens(b"HTTP/1.1 200\r\n\r\n")

    async def test_informational_answers_are_skipped(self) -> None:
        """100 and 103 before the 200."""
        await self.opens(
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        )

    async def test_must_not_happen_4_head_split_byte_by_byte(self) -> None:
        """The head may come in any pieces."""
        head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Server: a\r\n\r\n"
        peer = self.peer([ASKED, Drip(head + b"hello", every=0.002), Close()])
        proxy = await self.aluvia(gateway=peer)
        connection, response = await self.tunnel(proxy, AUTHORITY)
        self.assertEqual(response.status, 200)
        self.assertEqual(await connection.read_to_end(), b"hello")

    async def test_must_not_happen_4_bytes_right_behind_the_200(self) -> None:
        """What the origin says first (SSH, SMTP), in one segment with the 200, is not lost."""
        banner = b"220 mail.example.com ESMTP\r\n" * 4000
        peer = self.peer([ASKED, Send(b"HTTP/1.1 200 OK\r\n\r\n" + banner), Close()])
        proxy = await self.aluvia(gateway=peer)
        connection, response = await self.tunnel(proxy, AUTHORITY)
        self.assertEqual(response.status, 200)
        self.assertEqual(await connection.read_to_end(), banner)

    async def test_gateways_by_other_names(self) -> None:
        """A gateway at an IPv6 address, by name, and without credentials of its own."""
        opened = Send(b"HTTP/1.1 200 OK\r\n\r\n")
        for url, address in (
            ("http://u:p@[::1]:%d", "::1"),
            ("http://u:p@localhost:%d/", "127.0.0.1"),
            ("http://LOCALHOST.:%d", "127.0.0.1"),
        ):
            peer = self.peer([ASKED, opened, Close()], address=address)
            proxy = await self.aluvia("--gateway-url", url % peer.port, "--rule", "*")
            _, answer = await self.tunnel(proxy, AUTHORITY)
            self.assertEqual(answer.status, 200, url)
            given = b"Proxy-Authorization" in peer.connections[0].received
            self.assertEqual(given, "u:p" in url)

    async def test_what_the_gateway_is_asked(self) -> None:
        """CONNECT with the raw UTF-8 credentials, a request id, and nothing of the client's."""
        peer = self.peer([ASKED, Send(b"HTTP/1.1 200 OK\r\n\r\n"), Close()])
        url = f"http://us%C3%A9r:p%C3%A4ss%3A%25@127.0.0.1:{peer.port}"
        proxy = await self.aluvia("--gateway-url", url, "--rule", "*")
        connection = await self.connect(proxy)
        await connection.send(
            b"CONNECT Site.Test.:8443 HTTP/1.1\r\nHost: Site.Test.:8443\r\nUser-Agent: me\r\n"
            b"Proxy-Authorization: Basic Y2xpZW50OmNsaWVudA==\r\nX-Mine: 1\r\n\r\n"
        )
        await read_response(connection, b"CONNECT")
        lines = peer.connections[0].received.decode().split("\r\n")
        self.assertEqual(lines[0], "CONNECT site.test:8443 HTTP/1.1")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:-2])
        expected = base64.b64encode("usér:päss:%".encode()).decode().lower()
        self.assertEqual(fields.pop("proxy-authorization"), f"basic {expected}")
        self.assertEqual(fields.pop("host"), "site.test:8443")
        self.assertTrue(fields.pop("x-aluvia-request-id"))
        self.assertLessEqual(set(fields), {"proxy-connection", "connection"})


class RefusingTests(GatewayCase):
    """Answers that refuse, and answers that are none."""

    async def test_must_not_happen_4_refusals(self) -> None:
        """407, 403, 503 and any other: 502, who said it and what; the challenge stays here."""
        for said in (407, 403, 503, 502, 302, 400, 429):
            peer = self.peer(
                [
                    ASKED,
                    Send(b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic realm=x\r\n" % said),
                    Send(b"Set-Cookie: secret\r\nContent-Length: 13\r\n\r\ngateway's own"),
                ]
            )
            answer = await self.refused(peer, 502, "http_request_denied")
            proxy_status = (answer.header(b"proxy-status") or b"").decode()
            self.assertIn(f"received-status={said}", proxy_status)
            self.assertIn(b"127.0.0.1:%d" % peer.port, answer.body)
            self.assertNotIn(b"gateway's own", answer.body)
            self.assertIsNone(answer.header(b"set-cookie"))

    async def test_must_not_happen_4_switching_protocols(self) -> None:
        """A 101 to a CONNECT is no answer to it."""
        peer = self.peer([ASKED, Send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), Stall()])
        await self.refused(peer, 502, "http_protocol_error")

    async def test_must_not_happen_4_garbage_and_long_heads(self) -> None:
        """Answers with two readings or none, and heads of a mebibyte: 502, and it is closed."""
        peer = self.peer(*map(tell, LIES.values()))
        proxy = await self.aluvia(gateway=peer)
        wrong = []
        for name in LIES:
            connection, answer = await self.tunnel(proxy, AUTHORITY)
            connection.close()
            # What a 2xx to a CONNECT says of a body means nothing (RFC 9110 section 9.3.6).
            if not refused_lie(answer, name) and not (name in BODY_LIES and answer.status == 200):
                wrong.append((name, answer))
            await until(lambda: not peer.open, 5, f"the proxy has closed after {name}")
        self.assertEqual(wrong, [])

    async def test_ended_before_its_answer(self) -> None:
        """A FIN or an RST, before and in the middle of the head."""
        scripts: tuple[Script, ...] = (
            [ASKED, Close()],
            [ASKED, Reset()],
            [ASKED, Send(b"HTTP/1.1 200 OK\r\nX: "), Close()],
            [Reset()],
            [Close()],
            [Read(count=10), Reset()],
        )
        for steps in scripts:
            answer = await self.tunnel(await self.aluvia(gateway=self.peer(steps)), AUTHORITY)
            self.assertEqual(answer[1].status, 502)
            self.assertRegex(
                answer[1].header(b"proxy-status") or b"",
                rb"error=(connection_terminated|http_response_incomplete)",
            )
            answer[0].close()

    async def test_must_not_happen_3_silent_gateway(self) -> None:
        """A gateway that accepts and says nothing costs the connect timeout, then it is a 504."""
        scripts: tuple[Script, ...] = (
            [Stall()],
            [ASKED, Stall()],
            [ASKED, Send(b"HTTP/1.1 200 OK\r\n"), Stall()],
            [ASKED, Drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 99, every=0.2), Stall()],
        )
        for steps in scripts:
            peer = self.peer(steps)
            proxy = await self.aluvia("--connect-timeout", "1", gateway=peer)
            began = reactor.seconds()
            connection, answer = await self.tunnel(proxy, AUTHORITY)
            self.assertEqual(answer.status, 504, steps)
            self.assertRegex(
                answer.header(b"proxy-status") or b"",
                rb"error=(http_response_timeout|connection_timeout|connection_read_timeout)",
            )
            self.assertLess(reactor.seconds() - began, 4)
            connection.close()
            await until(lambda peer=peer: not peer.open, 5, "it is closed")  # type: ignore[misc]

    async def test_unreachable_gateway(self) -> None:
        """Refused, and not answered at all."""
        await self.refused(self.peer(accepting=Accepting.REFUSE), 502, "connection_refused")
        peer = self.peer(accepting=Accepting.IGNORE)
        proxy = await self.aluvia("--connect-timeout", "1", gateway=peer)
        await self.refused(peer, 504, "connection_timeout", proxy)

    async def test_early_bytes_are_discarded_on_refusal(self) -> None:
        """What a client sent ahead of a refused CONNECT is not read as its next request."""
        origin = self.origin()
        peer = self.peer([ASKED, Send(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")])
        proxy = await self.aluvia(gateway=peer)
        connection = await self.connect(proxy)
        await connection.send(
            b"CONNECT www.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"GET http://127.0.0.1:%d/smuggled HTTP/1.1\r\nHost: a\r\n\r\n" % origin.port
        )
        said = await connection.read_to_end()
        self.assertEqual(said.count(b"HTTP/1.1 "), 1)
        self.assertTrue(said.startswith(b"HTTP/1.1 502 "))
        self.assertEqual(origin.peer.accepted, 0)
        self.assertNotIn(b"smuggled", peer.connections[0].received)


class PlainTests(GatewayCase):
    """Plain http through the gateway: only a 407 is its own."""

    async def test_only_407_is_the_gateways(self) -> None:
        """403, 502 and 503 pass as the origin's; a 407 is a 502 of ours without its challenge."""
        for said in (403, 502, 503, 404, 511):
            peer = self.peer(
                [ASKED, Send(b"HTTP/1.1 %d Word\r\nContent-Length: 4\r\n\r\nbody" % said)]
            )
            proxy = await self.aluvia(gateway=peer)
            answer = await self.get(proxy, URL)
            self.assertEqual((answer.status, answer.body), (said, b"body"))
            self.assertIsNone(answer.header(b"proxy-status"))
        peer = self.peer(
            [
                ASKED,
                Send(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n"),
                Send(b"Content-Length: 4\r\n\r\nbody"),
            ]
        )
        answer = await self.get(await self.aluvia(gateway=peer), URL)
        self.assert_failed(answer, 502, "http_request_denied")
        self.assertIn(b"received-status=407", answer.header(b"proxy-status") or b"")

    async def test_407_of_an_origin_passes(self) -> None:
        """Direct, a 407 is whatever the origin means by it; but its challenge is hop-by-hop."""
        peer = self.peer([ASKED, Send(b"HTTP/1.1 407 Odd\r\nContent-Length: 0\r\n\r\n")])
        proxy = await self.aluvia()
        answer = await self.get(proxy, f"http://{peer.authority}/")
        self.assertEqual(answer.status, 407)

    async def test_lies(self) -> None:
        """Garbage and answers with two readings are 502, and their connection closes."""
        peer = self.peer(*map(tell, LIES.values()))
        proxy = await self.aluvia(gateway=peer)
        wrong = []
        for name in LIES:
            answer = await self.get(proxy, URL)
            if not refused_lie(answer, name):
                wrong.append((name, answer))
            await until(lambda: not peer.open, 5, f"the proxy has closed after {name}")
        self.assertEqual(wrong, [])

    async def test_silence(self) -> None:
        """A gateway that never answers a plain request is ended by the idle timeout: 504."""
        peer = self.peer([ASKED, Stall()])
        proxy = await self.aluvia("--idle-timeout", "2", gateway=peer)
        answer = await self.get(proxy, URL)
        self.assertEqual(answer.status, 504)
        await peer.when(lambda: not peer.open)

    async def test_credentials_are_the_gateways_alone(self) -> None:
        """A client's own Proxy-Authorization is replaced by ours."""
        parent, origin = self.gateway(), self.origin()
        proxy = await self.aluvia(gateway=parent)
        answer = await self.get(
            proxy,
            f"http://www.example.com:{origin.port}/",
            b"Proxy-Authorization: Basic Y2xpZW50OmNsaWVudA==",
        )
        self.assertEqual(answer.status, 200)
        names = [name.lower() for name, _ in parent.asked[0].headers]
        self.assertEqual(names.count(b"proxy-authorization"), 1)
        self.assertNotIn(b"proxy-authorization", json.loads(answer.body)["headers"])
        given = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode())
        self.assertEqual(parent.asked[0].header(b"proxy-authorization"), b"Basic " + given)


class SecureGatewayTests(GatewayCase):
    """A gateway behind TLS: certificate and host name are verified, faults have their names."""

    def setUp(self) -> None:
        """Make an authority."""
        super().setUp()
        self.certificates = Certificates()

    async def secure(self, peer: FaultPeer, *options: str) -> AluviaProcess:
        """A proxy with *peer* as its https gateway, at ``localhost``."""
        trust = ("--gateway-ca", self.certificates.file())
        return await self.aluvia(*trust, *options, gateway=peer, scheme="https")

    async def test_both_ways_of_asking(self) -> None:
        """CONNECT and plain requests pass through TLS."""
        parent = self.gateway(context=self.certificates.server("localhost"))
        origin = self.origin()
        proxy = await self.aluvia(
            *("--gateway-ca", self.certificates.file()), gateway=parent, scheme="https"
        )
        for _ in range(2):
            answer = await self.get(proxy, f"http://www.example.com:{origin.port}/")
            self.assertEqual(answer.header(b"x-fake-gateway"), b"1")
        connection, answer = await self.tunnel(proxy, f"www.example.com:{origin.port}")
        self.assertEqual(answer.status, 200)
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual((await read_response(connection)).status, 200)

    async def test_certificates(self) -> None:
        """Another name, and an authority that nobody trusts: tls_certificate_error."""
        other = self.peer([StartTLS(self.certificates.server("other.test"))])
        await self.refused(other, 502, "tls_certificate_error", await self.secure(other))
        stranger = self.peer([StartTLS(Certificates().server("localhost"))])
        await self.refused(stranger, 502, "tls_certificate_error", await self.secure(stranger))
        answer = await self.get(await self.secure(stranger), URL)
        self.assert_failed(answer, 502, "tls_certificate_error")
        for peer in (other, stranger):
            self.assertTrue(all(not one.received for one in peer.connections))

    async def test_broken_handshakes(self) -> None:
        """A peer that does not speak TLS, and one that stops in the middle."""
        half = HalfHandshake(self.certificates.server("localhost"))
        scripts: tuple[Script, ...] = (
            [Read(), Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Close()],
            [Read(), Close()],
            [Read(), Reset()],
            [half, Close()],
            [half, Reset()],
            [half, Send(b"\0" * 5000), Stall()],
        )
        for steps in scripts:
            peer = self.peer(steps)
            connection, answer = await self.tunnel(await self.secure(peer), AUTHORITY)
            self.assertEqual(answer.status, 502, steps)
            self.assertRegex(
                answer.header(b"proxy-status") or b"",
                rb"error=(tls_protocol_error|connection_terminated)",
            )
            connection.close()

    async def test_silent_handshake(self) -> None:
        """A handshake that does not go on is a timeout."""
        half = HalfHandshake(self.certificates.server("localhost"))
        scripts: tuple[Script, ...] = ([Stall()], [half, Stall()])
        for steps in scripts:
            peer = self.peer(steps)
            proxy = await self.secure(peer, "--connect-timeout", "1")
            await self.refused(peer, 504, "connection_timeout", proxy)
