"""
The client, whole, but for the process it runs in: its port, its ways out, and the control plane
that it follows.

:mod:`aluvia.client.service` gives it a process (signals, supervisor, log lines, admin port); a
program that embeds it uses it as it is. Everything that it opens, it closes.
"""

from __future__ import annotations

import typing

from twisted.logger import Logger

from aluvia.client.config import Snapshot, static_snapshot
from aluvia.client.control import ControlPlane
from aluvia.client.flips import Flips
from aluvia.client.observed import LiveConnection
from aluvia.client.policy import ClientPolicy
from aluvia.client.routing import Router
from aluvia.client.settings import Settings
from aluvia.client.state_file import StateFile
from aluvia.client.user_api import UserAPI
from aluvia.forwarding.connections import Connections
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.proxy import ForwardProxy
from aluvia.net.dial import Dialers
from aluvia.net.door import Door
from aluvia.net.guard import Guard
from aluvia.process.supervise import local_url
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

log = Logger()


class LocalProxy(Door):
    """
    The local forward proxy.

    :param learn: called with each user name and password that a control plane sends, before they
        are used: whoever logs must keep them out.
    :param log: where it says what it does.
    :ivar host: the address it listens on.
    :ivar port: the port that it listens on, once :meth:`open` returned.
    :ivar counters: what it has done.
    :ivar ledger: what each host has cost.
    :ivar control: the control plane; None in static mode.
    """

    def __init__(
        self,
        settings: Settings,
        reactor: typing.Any,
        *,
        learn: typing.Callable[[str, str], None] = lambda name, password: None,
        log: Logger = log,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(
            reactor,
            max_connections=settings.max_connections,
            connect_timeout=settings.connect_timeout,
            limits=limits,
        )
        self.host = settings.listen
        self.port = 0
        self.counters = Counters()
        self._settings = settings
        static = settings.token is None
        self.router = Router(static_snapshot(settings, reactor.seconds()) if static else None)
        self._policy = ClientPolicy(
            self.router,
            self.counters,
            settings.local_users,
            refuse_unconfigured=settings.on_no_config == "refuse",
            log=log,
        )
        self.ledger = self._policy.ledger
        guard = Guard(lambda: self.own, allow_link_local=settings.allow_link_local)
        dialers = self.dialers(guard, authorities=settings.gateway_ca)
        self.application = ForwardProxy(
            self,
            dialers,
            self._policy,
            self.counters,
            idle_timeout=settings.idle_timeout,
            log_requests=settings.log_level == "debug",
        )
        self._flips = Flips(self.application, self.router, settings.flip_grace)
        self.control = None if static else self._control(dialers, learn, log)
        if self.control is not None:
            self._policy.poll_soon = self.control.poll_soon

    @property
    def url(self) -> str:
        """What programs are given as their proxy."""
        return local_url(self.host, self.port)

    async def configure(self) -> None:
        """
        Fetch the first configuration, and follow the control plane from then on; in static mode
        there is nothing to do.

        :raises InvalidUserTokenError: the token was refused.
        :raises ApiError: there is no configuration to be had, and the settings are strict.
        """
        if self.control is not None:
            await self.control.start(strict=self._settings.strict)

    def open(self, port: int) -> None:
        """
        Open the port, and take connections.

        :param port: 0 for any free one.
        :raises CannotListenError: it cannot be bound. :meth:`stop` is still to be called.
        """
        self.listen("proxy", self.host, port, Connections(self.application))
        self.admit()
        self.port = self.place("proxy")[1]

    def live(self) -> list[LiveConnection]:
        """What is under way."""
        now = self.reactor.seconds()
        return [
            LiveConnection(
                host=flow.host,
                port=flow.port,
                way=flow.route.way,
                rule=flow.route.rule,
                bytes_up=flow.bytes_up,
                bytes_down=flow.bytes_down,
                age=max(0.0, now - flow.started),
            )
            for flow in self.application.live
        ]

    async def closing(self) -> None:
        """Ask the control plane no more."""
        if self.control is not None:
            await self.control.stop()

    def drained(self) -> None:
        """Every client is gone; what an upstream has yet to take goes with them."""
        self.application.end()

    def _control(
        self, dialers: Dialers, learn: typing.Callable[[str, str], None], log: Logger
    ) -> ControlPlane:
        settings = self._settings
        assert settings.token is not None
        api = UserAPI(
            self.reactor, dialers, settings.api_base_url, settings.token, settings.connection
        )
        path = settings.state_file
        return ControlPlane(
            api,
            settings.place,
            self.reactor,
            interval=settings.poll_interval,
            follow=self._follow,
            learn=learn,
            state=None if path is None else StateFile(path, api.url, settings.token, log),
            log=log,
        )

    def _follow(self, snapshot: Snapshot) -> None:
        self.router.follow(snapshot)
        self._flips.look()
