"""
How long a server that does not answer well is left alone.

After each failure twice as long as after the one before, up to a bound, and of that a random part
(full jitter), so that clients which failed together do not come back together. What a
``Retry-After`` says is waited for at least.

Two questions may be out at once, and fail one after the other: the later failure takes nothing back
of what the earlier one brought about.
"""

from __future__ import annotations

import collections.abc
import typing

#: The longest back-off, where nobody says otherwise; seconds.
BACK_OFF_SECONDS = 60.0


class BackOff:
    """
    One server's.

    :param interval: the first wait is up to twice as long; seconds.
    :param jitter: a number from 0 to 1, a new one each time.
    :param longest: the longest wait of our own accord; seconds.
    :ivar until: when to ask again; the clock's seconds.
    :ivar asked_to_wait_until: when the server wants to be asked again, by anybody.
    """

    def __init__(
        self,
        clock: typing.Any,
        interval: float,
        jitter: collections.abc.Callable[[], float],
        longest: float = BACK_OFF_SECONDS,
    ) -> None:
        self.until = 0.0
        self.asked_to_wait_until = 0.0
        self._clock = clock
        self._interval = interval
        self._jitter = jitter
        self._longest = longest
        self._failures = 0

    def failed(self, retry_after: float | None = None) -> None:
        """Once more."""
        now = self._clock.seconds()
        self._failures += 1
        # The exponent is bounded too: 2.0 ** 1100 is no number any more.
        longest = min(self._longest, self._interval * 2.0 ** min(self._failures, 10))
        if retry_after is not None:
            self.asked_to_wait_until = max(self.asked_to_wait_until, now + retry_after)
        self.until = max(self.until, now + self._jitter() * longest, self.asked_to_wait_until)

    def over(self) -> None:
        """It answers well."""
        self._failures = 0
        self.skip()

    def skip(self) -> None:
        """Wait no longer than the server asked for, this once."""
        self.until = self.asked_to_wait_until
