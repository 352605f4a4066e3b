"""The data path of the gateway, whole: its ports, and its way out."""

from __future__ import annotations

import typing

from aluvia.forwarding.connections import Connections
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.proxy import ForwardProxy
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.policy import GatewayPolicy
from aluvia.gateway.settings import Settings
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect
from aluvia.net.door import Door
from aluvia.net.guard import Guard
from aluvia.net.tls_port import Certificate, tls_connections
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["Egress"]

#: So many addresses it takes at least to fill the ports; strangers can connect, too.
ADDRESSES_TO_FILL = 2

#: Mail is not sent from here.
CLOSED_PORTS = frozenset([25])


class Egress(Door):
    """
    The forward proxy. Its ports are ``proxy``, and ``proxy_tls`` where there is one.

    :param certificate: for the port inside TLS, where there is one.
    :param connect: makes the connections to targets.
    :ivar counters: what it has done.
    """

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        reactor: typing.Any,
        certificate: Certificate | None = None,
        *,
        connect: Connect = ClientWire.connect,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(
            reactor,
            max_connections=settings.max_connections,
            connect_timeout=settings.connect_timeout,
            limits=limits,
        )
        self.counters = Counters()
        self._settings = settings
        self._certificate = certificate
        guard = Guard(
            lambda: self.own,
            allow_link_local=settings.allow_private,
            allow_private=settings.allow_private,
            closed_ports=CLOSED_PORTS,
        )
        debug = settings.log_level == "debug"
        self.application = ForwardProxy(
            self,
            self.dialers(guard, connect=connect),
            GatewayPolicy(accounts, log_requests=debug),
            self.counters,
            idle_timeout=settings.idle_timeout,
            log_requests=debug,
        )

    def open(self) -> None:
        """
        Open the ports, and take connections.

        :raises CannotListenError: one cannot be bound. :meth:`stop` is still to be called.
        """
        settings = self._settings
        connections = Connections(self.application)
        self.listen("proxy", *settings.proxy, connections)
        if settings.proxy_tls is not None and self._certificate is not None:
            inside = tls_connections(self._certificate, connections, self.reactor)
            self.listen("proxy_tls", *settings.proxy_tls, inside)
        self.admit(max(1, settings.max_connections // ADDRESSES_TO_FILL))

    def expel(self, account: str) -> None:
        """End what is under way for an account, which is gone."""
        for flow in [each for each in self.application.live if each.route.account == account]:
            flow.cut()

    def drained(self) -> None:
        """Every client is gone; what an upstream has yet to take goes with them."""
        self.application.end()
