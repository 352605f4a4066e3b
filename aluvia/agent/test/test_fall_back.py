"""A hub, an agent and a site on loopback, and a network between them that breaks WebSockets."""

from __future__ import annotations

import gzip
import typing

from OpenSSL import SSL
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import capturedLogs, formatEvent

from aluvia.agent import choice
from aluvia.agent.hub_url import HubURL
from aluvia.agent.test.test_agent import AgentCase, HubOnLoopback
from aluvia.hub.site import HubSite
from aluvia.hub.test.agents import KEY
from aluvia.hub.test.poll_case import Visitor
from aluvia.net.http_server import ServerConnection
from aluvia.net.test.handshaking import OURS
from aluvia.testing.origin import Visit
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS

reactor: typing.Any = installed

ZIPPED = gzip.compress(b"hello")


class HubBehindAProxy(HubOnLoopback):
    """
    A hub's whole port.

    :ivar breaks: whether handshakes of WebSockets are answered with something else.
    """

    breaks = True

    def __init__(self, context: SSL.Context | None = None) -> None:
        super().__init__(context)
        self._site = HubSite(self.hub)

    def buildProtocol(self, addr: IAddress | None) -> typing.Any:
        """A connection."""
        return ServerConnection(self, self.sweep, DEFAULT_LIMITS, 300)

    def request(self, connection: ServerConnection, head: RequestHead) -> typing.Any:
        """Let it pass, or not."""
        if self.breaks and head.target == b"/agent":
            connection.answer(400, b"Bad Request", [], b"")
            return None
        return self._site.request(connection, head)

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """As the site does."""
        self._site.bad_request(connection, violation)

    @property
    def carriers(self) -> list[str]:
        """Of the agents that it has."""
        return [session.carrier for session in self.hub.registry.sessions]


class FallBackTests(AgentCase):
    """The whole way."""

    def setUp(self) -> None:
        """The site has a redirect, a compressed page, and one that takes its time."""
        super().setUp()
        self.slow: list[Visit] = []
        self.go_on: Deferred[None] = Deferred()
        self.origin.routes |= {"/moved": moved, "/zipped": zipped, "/slow": self.answer_late}

    async def answer_late(self, visit: Visit) -> None:
        """When a test says so."""
        self.slow.append(visit)
        await self.go_on
        await visit.answer(200, [], b"late")

    def begin(self, context: SSL.Context | None = None) -> HubBehindAProxy:
        """A hub, and a log."""
        hub = HubBehindAProxy(context)
        self.addCleanup(hub.stop)
        return hub

    async def visit(self, hub: HubBehindAProxy, target: bytes) -> Visitor:
        """Ask the site for something, through the tunnel."""
        visitor = Visitor(hub.hub).dial()
        await self.when(lambda: visitor.connected)
        return visitor.ask(target)

    async def answered(self, visitor: Visitor) -> tuple[int, bytes]:
        """What it is answered."""
        await self.when(lambda: visitor.done or visitor.errors)
        self.assertTrue(visitor.done, visitor.errors)
        return visitor.status, visitor.body

    async def test_answers_are_unchanged(self) -> None:
        """gzip is not unpacked and a redirect not followed; inside TLS, and on one connection."""
        hub = self.begin(OURS.issue("localhost"))
        with capturedLogs() as events:
            url = HubURL(True, "localhost", hub.port)
            agent = self.agent(url, cafile=OURS.pem, carrier="longpoll")
            await self.when(lambda: agent.online)
            self.assertEqual(hub.carriers, ["longpoll"])
            self.assertEqual(agent.where(), {"app": "/t/app/"})
            visitor = await self.visit(hub, b"/zipped")
            self.assertEqual(await self.answered(visitor), (200, ZIPPED))
            assert visitor.head is not None
            self.assertIn((b"Content-Encoding", b"gzip"), visitor.head.fields)
            moved = await self.visit(hub, b"/moved")
            self.assertEqual(await self.answered(moved), (302, b""))
            assert moved.head is not None
            self.assertIn((b"Location", b"/elsewhere"), moved.head.fields)
            self.assertEqual(len(self.origin.visits), 2)
            await agent.stop(5.0)
        lines = [formatEvent(event) or "" for event in events]
        kept = "Not published by long-polling, which carries HTTP alone: none"
        self.assertEqual(lines.count(kept), 1)
        self.assertEqual(len([line for line in lines if "app: GET /zipped 200, " in line]), 1)
        self.assertNotIn(KEY, "\n".join(lines))

    async def test_there_and_back(self) -> None:
        """
        Two handshakes are broken: it polls. The network mends: what is under way is answered, and
        the rest, TCP too, goes over the WebSocket.
        """
        self.patch(choice, "AGAIN_SECONDS", 0.3)
        hub = self.begin()
        with capturedLogs():
            agent = self.agent(HubURL(False, "127.0.0.1", hub.port))
            await self.when(lambda: hub.carriers == ["longpoll"])
            slow = await self.visit(hub, b"/slow")
            await self.when(lambda: self.slow)
            hub.breaks = False
            await self.when(lambda: hub.carriers == ["wss"])
            await self.when(lambda: "none" in hub.hub.registry.tunnels)
            quick = await self.visit(hub, b"/zipped")
            self.assertEqual(await self.answered(quick), (200, ZIPPED))
            self.assertFalse(slow.done)
            self.assertEqual(agent.connections_open, 2)
            self.go_on.callback(None)
            self.assertEqual(await self.answered(slow), (200, b"late"))
            quick.leave()
            await agent.stop(5.0)

    async def test_drain(self) -> None:
        """What is under way is answered; then it is gone, and the hub knows it."""
        hub = self.begin()
        with capturedLogs():
            agent = self.agent(HubURL(False, "127.0.0.1", hub.port), carrier="longpoll")
            await self.when(lambda: agent.online)
            slow = await self.visit(hub, b"/slow")
            await self.when(lambda: self.slow)
            stopped = agent.stop(20.0)
            self.go_on.callback(None)
            self.assertEqual(await self.answered(slow), (200, b"late"))
            await stopped
            self.assertEqual((hub.carriers, agent.connections_open), ([], 0))


async def moved(visit: Visit) -> None:
    """A redirect."""
    await visit.answer(302, [(b"Location", b"/elsewhere")])


async def zipped(visit: Visit) -> None:
    """A compressed page."""
    await visit.answer(200, [(b"Content-Encoding", b"gzip")], ZIPPED)
