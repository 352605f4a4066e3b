"""A hook on loopback, and somebody who asks it on a clock of their own."""

from __future__ import annotations

import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from aluvia.edge.auth_hook import HookAuthenticator
from aluvia.edge.model import HookProvider
from aluvia.edge.test.auth_case import asked
from aluvia.edge.verdicts import Asked, Denied, Verdict
from aluvia.net.door import Door
from aluvia.net.guard import Guard
from aluvia.testing.faults import FaultPeer
from aluvia.testing.reactors import DescriptorReactor
from aluvia.testing.steps import Step

reactor = typing.cast(DescriptorReactor, global_reactor)
HEAD_END = b"\r\n\r\n"
TIMEOUT = 5.0


class ClockedReactor:
    """
    The reactor, on which time passes when a test says so; what is due at once is.

    :ivar clock: the time.
    """

    def __init__(self) -> None:
        self.clock = Clock()

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(reactor, name)

    def seconds(self) -> float:
        """The time."""
        return self.clock.seconds()

    def callLater(self, delay: float, *call: typing.Any, **named: typing.Any) -> typing.Any:
        """On the clock."""
        return (self.clock if delay else typing.cast(typing.Any, reactor)).callLater(
            delay, *call, **named
        )


class Hook(Resource):
    """
    A hook by twisted.web.

    :ivar asked: what it was asked, as method, target and fields.
    :ivar answer: says what it answers.
    :ivar connections: how many there were.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes, dict[bytes, list[bytes]]]] = []
        self.answer: typing.Callable[[Request], bytes] = lambda request: b"fine"
        self.connections = 0
        hook = self

        class Counting(Site):
            def buildProtocol(self, addr: typing.Any) -> typing.Any:
                hook.connections += 1
                return super().buildProtocol(addr)

        self.port = typing.cast(typing.Any, reactor).listenTCP(
            0, Counting(self), interface="127.0.0.1"
        )
        self.authority = f"127.0.0.1:{self.port.getHost().port}"

    def render(self, request: Request) -> bytes:
        """Answer."""
        fields = {
            name.lower(): list(values) for name, values in request.requestHeaders.getAllRawHeaders()
        }
        self.asked.append((request.method, request.uri, fields))
        return self.answer(request)


class HookCase(TestCase):
    """Whatever answers, and who asks it."""

    timeout = 30

    def setUp(self) -> None:
        """Dialers."""
        self.reactor = ClockedReactor()
        self.clock = self.reactor.clock
        door = Door(reactor, max_connections=10, connect_timeout=10.0)
        self.addCleanup(door.stop)
        self.dialers = door.dialers(Guard(list))
        self.made: list[HookAuthenticator] = []
        self.addCleanup(self.stopped)

    def hook(self) -> Hook:
        """A hook that lets through."""
        hook = Hook()
        self.addCleanup(hook.port.stopListening)
        return hook

    def peer(self, *steps: Step, **options: typing.Any) -> FaultPeer:
        """Something else in its place."""
        peer = FaultPeer(reactor, options.pop("script", steps), **options)
        self.addCleanup(peer.stop)
        return peer

    def asking(
        self, place: Hook | FaultPeer, scheme: str = "http", **options: typing.Any
    ) -> HookAuthenticator:
        """Who asks it."""
        provider = HookProvider(
            id="h", url=f"{scheme}://{place.authority}/auth?key=canary", timeout=TIMEOUT, **options
        )
        authenticator = HookAuthenticator(provider, self.reactor, self.dialers)
        self.made.append(authenticator)
        return authenticator

    async def stopped(self) -> None:
        """Stop those who ask; nothing is left then."""
        for authenticator in self.made:
            await authenticator.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def begin(
        self, authenticator: HookAuthenticator, request: Asked | None = None
    ) -> Deferred[Verdict]:
        """Ask, and do not wait for the answer."""
        verdict = authenticator.ask(request or asked())
        assert isinstance(verdict, Deferred), verdict
        return verdict

    async def denied(
        self, authenticator: HookAuthenticator, request: Asked | None = None
    ) -> Denied:
        """Ask, and be denied."""
        verdict = await self.begin(authenticator, request)
        assert isinstance(verdict, Denied), verdict
        return verdict

    async def heard(self, peer: FaultPeer, bytes_sent: int = 0) -> None:
        """Wait until a peer was asked, and has sent so much, which was read."""
        await peer.when(lambda: any(HEAD_END in each.received for each in peer.connections))
        await peer.when(lambda: any(each.bytes_sent >= bytes_sent for each in peer.connections))
        for _ in range(3):
            await deferLater(typing.cast(typing.Any, reactor), 0)

    async def emptied(self, peer: FaultPeer) -> None:
        """Wait until a peer has no connection any more."""
        await peer.when(lambda: not peer.open)
