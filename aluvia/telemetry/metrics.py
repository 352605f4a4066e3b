"""
Measures that cost next to nothing to keep.

A count is a plain integer on an object with slots, kept by whoever does the counting; there is no
class for it here. Only a distribution needs more than an integer: :class:`Histogram`. Nothing in
this module knows names, labels or text formats; :mod:`aluvia.telemetry.exposition` gives them
when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left

#: Upper bounds, in seconds, for how long a connection or an answer takes to come: from what a
#: loopback takes to more than any deadline that we have by default.
LATENCY_BOUNDS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)


class Histogram:
    """
    How often a value fell between fixed bounds.

    :param bounds: upper bounds, rising; a value equal to a bound belongs below it, as in the
        Prometheus data model (``le``). Whatever is above the last goes to one more bucket.
    :ivar counts: values per bucket, one longer than ``bounds``; not cumulative, so that
        :meth:`observe` touches a single place.
    :ivar total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS) -> None:
        if not bounds or list(bounds) != sorted(set(bounds)):
            raise ValueError("the bounds of a histogram rise")
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """
        Each bound with the count of values up to it; the last bound is infinity.
        """
        rows = []
        below = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            below += count
            rows.append((bound, below))
        return rows
