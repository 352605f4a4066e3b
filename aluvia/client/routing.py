"""
Which way a host goes: the current snapshot's rules, asked once per request.

Where there is no snapshot (``--no-strict``, and the control plane has not answered yet), every host
goes direct, or nowhere: ``--on-no-config`` says which.
"""

from __future__ import annotations

from aluvia.client.config import Snapshot
from aluvia.forwarding.route import Route

_UNDECIDED = Route(None, None)

#: Hosts whose route is remembered. Beyond it all are forgotten, and learnt again.
REMEMBERED_HOSTS = 4_096


class Router:
    """Decides by the snapshot of the moment, and remembers what it decided for it."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self.snapshot = snapshot
        self._routes: dict[str, Route] = {}

    def follow(self, snapshot: Snapshot) -> None:
        """Use this snapshot for every request from now on."""
        self.snapshot = snapshot
        self._routes = {}

    def route(self, host: str) -> Route:
        """The way for a canonical host; direct, if there is no snapshot."""
        route = self._routes.get(host)
        if route is None:
            snapshot = self.snapshot
            if snapshot is None:
                return _UNDECIDED
            decision = snapshot.rules.decide(host)
            gateway = snapshot.gateway if decision.proxied else None
            if len(self._routes) >= REMEMBERED_HOSTS:
                self._routes.clear()
            route = self._routes[host] = Route(gateway, decision.rule)
        return route
