"""The edge as its API shows it to operators, from outside: what runs, and how it does."""

from __future__ import annotations

import typing

from aluvia.edge.tunnel_view import TunnelView
from aluvia.telemetry.exposition import Exposition

__all__ = ["Observed", "Runtime"]

#: An object in JSON.
Facts: typing.TypeAlias = typing.Mapping[str, object]


class Runtime(typing.Protocol):
    """What is known of backends that no configuration says."""

    def backend_runtime(self, route_id: str, backend_id: str) -> Facts:
        """
        How one is now: ``isDead``, ``deadSince`` (seconds since 1970, or None), ``failureCount``,
        ``active`` (requests that it has now) and ``latencyMs`` (None before the first).
        """


class Observed(Runtime, typing.Protocol):
    """What runs."""

    def health(self) -> Facts:
        """Alive: whoever can answer is."""

    def readiness(self) -> Facts:
        """``ready``: whether new requests are taken; ``reason``: why not; and what there is."""

    @property
    def tunnels(self) -> TunnelView:
        """The tunnels that agents have opened."""

    async def scrape(self, accept: str) -> Exposition:
        """Everything that ``/metrics`` shows, for who accepts this."""

    def stats(self, route_id: str | None) -> Facts:
        """The statistics of a route; of all of them, for None."""

    def certificate(self, domain: str) -> Facts:
        """What is to be known of the certificate for a domain: its names, until when it is good."""

    @property
    def log_level(self) -> str:
        """A key of :data:`aluvia.telemetry.logs.THRESHOLDS`."""

    def set_log_level(self, level: str) -> None:
        """Log at this level from now on."""
