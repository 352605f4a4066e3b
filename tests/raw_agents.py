"""Agents in the test's own process: a WebSocket, a registration, and then whatever a test wants."""

from __future__ import annotations

import json
import typing

from twisted.internet.defer import Deferred

from aluvia.net.accept import Sweep
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Dialer, TCPDialer
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.net.websocket import Asked, WebSocket
from tests.aluvia_process import reactor, until
from tests.edge_case import SECONDS


class RawAgent:
    """
    One connection to a hub.

    :ivar messages: what the hub has said as text.
    :ivar data: what it has said as frames.
    :ivar over: why it has ended; None while it has not.
    """

    def __init__(self, agents: RawAgents, registration: typing.Mapping[str, object]) -> None:
        self.messages: list[dict[str, typing.Any]] = []
        self.data = bytearray()
        self.over: BaseException | None = None
        self._registration = registration
        scheme = "ws" if agents.context is None else "wss"
        url = f"{scheme}://127.0.0.1:{agents.port}/agent"
        asked = Asked(url, [("Authorization", f"Bearer {agents.key}")])
        self.websocket = WebSocket(self, agents.sweep, asked)
        agents.dialer.dial("127.0.0.1", agents.port, self.websocket, self._failed)

    @property
    def registered(self) -> bool:
        """Whether the hub has said so."""
        return self._heard("registered")

    @property
    def refused(self) -> str | None:
        """The code of the hub's refusal."""
        codes = [each["code"] for each in self.messages if each["type"] == "error_response"]
        return codes[0] if codes else None

    async def settled(self) -> RawAgent:
        """Wait until it is registered or refused, or it is over."""
        await until(
            lambda: self.registered or self.refused or self.over is not None,
            SECONDS,
            "the hub has answered",
        )
        return self

    async def ended(self) -> BaseException:
        """Wait until it is over; why."""
        await until(lambda: self.over is not None, SECONDS, "the hub has ended it")
        assert self.over is not None
        return self.over

    def abort(self) -> None:
        """Leave at once, with an RST."""
        self.websocket.abort()

    def _heard(self, kind: str) -> bool:
        return any(each["type"] == kind for each in self.messages)

    def _failed(self, error: DialError) -> None:
        self.over = error

    # The owner of a WebSocket.

    def websocket_open(self) -> None:
        """Register."""
        self.websocket.send_text(json.dumps({"type": "register", **self._registration}))

    def data_received(self, data: bytes) -> None:
        """Frames."""
        self.data += data

    def text_received(self, text: str) -> None:
        """A message."""
        self.messages.append(json.loads(text))

    def websocket_ended(self, why: BaseException) -> None:
        """It is over."""
        self.over = why


class RawAgents:
    """
    Makes them.

    :param port: the hub's.
    :param authority: a PEM file, for a hub inside TLS.
    """

    def __init__(self, port: int, key: str, authority: bytes | None = None) -> None:
        self.port = port
        self.key = key
        self.context = None if authority is None else client_context(authority)
        self.sweep = Sweep(reactor)
        self._resolver = Resolver(reactor, self.sweep)
        self.made: list[RawAgent] = []
        tcp = TCPDialer(
            reactor,
            self._resolver,
            Guard(tuple),
            self.sweep,
            connect=ClientWire.connect,
            connect_timeout=SECONDS,
        )
        self.dialer: Dialer = tcp
        if self.context is not None:
            self.dialer = TLSDialer(reactor, tcp, self.context, self.sweep, connect_timeout=SECONDS)

    def make(self, *ids: str, instance: str, agent_id: str = "raw", **more: object) -> RawAgent:
        """Connect one, and register these tunnels."""
        tunnels = [{"id": id, "target": "http://127.0.0.1:1"} for id in ids]
        fields = {"agent_id": agent_id, "instance": instance, "tunnels": tunnels, **more}
        agent = RawAgent(self, fields)
        self.made.append(agent)
        return agent

    async def stop(self) -> None:
        """End all of them."""
        for agent in self.made:
            agent.abort()
        gone: Deferred[None] = Deferred()
        reactor.callLater(0.05, gone.callback, None)
        await gone
        self._resolver.stop()
        self.sweep.stop()
