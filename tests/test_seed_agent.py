"""An agent that knows seed 003 alone, before a real edge's data path and a real hub's port."""

from __future__ import annotations

import os
import sys
import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import ProcessProtocol

from aluvia.edge.test.edge_case import EdgeCase, backend, reactor
from aluvia.hub.dialer import TunnelDialer
from aluvia.hub.hub import Hub
from aluvia.hub.site import HubConnections, HubSite
from aluvia.hub.test.poll_case import KEY, FakeKeys
from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialing
from aluvia.net.ports import WirePort
from aluvia.net.resolve import Failed
from aluvia.testing.faults import Accepting, FaultPeer
from aluvia.testing.origin import FakeOrigin
from aluvia.wire.frames import Code
from tests.checkout import CHECKOUT


class _ToApp:
    """Dials the tunnel ``app``, whatever is asked for."""

    def __init__(self, tunnels: TunnelDialer) -> None:
        self._tunnels = tunnels

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """Dial it."""
        return self._tunnels.dial("app", 0, protocol, failed)


class _Agent(ProcessProtocol):
    """The agent's process."""

    def __init__(self) -> None:
        self.said = b""
        self.errors = b""
        self.registered: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        """It said something."""
        self.said += data
        if b"registered /t/app/\n" in self.said and not self.registered.called:
            self.registered.callback(None)

    def errReceived(self, data: bytes) -> None:
        """Something went wrong."""
        self.errors += data

    def processEnded(self, reason: object) -> None:
        """It has ended."""
        self.ended.callback(None)


class SeedAgentTests(EdgeCase):
    """Whole requests, through the edge, the hub and the agent to an app, and back."""

    async def publish(self, app: FakeOrigin | FaultPeer) -> None:
        """Have an agent publish this app, behind the one route of an edge."""
        sweep = Sweep(reactor, 0.1)
        self.addCleanup(sweep.stop)
        self.hub = Hub(FakeKeys(), reactor, sweep)
        factory: typing.Any = HubConnections(HubSite(self.hub), sweep)
        port = WirePort(0, factory, interface="127.0.0.1", reactor=reactor)
        port.startListening()
        self.port = port
        self.addCleanup(self.stop_port)
        self.route(backend(app))
        for member in self.live.members:
            member.target.dialer = _ToApp(self.hub.dialer)
        self.agent = _Agent()
        process = reactor.spawnProcess(
            self.agent,
            sys.executable,
            [sys.executable, str(CHECKOUT / "tests" / "seed_agent.py")],
            {
                "PATH": os.environ["PATH"],
                "PROXER_GATEWAY_BASE_URL": f"http://127.0.0.1:{port.getHost().port}",
                "PROXER_AGENT_TOKEN": KEY,
                "PROXER_AGENT_TUNNELS": f"app=http://127.0.0.1:{app.port}",
            },
        )
        self.addCleanup(lambda: self.agent.ended)
        self.addCleanup(process.signalProcess, "KILL")
        await self.agent.registered

    async def stop_port(self) -> None:
        """End the hub's port and what is connected to it."""
        for wire in list(self.port.wires):
            wire.abortConnection()
        await self.port.stopListening()

    async def test_requests(self) -> None:
        """Requests of all shapes, and the answers to them."""
        await self.publish(self.origin())
        seen = await self.echo("/a%2Fb?q=%20", "X-Two: one", method="POST", body=b"x" * 100_000)
        self.assertEqual(seen["target"], "/a%2Fb?q=%20")
        self.assertEqual(seen["body"], "x" * 100_000)
        for _ in range(3):
            self.assertEqual((await self.ask("/")).status, 200)
        answer = await self.ask("/", method="HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(self.agent.errors, b"")

    async def test_too_large(self) -> None:
        """A visitor's body that is too large is a 413 that says so, and hurts nobody."""
        await self.publish(self.origin())
        too_large = f"Content-Length: {self.hub.limits.poll_body_in_bytes + 1}"
        answer = await self.ask("/", too_large, method="POST")
        self.assertEqual(answer.status, 413)
        self.assertIn(b"http_request_error", answer.header(b"proxy-status") or b"")
        self.assertIn(b"too large", answer.body)
        self.assertEqual([each.is_dead for each in self.live.members], [False])
        self.assertEqual((await self.ask("/")).status, 200)

    async def test_no_app(self) -> None:
        """A local port that refuses is a 502 that says so."""
        await self.publish(self.peer(FaultPeer(reactor, [], accepting=Accepting.REFUSE)))
        answer = await self.ask("/")
        self.assertEqual(answer.status, 502)
        self.assertIn(b"connection_refused", answer.header(b"proxy-status") or b"")
        self.assertNotIn(b"Errno", answer.body)

    async def test_registers_again(self) -> None:
        """An agent whose session is over registers again, and is back."""
        await self.publish(self.origin())
        (session,) = self.hub.registry.sessions
        self.agent.registered = Deferred()
        self.agent.said = b""
        session.end(Code.NO_ERROR, "It is over.")
        await self.agent.registered
        self.assertEqual((await self.ask("/")).status, 200)
