"""What a scrape of any door that forwards shows of its traffic."""

from __future__ import annotations

import typing

from aluvia.forwarding.counters import Counters
from aluvia.telemetry.exposition import Families, Rows


class Forwarding(typing.Protocol):
    """A door that forwards, from outside."""

    @property
    def counters(self) -> Counters:
        """The numbers since the start."""

    @property
    def connections_open(self) -> int:
        """Clients' connections that are open now, tunnels among them."""

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""


def measure_traffic(
    families: Families,
    name: str,
    door: Forwarding,
    moved: Rows[float],
    *,
    moved_text: str,
    connect_text: str,
) -> None:
    """
    Add requests, bytes, tunnels, connections of clients, and how long connecting took.

    :param name: what the name of each family begins with.
    :param moved: payload bytes by way and direction (``up``, ``down``).
    :param moved_text: which bytes these are.
    :param connect_text: what was connected to.
    """
    counters = door.counters
    families.counters(
        f"{name}_requests",
        "Requests and tunnels that ended, by way and outcome.",
        ("way", "outcome"),
        counters.requests.items(),
    )
    families.counters(f"{name}_bytes", moved_text, ("way", "direction"), moved)
    families.gauge(f"{name}_tunnels_open", "Tunnels open now.", counters.tunnels_open)
    families.gauge(
        f"{name}_connections_open",
        "Connections of clients open now, tunnels included.",
        door.connections_open,
    )
    families.counter(
        f"{name}_connections",
        "Connections of clients that were accepted.",
        counters.connections_total,
    )
    families.gauge(
        f"{name}_accepting",
        "Whether new clients are taken: not at a cap, and not draining.",
        door.accepting,
    )
    families.histograms(
        f"{name}_connect_seconds",
        connect_text,
        ("way",),
        [((way,), histogram) for way, histogram in counters.connect_seconds.items()],
    )


def moved_by_ended(counters: Counters) -> dict[tuple[str, ...], int]:
    """Payload bytes of flows that have ended, by way and direction (``up``, ``down``)."""
    return {
        (way, direction): number
        for direction, table in (("up", counters.bytes_up), ("down", counters.bytes_down))
        for way, number in table.items()
    }
