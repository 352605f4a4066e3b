"""
Numbers of the last ten seconds, the last minute and the last five.

:class:`Window`
    The rows (:mod:`aluvia.edge.tally`) of one period, in :data:`PARTS` parts. It begins with its
    oldest part and ends now, so that it covers between nine tenths of its period and the whole.
:class:`History`
    Three windows, and the sum of all since the start. One with nothing in its windows has none.

Rejected: a part for each second (thirty times the memory); sums that grow for ever, with copies of
them to subtract (they need 64 bits, and so twice the memory).
"""

from __future__ import annotations

import operator
import typing
from array import array

from aluvia.edge.tally import NOTHING, read_row

__all__ = ["PERIODS", "History", "Window", "covered", "total_of"]

#: How many parts a window has.
PARTS = 10

#: The windows by name, and the length of each one's parts; seconds.
PERIODS = {"10s": 1, "1m": 6, "5m": 30}

#: In how many seconds everything leaves the windows.
LONGEST = PARTS * max(PERIODS.values())


class Window:
    """
    The rows of one period. Seconds are whole, those that the owner has run.

    :param part: the length of each of its parts; seconds.
    """

    __slots__ = ("_now", "_rows", "part")

    def __init__(self, part: int) -> None:
        self.part = part
        # A ring: part number n is at n % PARTS, and self._now is the one that is being filled.
        self._rows = [0] * PARTS
        self._now = 0

    def add(self, second: int, row: int) -> None:
        """Add what there was in this second, which is not before the last one."""
        self._roll(second)
        self._rows[self._now % PARTS] += row

    def sum(self, second: int) -> int:
        """All that there was in the period that ends with this second, as a row."""
        self._roll(second)
        return sum(self._rows)

    def take(self, other: Window, second: int) -> None:
        """Add all that is in another of the same period."""
        self._roll(second)
        other._roll(second)
        self._rows = list(map(operator.add, self._rows, other._rows))

    def _roll(self, second: int) -> None:
        now = second // self.part
        for part in range(max(self._now, now - PARTS) + 1, now + 1):
            self._rows[part % PARTS] = 0
        self._now = now


def covered(part: int, second: int, elapsed: float) -> float:
    """
    How long it is that a window tells of; seconds, and never less than one.

    :param part: the length of its parts; seconds.
    :param second: up to which it was asked.
    :param elapsed: how long the owner has run, exactly.
    """
    oldest = (second // part - PARTS + 1) * part
    return max(1.0, elapsed - max(0, oldest))


class History:
    """
    Three windows, and the sum since the start.

    :ivar heir: what has taken this one over, and is to be added to in its place.
    """

    __slots__ = ("_last", "_recent", "_totals", "_windows", "heir")

    def __init__(self) -> None:
        self.heir: History | None = None
        self._windows: tuple[Window, ...] = ()
        self._last = 0
        # The sum needs more than 32 bits; it is made of what came since it was last made.
        self._recent = 0
        self._totals: typing.Sequence[int] = NOTHING

    @property
    def cold(self) -> bool:
        """Whether nothing is in the windows."""
        return not self._windows

    def add(self, second: int, row: int) -> None:
        """Add what there was in this second."""
        self._last = second
        self._recent += row
        for window in self._windows or self._warm():
            window.add(second, row)

    def sum(self, name: str, second: int) -> int:
        """What is in the window of this name, as a row."""
        for window in self._windows:
            if window.part == PERIODS[name]:
                return window.sum(second)
        return 0

    def totals(self) -> typing.Sequence[int]:
        """The numbers since the start."""
        recent, self._recent = self._recent, 0
        if recent:
            self._totals = _added(self._totals, read_row(recent))
        return self._totals

    def settle(self, second: int) -> None:
        """Bring the sum up to date, and let go of windows with nothing in them."""
        self.totals()
        if second - self._last > LONGEST:
            self._windows = ()

    def pass_to(self, heir: History, second: int) -> None:
        """Add all of it to another, from now on too."""
        totals = _added(self.totals(), heir.totals())
        if self._windows:
            into = heir._windows or heir._warm()
            for window, other in zip(into, self._windows, strict=True):
                window.take(other, second)
        heir._totals = totals
        heir._last = max(heir._last, self._last)
        self.heir, self._windows, self._totals = heir, (), NOTHING

    def _warm(self) -> tuple[Window, ...]:
        self._windows = tuple(Window(part) for part in PERIODS.values())
        return self._windows


def total_of(histories: typing.Iterable[History]) -> typing.Sequence[int]:
    """The numbers of all of these since the start, added up."""
    totals: typing.Sequence[int] = NOTHING
    for history in histories:
        some = history.totals()
        if some is not NOTHING:
            totals = some if totals is NOTHING else _added(totals, some)
    return totals


def _added(one: typing.Sequence[int], other: typing.Sequence[int]) -> typing.Sequence[int]:
    # Of 64 bits each: half of what it takes as a tuple.
    return array("Q", map(operator.add, one, other))
