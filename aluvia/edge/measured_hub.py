"""
What a scrape of an edge's ``/metrics`` shows of its hub; beside :mod:`aluvia.edge.measured`.

The label ``tunnel`` is an id, as an agent with a key has offered it; there are as many as
``HubLimits.tunnels`` says at the most.
"""

from __future__ import annotations

import collections
import typing

from aluvia.edge.slices import batches
from aluvia.edge.tunnels import Hub
from aluvia.hub.registry import Tunnel
from aluvia.telemetry.exposition import Families

__all__ = ["measure_hub"]

#: What an agent's session can be over.
CARRIERS = ("wss", "longpoll")

TUNNEL = ("tunnel",)


def measure_hub(hub: Hub) -> typing.Iterator[Families]:
    """All of it, in parts; see :func:`aluvia.edge.measured.measure`."""
    yield _measure_agents(hub)
    for some in batches([*hub.registry.tunnels.values()]):
        yield _measure_tunnels(some)


def _measure_agents(hub: Hub) -> Families:
    families = Families()
    sessions = collections.Counter(each.carrier for each in hub.registry.sessions)
    families.gauges(
        "aluvia_edge_hub_sessions",
        "Agents that are connected, by carrier.",
        ("carrier",),
        [((carrier,), sessions[carrier]) for carrier in CARRIERS],
    )
    families.counters(
        "aluvia_edge_hub_refusals",
        "Agents that were not registered, by reason.",
        ("reason",),
        [((reason,), count) for reason, count in hub.refusals.items()],
    )
    tunnels = hub.registry.tunnels.values()
    online = sum(each.online for each in tunnels)
    families.gauges(
        "aluvia_edge_hub_tunnels",
        "Tunnels that are known, by whether an agent is there.",
        ("state",),
        [(("online",), online), (("offline",), len(tunnels) - online)],
    )
    return families


def _measure_tunnels(tunnels: typing.Sequence[Tunnel]) -> Families:
    families = Families()
    families.gauges(
        "aluvia_edge_tunnel_online",
        "Whether an agent is there.",
        TUNNEL,
        [((each.id,), each.online) for each in tunnels],
    )
    families.gauges(
        "aluvia_edge_tunnel_streams",
        "Requests, WebSockets and TCP connections of visitors that are under way.",
        TUNNEL,
        [((each.id,), each.meter.streams_open) for each in tunnels],
    )
    visited = [(each.id, each.meter) for each in tunnels if each.meter.request_count]
    families.counters(
        "aluvia_edge_tunnel_requests",
        "Requests that ended.",
        TUNNEL,
        [((id,), meter.request_count) for id, meter in visited],
    )
    families.counters(
        "aluvia_edge_tunnel_errors",
        "Those that were answered with 500 or more, or not to the end.",
        TUNNEL,
        [((id,), meter.error_count) for id, meter in visited],
    )
    families.counters(
        "aluvia_edge_tunnel_bytes",
        "Payload of requests that ended; in is from visitors.",
        (*TUNNEL, "direction"),
        [
            ((id, direction), n)
            for id, meter in visited
            for direction, n in (("in", meter.bytes_in), ("out", meter.bytes_out))
        ],
    )
    families.histograms(
        "aluvia_edge_tunnel_latency_seconds",
        "How long requests took, from their heads to the ends of their answers.",
        TUNNEL,
        [((id,), meter.latencies) for id, meter in visited],
    )
    return families
