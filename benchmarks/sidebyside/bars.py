"""The bars: how little aluvia must cost beside the others."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import attrs

from .cases import OURS, Group
from .results import Result


@attrs.frozen
class Bar:
    """A limit on one figure of ours, absolute or as a ratio to a peer in the same rounds.

    ``beyond`` marks what would be better still: missing it is no failure. ``at_least`` is for what
    is better the more it is; ``added`` takes the difference to the peer, and not the ratio.
    """

    text: str
    case: str
    limit: float
    versus: str | None = None
    figure: str = "cost"
    beyond: bool = False
    group: Group = "forward"
    at_least: bool = False
    added: bool = False

    def measured(self, results: Mapping[str, Result]) -> float | None:
        """The figure or the ratio; None where it was not measured."""
        result = results.get(self.case)
        if result is None:
            return None
        if self.versus is None:
            return result.median(OURS[self.group], self.figure)
        if self.added:
            return result.difference(OURS[self.group], self.versus, self.figure)
        return result.ratio(OURS[self.group], self.versus, self.figure)

    def verdict(self, results: Mapping[str, Result]) -> str:
        """``pass``, ``miss`` or ``not measured``."""
        value = self.measured(results)
        if value is None:
            return "not measured"
        good = value >= self.limit if self.at_least else value <= self.limit
        return "pass" if good else "miss"


_CONNECT = "CONNECT, CPU per tunnel"
_GATEWAY = "CONNECT through an authenticated gateway, CPU per tunnel"
_BULK = "one bulk stream, CPU per GB"
_HUNDRED = "100 bulk streams at once, CPU per GB"
_SMALL = "plain GET, 4 fields, CPU per request"
_CHANGING = "plain GET, 12 fields, always different, CPU per request"
_BROWSER = "plain GET, 12 fields, CPU per request"
_SLOWEST = "rule decision, 100 000 rules, slowest kind of host, µs"
_EDGE_BROWSER = "edge, 12 fields, CPU per request"
_EDGE_512 = "edge, 12 fields, 512 connections, CPU per request"
_EDGE_BODY = "edge, 1 GB body of known length, CPU per GB"

_TUNNEL_GET = "tunnel, 64 connections, requests/s"
_TUNNEL_BULK = "tunnel, one stream down, MB/s"
_TUNNEL_EIGHT = "tunnel, eight streams down, MB/s"

_edge = functools.partial(Bar, group="edge")
_tunnel = functools.partial(Bar, group="tunnel")
_rate = functools.partial(_tunnel, versus="ssh -R", figure="rate", at_least=True)

BARS = (
    Bar(_CONNECT, "connect", 0.85, "proxy-chain"),
    Bar(_CONNECT, "connect", 1.25, "squid"),
    Bar(_CONNECT, "connect", 1.0, "squid", beyond=True),
    Bar(_GATEWAY, "connect-gateway", 0.85, "proxy-chain"),
    Bar(_BULK, "bulk", 1.15, "relay-1m"),
    Bar(_BULK, "bulk", 1.0, "relay-1m", beyond=True),
    Bar(_BULK, "bulk", 0.5, "squid"),
    Bar(_HUNDRED, "bulk-100", 0.4, "squid"),
    Bar(_HUNDRED, "bulk-100", 1.1, "relay-1m", beyond=True),
    Bar("idle tunnel, KB", "idle", 6.0, figure="kb_per_tunnel"),
    Bar("idle tunnel, KB", "idle", 4.0, figure="kb_per_tunnel", beyond=True),
    Bar("idle tunnel, descriptors", "idle", 2.0, figure="descriptors_per_tunnel"),
    Bar(_SMALL, "get", 0.4, "proxy-chain"),
    Bar(_SMALL, "get", 0.7, "squid"),
    Bar(_SMALL, "get", 0.5, "squid", beyond=True),
    Bar(_BROWSER, "get-browser", 0.4, "proxy-chain"),
    Bar(_BROWSER, "get-browser", 0.7, "squid"),
    Bar(_BROWSER, "get-browser", 0.5, "squid", beyond=True),
    Bar(_CHANGING, "get-changing", 0.4, "proxy-chain"),
    Bar(_CHANGING, "get-changing", 0.7, "squid"),
    Bar("rule decision, 10 rules, µs", "rules", 2.0, figure="few"),
    Bar("rule decision, 100 000 rules, µs", "rules", 2.0, figure="many"),
    Bar(_SLOWEST, "rules", 2.0, figure="many_slowest", beyond=True),
    Bar("rule decision with canonicalising, plain names, µs", "rules", 4.0, figure="canonical"),
    _edge(_EDGE_BROWSER, "edge-get-browser", 0.6, "caddy"),
    _edge(_EDGE_BROWSER, "edge-get-browser", 0.6, "http-proxy"),
    _edge(_EDGE_BROWSER, "edge-get-browser", 2.2, "nginx"),
    _edge(_EDGE_BROWSER, "edge-get-browser", 1.5, "nginx", beyond=True),
    _edge(_EDGE_512, "edge-get-512", 0.6, "caddy"),
    _edge(_EDGE_512, "edge-get-512", 0.6, "http-proxy"),
    _edge(_EDGE_512, "edge-get-512", 2.2, "nginx"),
    _edge(_EDGE_BODY, "edge-body", 0.6, "nginx"),
    _edge(_EDGE_BODY, "edge-body", 1.0, "haproxy"),
    _edge(_EDGE_BODY, "edge-body", 0.5, "haproxy", beyond=True),
    _edge("edge, idle kept connection, KB", "edge-idle", 6.0, figure="kb_per_connection"),
    _rate(_TUNNEL_GET, "tunnel-get", 0.2),
    _rate(_TUNNEL_BULK, "tunnel-bulk", 0.35),
    _rate("tunnel, one stream up, MB/s", "tunnel-upload", 0.35),
    _rate(_TUNNEL_EIGHT, "tunnel-bulk-8", 0.35),
    _rate(_TUNNEL_EIGHT, "tunnel-bulk-8", 1.0, beyond=True),
    _tunnel(
        "tunnel, time added to the first byte, µs",
        "tunnel-get-1",
        1_000,
        "direct",
        figure="p50_us",
        added=True,
    ),
    _tunnel("tunnel, 64 connections, p99", "tunnel-get", 1.0, "ssh -R", figure="p99_us"),
    _tunnel("tunnel, idle agent, KB", "tunnel-agents", 60.0, figure="kb_per_agent"),
)
