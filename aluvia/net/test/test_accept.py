"""Deadlines, caps and drains, with a clock that is moved by hand."""

from __future__ import annotations

import functools
import math
import socket
import typing

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net import accept
from aluvia.net.accept import Admission, Drain, Sweep, open_descriptors
from aluvia.net.ports import WirePort, listen
from aluvia.net.test.listening import Greeter, Greeters, PortCase
from aluvia.net.test.tunnels import reactor
from aluvia.testing.ended import Ended


class Item:
    """Something with a deadline."""

    def __init__(self, deadline: float, action: typing.Callable[[], object] = int) -> None:
        self.deadline = deadline
        self.action = action
        self.passed: list[float] = []

    def deadline_passed(self, now: float) -> None:
        """Note it, and do what a test wants."""
        self.passed.append(now)
        self.action()


class SweepTests(SynchronousTestCase):
    """One sweep over all deadlines."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.clock.advance(100.0)
        self.sweep = Sweep(self.clock)

    def test_a_deadline_passes(self) -> None:
        """Not before it is due, and at most one interval after."""
        item = Item(102.5)
        self.sweep.watch(item)
        self.clock.pump([1.0, 1.0])
        self.assertEqual(item.passed, [])
        self.clock.advance(1.0)
        self.assertEqual(item.passed, [103.0])

    def test_now_is_coarse(self) -> None:
        """The time is that of the last look."""
        self.assertEqual(self.sweep.now, 100.0)
        self.clock.advance(0.9)
        self.assertEqual(self.sweep.now, 100.0)
        self.clock.advance(0.1)
        self.assertEqual(self.sweep.now, 101.0)

    def test_a_deadline_that_stays_is_called_at_each_look(self) -> None:
        """Until the item moves it, or is forgotten."""
        item = Item(0.0)
        self.sweep.watch(item)
        self.clock.pump([1.0, 1.0])
        item.deadline = math.inf
        self.clock.advance(1.0)
        self.assertEqual(item.passed, [101.0, 102.0])
        item.deadline = 0.0
        self.sweep.forget(item)
        self.sweep.forget(item)
        self.clock.advance(1.0)
        self.assertEqual(len(item.passed), 2)
        self.assertEqual(len(self.sweep), 0)

    def test_an_item_that_raises(self) -> None:
        """Is logged and forgotten, and prevents neither the others nor the next look."""

        def fail() -> None:
            raise RuntimeError("a bug")

        items = [Item(0.0, fail), Item(0.0), Item(0.0, fail)]
        for item in items:
            self.sweep.watch(item)
        self.clock.pump([1.0, 1.0])
        self.assertEqual([len(item.passed) for item in items], [1, 2, 1])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_items_that_come_and_go_during_a_look(self) -> None:
        """One that was forgotten meanwhile is not called; a new one waits for the next look."""
        new = Item(0.0)

        def end_the_other() -> None:
            for item in items:
                if not item.passed:
                    self.sweep.forget(item)
            self.sweep.watch(new)

        items = [Item(0.0, end_the_other), Item(0.0, end_the_other)]
        for item in items:
            self.sweep.watch(item)
        self.clock.advance(1.0)
        self.assertEqual(sorted(len(item.passed) for item in items), [0, 1])
        self.assertEqual(new.passed, [])
        self.clock.advance(1.0)
        self.assertEqual(new.passed, [102.0])

    def test_stop(self) -> None:
        """Leaves no timer; twice is harmless, also from within a look."""
        item = Item(0.0, self.sweep.stop)
        self.sweep.watch(item)
        self.clock.advance(1.0)
        self.sweep.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FakePort:
    """A port, as an admission and a drain see it."""

    def __init__(self, wires: int = 0) -> None:
        self.wires: set[typing.Any] = {object() for _ in range(wires)}
        self.holders: set[object] = set()
        self.counter: typing.Any = None
        self.emptied: typing.Any = None

    def hold(self, holder: object) -> None:
        """Note it."""
        self.holders.add(holder)

    def let_go(self, holder: object) -> None:
        """Note it."""
        self.holders.discard(holder)

    @property
    def held(self) -> bool:
        """Whether it is held."""
        return bool(self.holders)


class AdmissionTests(SynchronousTestCase):
    """The cap on connections, and the share of descriptors."""

    def setUp(self) -> None:
        """Two ports, one of which has a connection already."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.ports = [FakePort(), FakePort(1)]
        self.descriptors = 10

    def admit(self, most: int, limit: int = 100_000) -> Admission:
        """An admission over both ports."""
        return Admission(
            typing.cast(list[WirePort], self.ports),
            self.sweep,
            most,
            descriptor_limit=limit,
            descriptors=lambda: self.descriptors,
        )

    def held(self) -> bool:
        """Whether both ports are held, or neither."""
        one, other = self.ports
        self.assertEqual(one.held, other.held)
        return one.held

    def test_the_cap(self) -> None:
        """At the cap accepting stops on every port; below it, with hysteresis, it goes on."""
        admission = self.admit(100)
        for _ in range(98):
            admission.opened()
        self.assertFalse(self.held())
        admission.opened()
        self.assertTrue(self.held())
        self.assertEqual(admission.count, 100)
        for _ in range(4):
            admission.closed()
            self.assertTrue(self.held())
        admission.closed()
        self.assertFalse(self.held())

    def test_a_cap_of_one(self) -> None:
        """Works too."""
        self.ports[1].wires.clear()
        admission = self.admit(1)
        admission.opened()
        self.assertTrue(self.held())
        admission.closed()
        self.assertFalse(self.held())

    def test_descriptors_run_short_between_two_looks(self) -> None:
        """What a look has found is admitted in halves, for a connection may need an upstream."""
        admission = self.admit(1000, limit=200)
        for _ in range(84):
            admission.opened()
        self.assertFalse(self.held())
        admission.opened()
        self.assertTrue(self.held())
        # They took one each, and most of the room is there still.
        self.descriptors = 95
        self.clock.advance(1.0)
        self.assertFalse(self.held())

    def test_descriptors_at_their_share(self) -> None:
        """At 90 % of the limit accepting stops, whoever has opened them; below it goes on."""
        self.admit(1000, limit=200)
        self.descriptors = 180
        self.clock.advance(1.0)
        self.assertTrue(self.held())
        self.descriptors = 175
        self.clock.advance(1.0)
        self.assertTrue(self.held())
        self.descriptors = 160
        self.clock.advance(1.0)
        self.assertFalse(self.held())

    def test_stop(self) -> None:
        """Nothing is held or watched any more."""
        admission = self.admit(2)
        admission.opened()
        self.assertTrue(self.held())
        admission.stop()
        self.assertFalse(self.held())
        self.assertEqual(len(self.sweep), 0)
        self.assertIsNone(self.ports[0].counter)

    def test_the_limit_of_the_process(self) -> None:
        """Is taken where none is given; there is one everywhere that this runs."""
        self.assertGreater(accept.descriptor_limit_of_process(), open_descriptors())

    def test_without_limits(self) -> None:
        """No ``resource`` module, or an infinite limit: nothing is held."""
        self.patch(accept, "resource", None)
        self.assertEqual(accept.descriptor_limit_of_process(), math.inf)
        admission = Admission(
            typing.cast(list[WirePort], self.ports), self.sweep, 1000, descriptors=lambda: 10
        )
        admission.opened()
        self.clock.advance(1.0)
        self.assertFalse(self.held())


class DescriptorTests(SynchronousTestCase):
    """How many descriptors are open."""

    def test_count(self) -> None:
        """One more is one more, by either way of counting."""
        for by_size in {accept._SIZE_IS_COUNT, False}:
            self.patch(accept, "_SIZE_IS_COUNT", by_size)
            before = open_descriptors()
            with open("/dev/null", "rb"):
                self.assertEqual(open_descriptors(), before + 1)


class Drainable(Greeter):
    """A protocol that is told."""

    def __init__(self, at_once: bool) -> None:
        super().__init__(b"hello")
        self.at_once = at_once
        self.drained = 0

    def drain(self) -> None:
        """Note it, and perhaps close."""
        self.drained += 1
        if self.at_once:
            self.transport.loseConnection()  # type: ignore[union-attr]


class DrainTests(PortCase):
    """The end of a door, with real connections."""

    async def setUp(self) -> None:  # type: ignore[override]
        """One port, with a clock for the drain."""
        await super().setUp()
        self.clock = Clock()
        self.factory = Greeters()

    def drain(self, *ports: WirePort) -> Drain:
        """Over these ports, with five seconds."""
        return Drain(ports, self.clock, 5.0)

    async def fired(self, done: Deferred[None]) -> None:
        """Wait for it."""
        await self.when(lambda: done.called)
        await done
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_without_connections(self) -> None:
        """It is over when the ports have stopped; a call afterwards fires at once."""
        drain = self.drain(self.listen(), self.listen("::1"))
        await self.fired(drain.begin())
        self.assertTrue(drain.begin().called)

    async def test_no_ports(self) -> None:
        """It is over at once."""
        await self.fired(self.drain().begin())

    async def test_it_waits_for_the_last_connection(self) -> None:
        """Connections are told, those that run on are waited for, no new one is accepted."""
        port = self.listen()
        address = port.getHost()
        for at_once in (True, False):
            self.factory.build = functools.partial(Drainable, at_once)
            await (await self.connect(port)).read_exactly(5)
        idle, busy = typing.cast(list[Drainable], self.factory.made)
        done = self.drain(port).begin()
        await self.when(lambda: idle.lost == 1)
        self.assertEqual((idle.drained, busy.drained), (1, 1))
        self.assertFalse(done.called)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port))
        busy.transport.loseConnection()  # type: ignore[union-attr]
        await self.fired(done)

    async def test_a_wrapped_protocol_is_told(self) -> None:
        """Behind TLS too, where the wire's protocol is the TLS layer."""
        self.factory.build = lambda: Drainable(True)
        wrapping = WrappingFactory(self.factory)
        wrapping.noisy = False
        wrapping.protocol = ProtocolWrapper
        port = listen(reactor, "127.0.0.1", 0, wrapping)
        await (await self.connect(port)).read_exactly(5)
        await self.fired(self.drain(port).begin())

    async def test_the_timeout(self) -> None:
        """What is alive then is reset."""
        port = self.listen()
        peer = await self.connect(port)
        await peer.read_exactly(5)
        done = self.drain(port).begin()
        await self.turns(5)
        self.assertFalse(done.called)
        self.clock.advance(5.0)
        await self.fired(done)
        await peer.read_away()
        self.assertIs(peer.ended, Ended.RESET)

    async def test_a_second_call(self) -> None:
        """Means: stop now. Both callers are told."""
        port = self.listen()
        peer = await self.connect(port)
        await peer.read_exactly(5)
        drain = self.drain(port)
        first = drain.begin()
        await self.turns(5)
        second = drain.begin()
        await self.fired(first)
        await self.fired(second)

    async def test_a_port_that_had_stopped_before(self) -> None:
        """Its connections are waited for all the same."""
        port = self.listen()
        peer = await self.connect(port)
        await peer.read_exactly(5)
        await port.stopListening()
        done = self.drain(port).begin()
        await self.turns(5)
        self.assertFalse(done.called)
        peer.close()
        await self.fired(done)
