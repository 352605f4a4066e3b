"""What is measured of edges, which are reverse proxies.

All goes over kept connections on both sides, but for handshakes. Heads are a browser's, of 12
fields, where nothing else is said.
"""

from __future__ import annotations

from .cases import AT_A_TIME, BYTES, LATENCIES, MB, REQUESTS, Case, Column, Variant, Work
from .sites import HOST

_HANDSHAKES = (Column("cost", "CPU µs per handshake"), Column("rate", "handshakes/s"), *LATENCIES)
_MEMORY = (
    Column("kb_per_connection", "KB per idle connection", 1),
    Column("descriptors_per_connection", "descriptors per idle connection", 2),
    Column("connections", "connections held"),
)
_ALUVIA = ("aluvia-edge-before", "aluvia-edge")
_ONE_EACH = ("nginx", "haproxy", "caddy", "http-proxy", *_ALUVIA)
_WITH_BODIES = ("nginx", "haproxy", "haproxy-splice", "caddy", "http-proxy", *_ALUVIA)


def _work(count: int, *options: str, at_a_time: int = AT_A_TIME, bytes_each: int = 0) -> Work:
    return Work("get", count, bytes_each, ("--host", HOST, *options), at_a_time)


def _requests(
    name: str,
    title: str,
    *options: str,
    at_a_time: int = AT_A_TIME,
    peers: tuple[str, ...] = _ONE_EACH,
    variants: tuple[Variant, ...] = (Variant(),),
) -> Case:
    """Small answers, as many as in the forward proxies' cases."""
    return Case(
        name=name,
        title=title,
        full=_work(50_000, *options, at_a_time=at_a_time),
        quick=_work(5_000, *options, at_a_time=at_a_time),
        warm_up=_work(5_000, *options, at_a_time=at_a_time),
        columns=REQUESTS,
        peers=peers,
        group="edge",
        tls="--tls" in options,
        variants=variants,
    )


def _large_body(name: str, title: str, *options: str) -> Case:
    return Case(
        name=name,
        title=title,
        full=_work(4, *options, at_a_time=1, bytes_each=1_000 * MB),
        quick=_work(1, *options, at_a_time=1, bytes_each=125 * MB),
        warm_up=_work(1, *options, at_a_time=1, bytes_each=50 * MB),
        columns=BYTES,
        peers=_WITH_BODIES,
        cost_factor=1e12,
        rate_factor=1e-6,
        group="edge",
    )


_BROWSER = ("--head", "browser")

EDGE_CASES = (
    _requests(
        "edge-get",
        f"Edge: a small answer, head of 4 fields; {AT_A_TIME} kept connections",
        "--head",
        "small",
    ),
    _requests(
        "edge-get-browser",
        f"Edge: a small answer, head of 12 fields; {AT_A_TIME} kept connections",
        *_BROWSER,
        peers=(*_ONE_EACH, "aluvia-edge-logging"),
    ),
    _requests(
        "edge-get-changing",
        f"Edge: the same, and no two heads are the same; {AT_A_TIME} kept connections",
        "--head",
        "changing",
    ),
    _requests(
        "edge-get-512",
        "Edge: a small answer, head of 12 fields; 512 kept connections",
        *_BROWSER,
        at_a_time=512,
    ),
    Case(
        name="edge-1mb",
        title=f"Edge: bodies of 1 MB down; {AT_A_TIME} kept connections",
        full=_work(2_000, *_BROWSER, bytes_each=MB),
        quick=_work(200, *_BROWSER, bytes_each=MB),
        warm_up=_work(200, *_BROWSER, bytes_each=MB),
        columns=BYTES,
        peers=_WITH_BODIES,
        cost_factor=1e12,
        rate_factor=1e-6,
        group="edge",
    ),
    _large_body("edge-body", "Edge: a body of 1 GB down, four in turn"),
    _large_body("edge-upload", "Edge: a body of 1 GB up, four in turn", "--upload"),
    Case(
        name="edge-handshakes",
        title=f"Edge: full TLS 1.3 handshakes, one small answer each; {AT_A_TIME} at a time",
        full=_work(5_000, "--tls", "--once"),
        quick=_work(500, "--tls", "--once"),
        warm_up=_work(500, "--tls", "--once"),
        columns=_HANDSHAKES,
        peers=_ONE_EACH,
        group="edge",
        tls=True,
    ),
    _requests(
        "edge-tls",
        f"Edge: a small answer over TLS, head of 12 fields; {AT_A_TIME} kept connections",
        *_BROWSER,
        "--tls",
    ),
    Case(
        name="edge-idle",
        title="Edge: idle kept connections, after one request each",
        full=Work("hold", 10_000, options=("--host", HOST)),
        quick=Work("hold", 1_000, options=("--host", HOST)),
        warm_up=_work(16),  # more would leave room that the held ones then fill
        columns=_MEMORY,
        peers=_ONE_EACH,
        cost="kb_per_connection",
        kind="idle",
        holds="connection",
        group="edge",
    ),
    _requests(
        "edge-routes",
        f"Edge: one route and a thousand; {AT_A_TIME} kept connections",
        *_BROWSER,
        peers=("nginx", *_ALUVIA),
        variants=(
            Variant("1 route"),
            Variant("1000 routes, one asked", routes=1_000, options=("--hosts", "1")),
            Variant("1000 routes, all asked", routes=1_000, options=("--hosts", "1000")),
        ),
    ),
    _requests(
        "edge-backends",
        f"Edge: one backend, two and two hundred; {AT_A_TIME} kept connections",
        *_BROWSER,
        variants=(
            Variant("1 backend"),
            Variant("2 backends", backends=2),
            Variant("200 backends", backends=200),
        ),
    ),
)
