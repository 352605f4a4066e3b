"""What went through one tunnel: plain numbers, and the latencies of its last requests."""

from __future__ import annotations

import collections
import math
import typing

from aluvia.telemetry.metrics import Histogram

__all__ = ["LATENCIES", "Meter"]

#: Latencies of so many requests are kept, of which percentiles tell.
LATENCIES = 512


class Meter:
    """
    Counters of one tunnel, since it was first known.

    :ivar request_count: requests that are over.
    :ivar error_count: those of them that were answered with 500 or more, or not to the end.
    :ivar bytes_in: payload from visitors.
    :ivar bytes_out: payload to visitors.
    :ivar last_status: of the last one; 0 before, and where it was cut before an answer.
    :ivar last_seen: when that ended; seconds since 1970, 0 before.
    :ivar streams_open: requests, WebSockets and TCP connections of visitors that are under way.
    :ivar latencies: of all requests; seconds.
    """

    __slots__ = (
        "_last_latencies",
        "bytes_in",
        "bytes_out",
        "error_count",
        "last_seen",
        "last_status",
        "latencies",
        "request_count",
        "streams_open",
    )

    def __init__(self) -> None:
        self.request_count = 0
        self.error_count = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.last_status = 0
        self.last_seen = 0.0
        self.streams_open = 0
        self.latencies = Histogram()
        self._last_latencies: collections.deque[float] = collections.deque(maxlen=LATENCIES)

    def record(
        self, status: int, seconds: float, bytes_in: int, bytes_out: int, *, ok: bool, now: float
    ) -> None:
        """
        One request is over.

        :param seconds: from its head to the end of its answer.
        :param ok: whether its answer came to its end.
        """
        self.request_count += 1
        self.error_count += not ok or status >= 500
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out
        self.last_status = status
        self.last_seen = now
        self.latencies.observe(seconds)
        self._last_latencies.append(seconds)

    @property
    def average_latency(self) -> float:
        """Of all requests; seconds, 0 before the first."""
        return self.latencies.total / self.request_count if self.request_count else 0.0

    def percentiles(self, wanted: typing.Sequence[float]) -> list[float]:
        """
        The latencies below which these shares of the last requests were; seconds.

        :param wanted: from 0 to 1.
        """
        ordered = sorted(self._last_latencies)
        if not ordered:
            return [0.0 for _ in wanted]
        last = len(ordered) - 1
        return [ordered[min(last, max(0, math.ceil(share * len(ordered)) - 1))] for share in wanted]
