"""Tests for :mod:`aluvia.agent.targets`."""

from __future__ import annotations

import typing

from OpenSSL import SSL
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.agent.targets import DeclaredGuard, Targets
from aluvia.agent.tunnels import Published, TakesTunnels
from aluvia.net.errors import DialError
from aluvia.net.test.dialling import (
    FakeConnect,
    FakeDeadlines,
    FakeWire,
    NamedAddresses,
    Recorder,
    addresses,
)
from aluvia.net.test.handshaking import OTHERS, OURS, Server


class TargetCase(SynchronousTestCase):
    """Targets whose connections a test makes by hand."""

    def setUp(self) -> None:
        """Nothing is known, and nothing connected."""
        self.clock = Clock()
        self.deadlines = FakeDeadlines(self.clock)
        self.names = NamedAddresses({"localhost": addresses("127.0.0.1", "::1")})
        self.connect = FakeConnect()

    def targets(self, *words: str, tcp: typing.Sequence[str] = ()) -> Targets:
        """The targets of these tunnels."""
        read: typing.Any = (
            *typing.cast(tuple[Published, ...], TakesTunnels("http").from_toml(list(words))),
            *typing.cast(tuple[Published, ...], TakesTunnels("tcp").from_toml(list(tcp))),
        )
        return Targets(
            read,
            self.clock,
            self.names,
            self.deadlines,
            connect_timeout=10.0,
            authorities=OURS.pem,
            connect=self.connect,
        )


class GuardTests(SynchronousTestCase):
    """What a tunnel's dialer lets pass."""

    def refused(self, guard: DeclaredGuard, address: str, port: int) -> None:
        """It does not pass."""
        error = self.assertRaises(DialError, guard.check, address, port)
        self.assertEqual((error.error, error.status), ("destination_ip_prohibited", 403))

    def test_a_published_stream_reaches_only_the_declared_target(self) -> None:
        """No other port, and of an address no other one; a name leads to no link-local address."""
        guard = DeclaredGuard("127.0.0.1", 3000)
        guard.check("127.0.0.1", 3000)
        self.refused(guard, "127.0.0.1", 3001)
        self.refused(guard, "127.0.0.2", 3000)
        self.refused(guard, "::1", 3000)
        guard = DeclaredGuard("web.lan", 80)
        for address in ("192.168.1.2", "127.0.0.1", "2001:db8::1"):
            guard.check(address, 80)
        for address in ("169.254.169.254", "fe80::1", "::ffff:169.254.169.254"):
            self.refused(guard, address, 80)
        DeclaredGuard("169.254.1.1", 80).check("169.254.1.1", 80)


class DialTests(TargetCase):
    """Dialling a tunnel's target."""

    def test_declared(self) -> None:
        """What is declared is there, in its order; nothing else is."""
        targets = self.targets("app=http://127.0.0.1:3000", tcp=["db=localhost:5432"])
        self.assertEqual([each.id for each in targets.tunnels], ["app", "db"])
        self.assertEqual(typing.cast(Published, targets.get("db")).port, 5432)
        self.assertIsNone(targets.get("other"))
        recorder = Recorder()
        self.assertRaises(KeyError, targets.dial, "other", recorder, recorder.failed)

    def test_dial(self) -> None:
        """The declared host and port are connected to, each address of a name in turn."""
        targets = self.targets("app=http://localhost:3000")
        recorder = Recorder()
        targets.dial("app", recorder, recorder.failed)
        self.connect.attempts[0].fail(ConnectionRefusedError(111, "refused"))
        self.assertEqual(
            [each.sockaddr for each in self.connect.attempts],
            [("127.0.0.1", 3000), ("::1", 3000)],
        )
        self.connect.attempts[1].connect()
        self.assertEqual(recorder.outcome(), (1, []))

    def test_too_late(self) -> None:
        """A dial ends at its deadline."""
        targets = self.targets("app=http://127.0.0.1:3000")
        recorder = Recorder()
        targets.dial("app", recorder, recorder.failed)
        self.clock.advance(10)
        self.deadlines.look()
        self.assertEqual(recorder.outcome(), (0, ["connection_timeout"]))
        self.assertEqual(self.connect.open(), [])


class TLSTests(TargetCase):
    """Targets inside TLS."""

    def meet(self, url: str, context: SSL.Context) -> tuple[Recorder, FakeWire]:
        """Dial, and let a server with this context answer."""
        targets = self.targets(f"app={url}")
        recorder = Recorder()
        targets.dial("app", recorder, recorder.failed)
        wire = self.connect.attempts[-1].connect()
        Server(context).talk(wire)
        return recorder, wire

    def test_this_machine_need_not_prove_itself(self) -> None:
        """On loopback a certificate of anybody's, for anybody, is good enough."""
        for host in ("127.0.0.1", "localhost", "[::1]"):
            recorder, _ = self.meet(f"https://{host}:8443", OTHERS.issue("other.example"))
            self.assertEqual(recorder.outcome(), (1, []))

    def test_other_machines_must(self) -> None:
        """Elsewhere it is verified: by whom it is signed, and for whom."""
        self.names.names["web.lan"] = addresses("127.0.0.1")
        recorder, _ = self.meet("https://web.lan", OURS.issue("web.lan"))
        self.assertEqual(recorder.outcome(), (1, []))
        for context in (OTHERS.issue("web.lan"), OURS.issue("other.lan")):
            recorder, wire = self.meet("https://web.lan", context)
            self.assertTrue(wire.closing)
            wire.lose()
            self.assertEqual(recorder.outcome(), (0, ["tls_certificate_error"]))

    def test_reach(self) -> None:
        """To see whether it listens no handshake is needed."""
        targets = self.targets("app=https://127.0.0.1")
        recorder = Recorder()
        targets.reach("app", recorder, recorder.failed)
        wire = self.connect.attempts[-1].connect()
        self.assertEqual(recorder.outcome(), (1, []))
        self.assertEqual((wire.value(), wire.protocol), (b"", recorder))
