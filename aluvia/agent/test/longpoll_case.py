"""A real hub, an agent that polls it over cables, targets and visitors; for tests."""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol
from twisted.logger import capturedLogs

from aluvia.agent.carrier import Carrier, Ending, Place
from aluvia.agent.health import Health
from aluvia.agent.hub_calls import HubCalls
from aluvia.agent.hub_url import HubURL
from aluvia.agent.journal import Journal
from aluvia.agent.longpoll import LongPollCarrier
from aluvia.agent.requests import Requests
from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.hub.site import HubConnections
from aluvia.hub.test.poll_case import KEY, PollCase
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.resolve import Failed
from aluvia.net.test.cables import Cable
from aluvia.net.test.dialling import FakeConnect, FakeWire, NamedAddresses

HUB = HubURL(False, "hub.test", 8910)
APP = Published("app", "http", False, "127.0.0.1", 3000)
DB = Published("db", "tcp", False, "127.0.0.1", 5432)


class Owner:
    """Notes what carriers tell it."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.endings: list[Ending] = []

    def registered(self, carrier: Carrier, places: typing.Sequence[Place]) -> None:
        """Note it."""
        self.places += places

    def leaving(self, carrier: Carrier, why: str) -> None:
        """Not told by those who poll."""

    def ended(self, carrier: Carrier, ending: Ending) -> None:
        """Note it."""
        self.endings.append(ending)


class _Connected:
    def cancel(self) -> None:
        """Too late."""


class CableDialer:
    """
    Dials the hub's port.

    :ivar cables: that were made.
    :ivar written: to the hub, on all of them.
    :ivar away: an error for every dial; None for a hub that is there.
    """

    def __init__(self, connections: HubConnections) -> None:
        self._connections = connections
        self.written: list[bytes] = []
        self.cables: list[Cable] = []
        self.away: DialError | None = None

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect at once."""
        if self.away is not None:
            failed(self.away)
        else:
            server = self._connections.buildProtocol(None)
            cable = Cable(typing.cast(IProtocol, server), protocol)
            self.written += cable.far.written
            write = cable.far.write

            def note(data: bytes) -> None:
                self.written.append(data)
                write(data)

            cable.far.write = note  # type: ignore[method-assign]
            self.cables.append(cable)
        return _Connected()


class LongPollCase(PollCase):
    """A hub, and carriers to it."""

    most = 32

    def setUp(self) -> None:
        """Make what a carrier needs."""
        super().setUp()
        self.owner = Owner()
        self.dialer = CableDialer(HubConnections(self.site, self.hub.sweep))
        self.connect = FakeConnect()
        targets = Targets(
            [APP, DB],
            self.clock,
            NamedAddresses(),
            self.sweep,
            connect_timeout=10.0,
            connect=self.connect,
        )
        self.health = Health(targets, self.clock.seconds, self.sweep)
        self.requests = Requests(
            targets,
            self.health,
            Journal(self.clock),
            self.clock,
            self.sweep,
            most=self.most,
        )

    def carrier(
        self, key: str = KEY, dialer: Dialer | None = None, **fields: object
    ) -> LongPollCarrier:
        """One that registers."""
        registration = {
            "agent_id": "box",
            "instance": "instance-1",
            "tunnels": [{"id": "app", "target": "http:"}],
            **fields,
        }
        self.calls = HubCalls(HUB, key, dialer or self.dialer, self.clock, self.sweep)
        carrier = LongPollCarrier(
            self.owner,
            self.calls,
            registration,
            self.requests,
            self.clock,
            self.sweep,
            lambda: 1.0,
        )
        carrier.start()
        self.carry()
        return carrier

    def serving(self, **fields: object) -> LongPollCarrier:
        """One that the hub has registered."""
        with capturedLogs():
            carrier = self.carrier(KEY, None, **fields)
        self.assertEqual(self.owner.endings, [])
        return carrier

    def carry(self) -> None:
        """Carry what is under way."""
        for _ in range(4):
            for cable in [*self.dialer.cables]:
                cable.carry(self.clock)
            self.turn()

    def pass_seconds(self, seconds: int) -> None:
        """One look of the sweep after the other."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.carry()

    def written(self) -> bytes:
        """What came to the hub, of all connections."""
        return b"".join(self.dialer.written)

    @property
    def wire(self) -> FakeWire:
        """The last connection to the target."""
        return self.connect.attempts[-1].wire

    def reach(self) -> FakeWire:
        """Let the last dial to the target succeed."""
        wire = self.connect.attempts[-1].connect()
        self.carry()
        return wire

    def say(self, data: bytes, wire: FakeWire | None = None) -> None:
        """Have the target say this, and let it come where it is to come."""
        (wire or self.wire).deliver(data)
        self.carry()
