"""
A cap per peer address: one machine alone does not fill a port that strangers can reach.

It is no fair share, and no defence against many machines: for that there is the cap in all
(:class:`aluvia.net.accept.Admission`). What is over it is accepted and reset at once, since a
connection that waits in the kernel's queue would stand before those of others.
"""

from __future__ import annotations

import math
import socket
import typing

from twisted.logger import Logger

__all__ = ["CoarseClock", "PerAddress"]

_log = Logger()

#: How often it is said that connections are refused; seconds.
REFUSALS_TOLD = 60.0

_MAPPED = bytes(10) + b"\xff\xff"


class CoarseClock(typing.Protocol):
    """What we need of a sweep."""

    now: float


class PerAddress:
    """
    Counts connections by where they come from, and says when one more is too many.

    Of IPv6 the first 64 bits count: a machine has all the addresses behind them.

    :param clock: by which it is said once a minute, and no more, that connections are refused.
    :param most: how many may be open from one address.
    :ivar refused: how many connections were.
    """

    def __init__(self, clock: CoarseClock, most: int) -> None:
        self.refused = 0
        self._clock = clock
        self._most = most
        self._open: dict[str | bytes, int] = {}
        self._told = 0
        self._tell_from = -math.inf

    def refuses(self, host: str) -> bool:
        """Whether one more from there is too many; then it counts as refused."""
        if self._open.get(_place(host), 0) < self._most:
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
        place = _place(host)
        self._open[place] = self._open.get(place, 0) + 1

    def left(self, host: str) -> None:
        """One from there has closed."""
        place = _place(host)
        count = self._open[place] - 1
        if count:
            self._open[place] = count
        else:
            del self._open[place]


def _place(host: str) -> str | bytes:
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    # IPv4 at a port of both families.
    return socket.inet_ntoa(packed[12:]) if packed.startswith(_MAPPED) else packed[:8]
