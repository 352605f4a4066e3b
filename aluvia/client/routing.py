"""Which way a host goes: the current snapshot's rules, asked once per request."""

from __future__ import annotations

import attrs

from aluvia.client.config import Snapshot
from aluvia.net.parent import ParentProxy

#: The names of the two ways, in metrics and in ``/connections``.
DIRECT = "direct"
GATEWAY = "gateway"


@attrs.frozen(slots=True)
class Route:
    """
    A decision, with what is needed to follow it.

    :ivar gateway: the parent proxy to go through; None means direct.
    :ivar rule: the rule that settled it; None if no rule matched.
    :ivar way: ``direct`` or ``gateway``.
    """

    gateway: ParentProxy | None
    rule: str | None
    way: str = attrs.field(init=False)

    @way.default
    def _way(self) -> str:
        return DIRECT if self.gateway is None else GATEWAY


#: Hosts whose route is remembered. Beyond it all are forgotten, and learnt again.
REMEMBERED_HOSTS = 4_096


class Router:
    """Decides by the snapshot of the moment, and remembers what it decided for it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.follow(snapshot)

    def follow(self, snapshot: Snapshot) -> None:
        """Use this snapshot for every request from now on."""
        self.snapshot = snapshot
        self._routes: dict[str, Route] = {}

    def route(self, host: str) -> Route:
        """The way for a canonical host."""
        route = self._routes.get(host)
        if route is None:
            decision = self.snapshot.rules.decide(host)
            gateway = self.snapshot.gateway if decision.proxied else None
            if len(self._routes) >= REMEMBERED_HOSTS:
                self._routes.clear()
            route = self._routes[host] = Route(gateway, decision.rule)
        return route
