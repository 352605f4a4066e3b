"""What is measured of tunnels, beside ``ssh -R``, over loopback."""

from __future__ import annotations

from .cases import AT_A_TIME, BYTES, MB, REQUESTS, Case, Column, Work
from .sites import HOST

_PEERS = ("direct", "ssh -R", "aluvia-tunnel-before", "aluvia-tunnel")


def _work(count: int, *options: str, at_a_time: int = AT_A_TIME, bytes_each: int = 0) -> Work:
    return Work("get", count, bytes_each, ("--host", HOST, *options), at_a_time)


def _bulk(name: str, title: str, streams: int, *options: str) -> Case:
    each = 1_000 * MB // streams
    return Case(
        name=name,
        title=title,
        full=_work(2 * streams, *options, at_a_time=streams, bytes_each=each),
        quick=_work(streams, *options, at_a_time=streams, bytes_each=each // 8),
        warm_up=_work(streams, *options, at_a_time=streams, bytes_each=MB),
        columns=BYTES,
        peers=_PEERS,
        cost_factor=1e12,
        rate_factor=1e-6,
        group="tunnel",
    )


def _requests(name: str, title: str, at_a_time: int, count: int) -> Case:
    return Case(
        name=name,
        title=title,
        full=_work(count, "--head", "browser", at_a_time=at_a_time),
        quick=_work(count // 10, "--head", "browser", at_a_time=at_a_time),
        warm_up=_work(count // 10, "--head", "browser", at_a_time=at_a_time),
        columns=REQUESTS,
        peers=_PEERS,
        group="tunnel",
    )


TUNNEL_CASES = (
    _requests(
        "tunnel-get",
        f"Tunnel: a small answer, head of 12 fields; {AT_A_TIME} kept connections",
        AT_A_TIME,
        30_000,
    ),
    _requests("tunnel-get-1", "Tunnel: the same, one after the other", 1, 4_000),
    _bulk("tunnel-bulk", "Tunnel: one stream of 1 GB down, two in turn", 1),
    _bulk("tunnel-bulk-8", "Tunnel: eight streams of 125 MB down, twice", 8),
    _bulk("tunnel-upload", "Tunnel: one stream of 1 GB up, two in turn", 1, "--upload"),
    Case(
        name="tunnel-agents",
        title="Tunnel: idle agents, inside TLS",
        full=Work("agents", 1_000),
        quick=Work("agents", 100),
        warm_up=_work(16),
        columns=(
            Column("kb_per_agent", "KB per idle agent", 1),
            Column("descriptors_per_agent", "descriptors per idle agent", 2),
            Column("agents", "agents held"),
        ),
        peers=("aluvia-tunnel-before", "aluvia-tunnel"),
        cost="kb_per_agent",
        kind="agents",
        holds="agent",
        group="tunnel",
    ),
)
