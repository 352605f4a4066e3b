"""
What a scrape of an edge's ``/metrics`` shows.

Labels are ids, vhosts and domains of the configuration, ids of tunnels, and names of our own code:
nothing that a client sends. What no route took has an empty ``route``, and what came to no backend
an empty ``backend``. A backend that was removed has no lines any more; what it did stays in its
route's distribution.

Only what there was is shown: a route without traffic has its gauges alone.
"""

from __future__ import annotations

import math
import typing

from aluvia import __version__
from aluvia.edge.measured_hub import measure_hub
from aluvia.edge.slices import batches
from aluvia.edge.statistics import Tracker
from aluvia.edge.stats_document import Gauges, MemberGauge
from aluvia.edge.tally import Tally
from aluvia.edge.tunnels import Hub
from aluvia.telemetry.exposition import Families

__all__ = ["REJECTED", "Observed", "measure"]

#: The cause of a request that found its route's queue full, or waited there for too long.
REJECTED = "connection_limit_reached"

PLACE = ("route", "vhost", "backend")
ROUTE = ("route", "vhost")


class Observed(Gauges, typing.Protocol):
    """An edge, from outside. Times are the reactor's seconds."""

    @property
    def started_at(self) -> float:
        """When it started."""

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients any more, and is about to end."""

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now."""

    @property
    def connections_total(self) -> int:
        """How many were accepted."""

    @property
    def connections_refused(self) -> int:
        """How many were reset, since their address had enough."""

    @property
    def access_log_lost(self) -> int:
        """How many lines of the access log could not be written."""

    @property
    def tls_handshakes(self) -> int:
        """TLS handshakes of clients that were done."""

    @property
    def tls_failures(self) -> typing.Mapping[str, int]:
        """How many were not, by reason."""

    @property
    def hub(self) -> Hub | None:
        """Where agents connect; None where none may."""


def measure(tracker: Tracker, observed: Observed, now: float) -> typing.Iterator[Families]:
    """
    Everything, in parts that take a few milliseconds each, since it is much where there are many
    routes; see :class:`~aluvia.telemetry.exposition.Exposition`.

    What comes and goes meanwhile is in it or not.

    :param now: the reactor's seconds.
    """
    v_hosts = observed.v_hosts()
    places = tracker.places()
    for some in batches(places):
        yield _measure_places(tracker, v_hosts, some)
    for routes in batches([*dict.fromkeys(route for route, _ in places)]):
        yield _measure_traffic(tracker, v_hosts, routes)
    for those in batches([*v_hosts.items()]):
        yield _measure_routes(observed, those)
    members = [
        ((route, v_host, member.id), member)
        for route, v_host in v_hosts.items()
        for member in observed.members(route)
    ]
    for each in batches(members):
        yield _measure_members(each)
    # Of two routes for one vhost, or two files of one name, the one that ends first is shown.
    ends: dict[tuple[str, str], float] = {}
    for source, certificate in observed.certificates():
        key = source, certificate.domain
        ends[key] = min(certificate.not_after, ends.get(key, math.inf))
    for some_ends in batches([*ends.items()]):
        yield _measure_certificates(some_ends)
    if observed.hub is not None:
        yield from measure_hub(observed.hub)
    yield _measure_process(observed, now)


def _measure_places(
    tracker: Tracker, v_hosts: typing.Mapping[str, str], places: typing.Sequence[tuple[str, str]]
) -> Families:
    """What the tracker knows of places with any traffic."""
    families = Families()
    tallies = [
        ((route, v_hosts.get(route, ""), backend), tracker.total(route, backend).tally)
        for route, backend in places
    ]
    busy = [(place, tally) for place, tally in tallies if tally.requests]
    families.counters(
        "aluvia_edge_requests",
        "Requests that ended, by the class of their status; none where there was no answer.",
        (*PLACE, "class"),
        [
            ((*place, f"{digit}xx" if digit else "none"), n)
            for place, tally in busy
            for digit, n in enumerate(tally.classes)
            if n
        ],
    )
    causes = [(place, tally.causes(tracker.causes)) for place, tally in busy]
    families.counters(
        "aluvia_edge_failures",
        "Requests that failed, by cause; client_gone is nobody's failure.",
        (*PLACE, "cause"),
        [((*place, cause), n) for place, those in causes for cause, n in those.items()],
    )
    families.counters(
        "aluvia_edge_bytes",
        "Payload bytes of requests that ended; up is from clients.",
        (*PLACE, "direction"),
        [
            ((*place, direction), n)
            for place, tally in busy
            for direction, n in (("up", tally.bytes_up), ("down", tally.bytes_down))
        ],
    )
    families.counters(
        "aluvia_edge_queue_rejected",
        "Requests that found the queue full, or waited there for too long.",
        ROUTE,
        [
            (place[:2], those.get(REJECTED, 0))
            for place, those in causes
            if place[0] and not place[2]
        ],
    )
    return families


def _measure_traffic(
    tracker: Tracker, v_hosts: typing.Mapping[str, str], ids: typing.Sequence[str]
) -> Families:
    """What it knows of routes with any traffic."""
    families = Families()
    routes: dict[tuple[str, ...], Tally] = {}
    for route in ids:
        tally = tracker.total(route).tally
        if tally.requests:
            routes[route, v_hosts.get(route, "")] = tally
    families.histograms(
        "aluvia_edge_latency_seconds",
        "How long requests took in all; of streams, how long their heads took.",
        ROUTE,
        [(place, tally.histogram()) for place, tally in routes.items()],
    )
    families.counters(
        "aluvia_edge_retries",
        "How often a request was sent again.",
        ROUTE,
        [(place, tally.retries) for place, tally in routes.items()],
    )
    families.counters(
        "aluvia_edge_queued",
        "Requests that had to wait for their turn.",
        ROUTE,
        [(place, tally.queued) for place, tally in routes.items()],
    )
    families.counters(
        "aluvia_edge_queue_seconds",
        "How long these waited, together.",
        ROUTE,
        [(place, tally.queued_seconds) for place, tally in routes.items()],
    )
    return families


def _measure_routes(observed: Observed, v_hosts: typing.Sequence[tuple[str, str]]) -> Families:
    """What is so now."""
    families = Families()
    for name, text, number in (
        ("in_flight", "Requests that run now, by route.", observed.in_flight),
        ("queue_length", "Requests that wait now.", observed.queued),
        ("streams", "WebSockets and event streams that are open now.", observed.streams),
    ):
        families.gauges(
            f"aluvia_edge_{name}",
            text,
            ROUTE,
            [(each, number(each[0])) for each in v_hosts],
        )
    return families


def _measure_members(
    members: typing.Sequence[tuple[tuple[str, str, str], MemberGauge]],
) -> Families:
    families = Families()
    families.gauges(
        "aluvia_edge_backend_alive",
        "Whether a backend is taken to be alive.",
        PLACE,
        [(place, member.dead_since is None) for place, member in members],
    )
    families.gauges(
        "aluvia_edge_backend_in_flight",
        "Requests that a backend has now.",
        PLACE,
        [(place, member.active) for place, member in members],
    )
    return families


def _measure_certificates(ends: typing.Sequence[tuple[tuple[str, str], float]]) -> Families:
    families = Families()
    families.gauges(
        "aluvia_edge_certificate_not_after_seconds",
        "When certificates end, in seconds since 1970.",
        ("source", "domain"),
        ends,
    )
    return families


def _measure_process(observed: Observed, now: float) -> Families:
    families = Families()
    families.gauge(
        "aluvia_edge_connections_open",
        "Connections of clients open now.",
        observed.connections_open,
    )
    families.counter(
        "aluvia_edge_connections",
        "Connections of clients that were accepted.",
        observed.connections_total,
    )
    families.counter(
        "aluvia_edge_connections_refused",
        "Connections of clients that were reset, since their address had enough.",
        observed.connections_refused,
    )
    families.gauge(
        "aluvia_edge_accepting",
        "Whether new clients are taken: not at a cap, and not draining.",
        observed.accepting,
    )
    families.counter(
        "aluvia_edge_tls_handshakes",
        "TLS handshakes of clients that were done.",
        observed.tls_handshakes,
    )
    families.counters(
        "aluvia_edge_tls_failures",
        "TLS handshakes of clients that were not done, by reason.",
        ("reason",),
        [((reason,), count) for reason, count in observed.tls_failures.items()],
    )
    families.gauge("aluvia_edge_draining", "Whether it is ending.", observed.draining)
    families.counter(
        "aluvia_edge_access_log_lost_lines",
        "Lines of the access log that could not be written.",
        observed.access_log_lost,
    )
    families.gauge(
        "aluvia_edge_uptime_seconds", "How long it has run.", max(0.0, now - observed.started_at)
    )
    families.info("aluvia_edge_build", "What is running.", {"version": __version__})
    families.process()
    return families
