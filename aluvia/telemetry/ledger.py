"""
What each host has cost: requests and bytes, by host, way and rule.

Every finished request is one look-up in one table. Hosts are what the other side chooses, so the
table has bounds: the first :data:`HOSTS` that come have rows of their own, and each of them
:data:`ROWS_PER_HOST` (a host has a new one when the rules begin to send it another way, or by
another rule). Whatever has no room is summed in :attr:`Ledger.other`, so that the totals are right
whatever comes. The first and not the busiest are kept because a row that could lose its place would
have to be compared with the others at each request, and would take its history with it.

Whoever looks at the table does so in the thread that also serves, and a full one is long. So it is
never copied: the total is kept up to date, and what is added only for a look lies in an
:class:`Overlay`.
"""

from __future__ import annotations

import heapq
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

    def copy(self) -> Sums:
        """The same in another."""
        return Sums(self.requests, self.bytes_up, self.bytes_down)

    def subtract(self, other: Sums) -> None:
        """Take away what is a part of it."""
        self.requests -= other.requests
        self.bytes_up -= other.bytes_up
        self.bytes_down -= other.bytes_down


class Ledger:
    """
    The rows of one client since it started.

    :ivar rows: what had room.
    :ivar row_count: how many these are.
    :ivar hosts: how many hosts have rows.
    :ivar other: the sum of the rest.
    :ivar total: of all of it.
    """

    __slots__ = ("_rows_of", "hosts", "other", "row_count", "rows", "total")

    def __init__(self) -> None:
        self.rows: dict[Place, Sums] = {}
        self.row_count = 0
        self.hosts = 0
        self.other = Sums()
        self.total = Sums()
        self._rows_of: dict[str, int] = {}

    def count(self, host: str, way: str, rule: str | None, up: int, down: int) -> None:
        """
        Add one request.

        :param host: canonical; no longer than a name can be, so that a row's size is bounded too.
        """
        sums = self.rows.get((host, way, rule))
        if sums is None:
            sums = self._make_room((host, way, rule))
        sums.requests += 1
        sums.bytes_up += up
        sums.bytes_down += down
        total = self.total
        total.requests += 1
        total.bytes_up += up
        total.bytes_down += down

    def dearest(self, number: int) -> list[tuple[Place, Sums]]:
        """
        The rows with the most bytes, and of those that have the same the ones with the most
        requests.

        :param number: how many, at most.
        """
        return heapq.nlargest(number, self.rows.items(), key=_cost)

    def _make_room(self, place: Place) -> Sums:
        host = place[0]
        rows = self._rows_of.get(host, 0)
        if rows == ROWS_PER_HOST or (not rows and self.hosts >= HOSTS):
            return self.other
        if not rows:
            self.hosts += 1
        self.row_count += 1
        self._rows_of[host] = rows + 1
        sums = self.rows[place] = Sums()
        return sums


class Overlay(Ledger):
    """
    A ledger, and on top of it what is not to stay; which finds the room there that the ledger has.

    It is true as long as the ledger does not change.

    :ivar rows: only those that were added to.
    """

    __slots__ = ("_below",)

    def __init__(self, below: Ledger) -> None:
        super().__init__()
        self.row_count = below.row_count
        self.hosts = below.hosts
        self.other = below.other.copy()
        self.total = below.total.copy()
        self._below = below

    def dearest(self, number: int) -> list[tuple[Place, Sums]]:
        """As in a ledger."""
        # Adding makes no row cheaper: one that did not change and is among the first here is so
        # below too.
        under = [row for row in self._below.dearest(number) if row[0] not in self.rows]
        return heapq.nlargest(number, [*self.rows.items(), *under], key=_cost)

    def _make_room(self, place: Place) -> Sums:
        below = self._below
        under = below.rows.get(place)
        if under is not None:
            sums = self.rows[place] = under.copy()
            return sums
        self._rows_of.setdefault(place[0], below._rows_of.get(place[0], 0))
        return super()._make_room(place)


def _cost(row: tuple[Place, Sums]) -> tuple[int, int]:
    sums = row[1]
    return sums.bytes_up + sums.bytes_down, sums.requests
