"""Two muxes, and two carriers between them: lists of messages, delivered when a test says so."""

from __future__ import annotations

import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from aluvia.net.accept import Sweep
from aluvia.net.errors import DialError
from aluvia.net.mux import Mux
from aluvia.net.mux_opening import Incoming
from aluvia.net.mux_stream import Stream
from aluvia.wire.frames import Capability, Code, Frame, FrameReader


class CarrierInMemory:
    """
    One way of a carrier.

    :ivar messages: what was sent, and not delivered yet.
    :ivar room: after how many messages it has enough; None for never.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.room: int | None = None
        self.mux: Mux | None = None

    def send(self, messages: typing.Sequence[bytes]) -> None:
        """Keep them."""
        self.messages += messages
        if self.room is not None and len(self.messages) >= self.room:
            assert self.mux is not None
            self.mux.writer.pauseProducing()

    def frames(self) -> list[Frame]:
        """What was sent, as frames."""
        return FrameReader().receive(b"".join(self.messages))

    def take(self) -> list[bytes]:
        """What was sent; there is room again."""
        messages, self.messages = self.messages, []
        return messages


class Owner:
    """Notes what a mux tells it."""

    def __init__(self) -> None:
        self.asked: list[Incoming] = []
        self.goodbyes: list[tuple[int, str]] = []
        self.faults: list[tuple[Code, str]] = []
        self.times_drained = 0
        self.accepts: typing.Callable[[Incoming], object] = self.asked.append

    def incoming(self, incoming: Incoming) -> None:
        """Note it, or do what a test wants."""
        self.accepts(incoming)

    def going_away(self, code: int, reason: str) -> None:
        """Note it."""
        self.goodbyes.append((code, reason))

    def drained(self) -> None:
        """Note it."""
        self.times_drained += 1

    def broken(self, code: Code, reason: str) -> None:
        """Note it."""
        self.faults.append((code, reason))


@implementer(IProtocol)
class Ear:
    """A protocol that notes what it is told."""

    def __init__(self) -> None:
        self.transport: Stream | None = None
        self.factory: typing.Any = None
        self.received = b""
        self.lost: list[Failure] = []

    @property
    def stream(self) -> Stream:
        """Its transport."""
        assert self.transport is not None
        return self.transport

    def makeConnection(self, transport: typing.Any) -> None:
        """It is connected."""
        self.transport = transport

    def connectionMade(self) -> None:
        """Not called."""

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        """Note it."""
        self.lost.append(reason)

    @property
    def ended_in_order(self) -> bool:
        """Whether it was lost, once, as a connection that closed."""
        return [each.check(ConnectionDone) for each in self.lost] == [ConnectionDone]


@implementer(IHalfCloseableProtocol)
class HalfEar(Ear):
    """The same, which knows half-closes."""

    def __init__(self) -> None:
        super().__init__()
        self.fins = 0

    def readConnectionLost(self) -> None:
        """Note it."""
        self.fins += 1

    def writeConnectionLost(self) -> None:
        """Not of interest."""


class MuxCase(SynchronousTestCase):
    """A hub's mux and an agent's, with nothing but memory between them."""

    def setUp(self) -> None:
        """Make both."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.to_agent, self.to_hub = CarrierInMemory(), CarrierInMemory()
        self.hub_is, self.agent_is = Owner(), Owner()
        self.hub = self.mux(self.to_agent, self.hub_is, opens=True)
        self.agent = self.mux(self.to_hub, self.agent_is, opens=False)
        self.errors: list[DialError] = []

    def mux(self, carrier: CarrierInMemory, owner: Owner, *, opens: bool, most: int = 8) -> Mux:
        """Make one."""
        made = Mux(carrier, owner, self.clock, self.sweep, opens=opens, most_streams=most)
        carrier.mux = made
        return made

    def deliver(self) -> None:
        """Carry messages to and fro until there are none."""
        self.clock.advance(0)
        while self.to_agent.messages or self.to_hub.messages:
            for carrier, mux in ((self.to_agent, self.agent), (self.to_hub, self.hub)):
                for message in carrier.take():
                    mux.received(message)
            for mux in (self.hub, self.agent):
                if mux.writer._paused:
                    mux.writer.resumeProducing()
            self.clock.advance(0)

    def pair(self, near: Ear | None = None, far: Ear | None = None) -> tuple[Ear, Ear]:
        """A stream that is connected: the hub's end of it, and the agent's."""
        near, far = near or Ear(), far or Ear()
        self.agent_is.accepts = lambda incoming: incoming.accept(far)
        self.hub.open(Capability.PUBLISH, "app", near, self.errors.append)
        self.deliver()
        return near, far

    def pass_seconds(self, seconds: int) -> None:
        """One look of the sweep after the other; messages are carried in between."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.deliver()
