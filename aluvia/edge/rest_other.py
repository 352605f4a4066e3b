"""
What of the API is not about one resource of the configuration.

===============================  ===================================================================
``GET /stats``                   how it does; ``/stats/:vHost`` for one route
``GET|PUT /log-level``           what is logged; until the process ends
``GET /openapi.json``            the API's description, and ``/docs`` for people
``/healthz``, ``/readyz``        alive; whether new requests are taken. Both without a token
``/metrics``                     Prometheus text, or OpenMetrics for whoever asks for it
===============================  ===================================================================
"""

from __future__ import annotations

import attrs
from twisted.web.http import Request

from aluvia.api.answers import prepare, send_json
from aluvia.api.bodies import JSON, read_object
from aluvia.api.queries import Query, read_flag
from aluvia.edge.configuration import Configuration
from aluvia.edge.finding import find_route
from aluvia.edge.observed import Observed
from aluvia.edge.openapi import describe
from aluvia.edge.page_files import file_path
from aluvia.edge.plain_fields import Plain
from aluvia.edge.reading import Reading, Wrong, read_document
from aluvia.edge.rest_paths import BASE, Path
from aluvia.edge.shapes import Member, ObjectOf
from aluvia.telemetry.logs import THRESHOLDS

__all__ = ["OtherResources"]

#: The page for people: its parts, below it.
_PARTS = ("viewer.css", "viewer.js", "token.js")


@attrs.frozen
class _LogLevel:
    level: str


def _level(value: object) -> str:
    if not isinstance(value, str) or value not in THRESHOLDS:
        raise Wrong(f"must be one of {', '.join(THRESHOLDS)}")
    return value


_LOG_LEVEL = ObjectOf(_LogLevel, [Member("level", Plain(_level), needed=True)])


class OtherResources:
    """Everything else."""

    def __init__(self, configuration: Configuration, observed: Observed) -> None:
        self._configuration = configuration
        self._observed = observed

    def paths(self) -> list[Path]:
        """Where it is."""
        return [
            Path("GET", f"{BASE}/stats", self.show_stats),
            Path("GET", f"{BASE}/stats/<vHost>", self.show_stats_of_route),
            Path("GET", f"{BASE}/log-level", self.show_log_level),
            Path("PUT", f"{BASE}/log-level", self.put_log_level, frozenset({"dry_run"})),
            Path("GET", f"{BASE}/openapi.json", self.show_description),
            file_path(f"{BASE}/docs", "viewer.html"),
            *(file_path(f"{BASE}/docs/{name}", name) for name in _PARTS),
            Path("GET", "/healthz", self.show_health, public=True),
            Path("GET", "/readyz", self.show_readiness, public=True),
            Path("GET", "/metrics", self.show_metrics),
        ]

    def show_stats(self, request: Request, query: Query) -> bytes:
        """Of all routes together."""
        return send_json(request, 200, dict(self._observed.stats(None)))

    def show_stats_of_route(self, request: Request, query: Query, v_host: str) -> bytes:
        """Of one of them."""
        route = find_route(self._configuration.state, v_host)
        return send_json(request, 200, dict(self._observed.stats(route.id)))

    def show_log_level(self, request: Request, query: Query) -> bytes:
        """As it is now."""
        return send_json(request, 200, {"level": self._observed.log_level})

    def put_log_level(self, request: Request, query: Query) -> bytes:
        """Make it another one."""
        dry_run = read_flag(query, "dry_run")
        read = read_document(_LOG_LEVEL, read_object(request, (JSON,)), Reading(), None)
        if not dry_run:
            self._observed.set_log_level(read.value.level)
        return send_json(request, 200, _LOG_LEVEL.show(read.value, secrets=False))

    def show_description(self, request: Request, query: Query) -> bytes:
        """What there is."""
        return send_json(request, 200, describe())

    def show_health(self, request: Request, query: Query) -> bytes:
        """Alive."""
        return send_json(request, 200, dict(self._observed.health()))

    def show_readiness(self, request: Request, query: Query) -> bytes:
        """Ready."""
        facts = dict(self._observed.readiness())
        return send_json(request, 200 if facts["ready"] else 503, facts)

    async def show_metrics(self, request: Request, query: Query) -> bytes:
        """The numbers."""
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        exposition = await self._observed.scrape(accept)
        prepare(request, 200, exposition.content_type.encode("ascii"))
        return exposition.body
