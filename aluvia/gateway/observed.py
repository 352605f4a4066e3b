"""The gateway as its API shows it to operators: health, readiness, and the numbers of a scrape."""

from __future__ import annotations

import typing

from aluvia import __version__
from aluvia.forwarding.measured import Forwarding, measure_traffic, moved_by_ended
from aluvia.telemetry.exposition import Families

__all__ = ["Observed", "health", "measure", "readiness"]


#: All that is said of it to whoever can reach the port.
STORE_UNREADABLE = "The store cannot be read; what was known before holds."


class Observed(Forwarding, typing.Protocol):
    """A gateway, from outside. Times are the reactor's seconds."""

    @property
    def started_at(self) -> float:
        """When it started."""

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients any more, and is about to end."""

    @property
    def connections_refused(self) -> int:
        """How many were reset, since their address had enough."""

    @property
    def account_count(self) -> int:
        """How many accounts there are."""

    @property
    def monitors_waiting(self) -> int:
        """How many clients wait for a change of their account."""

    @property
    def store_problem(self) -> str | None:
        """Why the store cannot be looked at, if that is so; one line, no secrets."""


def health(observed: Observed, now: float) -> dict[str, object]:
    """Alive: whoever can answer is."""
    return {
        "status": "ok",
        "uptime": round(max(0.0, now - observed.started_at), 3),
        "version": __version__,
    }


def readiness(observed: Observed) -> dict[str, object]:
    """Whether new requests are taken; while the store cannot be read, what was known holds."""
    reason = None
    if observed.draining:
        reason = "It is draining, and takes no new connections."
    elif not observed.accepting:
        reason = "It has as many connections as it may have."
    return {
        "ready": reason is None,
        "reason": reason,
        "accounts": observed.account_count,
        # Strangers may ask; the log says why, and where the store is.
        "last_error": None if observed.store_problem is None else STORE_UNREADABLE,
    }


def measure(observed: Observed, now: float) -> Families:
    """Everything that a scrape of ``/metrics`` shows."""
    families = Families()
    measure_traffic(
        families,
        "aluvia_gateway",
        observed,
        moved_by_ended(observed.counters).items(),
        moved_text="Payload bytes of requests and tunnels that ended; up is from clients.",
        connect_text="How long connections to targets took to be made.",
    )
    families.counter(
        "aluvia_gateway_connections_refused",
        "Connections of clients that were reset, since their address had half of all.",
        observed.connections_refused,
    )
    families.gauge("aluvia_gateway_accounts", "Accounts that there are.", observed.account_count)
    families.gauge(
        "aluvia_gateway_monitors_waiting",
        "Clients that wait for a change of their account.",
        observed.monitors_waiting,
    )
    families.gauge(
        "aluvia_gateway_store_readable",
        "Whether the last look at the store went well.",
        observed.store_problem is None,
    )
    families.gauge("aluvia_gateway_draining", "Whether it is ending.", observed.draining)
    families.gauge(
        "aluvia_gateway_uptime_seconds",
        "How long it has run.",
        max(0.0, now - observed.started_at),
    )
    families.info("aluvia_gateway_build", "What is running.", {"version": __version__})
    families.process()
    return families
