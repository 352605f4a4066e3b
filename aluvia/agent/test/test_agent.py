"""Tests for :mod:`aluvia.agent.agent` and its service: a hub, an agent and a site, on loopback."""

from __future__ import annotations

import json
import typing
from pathlib import Path

from OpenSSL import SSL
from twisted.internet import reactor as installed
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from aluvia.agent.agent import Agent
from aluvia.agent.hub_url import HubURL
from aluvia.agent.service import AgentService
from aluvia.agent.settings import Settings
from aluvia.agent.test.test_wss import Door
from aluvia.agent.tunnels import Published
from aluvia.hub.hub import Hub
from aluvia.hub.test.agents import KEY, KeysInMemory
from aluvia.net.accept import Sweep
from aluvia.net.http_server import ServerConnection
from aluvia.net.ports import WirePort, listen
from aluvia.net.test.handshaking import OTHERS, OURS, ServerConnections
from aluvia.net.test.loopback import Caller
from aluvia.net.tls_wire import TLSWire
from aluvia.testing.origin import FakeOrigin
from aluvia.wire.limits import DEFAULT_LIMITS

reactor: typing.Any = installed

REQUEST = b"GET /echo HTTP/1.1\r\nHost: app.test\r\n\r\n"


class HubOnLoopback(Factory):
    """
    A hub with a port.

    :param context: for TLS.
    """

    noisy = False

    def __init__(self, context: SSL.Context | None = None, port: int = 0) -> None:
        self.sweep = Sweep(reactor, interval=0.05)
        self.hub = Hub(KeysInMemory(), reactor, self.sweep)
        factory: typing.Any = self
        if context is not None:
            factory = TLSMemoryBIOFactory(ServerConnections(context), False, self, reactor)
            factory.protocol = TLSWire
        self._port: WirePort = listen(reactor, "127.0.0.1", port, factory)
        self.port = int(typing.cast(typing.Any, self._port.getHost()).port)

    def buildProtocol(self, addr: IAddress | None) -> typing.Any:
        """A connection."""
        return ServerConnection(Door(self.hub, None), self.sweep, DEFAULT_LIMITS, 300)

    async def stop(self) -> None:
        """At once."""
        await maybeDeferred(self._port.stopListening)
        for wire in [*self._port.wires]:
            wire.abortConnection()
        while self._port.wires:
            await deferLater(reactor, 0)
        self.sweep.stop()


class AgentCase(TestCase):
    """Starts hubs, agents and a site, and ends them."""

    timeout = 30

    def setUp(self) -> None:
        """A site."""
        self.origin = FakeOrigin(reactor)
        self.addCleanup(self.origin.stop)

    def hub(self, context: SSL.Context | None = None, port: int = 0) -> HubOnLoopback:
        """A hub."""
        made = HubOnLoopback(context, port)
        self.addCleanup(made.stop)
        return made

    def settings(self, hub: HubURL, **more: typing.Any) -> Settings:
        """To publish the site, and a port that nothing listens at."""
        tunnels = (
            Published("app", "http", False, "127.0.0.1", self.origin.port),
            Published("none", "tcp", False, "127.0.0.1", 1),
        )
        return Settings(hub=hub, key=KEY, id="box", publish=tunnels, **more)

    def agent(self, hub: HubURL, **more: typing.Any) -> Agent:
        """One that runs."""
        agent = Agent(self.settings(hub, **more), reactor, jitter=lambda: 0.1)
        self.addCleanup(agent.stop)
        agent.start()
        return agent

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await deferLater(reactor, 0.001)

    async def ask(self, hub: HubOnLoopback) -> Caller:
        """Ask the site, through the tunnel."""
        caller = Caller()
        hub.hub.dialer.dial("app", 0, caller, caller.failed)
        await caller.over
        caller.transport.write(REQUEST)
        self.assertIn(b"HTTP/1.1 200 OK", await caller.received(100))
        return caller


class AgentTests(AgentCase):
    """The whole way."""

    async def test_a_request(self) -> None:
        """A visitor's request reaches the site, and its answer the visitor; the log has a line."""
        with capturedLogs() as events:
            hub = self.hub()
            agent = self.agent(HubURL(False, "127.0.0.1", hub.port))
            await self.when(lambda: agent.online)
            caller = await self.ask(hub)
            await self.when(lambda: hub.hub.registry.tunnels["none"].offers[0].up is False)
            self.assertTrue(hub.hub.registry.tunnels["app"].offers[0].up)
            # Of a TCP tunnel the hub knows no place.
            self.assertEqual(agent.where(), {"app": "/t/app/"})
            self.assertEqual(agent.connections_open, 1)
            await agent.stop(5.0)
            self.assertEqual(agent.connections_open, 0)
            await caller.gone
        lines = [formatEvent(event) or "" for event in events]
        self.assertIn("none: nothing listens at 127.0.0.1:1", lines)
        self.assertEqual(len([line for line in lines if "app: GET /echo 200, " in line]), 1)
        self.assertNotIn(KEY, "\n".join(lines))

    async def test_a_hub_does_not_learn_where_targets_are(self) -> None:
        """It is told their schemes, whichever the carrier."""
        agent = Agent(self.settings(HubURL(False, "127.0.0.1", 1)), reactor)
        self.addCleanup(agent.stop)
        said = json.dumps(agent._registration(agent._settings.tunnels))
        self.assertEqual(
            [each["target"] for each in json.loads(said)["tunnels"]], ["http:", "tcp:"]
        )
        for place in ("127.0.0.1", str(self.origin.port)):
            self.assertNotIn(place, said)

    async def test_inside_tls(self) -> None:
        """The hub proves who it is, by an authority that is trusted; another is not spoken to."""
        hub = self.hub(OURS.issue("localhost"))
        agent = self.agent(HubURL(True, "localhost", hub.port), cafile=OURS.pem)
        await self.when(lambda: agent.online)
        caller = await self.ask(hub)
        caller.transport.loseConnection()
        await caller.gone
        for context in (OTHERS.issue("localhost"), OURS.issue("other.test")):
            impostor = self.hub(context)
            with capturedLogs() as events:
                other = self.agent(HubURL(True, "localhost", impostor.port), cafile=OURS.pem)
                await self.when(
                    lambda events=events: any(  # type: ignore[misc]
                        "Not connected" in (formatEvent(event) or "") for event in events
                    )
                )
                await other.stop()
            self.assertEqual(impostor.hub.registry.sessions, {})

    async def test_a_hub_that_dies_and_comes_back(self) -> None:
        """The agent comes back, and its tunnels with it."""
        hub = self.hub()
        with capturedLogs():
            agent = self.agent(HubURL(False, "127.0.0.1", hub.port))
            await self.when(lambda: agent.online)
            await hub.stop()
            await self.when(lambda: not agent.online)
            again = self.hub(port=hub.port)
            await self.when(lambda: agent.online)
            await self.ask(again)

    async def test_stop_before_it_is_connected(self) -> None:
        """Whatever it is doing; the reactor is left clean."""
        with capturedLogs():
            agent = self.agent(HubURL(False, "127.0.0.1", 1))
            await agent.stop(5.0)
            agent = self.agent(HubURL(False, "192.0.2.1", 8910))
            stopped = agent.stop(5.0)
            await agent.stop()
            await stopped


class ServiceTests(AgentCase):
    """As a supervisor has it."""

    async def test_life(self) -> None:
        """It is ready before it is connected; the port file says how that stands, and goes."""
        path = Path(self.mktemp()).absolute()
        hub = self.hub()
        url = HubURL(False, "127.0.0.1", hub.port)
        signals: dict[int, typing.Any] = {}
        with capturedLogs():
            service = AgentService(
                self.settings(url, port_file=path), reactor, {}, signals.__setitem__
            )
            await service.begin()
            said = json.loads(path.read_text())
            self.assertEqual((said["hub"], said["online"]), (str(url), False))
            self.assertEqual(said["tunnels"], {"app": None, "none": None})
            await self.when(lambda: json.loads(path.read_text())["online"])
            said = json.loads(path.read_text())
            self.assertEqual(said["tunnels"], {"app": "/t/app/", "none": None})
            service.read_again()
            await service.stopService()
        self.assertFalse(path.exists())
        self.assertEqual(hub.hub.registry.sessions, {})
