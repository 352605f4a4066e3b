"""A control plane on loopback, and somebody who asks it."""

from __future__ import annotations

import typing

from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.client.local import LocalProxy
from aluvia.client.settings import Settings
from aluvia.client.user_api import Answer, UserAPI
from aluvia.errors import ApiError
from aluvia.net.guard import Guard
from aluvia.testing.control_plane import FakeControlPlane
from aluvia.testing.faults import FaultPeer
from aluvia.testing.reactors import DescriptorReactor

reactor = typing.cast(DescriptorReactor, global_reactor)
HEAD_END = b"\r\n\r\n"
TOKEN = "canary-token"


class Hurried:
    """The reactor's clock, on which ten seconds pass in a tenth of one."""

    def __init__(self) -> None:
        self.real: typing.Any = reactor

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self.real, name)

    def callLater(self, delay: float, *call: typing.Any) -> typing.Any:
        """Sooner."""
        return self.real.callLater(delay / 100, *call)


class UserAPICase(TestCase):
    """A control plane, and somebody who asks it."""

    timeout = 30

    def setUp(self) -> None:
        """Start both."""
        self.plane = FakeControlPlane(reactor, TOKEN, rules=["a.example"])
        self.addCleanup(self.plane.stop)

    def api(
        self, base_url: str | None = None, clock: typing.Any = reactor, **options: str
    ) -> UserAPI:
        """Somebody who asks."""
        settings = Settings(token=TOKEN, port=0)
        local = LocalProxy(settings, reactor)
        self.addCleanup(local.stop)
        api = UserAPI(
            clock, local.dialers(Guard(list)), base_url or self.plane.base_url, TOKEN, **options
        )
        self.addCleanup(api.close)
        return api

    async def refused(self, asking: typing.Coroutine[typing.Any, typing.Any, Answer]) -> str:
        """Why there is no answer."""
        try:
            await asking
        except ApiError as error:
            self.assertNotIn(TOKEN, str(error))
            return str(error)
        self.fail("ApiError not raised")

    async def closed(self, peer: FaultPeer) -> None:
        """Wait until a peer has no connection any more."""
        await peer.when(lambda: not peer.open)

    async def said(self, peer: FaultPeer, count: int) -> None:
        """Wait until a peer's only connection has so many bytes, and whoever asks has them too."""
        await peer.when(lambda: any(each.received for each in peer.open))
        await peer.when(lambda: all(each.bytes_sent >= count for each in peer.open))
        for _ in range(3):
            await deferLater(typing.cast(typing.Any, reactor), 0)
