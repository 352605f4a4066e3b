"""How long a handshake may take, what begins when it is done, and what is left behind."""

from __future__ import annotations

import gc
import weakref

from twisted.internet.error import ConnectionLost

from aluvia.edge.test.tls_case import TLSCase, pair
from aluvia.net.accept import Draining
from aluvia.net.http_server import ServerConnection
from aluvia.net.test.serving import GET, RecordingApplication
from aluvia.wire.limits import Limits


class DeadlineTests(TLSCase):
    """A handshake has one deadline, whatever comes meanwhile."""

    limits = Limits(handshake_seconds=10.0, head_seconds=30.0, keep_alive_seconds=75.0)

    def setUp(self) -> None:
        """There is a certificate."""
        super().setUp()
        self.use(a_example=pair("a.example"))

    def pass_seconds(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_silence(self) -> None:
        """Nothing comes at all; or nothing behind the first message."""
        for sent in (0, 10_000):
            self.failures.clear()
            client = self.connect(b"a.example")
            client.wire.deliver(client.hello()[:sent])
            self.pass_seconds(9)
            self.assertFalse(client.wire.closing)
            self.pass_seconds(2)
            self.assertTrue(client.wire.aborted)
            self.assert_over(client, timeout=1)

    def test_drip(self) -> None:
        """A byte now and then is no reason to wait."""
        client = self.connect(b"a.example")
        hello = client.hello()
        for at in range(5):
            client.wire.deliver(hello[at : at + 1])
            self.pass_seconds(2)
        self.pass_seconds(1)
        self.assertTrue(client.wire.aborted)
        self.assert_over(client, timeout=1)

    def test_done(self) -> None:
        """Then it is over with the deadline."""
        client = self.meet(b"a.example")
        self.assertEqual(len(self.sweep), 0)
        self.pass_seconds(20)
        self.assertFalse(client.wire.closing)
        self.assertEqual(self.failures, {})

    def test_deaf(self) -> None:
        """Who was refused and does not read that is reset, and counted for what it was."""
        self.use()
        client = self.connect(b"a.example")
        client.wire.deliver(client.hello())
        self.pass_seconds(9)
        self.assertFalse(client.wire.aborted)
        self.pass_seconds(2)
        self.assertTrue(client.wire.aborted)
        self.assert_over(client, unrecognized_name=1)

    def test_what_is_inside(self) -> None:
        """The time for a request's head begins when the handshake is done."""
        application = RecordingApplication(at_once=True)
        made: list[ServerConnection] = []

        def make() -> ServerConnection:
            made.append(ServerConnection(application, self.sweep, self.limits, 600.0))
            return made[-1]

        self.inside.make = make
        client = self.connect(b"a.example")
        self.pass_seconds(8)
        self.assertEqual(made, [])
        client.talk()
        self.assertEqual(made[0].deadline, self.sweep.now + 30)
        self.pass_seconds(20)
        client.send(GET)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 200 OK\r\n"), client.received)
        self.assertEqual(made[0].deadline, self.sweep.now + 75)
        self.pass_seconds(76)
        self.assertTrue(client.wire.closing)

    def test_drain(self) -> None:
        """A door that closes waits for no handshake, and counts none."""
        for sent in (0, 10_000):
            client = self.connect(b"a.example")
            client.wire.deliver(client.hello()[:sent])
            inside = client.theirs.wrappedProtocol
            assert isinstance(inside, Draining)
            inside.drain()
            self.assertTrue(client.wire.aborted)
            self.assert_over(client)

    def test_nothing_is_left(self) -> None:
        """No cycle keeps what OpenSSL has for a connection, however that ended."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for sent in (0, 100, 10_000, None):
            client = self.connect(b"a.example")
            wire = weakref.ref(client.theirs)
            if sent is None:
                client.talk()
            else:
                client.wire.deliver(client.hello()[:sent])
            client.wire.lose(ConnectionLost())
            self.inside.made.clear()
            client.wire.protocol = None
            self.assertIsNone(wire(), sent)
