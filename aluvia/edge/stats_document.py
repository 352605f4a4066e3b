"""
The statistics of an edge as ``GET /stats`` and ``GET /stats/:vHost`` show them.

.. code-block:: text

    {
      "windows": {"10s": NUMBERS, "1m": NUMBERS, "5m": NUMBERS},
      "sinceStart": NUMBERS,
      "inFlight": 3,            requests that run now; streams are not among them
      "queued": 0,              requests that wait now
      "streams": 1,             WebSockets and event streams that are open now

      for a route besides:
      "route": "api", "vHost": "api.example.com",
      "backends": {"one": {"windows": {…}, "sinceStart": NUMBERS, "inFlight": 2, "isDead": false}}

      for all besides:
      "certificates": [{
        "source": "upload",                       or "route", "file", "default"
        "domain": "example.com",                  or a route's vhost, a directory; "" of the default
        "names": ["example.com"], "notAfter": "2026-12-01T00:00:00Z", "daysLeft": 12.3
      }],
      "build": {"version": "1.0"}
    }

    NUMBERS: {
      "seconds": 9.4,           what they cover: the window, or up to a tenth less; and no more than
                                the edge has run
      "requests": 120,          that ended
      "requestsPerSecond": 12.766,
      "latencyMs": {"mean": 8.1, "p50": 5.2, "p90": 17.0, "p99": 61.5},     null where there is none
      "answers": {"1xx": 0, "2xx": 117, "3xx": 0, "4xx": 0, "5xx": 2, "none": 1},
      "errors": {"count": 2, "perSecond": 0.213, "byCause": {"connection_refused": 2}},
      "clientGone": 1,          whose client left, which is nobody's error
      "retries": 3,             how often one was sent again
      "bytesUp": 18000, "bytesDown": 2400000,                               payload
      "queue": {"requests": 4, "meanMs": 12.5}                              those that had to wait
    }

A request is counted when it ends. A 101 is among the answers as what it is. Quantiles are off by
less than 10 % (:data:`aluvia.edge.tally.QUANTILE_ERROR`), the mean is exact. What a backend did
is what ended with it; a request that came to none is in its route's numbers alone.
"""

from __future__ import annotations

import typing
from datetime import UTC, datetime

from aluvia import __version__
from aluvia.edge.statistics import CLIENT_GONE, Period, Tracker

__all__ = ["CertificateGauge", "Gauges", "MemberGauge", "stats"]

Document: typing.TypeAlias = dict[str, typing.Any]

PERCENTS = (50, 90, 99)


class MemberGauge(typing.Protocol):
    """What is asked of a :class:`~aluvia.upstreams.members.Member`."""

    @property
    def id(self) -> str:
        """Of the backend."""

    @property
    def active(self) -> int:
        """How many requests it has now."""

    @property
    def dead_since(self) -> float | None:
        """When it was found to be dead; None while it is not."""


class CertificateGauge(typing.Protocol):
    """What is asked of a :class:`~aluvia.edge.certificates.Presented`."""

    @property
    def domain(self) -> str:
        """What it was handed in for."""

    @property
    def names(self) -> typing.Sequence[str]:
        """What it is for."""

    @property
    def not_after(self) -> float:
        """When it ends; seconds since 1970."""


class Gauges(typing.Protocol):
    """What is so at the moment. ``route_id`` None means all routes together."""

    def v_hosts(self) -> typing.Mapping[str, str]:
        """The vhost of each route that there is, by its id."""

    def in_flight(self, route_id: str | None) -> int:
        """How many requests run."""

    def queued(self, route_id: str | None) -> int:
        """How many requests wait."""

    def streams(self, route_id: str | None) -> int:
        """How many streams are open."""

    def members(self, route_id: str) -> typing.Iterable[MemberGauge]:
        """The backends of a route that there is."""

    def certificates(self) -> typing.Iterable[tuple[str, CertificateGauge]]:
        """
        Each certificate that clients may be shown, behind where it is from: ``route``, ``upload``,
        ``file`` or ``default``.
        """


def stats(tracker: Tracker, gauges: Gauges, now: float, route_id: str | None = None) -> Document:
    """
    The document of a route, or of all.

    :param now: seconds since 1970.
    :param route_id: of a route that there is; None for all.
    """
    document = {
        **_numbers(tracker, route_id),
        "inFlight": gauges.in_flight(route_id),
        "queued": gauges.queued(route_id),
        "streams": gauges.streams(route_id),
    }
    if route_id is None:
        document["certificates"] = [
            {
                "source": source,
                "domain": each.domain,
                "names": [*each.names],
                "notAfter": f"{datetime.fromtimestamp(each.not_after, UTC):%Y-%m-%dT%H:%M:%SZ}",
                "daysLeft": round((each.not_after - now) / 86_400, 1),
            }
            for source, each in gauges.certificates()
        ]
        document["build"] = {"version": __version__}
        return document
    document["route"] = route_id
    document["vHost"] = gauges.v_hosts()[route_id]
    document["backends"] = {
        member.id: {
            **_numbers(tracker, route_id, member.id),
            "inFlight": member.active,
            "isDead": member.dead_since is not None,
        }
        for member in gauges.members(route_id)
    }
    return document


def _numbers(tracker: Tracker, route_id: str | None, backend_id: str | None = None) -> Document:
    causes = tracker.causes
    return {
        "windows": {
            name: _shown(period, causes)
            for name, period in tracker.periods(route_id, backend_id).items()
        },
        "sinceStart": _shown(tracker.total(route_id, backend_id), causes),
    }


def _shown(period: Period, names: typing.Sequence[str]) -> Document:
    seconds, tally = period
    causes = tally.causes(names)
    gone = causes.pop(CLIENT_GONE, 0)
    errors = sum(causes.values())
    requests = tally.requests
    latency = {"mean": _mean_ms(tally.latency_seconds, tally.measured)}
    for percent, value in zip(PERCENTS, tally.quantiles(PERCENTS), strict=True):
        latency[f"p{percent}"] = None if value is None else round(value * 1000, 3)
    none, *answers = tally.classes
    return {
        "seconds": round(seconds, 3),
        "requests": requests,
        "requestsPerSecond": round(requests / seconds, 3),
        "latencyMs": latency,
        "answers": {
            **{f"{digit}xx": n for digit, n in enumerate(answers, 1) if n or digit < 6},
            "none": none,
        },
        "errors": {
            "count": errors,
            "perSecond": round(errors / seconds, 3),
            "byCause": causes,
        },
        "clientGone": gone,
        "retries": tally.retries,
        "bytesUp": tally.bytes_up,
        "bytesDown": tally.bytes_down,
        "queue": {
            "requests": tally.queued,
            "meanMs": _mean_ms(tally.queued_seconds, tally.queued),
        },
    }


def _mean_ms(seconds: float, count: int) -> float | None:
    return round(seconds / count * 1000, 3) if count else None
