"""How numbers and tables are written for people, in plain text and on a page."""

from __future__ import annotations

import typing


def duration(seconds: float) -> str:
    """A time in its two largest units: ``3 d 4 h``, ``5 min 6 s``, ``7.1 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"


def size(number: float) -> str:
    """Bytes in a unit that keeps them short."""
    if number < 1000:
        return f"{int(number)} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"


def table(head: str, rows: typing.Iterable[typing.Sequence[str]]) -> str:
    """
    A table in plain text, with a line end behind each row.

    :param head: the names of the columns; those that begin with ``#`` hold numbers, which stand
        one under the other.
    :param rows: as many cells as there are columns, without line ends.
    """
    names = head.split()
    cells = [[name.removeprefix("#") for name in names], *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if name.startswith("#") else cell.ljust(width)
            for cell, width, name in zip(row, widths, names, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join(lines) + "\n"
