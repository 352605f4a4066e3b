"""
What can be seen of the tunnels, as JSON.

Times are seconds since 1970, latencies milliseconds. Nothing here is a secret: neither keys nor
visitors' tokens nor the ids of sessions.
"""

from __future__ import annotations

import typing

from aluvia.hub.registry import Offer, Registry, Tunnel

__all__ = ["tunnel_document", "tunnel_documents"]

_SHARES = (0.5, 0.9, 0.99)


def tunnel_documents(registry: Registry) -> list[dict[str, typing.Any]]:
    """All tunnels that are known, by their ids."""
    return [tunnel_document(each) for _, each in sorted(registry.tunnels.items())]


def tunnel_document(tunnel: Tunnel) -> dict[str, typing.Any]:
    """One of them."""
    meter = tunnel.meter
    p50, p90, p99 = (_ms(each) for each in meter.percentiles(_SHARES))
    agents = [_agent(each) for each in tunnel.offers]
    return {
        "id": tunnel.id,
        "kind": tunnel.kind,
        "online": tunnel.online,
        "target": _target([each.up for each in tunnel.offers]),
        "since": tunnel.since,
        "last_seen": meter.last_seen,
        "agent": agents[0]["agent_id"] if agents else None,
        "agents": agents,
        "request_count": meter.request_count,
        "error_count": meter.error_count,
        "bytes_in": meter.bytes_in,
        "bytes_out": meter.bytes_out,
        "avg_latency_ms": _ms(meter.average_latency),
        "p50_latency_ms": p50,
        "p90_latency_ms": p90,
        "p99_latency_ms": p99,
        "last_status": meter.last_status,
        "streams_open": meter.streams_open,
    }


def _agent(offer: Offer) -> dict[str, typing.Any]:
    session = offer.session
    return {
        "agent_id": session.agent_id,
        "key": session.permit.name,
        "carrier": session.carrier,
        "address": session.address,
        "since": session.since,
        "last_seen": session.last_seen,
        "draining": session.draining,
        "target": _target([offer.up]),
        "why_down": offer.why_down,
    }


def _target(said: list[bool | None]) -> str:
    """``up`` if one of them is, ``down`` if all are that have said; else ``unknown``."""
    if True in said:
        return "up"
    return "down" if False in said else "unknown"


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 3)
