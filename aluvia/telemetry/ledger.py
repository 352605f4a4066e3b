"""
What each host has cost: requests and bytes, by host, way and rule.

Every finished request is one look-up in one table. Hosts are what the other side chooses, so the
table has bounds: the first :data:`HOSTS` that come have rows of their own, and each of them
:data:`ROWS_PER_HOST` (a host has a new one when the rules begin to send it another way, or by
another rule). Whatever has no room is summed in :attr:`Ledger.other`, so that the totals are right
whatever comes. The first and not the busiest are kept because a row that could lose its place would
have to be compared with the others at each request, and would take its history with it.
"""

from __future__ import annotations

import typing

#: Hosts that have rows of their own.
HOSTS = 10_000

#: Rows of one host.
ROWS_PER_HOST = 8

#: A host, its way, and the rule that settled it, None if no rule matched.
Place: typing.TypeAlias = tuple[str, str, str | None]


class Sums:
    """
    What was added up.

    :ivar bytes_up: payload from clients.
    :ivar bytes_down: payload to clients.
    """

    __slots__ = ("bytes_down", "bytes_up", "requests")

    def __init__(self, requests: int = 0, bytes_up: int = 0, bytes_down: int = 0) -> None:
        self.requests = requests
        self.bytes_up = bytes_up
        self.bytes_down = bytes_down

    @property
    def bytes_moved(self) -> int:
        """In both directions."""
        return self.bytes_up + self.bytes_down

    def add(self, other: Sums) -> None:
        """Add what others added up."""
        self.requests += other.requests
        self.bytes_up += other.bytes_up
        self.bytes_down += other.bytes_down

    def subtract(self, other: Sums) -> None:
        """Take it away again."""
        self.requests -= other.requests
        self.bytes_up -= other.bytes_up
        self.bytes_down -= other.bytes_down


class Ledger:
    """
    The rows of one client since it started.

    :ivar rows: what had room.
    :ivar other: the sum of the rest.
    """

    __slots__ = ("_rows_of", "other", "rows")

    def __init__(self) -> None:
        self.rows: dict[Place, Sums] = {}
        self.other = Sums()
        self._rows_of: dict[str, int] = {}

    def count(self, host: str, way: str, rule: str | None, up: int, down: int) -> None:
        """
        Add one request.

        :param host: canonical; no longer than a name can be, so that a row's size is bounded too.
        """
        sums = self.rows.get((host, way, rule))
        if sums is None:
            sums = self._make_room(host, way, rule)
        sums.requests += 1
        sums.bytes_up += up
        sums.bytes_down += down

    def _make_room(self, host: str, way: str, rule: str | None) -> Sums:
        rows = self._rows_of.get(host, 0)
        if rows == ROWS_PER_HOST or (not rows and len(self._rows_of) >= HOSTS):
            return self.other
        self._rows_of[host] = rows + 1
        sums = self.rows[host, way, rule] = Sums()
        return sums

    @property
    def hosts(self) -> int:
        """How many hosts have rows."""
        return len(self._rows_of)

    def copy(self) -> Ledger:
        """The same in another, to which something can be added that is not to stay."""
        copied = Ledger()
        copied.rows = {
            place: Sums(sums.requests, sums.bytes_up, sums.bytes_down)
            for place, sums in self.rows.items()
        }
        copied.other.add(self.other)
        copied._rows_of = self._rows_of.copy()
        return copied

    def total(self) -> Sums:
        """All of it."""
        total = Sums()
        total.add(self.other)
        for sums in self.rows.values():
            total.add(sums)
        return total
