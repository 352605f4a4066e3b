"""Open tunnels whose host new rules send the other way."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import Snapshot
from aluvia.client.flips import Flips
from aluvia.client.test.scene import GATEWAY, MemoryTransport, Scene
from aluvia.rules import RuleSet


class FlipTests(SynchronousTestCase):
    """Two tunnels, and rules that change."""

    def setUp(self) -> None:
        """Both go direct."""
        self.scene = Scene("nothing.test")
        self.addCleanup(self.scene.close)
        self.one = self.tunnel(b"one.test")
        self.other = self.tunnel(b"other.test")

    def tunnel(self, host: bytes) -> MemoryTransport:
        """The client's end of one."""
        client = self.scene.client()
        client.receive(b"CONNECT %b:443 HTTP/1.1\r\nHost: a\r\n\r\n" % host)
        self.scene.tcp.dials[-1].connect()
        return client

    def follow(self, flips: Flips, *rules: str) -> None:
        """The control plane gave these."""
        self.scene.router.follow(Snapshot(gateway=GATEWAY, rules=RuleSet.compile(rules)))
        flips.look()

    def flips(self, grace: float | None) -> Flips:
        """Who looks after them."""
        return Flips(self.scene.proxy, self.scene.router, grace)

    def pass_time(self, seconds: int) -> None:
        """Look by look."""
        for _ in range(seconds):
            self.scene.clock.advance(1)

    def test_left_alone(self) -> None:
        """Without a grace nothing is ended."""
        self.follow(self.flips(None), "*")
        self.pass_time(100)
        self.assertFalse(self.one.closed or self.other.closed)

    def test_ended(self) -> None:
        """With one, those that flipped end when it is over, and no others."""
        flips = self.flips(10.0)
        self.follow(flips, "one.test")
        self.pass_time(9)
        self.assertFalse(self.one.closed)
        self.pass_time(3)
        self.assertTrue(self.one.aborted)
        self.assertFalse(self.other.closed)

    def test_back_in_time(self) -> None:
        """Rules that change their mind before it is over save them; the grace then begins anew."""
        flips = self.flips(10.0)
        self.follow(flips, "one.test")
        self.pass_time(9)
        self.follow(flips, "nothing.test")
        self.pass_time(9)
        self.follow(flips, "*")
        self.pass_time(9)
        self.assertFalse(self.one.closed)
        self.pass_time(3)
        self.assertTrue(self.one.aborted and self.other.aborted)

    def test_each_by_its_own_time(self) -> None:
        """A later change does not give more time to those that flipped before."""
        flips = self.flips(10.0)
        self.follow(flips, "one.test")
        self.pass_time(6)
        self.follow(flips, "one.test", "other.test")
        self.pass_time(6)
        self.assertTrue(self.one.aborted)
        self.assertFalse(self.other.closed)
        self.pass_time(6)
        self.assertTrue(self.other.aborted)

    def test_not_a_tunnel_yet(self) -> None:
        """One that is still being dialled the old way ends soon after it is open."""
        flips = self.flips(2.0)
        client = self.scene.client()
        client.receive(b"CONNECT one.test:443 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.follow(flips, "one.test")
        self.pass_time(5)
        self.assertFalse(client.closed)
        self.scene.tcp.dials[-1].connect()
        self.pass_time(3)
        self.assertTrue(client.aborted)
