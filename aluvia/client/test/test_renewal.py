"""A gateway that refuses the credentials, in memory: who waits, what is kept, and what is not."""

from __future__ import annotations

import base64
import itertools

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import Snapshot
from aluvia.client.test.scene import GATEWAY, MemoryTransport, Scene
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet

CONNECT = b"CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n"
REFUSAL = b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
RENEWED = ParentProxy(GATEWAY.host, GATEWAY.port, "user", "renewed")
AUTHORIZATION = b"Proxy-Authorization: Basic " + base64.b64encode(b"user:renewed") + b"\r\n"


class RenewalTests(SynchronousTestCase):
    """Everything goes through a gateway, and the control plane is asked by hand."""

    def setUp(self) -> None:
        """A client, and the questions that the control plane was asked."""
        self.scene = Scene("*")
        self.addCleanup(self.scene.close)
        self.asked: list[Deferred[None]] = []
        self.scene.policy.poll_soon = self.ask
        self.client = self.scene.client()
        self._revisions = itertools.count(2)

    def ask(self) -> Deferred[None]:
        """The control plane is asked."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def follow(self, *rules: str, gateway: ParentProxy = RENEWED) -> None:
        """The control plane gave another configuration."""
        self.scene.router.follow(
            Snapshot(
                gateway=gateway,
                rules=RuleSet.compile(rules or ("*",)),
                revision=next(self._revisions),
            )
        )

    def refused(self, request: bytes) -> MemoryTransport:
        """A request that the gateway refuses."""
        self.client.receive(request)
        gateway = self.scene.tcp.dials[-1].connect()
        gateway.receive(REFUSAL)
        return gateway

    def post(self, length: int, body: bytes = b"") -> bytes:
        """A request with a body."""
        return (
            b"POST http://site.test/ HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n"
            % length
        ) + body

    def test_tunnel(self) -> None:
        """It is dialled anew, with the new ones; what the client sent meanwhile follows."""
        gateway = self.refused(CONNECT)
        self.assertTrue(gateway.closed)
        self.assertEqual(self.client.value(), b"")
        self.client.receive(b"early")
        self.follow()
        self.asked[0].callback(None)
        again = self.scene.tcp.dials[1].connect()
        self.assertIn(AUTHORIZATION, again.taken())
        again.receive(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertEqual(again.taken(), b"early")
        self.assertIn(b" 200 ", self.client.value())
        self.assertEqual(self.scene.counters.credentials_renewed, 1)

    def test_body_that_is_still_coming(self) -> None:
        """What has come of it is sent again, the rest follows."""
        self.refused(self.post(8, b"half"))
        self.client.receive(b"rest")
        self.follow()
        self.asked[0].callback(None)
        again = self.scene.tcp.dials[1].connect()
        self.assertTrue(again.taken().endswith(b"\r\n\r\nhalfrest"))
        again.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        self.assertTrue(self.client.value().endswith(b"\r\n\r\nok"))

    def test_body_that_is_lost(self) -> None:
        """
        More than is kept of a body is gone: the refusal is the answer. The control plane is asked
        all the same, for those that come behind it.
        """
        limit = self.scene.limits.replay_bytes
        self.refused(self.post(limit + 1, b"x" * (limit + 1)))
        self.assertIn(b"HTTP/1.1 502 ", self.client.value())
        self.follow()
        self.asked[0].callback(None)
        self.assertEqual(len(self.scene.tcp.dials), 1)

    def test_asking_fails(self) -> None:
        """A fault of ours is in the log, and the client hears of the refusal."""
        for request in (CONNECT, self.post(0)):
            client = self.client = self.scene.client()
            self.refused(request)
            self.asked.pop().errback(KeyError("a fault"))
            self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
            self.assertIn(b"HTTP/1.1 502 ", client.value())

    def test_asking_is_given_up(self) -> None:
        """Whoever was to ask stops: the client hears of the refusal then too."""
        self.refused(CONNECT)
        self.asked.pop().cancel()
        self.assertIn(b"HTTP/1.1 502 ", self.client.value())

    def test_body_at_the_bound(self) -> None:
        """As much as is kept is sent again; while the control plane is asked no more is read."""
        limit = self.scene.limits.replay_bytes
        self.refused(self.post(limit + 5, b"x" * limit))
        self.client.receive(b"yyyyy")
        self.assertEqual(self.client.producerState, "paused")
        self.follow()
        self.asked[0].callback(None)
        again = self.scene.tcp.dials[1].connect()
        self.assertEqual(self.client.producerState, "producing")
        self.assertTrue(again.taken().endswith(b"x" * limit + b"yyyyy"))

    def test_unchanged(self) -> None:
        """The same credentials are not tried again; the challenge ends here."""
        for request in (CONNECT, self.post(0)):
            self.client = self.scene.client()
            self.refused(request)
            self.asked[-1].callback(None)
            answer = self.client.value()
            self.assertIn(b"HTTP/1.1 502 Bad Gateway\r\n", answer)
            self.assertIn(b"error=http_request_denied; received-status=407", answer)
            self.assertNotIn(b"Proxy-Authenticate", answer)
        self.assertEqual(len(self.scene.tcp.dials), 2)

    def test_once(self) -> None:
        """A second refusal is final."""
        for request in (CONNECT, self.post(0)):
            self.client = self.scene.client()
            self.refused(request)
            self.follow(gateway=ParentProxy("g.test", 1, "user", f"try {len(self.asked)}"))
            self.asked[-1].callback(None)
            self.scene.tcp.dials[-1].connect().receive(REFUSAL)
            self.assertIn(b" 502 ", self.client.value())
        self.assertEqual(len(self.asked), 2)

    def test_direct_by_now(self) -> None:
        """New rules that would send it direct do not: it was to be unseen when it was asked."""
        self.refused(CONNECT)
        self.follow("elsewhere.test")
        self.asked[0].callback(None)
        self.assertIn(b" 502 ", self.client.value())
        self.assertEqual(len(self.scene.tcp.dials), 1)

    def test_without_a_control_plane(self) -> None:
        """There is nobody to ask."""
        self.scene.policy.poll_soon = None
        self.refused(CONNECT)
        self.assertIn(b" 502 ", self.client.value())

    def test_client_gone(self) -> None:
        """Nobody waits any more: what the control plane says later harms nobody."""
        for request in (CONNECT, self.post(0)):
            self.client = self.scene.client()
            self.refused(request)
            self.client.lost()
            self.follow()
            if not self.asked[-1].called:
                self.asked[-1].callback(None)
            self.follow(gateway=GATEWAY)
        self.assertEqual(len(self.scene.tcp.dials), 2)
        self.assertEqual(self.scene.proxy.live, set())

    def test_other_refusals(self) -> None:
        """Only a 407 is about credentials."""
        self.client.receive(CONNECT)
        self.scene.tcp.dials[0].connect().receive(b"HTTP/1.1 403 No\r\n\r\n")
        self.assertIn(b"received-status=403", self.client.value())
        self.assertEqual(self.asked, [])
