"""How many bytes a tunnel may move in a day; a day is one of UTC, for all of them."""

from __future__ import annotations

import math
import typing

__all__ = ["MOST_TUNNELS", "DailyBytes"]

DAY_SECONDS = 86_400

#: Whose bytes are counted at once. Over it: the one that moved its first the longest ago begins
#: anew.
MOST_TUNNELS = 65_536


class DailyBytes:
    """
    Counts bytes.

    :param most: in a day, for each tunnel.
    :param now: gives the time; seconds since 1970.
    """

    def __init__(self, most: int, now: typing.Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._day = 0
        self._moved: dict[str, int] = {}

    def take(self, id: str, count: int) -> bool:
        """So many were moved; whether there may be more."""
        moved = self._today()
        if id not in moved and len(moved) >= MOST_TUNNELS:
            del moved[next(iter(moved))]
        total = moved[id] = moved.get(id, 0) + count
        return total < self._most

    def wait(self, id: str) -> int:
        """How long nothing more may be moved: until midnight; seconds. 0 if something may be."""
        if self._today().get(id, 0) < self._most:
            return 0
        return math.ceil((self._day + 1) * DAY_SECONDS - self._now())

    def _today(self) -> dict[str, int]:
        day = int(self._now() // DAY_SECONDS)
        if day != self._day:
            self._day = day
            self._moved.clear()
        return self._moved
