"""What is measured of forward proxies: the table of cases, each with its work, figures and peers.

What a case is stands here too, for :mod:`sidebyside.edge_cases` as well.
"""

from __future__ import annotations

from typing import Literal

import attrs

from .processes import LOOPBACK

AT_A_TIME = 64

Group = Literal["forward", "edge", "tunnel"]

#: The peer of each group that is ours.
OURS: dict[Group, str] = {
    "forward": "aluvia",
    "edge": "aluvia-edge",
    "tunnel": "aluvia-tunnel",
}


@attrs.frozen
class Work:
    """One run of the load client (``c/load.c``): its mode and how much."""

    mode: str
    count: int
    bytes_each: int = 0
    options: tuple[str, ...] = ()
    at_a_time: int = AT_A_TIME

    @property
    def units(self) -> int:
        """What the cost is divided by: bytes where they are moved, else tunnels or requests."""
        return self.count * (self.bytes_each or 1)

    def arguments(self, proxy: int, origin: int) -> list[str]:
        """The load's arguments for a proxy and an origin on these ports."""
        words = [self.mode, "--proxy", f"{LOOPBACK}:{proxy}", "--origin", f"{LOOPBACK}:{origin}"]
        words += ["--count", str(self.count), "--concurrency", str(self.at_a_time)]
        if self.bytes_each:
            words += ["--bytes", str(self.bytes_each)]
        return [*words, *self.options]


@attrs.frozen
class Column:
    """A figure of a turn as a table shows it."""

    figure: str
    title: str
    digits: int = 0


@attrs.frozen
class Variant:
    """One of the ways that a case runs each peer: with few routes, say, and with many.

    Each takes its turns as if it were a peer of its own. ``options`` are the load's.
    """

    name: str = ""
    routes: int = 1
    backends: int = 1
    options: tuple[str, ...] = ()

    def entrant(self, peer: str) -> str:
        """The name under which a peer takes part this way."""
        return f"{peer}, {self.name}" if self.name else peer


def peer_of(entrant: str) -> str:
    """The peer that takes part under a name."""
    return entrant.partition(", ")[0]


@attrs.frozen
class Case:
    """One comparison.

    ``cost`` is the figure that is compared, per unit of work: processor seconds times
    ``cost_factor``; ``rate_factor`` makes units per second the rate that is shown. An ``idle`` case
    holds its tunnels open and counts memory and descriptors instead; ``rules`` asks nothing of a
    proxy: it times decisions in its Python (``rules.py``), as many as the work counts; ``agents``
    connects as many to a hub (``agents.py``), and counts its memory.

    Cases of the ``edge`` group are about reverse proxies; with ``tls`` they are asked over TLS.
    """

    name: str
    title: str
    full: Work
    quick: Work
    warm_up: Work
    columns: tuple[Column, ...]
    peers: tuple[str, ...]
    cost: str = "cost"
    cost_factor: float = 1e6
    rate_factor: float = 1.0
    through_parent: bool = False
    kind: Literal["load", "idle", "rules", "agents"] = "load"
    holds: str = "tunnel"
    group: Group = "forward"
    tls: bool = False
    variants: tuple[Variant, ...] = (Variant(),)

    @property
    def ours(self) -> str:
        """The peer that the others are compared with."""
        return OURS[self.group]


LATENCIES = (Column("p50_us", "p50 µs"), Column("p99_us", "p99 µs"))
BYTES = (Column("cost", "CPU ms per GB"), Column("rate", "MB/s"))
REQUESTS = (Column("cost", "CPU µs per request", 1), Column("rate", "requests/s"), *LATENCIES)
_TUNNELS = (Column("cost", "CPU ms per 1000 tunnels", 1), Column("rate", "tunnels/s"), *LATENCIES)
_MEMORY = (
    Column("kb_per_tunnel", "KB per idle tunnel", 1),
    Column("descriptors_per_tunnel", "descriptors per idle tunnel", 2),
    Column("descriptors_left", "descriptors left over after close"),
    Column("tunnels", "tunnels held"),
)
_DECISIONS = (
    Column("few", "µs, 10 rules", 2),
    Column("few_slowest", "its slowest kind of host", 2),
    Column("many", "µs, 100 000 rules", 2),
    Column("many_slowest", "its slowest kind of host", 2),
    Column("canonical", "µs with canonicalising", 2),
    Column("many_compile_ms", "ms to compile 100 000"),
)
_ALUVIA = ("aluvia-before", "aluvia-following", "aluvia")
_PRODUCTS = ("squid", "tinyproxy", "proxy-chain", "proxy.py", *_ALUVIA)
_EVERYBODY = ("relay-1m", "relay-64k", *_PRODUCTS)
MB = 1_000_000


def _connect(name: str, title: str, *, through_parent: bool) -> Case:
    return Case(
        name=name,
        title=title,
        full=Work("connect", 20_000),
        quick=Work("connect", 2_000),
        warm_up=Work("connect", 3_000),
        columns=_TUNNELS,
        peers=_PRODUCTS if through_parent else ("relay-1m", *_PRODUCTS),
        through_parent=through_parent,
    )


def _bulk(name: str, title: str, streams: int, full_mb: int, *options: str) -> Case:
    return Case(
        name=name,
        title=title,
        full=Work("bulk", streams, full_mb * MB, options),
        quick=Work("bulk", streams, full_mb * MB // 8, options),
        warm_up=Work("bulk", streams, full_mb * MB // 20, options),
        columns=BYTES,
        peers=_EVERYBODY,
        cost_factor=1e12,
        rate_factor=1e-6,
    )


def _get(name: str, title: str, head: str) -> Case:
    options = ("--head", head)
    return Case(
        name=name,
        title=title,
        full=Work("get", 50_000, options=options),
        quick=Work("get", 5_000, options=options),
        warm_up=Work("get", 5_000, options=options),
        columns=REQUESTS,
        peers=_PRODUCTS,
    )


CASES = (
    _connect(
        "connect",
        f"CONNECT, one small GET, close; {AT_A_TIME} at a time",
        through_parent=False,
    ),
    _connect(
        "connect-gateway",
        f"The same through an authenticated parent proxy; {AT_A_TIME} at a time",
        through_parent=True,
    ),
    _bulk("bulk", "One stream down through a tunnel", 1, 4_000),
    _bulk("bulk-upload", "One stream up through a tunnel", 1, 4_000, "--upload"),
    _bulk("bulk-100", "A hundred streams down at once", 100, 80),
    Case(
        name="idle",
        title="Idle tunnels: what each holds",
        full=Work("hold", 4_000),
        quick=Work("hold", 500),
        warm_up=Work("connect", 16),  # more would leave room that the held ones then fill
        columns=_MEMORY,
        peers=("relay-1m", *_PRODUCTS),
        cost="kb_per_tunnel",
        kind="idle",
    ),
    _get("get", f"Plain http GET, head of 4 fields; {AT_A_TIME} kept connections", "small"),
    _get(
        "get-browser", f"Plain http GET, head of 12 fields; {AT_A_TIME} kept connections", "browser"
    ),
    _get(
        "get-changing",
        f"The same, and no two heads are the same; {AT_A_TIME} kept connections",
        "changing",
    ),
    Case(
        name="rules",
        title="A rule decision",
        full=Work("rules", 200_000),
        quick=Work("rules", 20_000),
        warm_up=Work("rules", 0),
        columns=_DECISIONS,
        peers=("aluvia-before", "aluvia"),
        cost="many",
        kind="rules",
    ),
)
