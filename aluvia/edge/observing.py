"""
What is to be seen of a running edge, for its API: health, readiness, statistics, metrics.

It implements what :mod:`aluvia.edge.observed` and :mod:`aluvia.edge.measured` ask for.
"""

from __future__ import annotations

import typing

from aluvia import __version__
from aluvia.edge.certificates import Presented
from aluvia.edge.ingress import Ingress
from aluvia.edge.live import LiveRoute
from aluvia.edge.measured import measure
from aluvia.edge.scrapes import Scrapes
from aluvia.edge.stats_document import stats
from aluvia.edge.tunnel_view import TunnelView
from aluvia.hub.hub import Hub
from aluvia.telemetry.exposition import Exposition
from aluvia.telemetry.logs import THRESHOLDS
from aluvia.upstreams.members import Member

__all__ = ["Observing", "SetLogLevel"]

Facts: typing.TypeAlias = dict[str, object]

#: Logs at this level from now on.
SetLogLevel = typing.Callable[[str], object]


class Observing:
    """
    An edge, from outside.

    :param clock: seconds since 1970.
    :param log_level: at which is logged; see :data:`aluvia.telemetry.logs.THRESHOLDS`.
    :ivar started_at: by that clock.
    :ivar tunnels: those of its hub.
    """

    def __init__(
        self,
        ingress: Ingress,
        clock: typing.Callable[[], float],
        log_level: str,
        set_log_level: SetLogLevel | None = None,
    ) -> None:
        self.started_at = clock()
        self._ingress = ingress
        self._clock = clock
        self._log_level = log_level
        self._set_log_level = set_log_level
        self.tunnels = TunnelView(ingress.hub, ingress.ways_into_tunnels)
        self._scrapes = Scrapes(lambda: measure(ingress.tracker, self, clock()), ingress.reactor)

    # For the API.

    def health(self) -> Facts:
        """Alive: whoever can answer is."""
        uptime = round(max(0.0, self._clock() - self.started_at), 3)
        return {"status": "ok", "uptime": uptime, "version": __version__}

    def readiness(self) -> Facts:
        """Whether new requests are taken."""
        reason = None
        if self.draining:
            reason = "It is draining, and takes no new connections."
        elif not self.accepting:
            reason = "It has as many connections as it may have."
        return {"ready": reason is None, "reason": reason, "routes": len(self._routes)}

    async def scrape(self, accept: str) -> Exposition:
        """What ``/metrics`` shows, for who accepts this."""
        return await self._scrapes.scrape(accept)

    def stats(self, route_id: str | None) -> Facts:
        """The statistics of a route; of all of them, for None."""
        return stats(self._ingress.tracker, self, self._clock(), route_id)

    def certificate(self, domain: str) -> Facts:
        """Its names, and until when it is good."""
        presented = self._ingress.certificates.map.by_domain.get(domain)
        return {} if presented is None else dict(presented.description)

    def backend_runtime(self, route_id: str, backend_id: str) -> Facts:
        """How a backend is now."""
        live = self._routes.get(route_id)
        member = None if live is None else _member(live, backend_id)
        if member is None:
            return {
                "isDead": False,
                "deadSince": None,
                "failureCount": 0,
                "active": 0,
                "latencyMs": None,
            }
        latency = member.latency
        return {
            "isDead": member.is_dead,
            "deadSince": member.dead_since,
            "failureCount": member.failure_count,
            "active": member.active,
            "latencyMs": None if latency is None else round(latency * 1000, 3),
        }

    @property
    def log_level(self) -> str:
        """A key of :data:`aluvia.telemetry.logs.THRESHOLDS`."""
        return self._log_level

    def set_log_level(self, level: str) -> None:
        """Log at this level from now on."""
        if level not in THRESHOLDS:
            raise ValueError("there is no such level")
        self._log_level = level
        if self._set_log_level is not None:
            self._set_log_level(level)

    # For metrics and statistics.

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients any more."""
        return self._ingress.draining

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken."""
        return self._ingress.accepting

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now."""
        return self._ingress.connections_open

    @property
    def connections_total(self) -> int:
        """How many have asked something."""
        return self._ingress.proxy.connections_total

    @property
    def connections_refused(self) -> int:
        """How many were reset, since their address had enough."""
        return self._ingress.connections_refused

    @property
    def access_log_lost(self) -> int:
        """How many lines of the access log could not be written."""
        access_log = self._ingress.proxy.access_log
        return 0 if access_log is None else access_log.lost

    @property
    def tls_handshakes(self) -> int:
        """Handshakes of clients that were done."""
        return self._ingress.tls_counters.handshakes

    @property
    def tls_failures(self) -> dict[str, int]:
        """How many were not, by reason."""
        return self._ingress.tls_counters.tls_failures

    @property
    def hub(self) -> Hub | None:
        """Where agents connect; None where none may."""
        return self._ingress.hub

    def v_hosts(self) -> dict[str, str]:
        """The vhost of each route, by its id."""
        return {id: live.v_host for id, live in self._routes.items()}

    def in_flight(self, route_id: str | None) -> int:
        """How many requests run."""
        return sum(live.admission.active for live in self._those_of(route_id))

    def queued(self, route_id: str | None) -> int:
        """How many requests wait."""
        return sum(live.admission.waiting for live in self._those_of(route_id))

    def streams(self, route_id: str | None) -> int:
        """How many streams are open."""
        return sum(live.streams for live in self._those_of(route_id))

    def members(self, route_id: str) -> list[Member[typing.Any]]:
        """The backends of a route."""
        live = self._routes.get(route_id)
        return [] if live is None else [*live.members]

    def certificates(self) -> list[tuple[str, Presented]]:
        """Each certificate, behind where it is from."""
        every = self._ingress.certificates.map
        return [
            *(("route", each) for each in every.routes),
            *(("upload", each) for each in every.certificates),
            *(("file", each) for each in every.files),
            *(("default", each) for each in (every.given,) if each is not None),
        ]

    @property
    def _routes(self) -> dict[str, LiveRoute]:
        return self._ingress.applied.routes

    def _those_of(self, route_id: str | None) -> list[LiveRoute]:
        routes = self._routes
        if route_id is None:
            return [*routes.values()]
        return [routes[route_id]] if route_id in routes else []


def _member(live: LiveRoute, id: str) -> Member[typing.Any] | None:
    try:
        return live.members[id]
    except KeyError:
        return None
