"""Plain http: what goes upstream, what comes back, keep-alive, sending again, and failures."""

from __future__ import annotations

import base64

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.test.scene import FakeDialer, MemoryTransport, Scene
from aluvia.net.errors import DialError
from aluvia.net.parent import ParentProxy

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(
    target: bytes = b"http://site.test/path?q", *fields: bytes, method: bytes = b"GET"
) -> bytes:
    """A request head without a body."""
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: site.test", *fields, b"", b""]
    return b"\r\n".join(lines)


class ForwardCase(SynchronousTestCase):
    """A scene in which proxied.test and what is below it goes through the gateway."""

    def setUp(self) -> None:
        """One client."""
        self.scene = Scene("proxied.test", "*.proxied.test")
        self.addCleanup(self.scene.close)
        self.client = self.scene.client()

    def upstream(self, at: int = 0) -> MemoryTransport:
        """The connection that was dialled."""
        return self.scene.tcp.dials[at].connect()


class RequestTests(ForwardCase):
    """What goes upstream."""

    def test_origin_form(self) -> None:
        """Direct: the path alone, to the target's host and port."""
        self.client.receive(get(b"http://site.test:8000/path?q"))
        (dial,) = self.scene.tcp.dials
        self.assertEqual((dial.host, dial.port), ("site.test", 8000))
        self.assertEqual(
            self.upstream().value(), b"GET /path?q HTTP/1.1\r\nHost: site.test:8000\r\n\r\n"
        )

    def test_host_is_the_target_s(self) -> None:
        """A Host that says something else is replaced in its place (RFC 9112 section 3.2.2)."""
        self.client.receive(
            b"GET http://site.test/ HTTP/1.1\r\nA: 1\r\nHost: other.test\r\nB: 2\r\n\r\n"
        )
        self.assertEqual(
            self.upstream().value(), b"GET / HTTP/1.1\r\nA: 1\r\nHost: site.test\r\nB: 2\r\n\r\n"
        )

    def test_http_1_0_without_host(self) -> None:
        """We speak HTTP/1.1 upstream, so there is a Host."""
        self.client.receive(b"GET http://site.test/ HTTP/1.0\r\n\r\n")
        self.assertEqual(self.upstream().value(), b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")

    def test_unseen(self) -> None:
        """No field of this hop, no credentials, and nothing of ours reaches an origin."""
        self.client.receive(
            get(
                b"http://site.test/",
                b"Proxy-Connection: keep-alive",
                b"Proxy-Authorization: Basic eDp5",
                b"Connection: X-Mine, close",
                b"Via: 1.1 mine",
                b"Forwarded: for=192.0.2.1",
                b"X-Forwarded-For: 192.0.2.1",
                b"X-Forwarded-Ssl: on",
                b"X-Original-Forwarded-For: 192.0.2.1",
                b"X-Client-IP: 192.0.2.1",
                b"True-Client-IP: 192.0.2.1",
                b"X-Aluvia-Request-ID: mine",
                b"X-Aluvia-Country: us",
                b"X-Mine: 1",
                b"Keep-Alive: timeout=5",
                b"TE: trailers",
                b"Accept: */*",
            )
        )
        self.assertEqual(
            self.upstream().value(), b"GET / HTTP/1.1\r\nHost: site.test\r\nAccept: */*\r\n\r\n"
        )

    def test_through_the_gateway(self) -> None:
        """Absolute-form with the gateway's credentials, to the gateway."""
        self.client.receive(get(b"http://PROXIED.test./a", b"Proxy-Authorization: Basic eDp5"))
        (dial,) = self.scene.tcp.dials
        self.assertEqual((dial.host, dial.port), ("gateway.test", 8080))
        basic = base64.b64encode(b"user:secret")
        self.assertEqual(
            self.upstream().value(),
            b"GET http://proxied.test/a HTTP/1.1\r\nHost: proxied.test\r\n"
            b"Proxy-Authorization: Basic " + basic + b"\r\n\r\n",
        )

    def test_wishes(self) -> None:
        """What is for a gateway goes there, and not to an origin, also where heads repeat."""
        fields = b"X-Aluvia-Country: us", b"X-Aluvia-Request-ID: mine", b"Via: 1.1 mine"
        for number, host in enumerate([b"site", b"proxied", b"other"]):
            self.client.receive(get(b"http://%b.test/" % host, *fields))
            upstream = self.upstream(number)
            sent = upstream.value()
            self.assertEqual(b"X-Aluvia-Country: us\r\n" in sent, host == b"proxied", host)
            self.assertNotIn(b"mine", sent)
            upstream.receive(OK)

    def test_through_a_gateway_with_tls(self) -> None:
        """A gateway of https is dialled over TLS."""
        scene = Scene("*", gateway=ParentProxy("gateway.test", 8443, "u", "p", tls=True))
        self.addCleanup(scene.close)
        scene.client().receive(get())
        self.assertEqual([dial.port for dial in scene.tls.dials], [8443])
        self.assertEqual(scene.tcp.dials, [])

    def test_body_with_a_length(self) -> None:
        """It streams, in the pieces in which it came."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 6", method=b"POST"))
        upstream = self.upstream()
        self.client.receive(b"123")
        self.client.receive(b"456")
        self.assertTrue(upstream.value().endswith(b"Content-Length: 6\r\n\r\n123456"))

    def test_chunked_body_with_trailers(self) -> None:
        """Chunks and trailers go on."""
        self.client.receive(
            get(b"http://site.test/", b"Transfer-Encoding: chunked", method=b"POST")
        )
        upstream = self.upstream()
        self.client.receive(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")
        self.assertTrue(upstream.value().endswith(b"3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"))

    def test_body_while_dialling(self) -> None:
        """It waits, bounded, and goes out whole."""
        limit = self.scene.limits.replay_bytes
        self.client.receive(
            get(b"http://site.test/", b"Content-Length: %d" % (limit + 10), method=b"PUT")
        )
        self.client.receive(b"x" * limit)
        self.assertEqual(self.client.producerState, "paused")
        upstream = self.upstream()
        self.assertEqual(self.client.producerState, "producing")
        self.client.receive(b"y" * 10)
        self.assertTrue(upstream.value().endswith(b"x" * limit + b"y" * 10))

    def test_slow_upstream_pauses_the_client(self) -> None:
        """Backpressure of a body."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 6", method=b"POST"))
        upstream = self.upstream()
        upstream.producer.pauseProducing()
        self.assertEqual(self.client.producerState, "paused")
        upstream.producer.resumeProducing()
        self.assertEqual(self.client.producerState, "producing")

    def test_upstream_full_at_once(self) -> None:
        """A pause that the kept body causes is not lifted again."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 60000", method=b"PUT"))
        self.client.receive(b"x" * 50_000)
        dial = self.scene.tcp.dials[0]
        transport = MemoryTransport(dial.protocol)
        written = transport.write

        def full(data: bytes) -> None:
            written(data)
            transport.producer.pauseProducing()

        transport.write = full  # type: ignore[method-assign]
        dial.protocol.makeConnection(transport)
        self.assertEqual(self.client.producerState, "paused")

    def test_client_catches_up_while_dialling(self) -> None:
        """The client's own queue has nothing to do with an upstream that is not there yet."""
        self.client.receive(get())
        self.client.producer.pauseProducing()
        self.client.producer.resumeProducing()
        self.upstream().receive(OK)
        self.assertEqual(self.client.value(), OK)

    def test_upstream_that_never_reads(self) -> None:
        """An upstream that takes nothing of a body is 504 after the idle timeout."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 60000", method=b"PUT"))
        upstream = self.upstream()
        self.client.receive(b"x" * 100)
        upstream.producer.pauseProducing()
        for _ in range(1300):
            self.scene.clock.advance(1.0)
        self.assertIn(b"HTTP/1.1 504 ", self.client.value())
        self.assertEqual(self.scene.proxy.live, set())

    def test_client_that_waits_for_a_100_is_not_slow(self) -> None:
        """Its body may begin late; when it has begun, it must go on."""
        self.client.receive(
            get(
                b"http://site.test/",
                b"Content-Length: 20000",
                b"Expect: 100-continue",
                method=b"PUT",
            )
        )
        upstream = self.upstream()
        for _ in range(200):
            self.scene.clock.advance(1.0)
        self.assertEqual(self.client.value(), b"")
        upstream.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.client.taken()
        self.client.receive(b"x")
        for _ in range(62):
            self.scene.clock.advance(1.0)
        self.assertIn(b"HTTP/1.1 408 ", self.client.value())
        self.assertEqual(self.scene.counters.requests, {("direct", "http_request_error"): 1})
        self.assertTrue(upstream.closed)

    def test_options_of_a_whole_server(self) -> None:
        """Through a gateway it has an empty path; to an origin it is ``*``."""
        self.client.receive(get(b"http://proxied.test", method=b"OPTIONS"))
        sent = self.upstream().value()
        self.assertTrue(sent.startswith(b"OPTIONS http://proxied.test HTTP/1.1\r\n"), sent)
        self.scene.client().receive(get(b"http://site.test", method=b"OPTIONS"))
        sent = self.upstream(1).value()
        self.assertTrue(sent.startswith(b"OPTIONS * HTTP/1.1\r\n"), sent)

    def test_expect_continue(self) -> None:
        """The expectation goes upstream, and its 100 comes back before the body goes."""
        self.client.receive(
            get(
                b"http://site.test/",
                b"Content-Length: 2",
                b"Expect: 100-continue",
                method=b"PUT",
            )
        )
        upstream = self.upstream()
        self.assertIn(b"Expect: 100-continue\r\n", upstream.taken())
        upstream.receive(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.assertTrue(self.client.taken().startswith(b"HTTP/1.1 100 "))
        self.client.receive(b"hi")
        self.assertEqual(upstream.taken(), b"hi")
        upstream.receive(OK)
        self.assertTrue(self.client.value().endswith(b"ok"))

    def test_refused_targets(self) -> None:
        """Other schemes, origin-form, asterisk-form, user info: 400 and no dial."""
        for target in (
            b"https://site.test/",
            b"ftp://site.test/",
            b"/path",
            b"*",
            b"http://user@site.test/",
            b"http://site.test:0/",
            b"http://site.test:65536/",
            b"http:///path",
            b"site.test/path",
        ):
            client = self.scene.client()
            client.receive(get(target))
            self.assertTrue(client.value().startswith(b"HTTP/1.1 400 "), target)
        self.assertEqual(self.scene.tcp.dials, [])


class AnswerTests(ForwardCase):
    """What comes back."""

    def exchange(self, *answer: bytes, request: bytes = b"") -> bytes:
        """One request and its answer."""
        self.client.receive(request or get())
        upstream = self.upstream()
        for part in answer:
            upstream.receive(part)
        self.last = upstream
        return self.client.taken()

    def test_length(self) -> None:
        """An answer of known length passes as it is."""
        self.assertEqual(self.exchange(OK), OK)

    def test_fields_of_the_hop_end_here(self) -> None:
        """Connection and what it lists, and a proxy's challenge, do not pass."""
        answer = self.exchange(
            b"HTTP/1.1 200 Fine\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
            b"Proxy-Authenticate: Basic\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        self.assertEqual(
            answer,
            b"HTTP/1.1 200 Fine\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
        )

    def test_chunked(self) -> None:
        """Chunks and trailers pass."""
        answer = self.exchange(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            b"0\r\nX-Sum: 9\r\n\r\n",
        )
        self.assertTrue(answer.endswith(b"3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"))

    def test_chunked_for_http_1_0(self) -> None:
        """A client of HTTP/1.0 gets the body bare, and the end by a close."""
        answer = self.exchange(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            request=b"GET http://site.test/ HTTP/1.0\r\n\r\n",
        )
        self.assertTrue(answer.endswith(b"\r\n\r\nabc"))
        self.assertTrue(self.client.disconnecting)

    def test_until_close(self) -> None:
        """EOF reaches the client for a body without a length."""
        answer = self.exchange(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertTrue(answer.endswith(b"\r\n\r\nabc"))
        self.assertFalse(self.client.closed)
        self.last.fin()
        self.assertTrue(self.client.disconnecting)

    def test_until_close_cut_by_a_reset(self) -> None:
        """A reset in such a body must not look like its end."""
        self.exchange(b"HTTP/1.1 200 OK\r\n\r\nabc")
        self.last.lost(Failure(ConnectionLost()))
        self.assertTrue(self.client.aborted)

    def test_cut_short(self) -> None:
        """An answer that ends too soon does not look whole."""
        self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        self.last.fin()
        self.assertTrue(self.client.aborted)
        self.assertEqual(self.scene.counters.requests, {("direct", "http_response_incomplete"): 1})

    def test_head(self) -> None:
        """To a HEAD the length passes, without a body, and the connections live on."""
        answer = self.exchange(
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            request=get(b"http://site.test/", method=b"HEAD"),
        )
        self.assertEqual(answer, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        self.assertEqual(len(self.scene.idle), 1)

    def test_304(self) -> None:
        """A 304 keeps its length, and has no body."""
        answer = self.exchange(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n")
        self.assertEqual(answer, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n")

    def test_204(self) -> None:
        """A 204 has neither."""
        answer = self.exchange(b"HTTP/1.1 204 No Content\r\n\r\n")
        self.assertEqual(answer, b"HTTP/1.1 204 No Content\r\n\r\n")

    def test_informational(self) -> None:
        """1xx pass with their fields."""
        answer = self.exchange(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK)
        self.assertIn(b" 103 ", answer)
        self.assertIn(b"Link: </a>\r\n", answer)
        self.assertTrue(answer.endswith(OK))

    def test_informational_in_the_same_read_as_a_switch(self) -> None:
        """Both pass; and a switch to what was not offered does not."""
        offer = get(b"http://site.test/", b"Upgrade: websocket", b"Connection: Upgrade")
        for protocol, switched in ((b"websocket", True), (b"chat", False)):
            client = self.scene.client()
            client.receive(offer)
            upstream = self.scene.tcp.dials[-1].connect()
            upstream.receive(
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n"
                % protocol
            )
            self.assertIn(b" 103 ", client.value())
            self.assertEqual(b"HTTP/1.1 101 " in client.value(), switched)
            self.assertEqual(upstream.closed, not switched)

    def test_status_999(self) -> None:
        """What some sites answer robots passes."""
        answer = self.exchange(b"HTTP/1.1 999 Request denied\r\nContent-Length: 0\r\n\r\n")
        self.assertTrue(answer.startswith(b"HTTP/1.1 999 Request denied\r\n"))

    def test_answer_before_the_body_is_out(self) -> None:
        """It passes at once; the body goes on, and both connections are used again."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 6", method=b"PUT"))
        upstream = self.upstream()
        upstream.receive(OK)
        self.assertEqual(self.client.taken(), OK)
        self.client.receive(b"123456")
        self.assertTrue(upstream.taken().endswith(b"123456"))
        self.client.receive(get())
        self.assertEqual(len(self.scene.tcp.dials), 1)
        self.assertIn(b"GET /path", upstream.value())

    def test_answer_before_the_body_and_a_close(self) -> None:
        """An upstream that answers and closes wants no more: the client reads, and closes too."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 6", method=b"POST"))
        upstream = self.upstream()
        upstream.receive(
            b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertIn(b"HTTP/1.1 413 ", self.client.value())
        self.assertFalse(self.client.half_closed)
        upstream.fin()
        self.assertTrue(self.client.half_closed)
        self.assertEqual(self.scene.counters.requests, {("direct", "ok"): 1})
        self.assertEqual(self.scene.proxy.live, set())

    def test_slow_client_pauses_the_upstream(self) -> None:
        """Backpressure of an answer."""
        self.exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        self.client.producer.pauseProducing()
        self.assertEqual(self.last.producerState, "paused")
        self.client.producer.resumeProducing()
        self.assertEqual(self.last.producerState, "producing")

    def test_slow_client_holds_its_next_request(self) -> None:
        """An answer in one piece pauses nobody; the next one is asked for when it has been read."""
        self.client.receive(get() + get(b"http://site.test/next"))
        upstream = self.upstream()
        upstream.taken()
        self.client.producer.pauseProducing()
        upstream.receive(OK)
        self.assertEqual((self.client.taken(), upstream.value()), (OK, b""))
        self.client.producer.resumeProducing()
        self.assertIn(b"GET /next HTTP/1.1", upstream.taken())
        upstream.receive(OK)
        self.assertEqual(self.client.taken(), OK)

    def test_websocket(self) -> None:
        """An accepted upgrade becomes a relay, with what came behind either head."""
        self.client.receive(
            get(
                b"http://site.test/",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Sec-WebSocket-Key: x",
            )
        )
        upstream = self.upstream()
        self.assertIn(b"Upgrade: websocket\r\n", upstream.value())
        self.assertIn(b"Connection: Upgrade\r\n", upstream.taken())
        upstream.receive(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\n\r\nhi"
        )
        answer = self.client.taken()
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"))
        self.assertIn(b"Connection: Upgrade\r\n", answer)
        self.assertTrue(answer.endswith(b"\r\n\r\nhi"))
        self.client.receive(b"up")
        upstream.receive(b"down")
        self.assertEqual((upstream.value(), self.client.value()), (b"up", b"down"))

    def test_other_upgrades_are_dropped(self) -> None:
        """h2c and the like: the request goes on without them."""
        self.client.receive(
            get(b"http://site.test/", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings")
        )
        self.assertEqual(self.upstream().value(), b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")

    def test_101_before_the_request_is_whole(self) -> None:
        """It is a violation (RFC 9110 section 7.8), and nothing is left of the request."""
        self.client.receive(
            get(
                b"http://site.test/",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
                b"Content-Length: 9",
                method=b"POST",
            )
        )
        upstream = self.upstream()
        upstream.receive(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        self.assertIn(b"error=http_protocol_error", self.client.value())
        self.assertTrue(upstream.closed)
        self.assertEqual(self.scene.proxy.live, set())

    def test_unasked_101(self) -> None:
        """A switch that nobody asked for is a 502."""
        self.assertIn(b"error=http_protocol_error", self.exchange(b"HTTP/1.1 101 X\r\n\r\n"))

    def test_gateway_s_own_407(self) -> None:
        """It is 502 http_request_denied, and its challenge stays here; others pass."""
        self.client.receive(get(b"http://proxied.test/"))
        gateway = self.upstream()
        gateway.receive(
            b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=hidden\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        answer = self.client.taken()
        self.assertIn(b"error=http_request_denied; received-status=407", answer)
        self.assertNotIn(b"hidden", answer)
        self.client.receive(get(b"http://proxied.test/"))
        self.upstream(1).receive(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        self.assertTrue(self.client.value().startswith(b"HTTP/1.1 503 Busy\r\n"))

    def test_two_readings(self) -> None:
        """The gates bind upstreams: 502, and the connection closes."""
        for answer in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            b"HTTP/1.1 099 OK\r\n\r\n",
            b"SSH-2.0-OpenSSH\r\n",
        ):
            scene = Scene()
            self.addCleanup(scene.close)
            client = scene.client()
            client.receive(get())
            upstream = scene.tcp.dials[0].connect()
            upstream.receive(answer)
            self.assertTrue(client.value().startswith(b"HTTP/1.1 502 "), answer)
            self.assertTrue(upstream.closed, answer)


class KeepAliveTests(ForwardCase):
    """Connections that are used again."""

    def test_to_the_same_origin(self) -> None:
        """The second request takes the first one's connection."""
        self.client.receive(get())
        upstream = self.upstream()
        upstream.receive(OK)
        self.client.receive(get(b"http://site.test/again"))
        self.assertEqual(len(self.scene.tcp.dials), 1)
        self.assertIn(b"GET /again HTTP/1.1", upstream.value())

    def test_decided_per_request(self) -> None:
        """On one client connection each host goes its own way."""
        self.client.receive(get())
        self.upstream().receive(OK)
        self.client.receive(get(b"http://www.proxied.test/"))
        self.upstream(1).receive(OK)
        self.client.receive(get(b"http://third.test/"))
        self.assertEqual(
            [dial.host for dial in self.scene.tcp.dials],
            ["site.test", "gateway.test", "third.test"],
        )

    def test_the_gateway_s_connection_serves_all_hosts(self) -> None:
        """A kept gateway connection takes requests for other hosts."""
        self.client.receive(get(b"http://a.proxied.test/"))
        self.upstream().receive(OK)
        self.client.receive(get(b"http://b.proxied.test/"))
        self.assertEqual(len(self.scene.tcp.dials), 1)

    def test_a_connection_that_was_authenticated(self) -> None:
        """
        NTLM and Negotiate hold for a connection: it is kept for the client that did so, for every
        request of that client to the place, and nobody else gets it.
        """
        for scheme in (b"NTLM", b"negotiate", b"Basic realm=a, Negotiate"):
            scene = Scene()
            self.addCleanup(scene.close)
            client, other = scene.client(), scene.client()
            client.receive(get())
            upstream = scene.tcp.dials[0].connect()
            upstream.receive(
                b"HTTP/1.1 401 No\r\nWWW-Authenticate: %b\r\nContent-Length: 0\r\n\r\n" % scheme
            )
            other.receive(get())
            scene.tcp.dials[1].connect().receive(OK)
            client.receive(get(b"http://site.test/", b"Authorization: NTLM TlRMTVNT"))
            upstream.receive(OK)
            client.receive(get(b"http://site.test/2"))
            upstream.receive(OK)
            client.receive(get(b"http://site.test/3", b"Content-Length: 0", method=b"POST"))
            upstream.receive(OK)
            other.receive(get(b"http://site.test/4"))
            self.assertEqual(len(scene.tcp.dials), 2)
            self.assertEqual(upstream.value().count(b" HTTP/1.1\r\n"), 4)

    def test_a_post_on_an_authenticated_connection(self) -> None:
        """It goes there, since it must; where the peer has just closed, it is not sent again."""
        ask = get(
            b"http://site.test/", b"Authorization: NTLM TlRM", b"Content-Length: 0", method=b"POST"
        )
        self.client.receive(ask)
        upstream = self.upstream()
        upstream.receive(OK)
        self.client.receive(ask)
        upstream.fin()
        self.assertIn(b"HTTP/1.1 502 ", self.client.value())
        self.assertEqual(len(self.scene.tcp.dials), 1)

    def test_a_client_that_authenticates_unasked(self) -> None:
        """Its connection is its own too; Basic, which is said with each request, is no reason."""
        for value, dials in ((b"Negotiate YII=", 2), (b"Basic eDp5", 1)):
            scene = Scene()
            self.addCleanup(scene.close)
            scene.client().receive(get(b"http://site.test/", b"Authorization: " + value))
            scene.tcp.dials[0].connect().receive(OK)
            scene.client().receive(get())
            self.assertEqual(len(scene.tcp.dials), dials, value)

    def test_not_after_a_close(self) -> None:
        """An upstream that says close is not kept."""
        self.client.receive(get())
        self.upstream().receive(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertEqual(len(self.scene.idle), 0)

    def test_not_with_bytes_left_over(self) -> None:
        """Bytes behind an answer are nobody's answer."""
        self.client.receive(get())
        upstream = self.upstream()
        upstream.receive(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        self.assertEqual(len(self.scene.idle), 0)
        self.assertTrue(upstream.closed)

    def test_unasked_bytes_on_an_idle_connection(self) -> None:
        """They end it."""
        self.client.receive(get())
        upstream = self.upstream()
        upstream.receive(OK)
        upstream.receive(b"HTTP/1.1 408 Timeout\r\n\r\n")
        self.assertTrue(upstream.closed)
        self.assertEqual(len(self.scene.idle), 0)

    def test_idle_connection_closed_by_its_peer(self) -> None:
        """It is forgotten at once."""
        self.client.receive(get())
        upstream = self.upstream()
        upstream.receive(OK)
        upstream.fin()
        self.assertEqual(len(self.scene.idle), 0)

    def first(self) -> MemoryTransport:
        """One request was answered, and its connection kept."""
        self.client.receive(get())
        upstream = self.upstream()
        upstream.receive(OK)
        self.client.taken()
        upstream.taken()
        return upstream

    def test_sent_again_once(self) -> None:
        """A request that met a connection just closed goes out again on a new one."""
        stale = self.first()
        self.client.receive(get(b"http://site.test/again"))
        stale.lost(Failure(ConnectionDone()))
        self.assertEqual(len(self.scene.tcp.dials), 2)
        fresh = self.upstream(1)
        self.assertIn(b"GET /again HTTP/1.1", fresh.value())
        fresh.lost(Failure(ConnectionDone()))
        self.assertEqual(len(self.scene.tcp.dials), 2)
        self.assertIn(b"error=connection_terminated", self.client.value())

    def test_sent_again_with_its_body(self) -> None:
        """A short body is kept for that."""
        stale = self.first()
        self.client.receive(get(b"http://site.test/", b"Content-Length: 3", method=b"PUT") + b"abc")
        stale.lost(Failure(ConnectionLost()))
        self.assertTrue(self.upstream(1).value().endswith(b"\r\n\r\nabc"))

    def test_not_sent_again_after_a_byte(self) -> None:
        """Once the answer has begun it is not."""
        stale = self.first()
        self.client.receive(get())
        stale.receive(b"HTTP/1.1 2")
        stale.lost(Failure(ConnectionDone()))
        self.assertEqual(len(self.scene.tcp.dials), 1)
        self.assertIn(b"error=http_response_incomplete", self.client.value())

    def test_not_sent_again_when_its_body_is_gone(self) -> None:
        """A body over the limit is not kept."""
        stale = self.first()
        size = self.scene.limits.replay_bytes + 1
        self.client.receive(
            get(b"http://site.test/", b"Content-Length: %d" % size, method=b"PUT") + b"x" * size
        )
        stale.lost(Failure(ConnectionLost()))
        self.assertEqual(len(self.scene.tcp.dials), 1)
        self.assertIn(b"error=connection_terminated", self.client.value())

    def test_paused_by_a_slow_client(self) -> None:
        """A connection that a slow client has paused is read again when it is kept."""
        self.client.receive(get())
        upstream = self.upstream()
        self.client.producer.pauseProducing()
        upstream.receive(OK)
        self.assertEqual(len(self.scene.idle), 1)
        self.assertEqual(upstream.producerState, "producing")

    def test_post_has_a_connection_of_its_own(self) -> None:
        """What must not be repeated does not meet a stale connection."""
        self.first()
        self.client.receive(get(b"http://site.test/", b"Content-Length: 0", method=b"POST"))
        self.assertEqual(len(self.scene.tcp.dials), 2)


class FailureTests(ForwardCase):
    """Answers of ours."""

    def test_dial_failed(self) -> None:
        """The cause, a request id, a plain text; and the client's connection lives on."""
        self.client.receive(get())
        self.scene.tcp.dials[0].failed(DialError("dns_error", 502, "The name does not exist."))
        answer = self.client.taken()
        self.assertTrue(answer.startswith(b"HTTP/1.1 502 Bad Gateway\r\n"))
        self.assertIn(b"Proxy-Status: aluvia; error=dns_error\r\n", answer)
        self.assertIn(b"X-Aluvia-Request-ID: test-1\r\n", answer)
        self.assertTrue(answer.endswith(b"aluvia: The name does not exist.\nRequest test-1.\n"))
        self.client.receive(get())
        self.assertEqual(len(self.scene.tcp.dials), 2)

    def test_no_descriptor(self) -> None:
        """503 comes with Retry-After."""
        self.client.receive(get())
        self.scene.tcp.dials[0].failed(DialError("connection_limit_reached", 503, "None left."))
        self.assertIn(b"Retry-After: 1\r\n", self.client.value())

    def test_request_broken_after_the_answer_began(self) -> None:
        """Where an answer has begun it can only be cut."""
        self.client.receive(
            get(b"http://site.test/", b"Transfer-Encoding: chunked", method=b"POST")
        )
        upstream = self.upstream()
        upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        self.client.receive(b"zz\r\n")
        self.assertTrue(self.client.aborted)
        self.assertTrue(upstream.closed)

    def test_fin_in_a_body(self) -> None:
        """400, for a client that may still read; nothing is left upstream."""
        self.client.receive(get(b"http://site.test/", b"Content-Length: 9", method=b"POST") + b"a")
        upstream = self.upstream()
        self.client.fin()
        self.assertTrue(self.client.value().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(upstream.closed)

    def test_fault_of_ours(self) -> None:
        """An exception on the way is logged and answered, and nothing is left of the request."""

        def broken(*_: object) -> None:
            raise RuntimeError("a fault")

        self.patch(FakeDialer, "dial", broken)
        self.client.receive(get())
        self.assertIn(b"HTTP/1.1 500 ", self.client.value())
        self.assertIn(b"error=proxy_internal_error", self.client.value())
        self.assertEqual(self.scene.proxy.live, set())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_client_gone(self) -> None:
        """Nothing is left of its request."""
        self.client.receive(get())
        upstream = self.upstream()
        self.client.lost()
        self.assertTrue(upstream.aborted)
        self.assertEqual(self.scene.proxy.live, set())

    def test_client_gone_while_dialling(self) -> None:
        """The dial is cancelled."""
        self.client.receive(get())
        self.client.lost()
        self.assertTrue(self.scene.tcp.dials[0].cancelled)

    def test_silent_upstream(self) -> None:
        """504 after the idle timeout."""
        self.client.receive(get())
        upstream = self.upstream()
        for _ in range(602):
            self.scene.clock.advance(1.0)
        self.assertIn(b"HTTP/1.1 504 Gateway Timeout", self.client.value())
        self.assertIn(b"error=http_response_timeout", self.client.value())
        self.assertTrue(upstream.aborted)


class LocalAuthenticationTests(SynchronousTestCase):
    """``--local-auth-file``."""

    def setUp(self) -> None:
        """A proxy with one user."""
        self.scene = Scene("*", users={"me": "mine"})
        self.addCleanup(self.scene.close)

    def answer(self, *fields: bytes) -> bytes:
        """What a new client gets at once."""
        client = self.scene.client()
        client.receive(get(b"http://site.test/", *fields))
        return client.taken()

    def test_without(self) -> None:
        """407 with our own challenge, and nothing is dialled."""
        for fields in (
            (),
            (b"Proxy-Authorization: Basic eDp5",),
            (b"Proxy-Authorization: Bearer bWU6bWluZQ==",),
            (b"Proxy-Authorization: Basic bWU6bWluZQ==",) * 2,
        ):
            answer = self.answer(*fields)
            self.assertTrue(answer.startswith(b"HTTP/1.1 407 "), fields)
            self.assertIn(b'Proxy-Authenticate: Basic realm="aluvia"', answer)
        self.assertEqual(self.scene.tcp.dials, [])

    def test_with(self) -> None:
        """They open, and are not passed on."""
        self.assertEqual(self.answer(b"Proxy-Authorization: basic bWU6bWluZQ=="), b"")
        (dial,) = self.scene.tcp.dials
        self.assertNotIn(b"bWU6bWluZQ", dial.connect().value())
