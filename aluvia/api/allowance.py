"""
How often somebody may: a bucket of tokens for each of them.

It is full at first, each time takes one token out, and they come back one by one. All that is kept
of a bucket is when it will be full again, and nothing of one that is full.
"""

from __future__ import annotations

import collections
import typing

from twisted.internet.interfaces import IReactorTime

__all__ = ["Allowance"]

#: Buckets that are kept, at most. One more makes those be forgotten that were left alone longest.
MOST_BUCKETS = 10_000

#: Of a token: sums of times are not exact.
_NEARLY = 1e-6


class Allowance:
    """
    Buckets, by what they are for.

    :param burst: tokens in a full one.
    :param seconds: until one token has come back.
    """

    def __init__(
        self, clock: IReactorTime, *, burst: int, seconds: float, most: int = MOST_BUCKETS
    ) -> None:
        self._clock = clock
        self._burst = burst
        self._seconds = seconds
        self._most = most
        # The one that was used last is the last.
        self._full_at: collections.OrderedDict[typing.Hashable, float] = collections.OrderedDict()

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full_at)

    def take(self, key: typing.Hashable) -> float:
        """
        Take a token.

        :return: 0.0 if there was one; otherwise how long until there is, in seconds.
        """
        now = self._clock.seconds()
        self._forget(now)
        # Empty at most, should the clock have been put back.
        missing = min(max(0.0, self._full_at.get(key, now) - now) / self._seconds, self._burst)
        wait = (missing + 1 - self._burst) * self._seconds
        refused = wait > _NEARLY * self._seconds
        self._full_at[key] = now + (missing if refused else missing + 1) * self._seconds
        self._full_at.move_to_end(key)
        if refused:
            return wait
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0

    def _forget(self, now: float) -> None:
        """Forget what is full again, from the one that was left alone longest."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
