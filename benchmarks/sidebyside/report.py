"""Tables of results: on the terminal after a case, and RESULTS.md from all that were kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .bars import BARS
from .cases import Case, Group, peer_of
from .results import Result

_PREFACE = """\
# Results

Written by `python -m benchmarks.run`; see [README.rst](README.rst) for what is measured and how to
repeat it. Figures are medians over the rounds, the lowest and the highest behind them. A ratio is
aluvia's processor time to the peer's within each round, and of these the median: below 1, aluvia
costs less.
"""

GROUPS: dict[Group, str] = {"forward": "forward proxies", "edge": "edges", "tunnel": "tunnels"}


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table, its first column text and the others figures."""
    rules = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in [heads, rules, *rows]]


def plain_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The same, aligned for a terminal."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in [heads, *rows]
    ]


def _spread(values: Iterable[float], digits: int) -> str:
    ordered = sorted(values)
    low, high = f"{ordered[0]:,.{digits}f}", f"{ordered[-1]:,.{digits}f}"
    return "" if low == high else f" ({low}–{high})"


def _in_order(case: Case, result: Result) -> list[str]:
    """Who took part, the cheapest first; the variants of one peer stay together."""
    first = case.variants[0]
    names = [variant.entrant("") for variant in case.variants]

    def place(entrant: str) -> tuple[float, int]:
        peer = peer_of(entrant)
        return (
            result.median(first.entrant(peer), case.cost) or 0.0,
            names.index(entrant.removeprefix(peer)),
        )

    return sorted(result.peers(), key=place)


def _comparison(case: Case, result: Result) -> tuple[str, dict[str, float | None]] | None:
    """The head and the cells of the column with ratios, if there is anything to compare.

    What ours costs beside each peer; of variants, what each costs beside the first of its peer.
    """
    entrants = result.peers()
    if len(case.variants) > 1:
        first = case.variants[0]
        ratios = {
            entrant: result.ratio(entrant, first.entrant(peer_of(entrant)), case.cost)
            for entrant in entrants
            if entrant != first.entrant(peer_of(entrant))
        }
        return f"costs × {first.name}", ratios
    if case.ours not in entrants or len(entrants) == 1:
        return None
    ratios = {
        entrant: result.ratio(case.ours, entrant, case.cost)
        for entrant in entrants
        if entrant != case.ours
    }
    return f"{case.ours} costs ×", ratios


def rows_of(case: Case, result: Result) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a case."""
    columns = [
        column
        for column in case.columns
        if any(result.figures(p, column.figure) for p in result.peers())
    ]
    heads = ["", *(column.title for column in columns)]
    comparison = _comparison(case, result)
    if comparison:
        heads.append(comparison[0])
    rows = []
    for peer in _in_order(case, result):
        row = [peer]
        for column in columns:
            values = result.figures(peer, column.figure).values()
            middle = result.median(peer, column.figure) or 0.0
            spread = _spread(values, column.digits) if column.figure == case.cost else ""
            row.append(f"{middle:,.{column.digits}f}{spread}")
        if comparison:
            ratio = comparison[1].get(peer)
            row.append("–" if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    return heads, rows


def bar_rows(results: Mapping[str, Result], groups: Iterable[Group]) -> list[list[str]]:
    """Each bar of these groups, what was measured, and the verdict."""
    rows = []
    for bar in (bar for group in groups for bar in BARS if bar.group == group):
        value = bar.measured(results)
        of = (f" over {bar.versus}" if bar.added else f" × {bar.versus}") if bar.versus else ""
        sign = "≥" if bar.at_least else "≤"
        rows.append(
            [
                bar.text,
                f"{'beyond: ' if bar.beyond else ''}{sign} {bar.limit:g}{of}",
                "–" if value is None else f"{value:.2f}",
                bar.verdict(results),
            ]
        )
    return rows


BAR_HEADS = ["work", "bar", "measured", ""]


def _case_section(case: Case, result: Result) -> list[str]:
    """A case's lines of RESULTS.md."""
    heads, rows = rows_of(case, result)
    rounds = 1 + max((turn.round for turn in result.turns), default=-1)
    lines = [f"## {case.title}", ""]
    lines += [f"`--case {case.name}`, {result.date}, {rounds} rounds.", ""]
    lines += [*markdown_table(heads, rows), ""]
    lines += [
        f"Left out: {name}, {reason.splitlines()[0]}." for name, reason in result.left_out.items()
    ]
    return [*lines, ""] if result.left_out else lines


def results_page(cases: Sequence[Case], results: Mapping[str, Result]) -> str:
    """The text of RESULTS.md."""
    latest = max(results.values(), key=lambda result: result.date)
    versions = {
        name: version for result in results.values() for name, version in result.versions.items()
    }
    lines = [_PREFACE]
    for group, title in GROUPS.items():
        lines += [f"## The bars: {title}", ""]
        lines += [*markdown_table(BAR_HEADS, bar_rows(results, [group])), ""]
    lines += [
        "## The machine",
        "",
        *(f"* {key}: {value}" for key, value in latest.machine.items()),
        "",
    ]
    lines += ["## Versions", "", *(f"* {name}: {versions[name]}" for name in sorted(versions)), ""]
    for case in cases:
        if case.name in results:
            lines += _case_section(case, results[case.name])
    return "\n".join(lines).rstrip() + "\n"
