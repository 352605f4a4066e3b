"""The hub's own port: its paths, its methods, and what it refuses."""

from __future__ import annotations

from aluvia.hub.site import HubSite
from aluvia.hub.test.poll_case import API_TOKEN, Caller, PollCase

BEARER = [(b"Authorization", f"Bearer {API_TOKEN}".encode())]


class SiteTests(PollCase):
    """What is there, and what is not."""

    def test_health(self) -> None:
        """Anybody may ask whether it is there."""
        caller = self.caller()
        caller.send("GET", "/api/health")
        answered = caller.answer()
        self.assertEqual((answered.status, answered.document), (200, {"status": "ok"}))
        caller.send("HEAD", "/api/health")
        self.assertIn(b"Content-Length: 17\r\n", caller.transport.value())

    def test_absolute_target(self) -> None:
        """A target with a scheme and a host is read (RFC 9112 section 3.2.2)."""
        caller = self.caller()
        caller.send("GET", "http://hub.test/api/health?x=1")
        self.assertEqual(caller.answer().status, 200)

    def test_nothing_there(self) -> None:
        """Whatever else is asked for is 404; paths are not decoded."""
        for target in ("/", "/api", "/api/health/", "/api/%68ealth", "//api/health", "*", "a:80"):
            caller = self.caller()
            caller.send("GET", target)
            answered = caller.answer()
            self.assertEqual(answered.status, 404, target)
            self.assertEqual(answered.fields[b"content-type"], b"application/problem+json")

    def test_wrong_method(self) -> None:
        """405, with those that there are."""
        for method, path, allow in (
            ("POST", "/api/agent/pull", b"GET"),
            ("GET", "/api/agent/register", b"POST"),
            ("GET", "/api/agent/respond", b"POST"),
            ("PUT", "/api/agent/heartbeat", b"POST"),
            ("POST", "/api/health", b"GET, HEAD"),
            ("DELETE", "/api/tunnels", b"GET, HEAD"),
            ("POST", "/agent", b"GET"),
        ):
            caller = self.caller()
            caller.send(method, path)
            answered = caller.answer()
            self.assertEqual((answered.status, answered.fields[b"allow"]), (405, allow))

    def test_agent(self) -> None:
        """A WebSocket is somebody else's; what is none is told so."""
        caller = self.caller()
        caller.send("GET", "/agent")
        answered = caller.answer()
        self.assertEqual((answered.status, answered.fields[b"upgrade"]), (426, b"websocket"))
        fields = [(b"Connection", b"Upgrade"), (b"Upgrade", b"WebSocket")]
        for version in ([], [(b"Sec-WebSocket-Version", b"8")]):
            caller.send("GET", "/agent", b"", [*fields, *version])
            answered = caller.answer()
            self.assertEqual(answered.status, 426)
            self.assertEqual(answered.fields[b"sec-websocket-version"], b"13")
        fields.append((b"Sec-WebSocket-Version", b"13"))
        caller.send("GET", "/agent", b"", fields)
        self.assertEqual(caller.answer().status, 400)
        key = (b"Authorization", b"Bearer no-key")
        caller.send("GET", "/agent", b"", [*fields, key])
        self.assertEqual(caller.answer().status, 401)
        caller.send("GET", "/agent", b"x", fields)
        self.assertEqual(caller.answer().status, 400)

    def test_upgrade(self) -> None:
        """A request for a WebSocket becomes one, with what the key in its head is good for."""
        for key, status in ((b"", 101), (b"a-key-of-an-agent", 101), (b"no-key", 401)):
            caller = self.caller()
            fields = [
                (b"Connection", b"Upgrade"),
                (b"Upgrade", b"websocket"),
                (b"Sec-WebSocket-Version", b"13"),
                (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ]
            if key:
                fields.append((b"Authorization", b"Bearer " + key))
            caller.send("GET", "/agent", b"", fields)
            self.assertEqual(caller.answer().status, status)
            self.assertEqual(caller.transport.protocol is not None, status == 101)

    def test_no_http(self) -> None:
        """What is no request is a problem as well, and the connection closes."""
        caller = self.caller()
        caller.connection.dataReceived(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        self.assertEqual(caller.answer().status, 400)
        self.assertTrue(caller.transport.disconnecting or caller.transport.half_closed)

    def test_a_body_that_does_not_come(self) -> None:
        """A body that comes too slowly is 408, and nothing of it is kept."""
        caller = self.caller()
        caller.send("POST", "/api/agent/respond", b"", [(b"Content-Length", b"99999")])
        for _ in range(130):
            caller.connection.dataReceived(b"x")
            self.clock.advance(1.0)
        self.assertEqual(caller.answer().status, 408)

    def test_waits_for_100(self) -> None:
        """An agent that waits to be asked for its body is asked."""
        caller = self.caller()
        fields = [(b"Content-Length", b"2"), (b"Expect", b"100-continue")]
        caller.send("POST", "/api/agent/heartbeat", b"", fields)
        self.assertEqual(caller.transport.value(), b"HTTP/1.1 100 \r\n\r\n")
        caller.transport.clear()
        caller.connection.dataReceived(b"{}")
        self.assertEqual(caller.answer().status, 404)

    def test_session_ids_are_not_logged(self) -> None:
        """Nothing that is logged has a session's id, a key or a token in it."""
        told = self.listen()
        session_id = self.register()
        self.pull(session_id).lose()
        self.pull("unknown-" + session_id)
        visitor = self.visitor().ask()
        request = self.pulled(self.pull(session_id))
        self.respond(session_id, request, error="connection refused")
        self.pass_time(100)
        self.assertTrue(told)
        self.assertEqual(visitor.error.error, "connection_refused")
        (said,) = ["\n".join([*told, *(repr(each) for each in self.polls.sessions.values())])]
        for secret in (session_id, "a-key-of-an-agent"):
            self.assertNotIn(secret, said)


class TunnelsTests(PollCase):
    """What an operator sees of the tunnels."""

    def test_token(self) -> None:
        """It is 401 without the token, with a challenge; and where there is no token, always."""
        wrong = [(b"Authorization", b"Bearer another-token-altogether")]
        for site, fields in (
            (self.site, []),
            (self.site, wrong),
            (self.site, [*BEARER, *BEARER]),
            (self.site, [(b"Authorization", b"Basic eDp5")]),
            (HubSite(self.hub), BEARER),
        ):
            caller = Caller(self.hub, site)
            caller.send("GET", "/api/tunnels", b"", fields)
            answered = caller.answer()
            self.assertEqual(answered.status, 401)
            self.assertIn(b"Bearer", answered.fields[b"www-authenticate"])

    def test_documents(self) -> None:
        """Each tunnel with its numbers, online or not."""
        self.register("app", "web")
        self.register("off", agent_id="other")
        (one, two) = self.hub.registry.sessions
        self.hub.registry.withdraw(two)
        tunnel = self.hub.registry.tunnels["app"]
        tunnel.offers[0].up = False
        tunnel.offers[0].why_down = "connection refused"
        for status, seconds in ((200, 0.1), (500, 0.3)):
            tunnel.meter.record(status, seconds, 10, 20, ok=True, now=5.0)
        self.visitor("app")
        caller = self.caller()
        caller.send("GET", "/api/tunnels", b"", BEARER)
        answered = caller.answer()
        self.assertEqual(answered.status, 200)
        app, off, web = answered.document["tunnels"]
        since = self.hub.now()
        agent = {
            "agent_id": "home",
            "key": "laptop",
            "carrier": "longpoll",
            "address": one.address,
            "since": since,
            "last_seen": since,
            "draining": False,
            "target": "down",
            "why_down": "connection refused",
        }
        self.assertEqual(
            app,
            {
                "id": "app",
                "kind": "http",
                "online": True,
                "target": "down",
                "since": since,
                "last_seen": 5.0,
                "agent": "home",
                "agents": [agent],
                "request_count": 2,
                "error_count": 1,
                "bytes_in": 20,
                "bytes_out": 40,
                "avg_latency_ms": 200.0,
                "p50_latency_ms": 100.0,
                "p90_latency_ms": 300.0,
                "p99_latency_ms": 300.0,
                "last_status": 500,
                "streams_open": 0,
            },
        )
        self.assertEqual((off["online"], off["agent"], off["agents"]), (False, None, []))
        self.assertEqual((web["online"], web["target"]), (True, "unknown"))
