"""
What a scrape of an edge's ``/metrics`` shows.

Labels are ids, vhosts and domains of the configuration, and names of our own code: nothing that a
client sends. What no route took has an empty ``route``, and what came to no backend an empty
``backend``. A backend that was removed has no lines any more; what it did stays in its route's
distribution.

Only what there was is shown: a route without traffic has its gauges alone.
"""

from __future__ import annotations

import typing

from aluvia import __version__
from aluvia.edge.statistics import Tracker
from aluvia.edge.stats_document import Gauges
from aluvia.edge.tally import Tally
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


def measure(families: Families, tracker: Tracker, observed: Observed, now: float) -> None:
    """
    Add everything.

    :param now: the reactor's seconds.
    """
    v_hosts = observed.v_hosts()
    _measure_traffic(families, tracker, v_hosts)
    _measure_routes(families, observed, v_hosts)
    families.gauges(
        "aluvia_edge_certificate_not_after_seconds",
        "When certificates end, in seconds since 1970.",
        ("domain",),
        [((domain,), end) for domain, end in observed.certificates().items()],
    )
    _measure_process(families, observed, now)


def _measure_traffic(
    families: Families, tracker: Tracker, v_hosts: typing.Mapping[str, str]
) -> None:
    """What the tracker knows, of each place with any traffic."""
    tallies = [
        ((route, v_hosts.get(route, ""), backend), tracker.total(route, backend).tally)
        for route, backend in tracker.places()
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
    _measure_whole_routes(families, tracker, v_hosts)


def _measure_whole_routes(
    families: Families, tracker: Tracker, v_hosts: typing.Mapping[str, str]
) -> None:
    routes: dict[tuple[str, ...], Tally] = {}
    for route in dict.fromkeys(route for route, _ in tracker.places()):
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


def _measure_routes(
    families: Families, observed: Observed, v_hosts: typing.Mapping[str, str]
) -> None:
    """What is so now."""
    for name, text, number in (
        ("in_flight", "Requests that run now, by route.", observed.in_flight),
        ("queue_length", "Requests that wait now.", observed.queued),
        ("streams", "WebSockets and event streams that are open now.", observed.streams),
    ):
        families.gauges(
            f"aluvia_edge_{name}",
            text,
            ROUTE,
            [(each, number(each[0])) for each in v_hosts.items()],
        )
    members = [
        ((route, v_host, member.id), member)
        for route, v_host in v_hosts.items()
        for member in observed.members(route)
    ]
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


def _measure_process(families: Families, observed: Observed, now: float) -> None:
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
