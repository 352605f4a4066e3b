"""
The configuration, put to work: routes, members, probes, providers and certificates that run.

A change is prepared first: whatever can fail (a TLS context, an entry point, a backend that is the
edge itself) is made then, and nothing of it is in use. Putting it in force is assignments. What has
not changed stays the same object, so that nobody who uses it notices: its slots, the health of its
members, its connections.
"""

from __future__ import annotations

import functools
import random
import typing

import attrs
from twisted.logger import Logger

from aluvia.api.problems import Fault, Problem
from aluvia.edge.auth import Authenticators
from aluvia.edge.backends import TUNNEL, Place, Places
from aluvia.edge.bounds import FAULTS
from aluvia.edge.certificates import Certificates
from aluvia.edge.events import EventBus
from aluvia.edge.fields import Judges
from aluvia.edge.live import LiveRoute, Terms
from aluvia.edge.model import HealthCheck, Route, Snapshot
from aluvia.edge.news import News
from aluvia.edge.reverse import ReverseProxy
from aluvia.edge.routing import RouteTable
from aluvia.edge.verdicts import Authenticator
from aluvia.net.addresses import literal
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.upstreams.health import Check, HealthChecks
from aluvia.upstreams.members import Admin, Member, Members, Wanted
from aluvia.upstreams.probes import http_probe, tcp_probe

__all__ = ["Applied"]

log = Logger()

Apply = typing.Callable[[], None]

_LOCAL = ("localhost", ".localhost")


@attrs.frozen
class _Change:
    """
    What becomes of a route.

    :ivar live: it, as it runs; made, and not in use, if it is new.
    """

    terms: Terms
    wanted: list[Wanted[Place]]
    live: LiveRoute


class Applied:
    """
    What runs.

    :param authenticators: those of the providers.
    :ivar routes: those that are configured, by id.
    :ivar judges: say of a document what :meth:`prepare` would say of what it means.
    """

    def __init__(
        self,
        reactor: typing.Any,
        proxy: ReverseProxy,
        certificates: Certificates,
        places: Places,
        guard: Guard,
        bus: EventBus,
        authenticators: Authenticators,
    ) -> None:
        self.routes: dict[str, LiveRoute] = {}
        self._reactor = reactor
        self._proxy = proxy
        self._certificates = certificates
        self._places = places
        self._guard = guard
        self._bus = bus
        self._authenticators = authenticators
        self._checks: dict[str, HealthChecks[Place]] = {}
        self._random = random.Random()
        self.judges = Judges(
            place=self._why_no_backend,
            tunnel=places.why_no_tunnel,
            entry_point=authenticators.why_no_entry_point,
        )

    def prepare(self, before: Snapshot, after: Snapshot) -> Apply:
        """
        Make what a snapshot needs.

        :raises Problem: 422; with pointers into the whole document.
        """
        faults: list[Fault] = []
        places = [
            (route, self._wanted(route, f"/routes/{at}/backends", faults))
            for at, route in enumerate(after.routes.values())
            if self._is_new(route, before, after)
        ]
        apply_certificates = authenticators = None
        try:
            apply_certificates = self._certificates.prepare(after)
        except Problem as problem:
            faults += problem.faults
        try:
            authenticators = self._authenticators.prepared(after.providers)
        except Problem as problem:
            faults += problem.faults
        if apply_certificates is None or authenticators is None or faults:
            raise Problem(422, "invalid_fields", "This cannot be put to work.", faults[:FAULTS])
        changes = [self._change(route, wanted, authenticators.by_id) for route, wanted in places]

        def apply() -> None:
            apply_certificates()
            authenticators.apply()
            self._apply_routes(after, changes)

        return apply

    def _is_new(self, route: Route, before: Snapshot, after: Snapshot) -> bool:
        """Whether a route, or who is asked for it, is other than it was."""
        live = self.routes.get(route.id)
        provider = route.auth_provider
        return (
            live is None
            or live.route != route
            or (
                provider is not None
                and before.providers.get(provider) != after.providers.get(provider)
            )
        )

    def stop(self) -> None:
        """Probe nobody any more."""
        for checks in self._checks.values():
            checks.stop()
        self._checks.clear()

    # Routes.

    def _change(
        self,
        route: Route,
        wanted: list[Wanted[Place]],
        authenticators: typing.Mapping[str, Authenticator],
    ) -> _Change:
        provider = route.auth_provider
        terms = Terms.of(route, None if provider is None else authenticators[provider])
        return _Change(terms, wanted, self.routes.get(route.id) or self._make(terms))

    def _apply_routes(self, after: Snapshot, changes: typing.Sequence[_Change]) -> None:
        for id in [id for id in self.routes if id not in after.routes]:
            self._remove(self.routes.pop(id))
        for change in changes:
            route, live = change.terms.route, change.live
            check_changed = (
                route.id not in self.routes or live.route.health_check != route.health_check
            )
            self.routes[route.id] = live
            live.adopt(change.terms)
            self._change_members(live, change.wanted)
            live.admit()
            if check_changed:
                self._check(live)
        self._proxy.routes = RouteTable(
            (self.routes[id] for id in after.routes), self._proxy.tunnel_domain
        )

    def _make(self, terms: Terms) -> LiveRoute:
        strategy = terms.route.strategy.value
        news = News(self._bus, terms.route.id, self._reactor.seconds, self._proxy.sweep)
        members: Members[Place] = Members(self._reactor, strategy, news, random=self._random)
        return LiveRoute(self._reactor, terms, members, self._proxy.tracker)

    def _change_members(self, live: LiveRoute, wanted: list[Wanted[Place]]) -> None:
        route = live.route
        before = list(live.members)
        live.members.timeout = route.timeouts.first_byte
        live.members.change(wanted, route.strategy.value)
        for each in wanted:
            # The same place may be dialled in another way, such as by another time-out.
            live.members[each.id].target.dialer = each.target.dialer
        after = set(live.members)
        for member in before:
            if member not in after:
                self._proxy.upstreams.forget(member)
        for id in {member.id for member in before} - {member.id for member in after}:
            live.forget(id)

    def _remove(self, live: LiveRoute) -> None:
        checks = self._checks.pop(live.route.id, None)
        if checks is not None:
            checks.stop()
        for member in live.members:
            self._proxy.upstreams.forget(member)
        live.remove()

    def _check(self, live: LiveRoute) -> None:
        """Probe its members as it wants."""
        route = live.route
        old = self._checks.pop(route.id, None)
        if old is not None:
            old.stop()
        wanted = route.health_check
        self._checks[route.id] = HealthChecks(
            live.members,
            functools.partial(self._probe, live),
            self._proxy.sweep,
            self._reactor,
            random=self._random,
            check=None
            if wanted is None
            else Check(interval=wanted.interval, rise=wanted.rise, fall=wanted.fall),
        )

    def _probe(self, live: LiveRoute, member: Member[Place]) -> typing.Any:
        place = member.target
        check = live.route.health_check or HealthCheck()
        if check.path is None:
            return tcp_probe(place.dialer, place.host, place.port, self._reactor)
        return http_probe(
            place.dialer,
            place.host,
            place.port,
            check.path.encode("ascii"),
            place.host_field,
            check.expect,
            self._reactor,
        )

    def _wanted(self, route: Route, pointer: str, faults: list[Fault]) -> list[Wanted[Place]]:
        wanted = []
        for at, backend in enumerate(route.backends):
            try:
                place = self._places.place(route, backend)
            except ValueError as error:
                faults.append(Fault(f"{pointer}/{at}", str(error)))
                continue
            wrong = None if place.way == TUNNEL else self._why_no_backend(place.host, place.port)
            if wrong is not None:
                faults.append(Fault(f"{pointer}/{at}", wrong))
                continue
            admin = Admin(backend.admin.value)
            wanted.append(Wanted(id=backend.id, target=place, weight=backend.weight, admin=admin))
        return wanted

    def _why_no_backend(self, host: str, port: int) -> str | None:
        """A literal is judged now; what a name leads to, whenever it is dialled."""
        if host == _LOCAL[0] or host.endswith(_LOCAL[1]):
            host = "127.0.0.1"
        if literal(host) is None:
            return None
        try:
            self._guard.check(host, port)
        except DialError as error:
            if error.error == "proxy_loop_detected":
                return "the backend is this edge itself"
            return error.detail
        return None
