"""Measure aluvia beside other proxies, forward and reverse: ``python -m benchmarks.run --help``.

Everything listens on and connects to 127.0.0.1; every run is bounded in count and in time; what is
ended was started here. See README.rst.
"""

from __future__ import annotations

import argparse
import datetime
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .sidebyside.cases import CASES as FORWARD_CASES
from .sidebyside.cases import Case, peer_of
from .sidebyside.edge_cases import EDGE_CASES
from .sidebyside.edges import all_edges
from .sidebyside.machine import describe, raise_descriptor_limit
from .sidebyside.measure import run_case
from .sidebyside.peers import BUILD, HERE, Peer, all_peers
from .sidebyside.report import BAR_HEADS, GROUPS, bar_rows, plain_table, results_page, rows_of
from .sidebyside.results import Result, read_all
from .sidebyside.tunnel_cases import TUNNEL_CASES
from .sidebyside.tunnels import all_tunnels

RESULTS = HERE / "results"
DESCRIPTORS_NEEDED = 12_000
CASES = (*FORWARD_CASES, *EDGE_CASES, *TUNNEL_CASES)


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure aluvia beside other proxies."
    )
    parser.add_argument("--case", action="append", choices=names, help="default: all; repeatable")
    parser.add_argument(
        "--group",
        choices=GROUPS,
        help="whose cases; default: all",
    )
    parser.add_argument("--peers", default="", help="names, with commas between; default: all")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of each case (default 5)")
    parser.add_argument("--quick", action="store_true", help="little work, to try the harness")
    parser.add_argument(
        "--twistd",
        type=Path,
        default=Path(sys.executable).with_name("twistd"),
        help="aluvia's twistd (default: beside this Python)",
    )
    parser.add_argument(
        "--before", type=Path, help="the twistd of an earlier aluvia, also measured"
    )
    parser.add_argument(
        "--output", type=Path, help="folder of the JSON (default benchmarks/results)"
    )
    parser.add_argument("--report", action="store_true", help="only write RESULTS.md again")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.repeat <= 50:
        parser.error("--repeat: between 1 and 50")
    chosen.output = chosen.output or (RESULTS / "quick" if chosen.quick else RESULTS)
    return chosen


def peers_of(case: Case, available: Sequence[Peer], wanted: str) -> list[Peer]:
    """Who takes part in a case."""
    names = wanted.split(",") if wanted else case.peers
    return [peer for peer in available if peer.name in names and peer.name in case.peers]


def measure(
    case: Case, peers: Sequence[Peer], machine: dict[str, str], chosen: argparse.Namespace
) -> Result:
    """Run one case and keep what came out."""
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="aluvia-benchmarks-") as folder:
        measured = run_case(case, peers, chosen.repeat, Path(folder), quick=chosen.quick, say=print)
    took_part = {peer_of(turn.peer) for turn in measured.turns}
    versions = {peer.name: peer.version() for peer in peers if peer.name in took_part}
    result = Result(
        case.name, date, chosen.quick, machine, versions, measured.left_out, measured.turns
    )
    result.write(chosen.output)
    return result


def main(arguments: Sequence[str]) -> int:
    """Run the chosen cases; status 0 unless something could not be run at all."""
    chosen = options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    missing = [name for name in ("origin", "load", "relay") if not (BUILD / name).exists()]
    if missing:
        print(f"not built: {', '.join(missing)}; run make in {HERE}", file=sys.stderr)
        return 69
    if raise_descriptor_limit() < DESCRIPTORS_NEEDED:
        print(f"fewer than {DESCRIPTORS_NEEDED} descriptors: raise ulimit -n", file=sys.stderr)
        return 69
    available: list[Peer] = [
        *all_peers(chosen.twistd, chosen.before),
        *all_edges(chosen.twistd, chosen.before),
        *all_tunnels(chosen.twistd, chosen.before),
    ]
    unknown = set(filter(None, chosen.peers.split(","))) - {peer.name for peer in available}
    if unknown:
        print(f"no such peers: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 64
    machine = describe()
    groups = [chosen.group] if chosen.group else list(GROUPS)
    for case in [] if chosen.report else CASES:
        if case.group not in groups or (chosen.case and case.name not in chosen.case):
            continue
        peers = peers_of(case, available, chosen.peers)
        if not peers:  # a result without any would take the place of the last one
            continue
        print(f"\n{case.name}: {case.title}")
        result = measure(case, peers, machine, chosen)
        print("", *plain_table(*rows_of(case, result)), sep="\n")
    results = read_all(chosen.output, [case.name for case in CASES])
    print("", *plain_table(BAR_HEADS, bar_rows(results, groups)), sep="\n")
    if results and chosen.output == RESULTS:
        (HERE / "RESULTS.md").write_text(results_page(CASES, results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
