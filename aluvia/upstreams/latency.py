"""
How long a member takes, as far as is known: a peak-EWMA.

A moving average that is weighted by time: what was measured ``DECAY_SECONDS`` ago counts for 1/e,
however much was measured since. Up it goes at once (that is the "peak"), and down again slowly, so
that one slow answer is a warning and one quick answer no proof.

Failures stand beside it: the last one costs as much as a timeout, and fades like the average. It is
not within, because the average is shown to operators: milliseconds that were measured, and not a
minute that nobody has waited.
"""

from __future__ import annotations

import math

__all__ = ["DECAY_SECONDS", "FORGOTTEN_SECONDS", "Latency"]

#: In which what is known fades to 1/e of what it was.
DECAY_SECONDS = 10.0
#: What is older than this is not known any more. By then a minute has faded to half a millisecond.
FORGOTTEN_SECONDS = 120.0


class Latency:
    """
    What is known of one member.

    All times are of one clock, in seconds. One that goes back does no harm: nothing fades then.

    :ivar seconds: the average at the last answer; None before the first.
    """

    __slots__ = ("_answered_at", "_failed_at", "_penalty", "seconds")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know nothing."""
        self.seconds: float | None = None
        self._answered_at = -math.inf
        self._penalty = 0.0
        self._failed_at = -math.inf

    def answered(self, seconds: float, now: float) -> None:
        """It took so long to the first byte of an answer."""
        average = self.seconds
        if average is None or seconds >= average:
            self.seconds = seconds
        else:
            self.seconds = seconds + (average - seconds) * _left(now - self._answered_at)
        self._answered_at = now

    def failed(self, seconds: float, now: float) -> None:
        """
        It failed, or its answer is as good as none.

        :param seconds: what that counts for: a timeout, however quick it was.
        """
        self._penalty = seconds
        self._failed_at = now

    def cost(self, now: float) -> float | None:
        """What a request there is expected to take; None if nothing is known."""
        since_answer = now - self._answered_at
        since_failure = now - self._failed_at
        if since_answer > FORGOTTEN_SECONDS and since_failure > FORGOTTEN_SECONDS:
            return None
        cost = 0.0
        if self.seconds is not None:
            cost = self.seconds * _left(since_answer)
        if self._penalty:
            cost += self._penalty * _left(since_failure)
        return cost


def _left(passed: float) -> float:
    return math.exp(-passed / DECAY_SECONDS) if passed > 0 else 1.0
