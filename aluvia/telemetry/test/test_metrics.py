"""Tests for :mod:`aluvia.telemetry.metrics`."""

from __future__ import annotations

import math

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.metrics import LATENCY_BOUNDS, Histogram
from aluvia.testing.properties import settings_for_tests


class HistogramTests(SynchronousTestCase):
    """A distribution over fixed bounds."""

    def test_a_value_on_a_bound_is_below_it(self) -> None:
        """``le`` means less or equal."""
        histogram = Histogram((1.0, 2.0))
        histogram.observe(1.0)
        histogram.observe(1.5)
        histogram.observe(2.5)
        self.assertEqual([1, 1, 1], histogram.counts)
        self.assertEqual([(1.0, 1), (2.0, 2), (math.inf, 3)], histogram.cumulative())
        self.assertEqual(3, histogram.count)
        self.assertEqual(5.0, histogram.total)

    def test_bounds_rise(self) -> None:
        """Bounds that do not rise, or that are not there, are a mistake of ours."""
        for bounds in ((), (1.0, 1.0), (2.0, 1.0)):
            self.assertRaises(ValueError, Histogram, bounds)

    @settings_for_tests
    @hypothesis.given(strategies.lists(strategies.floats(0, 100)))
    def test_the_last_row_counts_all(self, values: list[float]) -> None:
        """Whatever was observed is in exactly one bucket, and in every row from its own on."""
        histogram = Histogram()
        for value in values:
            histogram.observe(value)
        rows = histogram.cumulative()
        self.assertEqual(len(LATENCY_BOUNDS) + 1, len(rows))
        for bound, count in rows:
            self.assertEqual(sum(value <= bound for value in values), count)
