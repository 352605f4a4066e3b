"""Tests for :mod:`aluvia.hub.meter`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.hub.meter import LATENCIES, Meter


class MeterTests(SynchronousTestCase):
    """Requests that are over."""

    def setUp(self) -> None:
        """None yet."""
        self.meter = Meter()

    def record(self, status: int = 200, seconds: float = 0.0, *, ok: bool = True) -> None:
        """One is."""
        self.meter.record(status, seconds, 10, 20, ok=ok, now=5.0)

    def test_nothing(self) -> None:
        """Before the first all is 0."""
        meter = self.meter
        self.assertEqual((meter.request_count, meter.last_status, meter.last_seen), (0, 0, 0.0))
        self.assertEqual((meter.average_latency, meter.percentiles([0.5, 1])), (0.0, [0.0, 0.0]))

    def test_counters(self) -> None:
        """They add up; the last one's status and time are kept."""
        for status in (200, 404):
            self.record(status)
        meter = self.meter
        self.assertEqual((meter.request_count, meter.bytes_in, meter.bytes_out), (2, 20, 40))
        self.assertEqual((meter.last_status, meter.last_seen), (404, 5.0))

    def test_errors(self) -> None:
        """An error is an answer from 500 on, or one that did not come to its end; and once."""
        for status, ok, errors in (
            *((200, True, 0), (499, True, 0), (500, True, 1), (504, True, 1)),
            *((200, False, 1), (502, False, 1), (0, False, 1)),
        ):
            before = self.meter.error_count
            self.record(status, ok=ok)
            self.assertEqual(self.meter.error_count - before, errors, (status, ok))

    def test_latencies(self) -> None:
        """A percentile is a latency that was, below or at which that share of them is."""
        for number in range(100, 0, -1):
            self.record(seconds=float(number))
        self.assertEqual(self.meter.average_latency, 50.5)
        shares = [0, 0.01, 0.5, 0.9, 0.99, 1]
        self.assertEqual(self.meter.percentiles(shares), [1.0, 1.0, 50.0, 90.0, 99.0, 100.0])

    def test_one(self) -> None:
        """Of one request it is that one's."""
        self.record(seconds=3.0)
        self.assertEqual(self.meter.percentiles([0, 0.5, 1]), [3.0] * 3)

    def test_bound(self) -> None:
        """Percentiles are of the last so many, the average of all."""
        for _ in range(LATENCIES):
            self.record(seconds=9.0)
        for _ in range(LATENCIES):
            self.record(seconds=1.0)
        self.assertEqual(self.meter.percentiles([1]), [1.0])
        self.assertEqual(self.meter.average_latency, 5.0)
        self.assertEqual(len(self.meter._last_latencies), LATENCIES)
