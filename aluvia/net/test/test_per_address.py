"""The cap on connections from one address."""

from __future__ import annotations

import attrs
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.accept import Admission, Sweep
from aluvia.net.door import Door
from aluvia.net.per_address import PerAddress
from aluvia.net.ports import WirePort
from aluvia.net.test.listening import Greeters, PortCase
from aluvia.net.test.tunnels import reactor
from aluvia.testing.ended import Ended


@attrs.define
class HandClock:
    """A clock that a test sets."""

    now: float = 0.0


class PerAddressTests(SynchronousTestCase):
    """Counting."""

    def setUp(self) -> None:
        """Two from each address."""
        self.clock = HandClock()
        self.crowd = PerAddress(self.clock, 2)

    def enter(self, *hosts: str) -> list[bool]:
        """Whether each was let in."""
        let_in = []
        for host in hosts:
            refused = self.crowd.refuses(host)
            if not refused:
                self.crowd.entered(host)
            let_in.append(not refused)
        return let_in

    def test_each_by_itself(self) -> None:
        """What one address has open is nothing to another; who leaves makes room."""
        self.assertEqual(self.enter(*["192.0.2.1"] * 3, "192.0.2.2"), [True, True, False, True])
        self.crowd.left("192.0.2.1")
        self.assertEqual(self.enter("192.0.2.1", "192.0.2.1"), [True, False])
        self.assertEqual(self.crowd.refused, 2)

    def test_nothing_is_kept_of_those_who_left(self) -> None:
        """An address without a connection costs nothing."""
        for host in ("192.0.2.1", "2001:db8::1", "192.0.2.1"):
            self.enter(host)
        for host in ("2001:db8::2", "192.0.2.1", "192.0.2.1"):
            self.crowd.left(host)
        self.assertEqual(len(self.crowd._open), 0)

    def test_ipv6(self) -> None:
        """A machine has 64 bits of addresses: they count as one."""
        hosts = ("2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:0:4::", "2001:db8:0:1::1")
        self.assertEqual(self.enter(*hosts), [True, True, False, True])
        self.assertEqual(self.enter("fe80::1%2", "fe80::2%2", "fe80::3%2"), [True, True, False])

    def test_mapped(self) -> None:
        """IPv4 at a port of both families is IPv4, and one address."""
        hosts = ("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2")
        self.assertEqual(self.enter(*hosts), [True, True, False, True])

    def test_said_once_a_minute(self) -> None:
        """However many they are."""
        with capturedLogs() as events:
            self.enter(*["192.0.2.1"] * 12)
            self.clock.now = 59.0
            self.enter("192.0.2.1")
            self.assertEqual(len(events), 1)
            self.clock.now = 60.0
            self.enter("192.0.2.1")
        first, second = map(formatEvent, events)
        self.assertIn("Refused 1 connections over the 2 ", first)
        self.assertIn("Refused 11 connections over the 2 ", second)
        self.assertIn("192.0.2.1", second)


class PortTests(PortCase):
    """On a port."""

    def admit(self, port: WirePort, most: int | None) -> Admission:
        """An admission over this port."""
        sweep = Sweep(Clock())
        admission = Admission([port], sweep, 100, max_connections_per_address=most)
        self.addCleanup(admission.stop)
        return admission

    async def assert_reset(self, port: WirePort) -> None:
        """Assert that one more is."""
        try:
            peer = await self.connect(port)
        except ConnectionResetError:
            return  # It was quicker than we.
        await peer.read_away()
        self.assertIs(peer.ended, Ended.RESET)

    async def test_over_it(self) -> None:
        """One too many is reset, before anything is made for it; one that leaves makes room."""
        port = self.listen()
        first = await self.connect(port)
        await first.read_exactly(5)
        admission = self.admit(port, 2)
        second = await self.connect(port)
        await second.read_exactly(5)
        await self.assert_reset(port)
        self.assertEqual((len(self.factory.made), admission.count, admission.refused), (2, 2, 1))
        first.close()
        await self.when(lambda: len(port.wires) == 1)
        fourth = await self.connect(port)
        self.assertEqual(await fourth.read_exactly(5), b"hello")

    async def test_those_that_come_to_nothing(self) -> None:
        """A connection that its factory declines, or fails to serve, takes no place."""
        port = self.listen()
        self.admit(port, 1)
        build = self.factory.build
        self.factory.build = lambda: None
        await (await self.connect(port)).read_away()
        self.factory.build = lambda: 1 / 0  # type: ignore[assignment, return-value]
        await (await self.connect(port)).read_away()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.factory.build = build
        self.assertEqual(await (await self.connect(port)).read_exactly(5), b"hello")

    async def test_without_it(self) -> None:
        """Nobody is counted."""
        port = self.listen()
        admission = self.admit(port, None)
        for _ in range(5):
            self.assertEqual(await (await self.connect(port)).read_exactly(5), b"hello")
        self.assertIsNone(port.crowd)
        self.assertEqual(admission.refused, 0)

    async def test_a_door(self) -> None:
        """It is one cap over all ports of a door."""
        door = Door(reactor, max_connections=100, connect_timeout=1.0)
        self.addCleanup(door.stop)
        self.assertEqual(door.connections_refused, 0)
        for name in ("one", "other"):
            door.listen(name, "127.0.0.1", 0, Greeters())
        door.admit(1)
        await (await self.connect(door.ports["one"])).read_exactly(5)
        await self.assert_reset(door.ports["other"])
        self.assertEqual(door.connections_refused, 1)
