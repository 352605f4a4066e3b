"""
How many requests may be sent again: a fifth of those that come, and ten a second besides.

When every backend fails, retries would multiply what hits them by as many tries as each request
has. With a budget they add a fifth. What is not used is kept for a while, so that a restart of one
backend is survived by all that it had.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

__all__ = ["RetryBudget"]

#: Of a retry, for each request that comes.
SHARE = 0.2

#: Retries, for each second that passes.
PER_SECOND = 10.0

#: What is kept at most, in seconds' worth of :data:`PER_SECOND`.
KEPT_SECONDS = 10.0


class RetryBudget:
    """One for all routes: it is the machine's, and the network's."""

    __slots__ = ("_at", "_clock", "_left", "most")

    def __init__(self, clock: IReactorTime) -> None:
        self.most = PER_SECOND * KEPT_SECONDS
        self._clock = clock
        self._left = self.most
        self._at = clock.seconds()

    def came(self) -> None:
        """A request has come."""
        if self._left < self.most:
            self._left += SHARE

    def take(self) -> bool:
        """Whether one may be sent again now."""
        now = self._clock.seconds()
        self._left = min(self.most, self._left + max(0.0, now - self._at) * PER_SECOND)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
