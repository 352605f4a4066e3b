"""Tests for :mod:`aluvia.upstreams.latency`."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from aluvia.upstreams.latency import DECAY_SECONDS, FORGOTTEN_SECONDS, Latency


class LatencyTests(SynchronousTestCase):
    """What is measured, and what is made of it."""

    def setUp(self) -> None:
        """Know nothing."""
        self.latency = Latency()

    def assert_cost(self, expected: float, now: float) -> None:
        """A request is expected to take so long."""
        cost = self.latency.cost(now)
        assert cost is not None
        self.assertAlmostEqual(expected, cost)

    def test_nothing_known(self) -> None:
        """Before the first answer, and when the last one is long ago."""
        self.assertIsNone(self.latency.cost(0.0))
        self.assertIsNone(self.latency.seconds)
        self.latency.answered(1.0, 0.0)
        self.latency.failed(1.0, 0.0)
        self.assertIsNotNone(self.latency.cost(FORGOTTEN_SECONDS))
        self.assertIsNone(self.latency.cost(FORGOTTEN_SECONDS + 1))

    def test_average(self) -> None:
        """What was measured a while ago counts for 1/e, whatever came since."""
        self.latency.answered(2.0, 0.0)
        self.latency.answered(1.0, DECAY_SECONDS)
        assert self.latency.seconds is not None
        self.assertAlmostEqual(1 + 1 / math.e, self.latency.seconds)

    def test_peak(self) -> None:
        """One slow answer is believed at once, one quick answer is not."""
        self.latency.answered(0.1, 0.0)
        self.latency.answered(5.0, 0.0)
        self.assertEqual(5.0, self.latency.seconds)
        self.latency.answered(0.1, 0.0)
        self.assertEqual(5.0, self.latency.seconds)

    def test_fades(self) -> None:
        """Nobody stays slow who is not asked."""
        self.latency.answered(2.0, 0.0)
        self.assert_cost(2 / math.e, DECAY_SECONDS)
        self.assertEqual(2.0, self.latency.seconds)

    def test_failure(self) -> None:
        """It costs a timeout, and fades; what an operator sees is what was measured."""
        self.latency.answered(0.1, 0.0)
        self.latency.failed(60.0, 0.0)
        self.assert_cost(60.1, 0.0)
        self.assert_cost(60.1 / math.e, DECAY_SECONDS)
        self.assertEqual(0.1, self.latency.seconds)

    def test_failure_alone(self) -> None:
        """One that has only failed is known to be bad."""
        self.latency.failed(60.0, 0.0)
        self.assert_cost(60.0, 0.0)

    def test_answers_do_not_hide_failures(self) -> None:
        """However many quick answers come behind a failure, only time makes it good."""
        self.latency.failed(60.0, 0.0)
        for _ in range(100):
            self.latency.answered(0.001, 0.0)
        self.assert_cost(60.001, 0.0)

    def test_clock_put_back(self) -> None:
        """Nothing grows without bound."""
        self.latency.answered(2.0, 1e9)
        self.latency.failed(60.0, 1e9)
        self.assert_cost(62.0, 0.0)
        self.latency.answered(1.0, 0.0)
        self.assertEqual(2.0, self.latency.seconds)
