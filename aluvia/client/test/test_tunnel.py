"""CONNECT: direct and through the gateway, what comes early, and every way it fails."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.test.scene import MemoryTransport, Scene
from aluvia.net.errors import DialError

CONNECT = b"CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


class DirectTests(SynchronousTestCase):
    """No rule matches."""

    def setUp(self) -> None:
        """A proxy with a rule for another host."""
        self.scene = Scene("*.proxied.test")
        self.addCleanup(self.scene.close)
        self.client = self.scene.client()

    def test_dial_then_200_then_relay(self) -> None:
        """The 200 comes when the upstream is connected; then bytes go both ways."""
        self.client.receive(CONNECT)
        (dial,) = self.scene.tcp.dials
        self.assertEqual((dial.host, dial.port), ("site.test", 443))
        self.assertEqual(self.client.value(), b"")
        upstream = dial.connect()
        self.assertEqual(self.client.taken(), ESTABLISHED)
        self.client.receive(b"up")
        upstream.receive(b"down")
        self.assertEqual((upstream.value(), self.client.value()), (b"up", b"down"))
        self.assertEqual(self.scene.counters.tunnels_open, 1)

    def test_counted_once_at_its_end(self) -> None:
        """Bytes and outcome are counted when both sides have closed."""
        self.client.receive(CONNECT)
        upstream = self.scene.tcp.dials[0].connect()
        self.client.receive(b"up")
        upstream.receive(b"down!")
        for end in (self.client, upstream):
            end.fin()
        for end in (self.client, upstream):
            self.assertTrue(end.closed)
            end.lost()
        counters = self.scene.counters
        self.assertEqual(counters.tunnels_open, 0)
        self.assertEqual(sum(counters.requests.values()), 1)
        self.assertEqual(counters.bytes_up, {"direct": 2})
        self.assertEqual(counters.bytes_down, {"direct": 5})
        self.assertEqual(self.scene.proxy.live, set())

    def test_early_bytes_wait(self) -> None:
        """What comes with the CONNECT reaches the upstream, after its 200, whole and in order."""
        self.client.receive(CONNECT + b"hel")
        self.client.receive(b"lo")
        upstream = self.scene.tcp.dials[0].connect()
        self.assertEqual(upstream.value(), b"hello")

    def test_early_bytes_are_bounded(self) -> None:
        """Beyond the limit the client is not read until the upstream is there."""
        self.client.receive(CONNECT)
        self.client.receive(b"x" * (self.scene.limits.pipelined_bytes + 1))
        self.assertEqual(self.client.producerState, "paused")
        upstream = self.scene.tcp.dials[0].connect()
        self.assertEqual(len(upstream.value()), self.scene.limits.pipelined_bytes + 1)
        self.assertEqual(self.client.producerState, "producing")

    def test_refused_discards_early_bytes_and_closes(self) -> None:
        """An error answers the CONNECT; what came early is never read as a request."""
        self.client.receive(CONNECT + b"GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        self.scene.tcp.dials[0].failed(DialError("connection_refused", 502, "Refused."))
        answer = self.client.value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
        self.assertIn(b"Proxy-Status: aluvia; error=connection_refused\r\n", answer)
        self.assertIn(b"Connection: close\r\n", answer)
        self.assertEqual(len(self.scene.tcp.dials), 1)

    def test_fin_while_dialling_is_passed_on(self) -> None:
        """A client's FIN before the 200 is kept, and reaches the upstream after it."""
        self.client.receive(CONNECT + b"all")
        self.client.fin()
        upstream = self.scene.tcp.dials[0].connect()
        self.assertEqual(self.client.taken(), ESTABLISHED)
        self.assertEqual(upstream.value(), b"all")
        upstream.receive(b"answer")
        self.assertEqual(self.client.value(), b"answer")

    def test_client_gone_while_dialling(self) -> None:
        """The dial is cancelled."""
        self.client.receive(CONNECT)
        self.client.lost()
        self.assertTrue(self.scene.tcp.dials[0].cancelled)
        self.assertEqual(self.scene.counters.requests, {("direct", "client_gone"): 1})

    def test_idle_tunnel_ends(self) -> None:
        """Without a byte for the idle timeout both sides are reset."""
        self.client.receive(CONNECT)
        upstream = self.scene.tcp.dials[0].connect()
        for _ in range(700):
            self.scene.clock.advance(1.0)
        self.assertTrue(self.client.aborted)
        self.assertTrue(upstream.aborted)
        self.assertEqual(self.scene.counters.tunnels_open, 0)

    def test_bad_targets(self) -> None:
        """Ports 0 and 65536, no port, a path, user info, bare IPv6: 400, and nothing is dialled."""
        for target in (
            b"site.test:0",
            b"site.test:65536",
            b"site.test",
            b"site.test:",
            b"site.test:+80",
            b"site.test:443/",
            b"http://site.test:443",
            b"user@site.test:443",
            b"::1:443",
            b":443",
        ):
            client = self.scene.client()
            client.receive(b"CONNECT %b HTTP/1.1\r\nHost: site.test\r\n\r\n" % target)
            self.assertTrue(client.value().startswith(b"HTTP/1.1 400 "), target)
            self.assertIn(b"error=http_request_error", client.value())
        self.assertEqual(self.scene.tcp.dials, [])

    def test_ipv6_literal(self) -> None:
        """Brackets belong to the target, not to the host."""
        self.client.receive(b"CONNECT [2001:DB8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n")
        self.assertEqual(self.scene.tcp.dials[0].host, "2001:db8::1")

    def test_http_1_0(self) -> None:
        """A client of HTTP/1.0 tunnels too."""
        self.client.receive(b"CONNECT site.test:443 HTTP/1.0\r\n\r\n")
        self.scene.tcp.dials[0].connect()
        self.assertEqual(self.client.value(), ESTABLISHED)


class GatewayTests(SynchronousTestCase):
    """A rule matches."""

    def setUp(self) -> None:
        """A proxy that sends everything through the gateway."""
        self.scene = Scene("*")
        self.addCleanup(self.scene.close)
        self.client = self.scene.client()

    def ask(self) -> MemoryTransport:
        """The client asks, and the gateway is connected."""
        self.client.receive(CONNECT)
        (dial,) = self.scene.tcp.dials
        self.assertEqual((dial.host, dial.port), ("gateway.test", 8080))
        return dial.connect()

    def test_credentials_and_request_id_go_to_the_gateway(self) -> None:
        """The gateway gets a CONNECT of ours; the client's own credentials end here."""
        self.client.receive(
            CONNECT.replace(b"\r\n\r\n", b"\r\nProxy-Authorization: Basic eA==\r\n\r\n")
        )
        sent = self.scene.tcp.dials[0].connect().value()
        self.assertTrue(
            sent.startswith(b"CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n")
        )
        self.assertIn(b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n", sent)
        self.assertIn(b"X-Aluvia-Request-ID: test-1\r\n", sent)
        self.assertNotIn(b"eA==", sent)

    def test_wishes_go_to_the_gateway(self) -> None:
        """What the client says to it is not lost on the way; the request's name is ours."""
        self.client.receive(
            CONNECT.replace(
                b"\r\n\r\n",
                b"\r\nX-Aluvia-Country: us\r\nX-Aluvia-Request-ID: mine\r\nX-Other: 1\r\n\r\n",
            )
        )
        sent = self.scene.tcp.dials[0].connect().value()
        self.assertIn(b"X-Aluvia-Country: us\r\n", sent)
        self.assertEqual(sent.count(b"X-Aluvia-Request-ID"), 1)
        self.assertNotIn(b"X-Other", sent)

    def test_any_2xx_opens(self) -> None:
        """Also HTTP/1.0, with body headers, and after a 1xx; what came behind it reaches us."""
        for answer in (
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.0 200 Connection Established\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ):
            scene = Scene("*")
            self.addCleanup(scene.close)
            client = scene.client()
            client.receive(CONNECT)
            gateway = scene.tcp.dials[0].connect()
            gateway.receive(answer + b"behind")
            self.assertEqual(client.value(), ESTABLISHED + b"behind", answer)

    def test_byte_by_byte(self) -> None:
        """An answer that comes in single bytes opens."""
        gateway = self.ask()
        for byte in b"HTTP/1.1 200 OK\r\nVia: 1.1 x\r\n\r\n":
            gateway.receive(bytes([byte]))
        self.assertEqual(self.client.value(), ESTABLISHED)

    def test_refusals(self) -> None:
        """407, 403, 503: 502 http_request_denied with the status, never the challenge."""
        for status in (407, 403, 503, 302):
            scene = Scene("*")
            self.addCleanup(scene.close)
            client = scene.client()
            client.receive(CONNECT)
            gateway = scene.tcp.dials[0].connect()
            gateway.receive(
                b"HTTP/1.1 %d No\r\nProxy-Authenticate: Basic realm=secret\r\n"
                b"Content-Length: 6\r\n\r\nsecret" % status
            )
            answer = client.value()
            self.assertTrue(answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
            self.assertIn(b"error=http_request_denied; received-status=%d" % status, answer)
            self.assertIn(b"http://gateway.test:8080 answered", answer)
            self.assertNotIn(b"secret", answer)
            self.assertTrue(gateway.closed)

    def test_garbage_and_floods(self) -> None:
        """Garbage, a 1 MiB head, an end before the answer: each has its name."""
        for data, name in (
            (b"garbage\r\n\r\n", b"http_protocol_error"),
            (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000, b"http_response_header_section_size"),
        ):
            scene = Scene("*")
            self.addCleanup(scene.close)
            client = scene.client()
            client.receive(CONNECT)
            gateway = scene.tcp.dials[0].connect()
            gateway.receive(data)
            self.assertIn(b"error=" + name, client.value())
            self.assertTrue(gateway.closed)

    def test_gateway_closes_before_it_answers(self) -> None:
        """A bare close is answered with its cause."""
        self.ask().fin()
        self.assertIn(b"error=connection_terminated", self.client.value())

    def test_silence(self) -> None:
        """A gateway that accepts and stays silent does not hang the client."""
        gateway = self.ask()
        for _ in range(12):
            self.scene.clock.advance(1.0)
        self.assertIn(b"HTTP/1.1 504 Gateway Timeout", self.client.value())
        self.assertIn(b"error=connection_timeout", self.client.value())
        self.assertTrue(gateway.aborted)

    def test_never_used_again(self) -> None:
        """A connection that carried a CONNECT is not kept."""
        gateway = self.ask()
        gateway.receive(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(len(self.scene.idle), 0)
        self.scene.client().receive(CONNECT)
        self.assertEqual(len(self.scene.tcp.dials), 2)
