"""Tables of results: on the terminal after a case, and RESULTS.md from all that were kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .bars import BARS, OURS
from .cases import Case
from .results import Result

_PREFACE = """\
# Results

Written by `python -m benchmarks.run`; see [README.rst](README.rst) for what is measured and how to
repeat it. Figures are medians over the rounds, the lowest and the highest behind them. A ratio is
aluvia's processor time to the peer's within each round, and of these the median: below 1, aluvia
costs less.
"""


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


def rows_of(case: Case, result: Result) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a case, the cheapest first."""
    columns = [
        column
        for column in case.columns
        if any(result.figures(p, column.figure) for p in result.peers())
    ]
    heads = ["", *(column.title for column in columns)]
    compared = OURS in result.peers() and len(result.peers()) > 1
    if compared:
        heads.append("aluvia costs ×")
    rows = []
    for peer in sorted(result.peers(), key=lambda peer: result.median(peer, case.cost) or 0.0):
        row = [peer]
        for column in columns:
            values = result.figures(peer, column.figure).values()
            middle = result.median(peer, column.figure) or 0.0
            spread = _spread(values, column.digits) if column.figure == case.cost else ""
            row.append(f"{middle:,.{column.digits}f}{spread}")
        if compared:
            ratio = result.ratio(OURS, peer, case.cost)
            row.append("–" if peer == OURS or ratio is None else f"{ratio:.2f}")
        rows.append(row)
    return heads, rows


def bar_rows(results: Mapping[str, Result]) -> list[list[str]]:
    """Each bar, what was measured, and the verdict."""
    rows = []
    for bar in BARS:
        value = bar.measured(results)
        of = f" × {bar.versus}" if bar.versus else ""
        rows.append(
            [
                bar.text,
                f"{'beyond: ' if bar.beyond else ''}≤ {bar.limit:g}{of}",
                "–" if value is None else f"{value:.2f}",
                bar.verdict(results),
            ]
        )
    return rows


BAR_HEADS = ["work", "bar", "measured", ""]


def results_page(cases: Sequence[Case], results: Mapping[str, Result]) -> str:
    """The text of RESULTS.md."""
    latest = max(results.values(), key=lambda result: result.date)
    versions = {
        name: version for result in results.values() for name, version in result.versions.items()
    }
    lines = [_PREFACE, "## The bars", "", *markdown_table(BAR_HEADS, bar_rows(results)), ""]
    lines += [
        "## The machine",
        "",
        *(f"* {key}: {value}" for key, value in latest.machine.items()),
        "",
    ]
    lines += ["## Versions", "", *(f"* {name}: {versions[name]}" for name in sorted(versions)), ""]
    for case in cases:
        result = results.get(case.name)
        if result is None:
            continue
        heads, rows = rows_of(case, result)
        rounds = 1 + max((turn.round for turn in result.turns), default=-1)
        lines += [f"## {case.title}", ""]
        lines += [f"`--case {case.name}`, {result.date}, {rounds} rounds.", ""]
        lines += [*markdown_table(heads, rows), ""]
        lines += [
            f"Left out: {name}, {reason.splitlines()[0]}."
            for name, reason in result.left_out.items()
        ]
        lines += [""] if result.left_out else []
    return "\n".join(lines).rstrip() + "\n"
