"""
How many there are from each address; and a cap on that, so that one machine alone does not fill a
port that strangers can reach.

The cap is no fair share, and no defence against many machines: for that there is the cap in all
(:class:`aluvia.net.accept.Admission`). What is over it is accepted and reset at once, since a
connection that waits in the kernel's queue would stand before those of others.
"""

from __future__ import annotations

import math
import typing

from twisted.logger import Logger

from aluvia.net.addresses import client_place

__all__ = ["CoarseClock", "CountPerAddress", "PerAddress"]

_log = Logger()

#: How often it is said that connections are refused; seconds.
REFUSALS_TOLD = 60.0


class CoarseClock(typing.Protocol):
    """What we need of a sweep."""

    now: float


class CountPerAddress:
    """Counts by what is one client (:func:`~aluvia.net.addresses.client_place`)."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def __len__(self) -> int:
        """How many clients there is something of."""
        return len(self._counts)

    def of(self, address: str) -> int:
        """How much there is of this one."""
        return self._counts.get(client_place(address), 0)

    def add(self, address: str) -> None:
        """One more of this one."""
        place = client_place(address)
        self._counts[place] = self._counts.get(place, 0) + 1

    def remove(self, address: str) -> None:
        """One less of this one."""
        place = client_place(address)
        count = self._counts[place] - 1
        if count:
            self._counts[place] = count
        else:
            del self._counts[place]


class PerAddress:
    """
    Counts connections by where they come from, and says when one more is too many.

    :param clock: by which it is said once a minute, and no more, that connections are refused.
    :param most: how many may be open from one address.
    :ivar refused: how many connections were.
    """

    def __init__(self, clock: CoarseClock, most: int) -> None:
        self.refused = 0
        self._clock = clock
        self._most = most
        self._open = CountPerAddress()
        self._told = 0
        self._tell_from = -math.inf

    def refuses(self, host: str) -> bool:
        """Whether one more from there is too many; then it counts as refused."""
        if self._open.of(host) < self._most:
            return False
        self.refused += 1
        now = self._clock.now
        if now >= self._tell_from:
            self._tell_from = now + REFUSALS_TOLD
            _log.warn(
                "Refused {count} connections over the {most} that one address may have open, the"
                " last from {host}.",
                count=self.refused - self._told,
                most=self._most,
                host=host,
            )
            self._told = self.refused
        return True

    def entered(self, host: str) -> None:
        """One from there is open."""
        self._open.add(host)

    def left(self, host: str) -> None:
        """One from there has closed."""
        self._open.remove(host)
