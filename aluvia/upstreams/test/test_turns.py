"""Tests for :mod:`aluvia.upstreams.turns`."""

from __future__ import annotations

import collections

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.upstreams.turns import MOST_TURNS, TURNS_EACH, bounded, turns

WEIGHTS = strategies.lists(strategies.integers(1, 20), min_size=1, max_size=12)
ANY_WEIGHTS = strategies.lists(strategies.integers(1, 30_000), min_size=1, max_size=12)


def smooth(weights: list[int]) -> list[int]:
    """The same, as it is told: everybody gains, who has most is next and pays."""
    gained = [0] * len(weights)
    order = []
    for _ in range(sum(weights)):
        gained = [have + weight for have, weight in zip(gained, weights, strict=True)]
        index = gained.index(max(gained))
        gained[index] -= sum(weights)
        order.append(index)
    return order


class TurnsTests(SynchronousTestCase):
    """One round."""

    def test_known(self) -> None:
        """The order that this algorithm is known by."""
        self.assertEqual("aabacaa", "".join("abc"[index] for index in turns([5, 1, 1])))

    def test_equal_weights(self) -> None:
        """A plain cycle, whatever the weight is."""
        for weight in (1, 3, 1000):
            self.assertEqual([0, 1, 2, 3], turns([weight] * 4))

    def test_nobody(self) -> None:
        """Nobody has a turn where nobody is."""
        self.assertEqual([], turns([]))

    @settings_for_tests
    @hypothesis.given(WEIGHTS)
    def test_order(self, weights: list[int]) -> None:
        """It is the order of the plain algorithm, which keeps an account for each."""
        self.assertEqual(smooth(bounded(weights)), turns(weights))

    @settings_for_tests
    @hypothesis.given(WEIGHTS)
    def test_shares_are_exact(self, weights: list[int]) -> None:
        """Over one round each has its weight, divided by what divides all of them."""
        counts = collections.Counter(turns(weights))
        for index, weight in enumerate(weights):
            self.assertEqual(weight * sum(counts.values()), counts[index] * sum(weights))

    @settings_for_tests
    @hypothesis.given(ANY_WEIGHTS)
    def test_bound(self, weights: list[int]) -> None:
        """No weights make a round without end; everybody has a turn, and nearly its share."""
        order = turns(weights)
        counts = collections.Counter(order)
        self.assertLessEqual(len(order), MOST_TURNS + len(weights))
        for index, weight in enumerate(weights):
            share = weight / sum(weights)
            self.assertGreaterEqual(counts[index], 1)
            self.assertApproximates(share, counts[index] / len(order), 0.01)

    def test_many(self) -> None:
        """A thousand members of odd weights have a round that is bounded too."""
        weights = [1 + index % 7 * 143 for index in range(1_000)]
        self.assertLessEqual(len(turns(weights)), TURNS_EACH * 1_000 + 1_000)
