"""
The data path of the gateway, whole: its ports, its way out, and the sweep over both.

Everything that it opens, it closes.
"""

from __future__ import annotations

import binascii
import os
import typing

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.forwarding.connections import Connections
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.proxy import ForwardProxy
from aluvia.forwarding.upstream import Upstreams
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.listeners import Certificate, tls_connections
from aluvia.gateway.policy import GatewayPolicy, given_request_id
from aluvia.gateway.settings import Settings
from aluvia.net.accept import Admission, Drain, Sweep
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect, Dialers, TCPDialer
from aluvia.net.guard import Guard
from aluvia.net.http_application import Responder
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.net.idle import IdleConnections
from aluvia.net.parent import ParentProxyDialer
from aluvia.net.ports import WirePort, listen
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["Egress"]

log = Logger()

#: Mail is not sent from here.
CLOSED_PORTS = frozenset([25])


class _Proxy(ForwardProxy):
    """A forward proxy that answers a request by the name that its client gave it."""

    _given = ""

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """Judge a request, and keep its name for what is answered at once."""
        self._given = given_request_id(head)
        try:
            return super().request(connection, head)
        finally:
            self._given = ""

    def next_request_id(self) -> str:
        """Its own name, if it came with one."""
        return self._given or super().next_request_id()


class Egress:
    """
    The forward proxy.

    :param certificate: for the port inside TLS, where there is one.
    :param connect: makes the connections to targets.
    :ivar counters: what it has done.
    :ivar ports: where it listens, by name: ``proxy``, and ``proxy_tls`` where there is one.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        reactor: typing.Any,
        certificate: Certificate | None = None,
        *,
        connect: Connect = ClientWire.connect,
        log: Logger = log,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.counters = Counters()
        self.ports: dict[str, WirePort] = {}
        self._own: list[tuple[str, int]] = []
        self._settings = settings
        self._reactor = reactor
        self._certificate = certificate
        self._connect = connect
        self._admission: Admission | None = None
        self._drain: Drain | None = None
        self.sweep = Sweep(reactor)
        self.resolver = Resolver(reactor, self.sweep, limits=limits)
        self._idle = IdleConnections[ClientConnection](reactor, self.sweep, limits=limits)
        debug = settings.log_level == "debug"
        dialers, parent = self._dialers(limits)
        self.application = _Proxy(
            policy=GatewayPolicy(accounts, log=log, log_requests=debug),
            upstreams=Upstreams(reactor, dialers, parent, self._idle, limits),
            counters=self.counters,
            sweep=self.sweep,
            clock=reactor.seconds,
            limits=limits,
            idle_timeout=settings.idle_timeout,
            id_prefix=binascii.hexlify(os.urandom(4)).decode("ascii"),
            log_requests=debug,
        )
        self._connections = Connections(
            self.application, self.counters, self.sweep, limits, settings.idle_timeout
        )

    def listen(self) -> None:
        """
        Open the ports.

        :raises CannotListenError: if one cannot be bound. :meth:`stop` is still to be called.
        """
        settings = self._settings
        self._listen("proxy", settings.proxy, self._connections)
        if settings.proxy_tls is not None and self._certificate is not None:
            inside = tls_connections(self._certificate, self._connections, self._reactor)
            self._listen("proxy_tls", settings.proxy_tls, inside)
        self._admission = Admission(self.ports.values(), self.sweep, settings.max_connections)

    def place(self, name: str) -> tuple[str, int]:
        """Where a port listens."""
        where = typing.cast(IPv4Address | IPv6Address, self.ports[name].getHost())
        return where.host, where.port

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

    def expel(self, account: str) -> None:
        """End what is under way for an account, which is gone."""
        for flow in [each for each in self.application.live if each.route.rule == account]:
            flow.cut()

    async def stop(self, drain_timeout: float = 0.0) -> None:
        """
        End: take no new connections, and give live ones this long. Called again, or with 0: end
        them at once. Nothing is left open.
        """
        first = self._drain is None
        if self._drain is None:
            self._drain = Drain(self.ports.values(), self._reactor, drain_timeout)
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
            self.resolver.stop()
            self.sweep.stop()
        # What was closed just now is gone in the next turn, for whoever called.
        await deferLater(self._reactor, 0)

    def _listen(self, name: str, place: tuple[str, int], factory: typing.Any) -> None:
        self.ports[name] = listen(self._reactor, *place, factory)
        self._own.append(self.place(name))

    def _dialers(self, limits: Limits) -> tuple[Dialers, ParentProxyDialer]:
        settings = self._settings
        sweep, reactor, timeout = self.sweep, self._reactor, settings.connect_timeout
        guard = Guard(
            lambda: self._own,
            allow_link_local=settings.allow_private,
            allow_private=settings.allow_private,
            closed_ports=CLOSED_PORTS,
        )
        tcp = TCPDialer(
            reactor, self.resolver, guard, sweep, connect=self._connect, connect_timeout=timeout
        )
        dialers = Dialers()
        dialers.add("tcp", tcp)
        tls = TLSDialer(reactor, tcp, client_context(), sweep, connect_timeout=timeout)
        dialers.add("tls", tls)
        return dialers, ParentProxyDialer(
            reactor, dialers, sweep, connect_timeout=timeout, limits=limits
        )
