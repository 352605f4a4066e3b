"""A hub in memory, and agents that speak to it: a WebSocket and a mux of ours, with a cable."""

from __future__ import annotations

import json
import typing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub.hub import Hub
from aluvia.hub.keys import Permit
from aluvia.hub.limits import DEFAULT_HUB_LIMITS, HubLimits
from aluvia.net.accept import Sweep
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.net.mux import Mux
from aluvia.net.mux_opening import Incoming
from aluvia.net.test.cables import Cable
from aluvia.net.test.muxes import Ear
from aluvia.net.websocket import Asked, WebSocket
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.frames import Code
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS

KEY, OTHER_KEY, NARROW_KEY = "alv_good", "alv_other", "alv_narrow"


class KeysInMemory:
    """Three keys, which can be revoked."""

    def __init__(self) -> None:
        self.permits = {
            KEY: Permit(name="good"),
            OTHER_KEY: Permit(name="other"),
            NARROW_KEY: Permit(name="narrow", publish=frozenset(["app"])),
        }
        self._changed: list[typing.Callable[[], object]] = []

    def permit(self, key: str) -> Permit | None:
        """As a store's."""
        return self.permits.get(key)

    def still_good(self, permit: Permit) -> bool:
        """As a store's."""
        return permit in self.permits.values()

    def may_be_published(self, id: str) -> bool:
        """As a store's."""
        return any(id in permit.publish for permit in self.permits.values())

    def on_change(self, changed: typing.Callable[[], object]) -> None:
        """As a store's."""
        self._changed.append(changed)

    def revoke(self, key: str) -> None:
        """It is good no more."""
        del self.permits[key]
        for each in self._changed:
            each()


class Upgrades:
    """The application of a connection that is upgraded as soon as its request is whole."""

    def __init__(self, hub: Hub, permit: Permit | None) -> None:
        self._hub = hub
        self._permit = permit

    def request(self, connection: ServerConnection, head: RequestHead) -> typing.Any:
        """The responder is this very thing."""
        self._of = connection, head
        return self

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """Not of interest."""
        connection.abort()

    def request_end(self) -> None:
        """It is whole."""
        connection, head = self._of
        self._hub.upgrade(connection, head, self._permit)

    def client_lost(self) -> None:
        """Not of interest."""


class AgentInMemory:
    """
    An agent.

    :ivar messages: what the hub has told it.
    :ivar asked: streams that the hub has opened, unless :attr:`accepts` takes them.
    :ivar goodbyes: GOAWAYs.
    """

    def __init__(self, case: HubCase, permit: Permit | None) -> None:
        self.messages: list[dict[str, typing.Any]] = []
        self.asked: list[Incoming] = []
        self.goodbyes: list[tuple[int, str]] = []
        self.ends: list[BaseException] = []
        self.accepts: typing.Callable[[Incoming], object] = self.asked.append
        self.mux: Mux | None = None
        self._case = case
        self.websocket = WebSocket(self, case.sweep, Asked("ws://hub.test/agent"))
        server = ServerConnection(Upgrades(case.hub, permit), case.sweep, DEFAULT_LIMITS, 300)
        self.cable = Cable(server, self.websocket)
        case.cables.append(self.cable)
        case.carry()

    def say(self, **message: object) -> None:
        """Send a text message, and have it carried."""
        self.websocket.send_text(json.dumps(message))
        self._case.carry()

    def register(self, *ids: str, **fields: object) -> None:
        """Register with these tunnels."""
        given = {"agent_id": "box", "instance": "instance-1", **fields}
        self.say(type="register", tunnels=[{"id": id} for id in ids], **given)

    @property
    def registered(self) -> bool:
        """Whether the hub has said so."""
        return any(message["type"] == "registered" for message in self.messages)

    @property
    def refusals(self) -> list[str]:
        """The codes of its errors."""
        return [each["code"] for each in self.messages if each["type"] == "error_response"]

    # The owner of a WebSocket.

    def websocket_open(self) -> None:
        """Have a mux."""
        case = self._case
        self.mux = Mux(self.websocket, self, case.clock, case.sweep, opens=False)
        self.websocket.use_producer(self.mux.writer)

    def data_received(self, data: bytes) -> None:
        """Frames."""
        assert self.mux is not None
        self.mux.received(data)

    def text_received(self, text: str) -> None:
        """A message."""
        self.messages.append(json.loads(text))

    def websocket_ended(self, why: BaseException) -> None:
        """Note it."""
        self.ends.append(why)
        if self.mux is not None:
            self.mux.ended()

    # The owner of a mux.

    def incoming(self, incoming: Incoming) -> None:
        """Note it, or do what a test wants."""
        self.accepts(incoming)

    def going_away(self, code: int, reason: str) -> None:
        """Note it."""
        self.goodbyes.append((code, reason))

    def drained(self) -> None:
        """Close."""
        self.websocket.close()

    def broken(self, code: Code, reason: str) -> None:
        """Close."""
        self.websocket.abort()


class HubCase(SynchronousTestCase):
    """A hub."""

    limits: HubLimits = DEFAULT_HUB_LIMITS

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.keys = KeysInMemory()
        self.ids = 0
        self.hub = Hub(
            self.keys,
            self.clock,
            self.sweep,
            limits=self.limits,
            now=lambda: 1_000_000 + self.clock.seconds(),
            make_id=self.make_id,
        )
        self.cables: list[Cable] = []
        self.errors: list[DialError] = []

    def make_id(self) -> str:
        """Unlike any other."""
        self.ids += 1
        return f"random-{self.ids}"

    def carry(self) -> None:
        """Carry what is under way."""
        for _ in range(3):
            for cable in self.cables:
                cable.carry(self.clock)

    def pass_seconds(self, seconds: int) -> None:
        """One look of the sweep after the other."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.carry()

    def agent(self, key: str | None = KEY) -> AgentInMemory:
        """One that is connected, and has shown this key at the upgrade."""
        return AgentInMemory(self, None if key is None else self.keys.permit(key))

    def online(self, *ids: str, **fields: object) -> AgentInMemory:
        """One that has registered."""
        agent = self.agent()
        agent.register(*ids, **fields)
        assert agent.registered, agent.messages
        return agent

    def dial(self, id: str) -> Ear:
        """A dial to a tunnel; what it comes to is in the ear, or in :attr:`errors`."""
        ear = Ear()
        self.hub.dialer.dial(id, 0, ear, self.errors.append)
        self.carry()
        return ear
