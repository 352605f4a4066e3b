"""
A route that runs: its members, its slots, and what of its configuration is worked out beforehand.

It stays the same object through every change of the route, so that what is under way there is
counted where it began.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.api.allowance import Allowance
from aluvia.edge.access_list import AccessList
from aluvia.edge.admission import Admission
from aluvia.edge.backends import TUNNEL, Place
from aluvia.edge.model import Route
from aluvia.edge.request_fields import Wishes, hyphened
from aluvia.edge.statistics import Track, Tracker
from aluvia.edge.verdicts import Authenticator
from aluvia.upstreams.members import Members
from aluvia.wire.headers import FieldNames

if typing.TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

__all__ = ["LiveRoute", "Terms"]

#: Client addresses whose rate is kept, for each route.
MOST_RATED = 10_000

_NO_NAMES = FieldNames()


@attrs.frozen
class Terms:
    """
    What a route's configuration comes to, as the data path needs it.

    :ivar access: None where everybody may ask.
    :ivar authenticator: None where nobody is asked.
    """

    route: Route
    wishes: Wishes
    access: AccessList | None
    authenticator: Authenticator | None

    @classmethod
    def of(cls, route: Route, authenticator: Authenticator | None) -> Terms:
        """Work them out."""
        injected = tuple(
            (name.encode("ascii"), value.encode("latin-1")) for name, value in route.headers
        )
        names = FieldNames(frozenset(hyphened(name) for name, _ in injected))
        removed = _NO_NAMES if authenticator is None else authenticator.removed
        return cls(
            route,
            Wishes(names | removed, injected, route.preserve_host, route.forwarded),
            AccessList(route.allow, route.deny) if route.allow or route.deny else None,
            authenticator,
        )


class LiveRoute:
    """
    One route, for as long as it is configured.

    :ivar terms: what is in force.
    :ivar open: whether there is nothing to be judged of a request before it is asked about.
    :ivar streams: WebSockets and event streams that are open.
    :ivar tunnelled: whether tunnels are among its backends, and their rules hold.
    :ivar removed: whether it is configured no more: what is under way there comes to its end.
    :ivar allowance: how often a client may ask; None for no limit.
    """

    __slots__ = (
        "_clock",
        "_tracker",
        "_tracks",
        "admission",
        "allowance",
        "members",
        "open",
        "removed",
        "streams",
        "terms",
        "tunnelled",
    )

    def __init__(
        self, clock: IReactorTime, terms: Terms, members: Members[Place], tracker: Tracker
    ) -> None:
        route = terms.route
        self._tracker = tracker
        self._tracks: dict[str, Track] = {}
        self.removed = False
        self._clock = clock
        self.terms = terms
        self.members = members
        self.streams = 0
        self.admission = Admission(
            clock, route.req_active_length, route.req_queue_length, route.queue_timeout_ms / 1000
        )
        self.allowance = self._allowance(route)
        self.tunnelled = _is_tunnelled(route)
        self.open = self._is_open(terms)

    @property
    def route(self) -> Route:
        """As configured."""
        return self.terms.route

    @property
    def v_host(self) -> str:
        """As configured."""
        return self.terms.route.v_host

    @property
    def path_prefix(self) -> str | None:
        """As configured."""
        return self.terms.route.path_prefix

    def track(self, backend_id: str) -> Track:
        """
        Where requests are counted that end with this backend.

        :param backend_id: empty for none.
        """
        track = self._tracks.get(backend_id)
        if track is None:
            if self.removed:
                return self._tracker.nowhere
            if backend_id and not any(member.id == backend_id for member in self.members):
                # It was taken away meanwhile: what it did is the route's.
                return self.track("")
            track = self._tracks[backend_id] = self._tracker.track(self.route.id, backend_id)
        return track

    def forget(self, backend_id: str) -> None:
        """A backend is configured no more."""
        self._tracks.pop(backend_id, None)
        self._tracker.forget_backend(self.route.id, backend_id)

    def remove(self) -> None:
        """It is configured no more."""
        self.removed = True
        self._tracks.clear()
        self._tracker.forget(self.route.id)

    def adopt(self, terms: Terms) -> None:
        """
        Have other terms from now on, also for what is under way. Once its members are those of
        these terms, :meth:`admit` follows.
        """
        before, after = self.terms.route, terms.route
        self.terms = terms
        self.tunnelled = _is_tunnelled(after)
        self.open = self._is_open(terms)
        if before.rate_limit != after.rate_limit:
            self.allowance = self._allowance(after)

    def admit(self) -> None:
        """Have as many slots and places in line as the terms say."""
        route = self.route
        self.admission.change(
            route.req_active_length, route.req_queue_length, route.queue_timeout_ms / 1000
        )

    def _is_open(self, terms: Terms) -> bool:
        route = terms.route
        return not (
            route.auto_https
            or terms.access
            or route.rate_limit
            or route.max_body_bytes is not None
            or self.tunnelled
        )

    def _allowance(self, route: Route) -> Allowance | None:
        limit = route.rate_limit
        if limit is None:
            return None
        return Allowance(
            self._clock, burst=limit.burst, seconds=1 / limit.per_second, most=MOST_RATED
        )


def _is_tunnelled(route: Route) -> bool:
    return any((each.endpoint or "").startswith(f"{TUNNEL}:") for each in route.backends)
