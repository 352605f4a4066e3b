"""
The client, whole, but for the process it runs in: listener, ways out, the sweep over both, and the
control plane that it follows.

:mod:`aluvia.client.service` gives it a process (signals, supervisor, log lines, admin port); a
program that embeds it uses it as it is. Everything that it opens, it closes.
"""

from __future__ import annotations

import binascii
import os
import typing

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import deferLater
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
from aluvia.forwarding.upstream import Upstreams
from aluvia.net.accept import Admission, Drain, Sweep
from aluvia.net.dial import Dialers, TCPDialer
from aluvia.net.guard import Guard
from aluvia.net.http_client import ClientConnection
from aluvia.net.idle import IdleConnections
from aluvia.net.parent import ParentProxyDialer
from aluvia.net.ports import WirePort, listen
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

log = Logger()


class LocalProxy:
    """
    The local forward proxy.

    :param learn: called with each user name and password that a control plane sends, before they
        are used: whoever logs must keep them out.
    :param log: where it says what it does.
    :ivar host: the address it listens on.
    :ivar port: the port that it listens on, once :meth:`listen` returned.
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
        self.host = settings.listen
        self.port = 0
        self.counters = Counters()
        self._own: list[tuple[str, int]] = []
        self.limits = limits
        self._settings = settings
        self._reactor = reactor
        self._listening: WirePort | None = None
        self._admission: Admission | None = None
        self._drain: Drain | None = None
        self.sweep = Sweep(reactor)
        self.resolver = Resolver(reactor, self.sweep, limits=limits)
        self._idle = IdleConnections[ClientConnection](reactor, self.sweep, limits=limits)
        dialers, parent = self._dialers()
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
        self.application = ForwardProxy(
            policy=self._policy,
            upstreams=Upstreams(reactor, dialers, parent, self._idle, limits),
            counters=self.counters,
            sweep=self.sweep,
            clock=reactor.seconds,
            limits=limits,
            idle_timeout=settings.idle_timeout,
            id_prefix=binascii.hexlify(os.urandom(4)).decode("ascii"),
            log_requests=settings.log_level == "debug",
        )
        self._flips = Flips(self.application, self.router, settings.flip_grace)
        self.control = None if static else self._control(dialers, learn, log)
        if self.control is not None:
            self._policy.poll_soon = self.control.poll_soon

    @property
    def url(self) -> str:
        """What programs are given as their proxy."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    async def configure(self) -> None:
        """
        Fetch the first configuration, and follow the control plane from then on; in static mode
        there is nothing to do.

        :raises InvalidUserTokenError: the token was refused.
        :raises ApiError: there is no configuration to be had, and the settings are strict.
        """
        if self.control is not None:
            await self.control.start(strict=self._settings.strict)

    def listen(self, port: int) -> None:
        """
        Open the port.

        :param port: 0 for any free one.
        :raises CannotListenError: if it cannot be bound. :meth:`stop` is still to be called.
        """
        factory = Connections(
            self.application, self.counters, self.sweep, self.limits, self._settings.idle_timeout
        )
        listening = listen(self._reactor, self.host, port, factory)
        self._listening = listening
        where = typing.cast(IPv4Address | IPv6Address, listening.getHost())
        self._own.append((where.host, where.port))
        self.port = where.port
        self._admission = Admission([listening], self.sweep, self._settings.max_connections)

    def also_own(self, address: str, port: int) -> None:
        """Another listener of this process must not be reached through the proxy either."""
        self._own.append((address, port))

    @property
    def draining(self) -> bool:
        """Whether it takes no new connections any more."""
        return self._drain is not None

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        admission = self._admission
        return admission is not None and not admission.held and self._drain is None

    @property
    def connections_open(self) -> int:
        """Clients' connections, tunnels among them."""
        return 0 if self._admission is None else self._admission.count

    def live(self) -> list[LiveConnection]:
        """What is under way."""
        now = self._reactor.seconds()
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

    async def stop(self, drain_timeout: float = 0.0) -> None:
        """
        End: take no new connections, and give live ones this long. Called again, or with 0: end
        them at once. Nothing is left open.
        """
        first = self._drain is None
        if self._drain is None:
            ports = [] if self._listening is None else [self._listening]
            self._drain = Drain(ports, self._reactor, drain_timeout)
        ended = self._drain.begin()
        if first and not drain_timeout:
            self._drain.begin()
        if first and self.control is not None:
            await self.control.stop()
        await ended
        # The last connection has left the port's books, but its protocol has yet to hear of it.
        await deferLater(self._reactor, 0)
        if first:
            if self._admission is not None:
                self._admission.stop()
            self._idle.close_all()
            self.resolver.stop()
            self.sweep.stop()
        # What was closed just now is gone in the next turn, for whoever called.
        await deferLater(self._reactor, 0)

    def _control(
        self, dialers: Dialers, learn: typing.Callable[[str, str], None], log: Logger
    ) -> ControlPlane:
        settings = self._settings
        assert settings.token is not None
        api = UserAPI(
            self._reactor, dialers, settings.api_base_url, settings.token, settings.connection
        )
        path = settings.state_file
        return ControlPlane(
            api,
            settings.place,
            self._reactor,
            interval=settings.poll_interval,
            follow=self._follow,
            learn=learn,
            state=None if path is None else StateFile(path, api.url, settings.token, log),
            log=log,
        )

    def _follow(self, snapshot: Snapshot) -> None:
        self.router.follow(snapshot)
        self._flips.look()

    def _dialers(self) -> tuple[Dialers, ParentProxyDialer]:
        settings = self._settings
        sweep = self.sweep
        reactor = self._reactor
        timeout = settings.connect_timeout
        guard = Guard(self._own_listeners, allow_link_local=settings.allow_link_local)
        tcp = TCPDialer(reactor, self.resolver, guard, sweep, connect_timeout=timeout)
        authorities = None
        if settings.gateway_ca is not None:
            authorities = settings.gateway_ca.read_bytes()
        context = client_context(authorities)
        dialers = Dialers()
        dialers.add("tcp", tcp)
        dialers.add("tls", TLSDialer(reactor, tcp, context, sweep, connect_timeout=timeout))
        parent = ParentProxyDialer(
            reactor,
            dialers,
            sweep,
            connect_timeout=timeout,
            limits=self.limits,
        )
        return dialers, parent

    def _own_listeners(self) -> list[tuple[str, int]]:
        return self._own
