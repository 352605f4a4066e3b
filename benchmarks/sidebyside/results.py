"""What a case came to: kept as one JSON file per case, and its medians and ratios."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import attrs

from .measure import Turn


@attrs.frozen
class Result:
    """One run of one case: when, on what, which versions, every turn."""

    case: str
    date: str
    quick: bool
    machine: dict[str, str]
    versions: dict[str, str]
    left_out: dict[str, str]
    turns: list[Turn]

    def peers(self) -> list[str]:
        """Who has turns, in the order of the first round."""
        return list(dict.fromkeys(turn.peer for turn in self.turns))

    def figures(self, peer: str, figure: str) -> dict[int, float]:
        """One figure of one peer, by round."""
        return {
            turn.round: turn.figures[figure]
            for turn in self.turns
            if turn.peer == peer and figure in turn.figures
        }

    def median(self, peer: str, figure: str) -> float | None:
        """Over the rounds; None without any."""
        values = self.figures(peer, figure).values()
        return median(values) if values else None

    def ratio(self, peer: str, other: str, figure: str) -> float | None:
        """The median over the rounds of ``peer`` to ``other`` within each."""
        left, right = self.figures(peer, figure), self.figures(other, figure)
        pairs = [left[number] / right[number] for number in left if right.get(number)]
        return median(pairs) if pairs else None

    def difference(self, peer: str, other: str, figure: str) -> float | None:
        """The median over the rounds of ``peer`` less ``other`` within each."""
        left, right = self.figures(peer, figure), self.figures(other, figure)
        pairs = [left[number] - right[number] for number in left if number in right]
        return median(pairs) if pairs else None

    def write(self, folder: Path) -> Path:
        """Keep it as ``CASE.json``; an earlier one of the case is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.case}.json"
        path.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n")
        return path


def read(path: Path) -> Result:
    """What :meth:`Result.write` kept."""
    fields = json.loads(path.read_text())
    return Result(**fields | {"turns": [Turn(**turn) for turn in fields["turns"]]})


def read_all(folder: Path, cases: Iterable[str]) -> dict[str, Result]:
    """The results of a folder by case, in the order of ``cases``."""
    paths = {case: folder / f"{case}.json" for case in cases}
    return {case: read(path) for case, path in paths.items() if path.exists()}
