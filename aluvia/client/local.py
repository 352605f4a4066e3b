"""
The client, whole, but for the process it runs in: listener, ways out, and the sweep over both.

:mod:`aluvia.client.service` gives it a process (signals, supervisor, log lines, admin port); a
program that embeds it uses it as it is. Everything that it opens, it closes.
"""

from __future__ import annotations

import base64
import binascii
import os
import typing

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import deferLater
from zope.interface import implementer

from aluvia.client.config import Snapshot
from aluvia.client.counters import Counters
from aluvia.client.observed import LiveConnection
from aluvia.client.proxy import ForwardProxy
from aluvia.client.routing import Router
from aluvia.client.settings import Settings
from aluvia.client.upstream import Upstreams
from aluvia.net.accept import Admission, Drain, Sweep
from aluvia.net.dial import Dialers, TCPDialer
from aluvia.net.guard import Guard
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.net.idle import IdleConnections
from aluvia.net.parent import ParentProxyDialer
from aluvia.net.ports import WirePort, listen
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.wire.limits import DEFAULT_LIMITS, Limits


@implementer(IProtocolFactory)
class _Connections:
    """The listener's factory: a server connection for each client."""

    def __init__(
        self,
        application: ForwardProxy,
        counters: Counters,
        sweep: Sweep,
        limits: Limits,
        idle_timeout: float,
    ) -> None:
        self._application = application
        self._counters = counters
        self._sweep = sweep
        self._limits = limits
        self._idle_timeout = idle_timeout

    def buildProtocol(self, address: object) -> ServerConnection:
        self._counters.connections_total += 1
        return ServerConnection(self._application, self._sweep, self._limits, self._idle_timeout)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""


class LocalProxy:
    """
    The local forward proxy.

    :ivar host: the address it listens on.
    :ivar port: the port that it listens on, once :meth:`listen` returned.
    :ivar counters: what it has done.
    """

    def __init__(
        self,
        settings: Settings,
        snapshot: Snapshot,
        reactor: typing.Any,
        *,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.host = settings.listen
        self.port = settings.port
        self.counters = Counters()
        self._own: list[tuple[str, int]] = []
        self.limits = limits
        self._settings = settings
        self._reactor = reactor
        self._listening: WirePort | None = None
        self._admission: Admission | None = None
        self._drain: Drain | None = None
        self.sweep = Sweep(reactor)
        self._resolver = Resolver(reactor, self.sweep, limits=limits)
        self._idle = IdleConnections[ClientConnection](reactor, self.sweep, limits=limits)
        self.router = Router(snapshot)
        self.application = ForwardProxy(
            router=self.router,
            upstreams=Upstreams(reactor, *self._dialers(), self._idle, limits),
            counters=self.counters,
            sweep=self.sweep,
            clock=reactor.seconds,
            limits=limits,
            idle_timeout=settings.idle_timeout,
            credentials=_accepted(settings.local_users),
            id_prefix=binascii.hexlify(os.urandom(4)).decode("ascii"),
            log_requests=settings.log_level == "debug",
        )

    @property
    def url(self) -> str:
        """What programs are given as their proxy."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def listen(self) -> None:
        """
        Open the port.

        :raises CannotListenError: if it cannot be bound; nothing is left open then.
        """
        factory = _Connections(
            self.application, self.counters, self.sweep, self.limits, self._settings.idle_timeout
        )
        try:
            listening = listen(self._reactor, self.host, self.port, factory)
        except CannotListenError:
            self.sweep.stop()
            raise
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
        await ended
        # The last connection has left the port's books, but its protocol has yet to hear of it.
        await deferLater(self._reactor, 0)
        if first:
            if self._admission is not None:
                self._admission.stop()
            self._idle.close_all()
            self._resolver.stop()
            self.sweep.stop()
        # What was closed just now is gone in the next turn, for whoever called.
        await deferLater(self._reactor, 0)

    def _dialers(self) -> tuple[Dialers, ParentProxyDialer]:
        settings = self._settings
        sweep = self.sweep
        reactor = self._reactor
        timeout = settings.connect_timeout
        guard = Guard(self._own_listeners, allow_link_local=settings.allow_link_local)
        tcp = TCPDialer(reactor, self._resolver, guard, sweep, connect_timeout=timeout)
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


def _accepted(users: typing.Mapping[str, str] | None) -> list[bytes] | None:
    if users is None:
        return None
    return [base64.b64encode(f"{name}:{secret}".encode()) for name, secret in users.items()]
