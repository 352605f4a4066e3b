"""Tests for :mod:`aluvia.edge.tally`."""

from __future__ import annotations

import itertools
import math

import hypothesis
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.tally import (
    BOUNDS,
    BUCKETS,
    BYTES_DOWN,
    BYTES_UP,
    CAUSES,
    CLASSES,
    GROWTH,
    LANES,
    LATENCY_US,
    NOTHING,
    QUANTILE_ERROR,
    QUEUED,
    QUEUED_US,
    RETRIES,
    Tally,
    make_row,
    read_row,
)
from aluvia.telemetry.metrics import LATENCY_BOUNDS
from aluvia.testing.properties import settings_for_tests

# What a lane may have been filled with: sums of a few of these are below its bound.
NUMBERS = some.lists(
    some.one_of(some.just(0), some.integers(0, 2**28)), min_size=LANES, max_size=LANES
)


class RowTests(SynchronousTestCase):
    """Many numbers in one."""

    @settings_for_tests
    @hypothesis.given(some.lists(NUMBERS, max_size=5))
    def test_adding_rows_adds_their_numbers(self, many: list[list[int]]) -> None:
        """A sum of rows is the row of the sums, lane by lane."""
        expected = tuple(map(sum, zip(NOTHING, *many, strict=True)))
        self.assertEqual(expected, read_row(sum(map(make_row, many))))

    def test_full_lanes(self) -> None:
        """The highest number of a lane touches no other; the first four have 64 bits."""
        for lane in range(LANES):
            numbers = list(NOTHING)
            numbers[lane] = 2 ** (64 if lane < CLASSES else 32) - 1
            self.assertEqual(tuple(numbers), read_row(make_row(numbers)))
        self.assertEqual(NOTHING, read_row(0))

    def test_names(self) -> None:
        """Each number is told by its name."""
        numbers = list(NOTHING)
        for lane, number in (
            (BYTES_UP, 1),
            (BYTES_DOWN, 2),
            (LATENCY_US, 3_000_000),
            (QUEUED_US, 4_500_000),
            (CLASSES, 5),
            (CLASSES + 2, 6),
            (CLASSES + 9, 7),
            (RETRIES, 8),
            (QUEUED, 9),
            (BUCKETS, 10),
            (CAUSES - 1, 11),
            (CAUSES + 1, 12),
            (LANES - 1, 13),
        ):
            numbers[lane] = number
        tally = Tally.of_row(make_row(numbers))
        self.assertEqual((1, 2), (tally.bytes_up, tally.bytes_down))
        self.assertEqual((3.0, 4.5), (tally.latency_seconds, tally.queued_seconds))
        self.assertEqual([5, 0, 6, 0, 0, 0, 0, 0, 0, 7], list(tally.classes))
        self.assertEqual(
            (18, 8, 9, 21), (tally.requests, tally.retries, tally.queued, tally.measured)
        )
        self.assertEqual({"b": 12}, tally.causes(["a", "b", "c"]))


class LatencyTests(SynchronousTestCase):
    """How well a latency is known."""

    def tally(self, values: list[float]) -> Tally:
        """Put each value into the first bucket whose bound is not below it."""
        numbers = list(NOTHING)
        for value in values:
            bucket = sum(bound < value for bound in BOUNDS)
            numbers[BUCKETS + bucket] += 1
        numbers[LATENCY_US] = round(sum(values) * 1e6)
        return Tally(numbers)

    def test_bounds(self) -> None:
        """They rise by no more than is said, and those of Prometheus are among them."""
        for low, high in itertools.pairwise(BOUNDS):
            self.assertTrue(1.0 < high / low <= GROWTH, (low, high))
        self.assertEqual([], sorted(set(LATENCY_BOUNDS) - set(BOUNDS)))
        self.assertEqual((0.0001, 300.0), (BOUNDS[0], BOUNDS[-1]))
        self.assertTrue(QUANTILE_ERROR <= 0.1)

    @settings_for_tests
    @hypothesis.given(
        some.lists(
            some.one_of(
                some.floats(0.0001, 300.0, exclude_min=True),
                some.floats(math.log(0.00011), math.log(290.0)).map(math.exp),
                some.sampled_from(BOUNDS[1:]),
            ),
            min_size=1,
            max_size=200,
        ),
        some.lists(some.integers(1, 100), min_size=1, max_size=5).map(sorted),
    )
    def test_quantiles(self, values: list[float], percents: list[int]) -> None:
        """Each is within the error of the exact one (the nearest rank)."""
        values.sort()
        for percent, told in zip(percents, self.tally(values).quantiles(percents), strict=True):
            assert told is not None
            exact = values[math.ceil(percent * len(values) / 100) - 1]
            self.assertTrue(abs(told - exact) <= exact * (QUANTILE_ERROR + 1e-9), (told, exact))

    def test_out_of_range(self) -> None:
        """Very fast ones are told as half of the first bound, very slow ones as the last."""
        self.assertEqual([0.00005, 300.0], self.tally([0.0, 4_000.0]).quantiles([50, 99]))

    def test_none(self) -> None:
        """Without latencies there are no quantiles."""
        self.assertEqual([None, None], self.tally([]).quantiles([50, 99]))

    @settings_for_tests
    @hypothesis.given(some.lists(some.one_of(some.floats(0, 400), some.sampled_from(BOUNDS))))
    def test_histogram(self, values: list[float]) -> None:
        """The distribution for Prometheus is exact at each of its bounds."""
        histogram = self.tally(values).histogram()
        for bound, count in histogram.cumulative():
            self.assertEqual(sum(value <= bound for value in values), count)
        self.assertAlmostEqual(sum(values), histogram.total, places=5)
