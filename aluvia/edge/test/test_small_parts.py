"""Access lists and the budget of retries."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.access_list import MOST_REMEMBERED, AccessList
from aluvia.edge.retry_budget import RetryBudget


class AccessListTests(SynchronousTestCase):
    """Who may ask."""

    def test_the_most_specific_decides(self) -> None:
        """Whatever the order; of two alike the one that denies."""
        access = AccessList(["10.0.0.0/8", "10.1.2.3/32", "::1"], ["10.1.0.0/16", "::1"])
        for address, may in {
            "10.2.0.1": True,
            "10.1.0.1": False,
            "10.1.2.3": True,
            "::ffff:10.1.2.3": True,
            "192.0.2.1": False,
            "::1": False,
            "fe80::1%eth0": False,
        }.items():
            self.assertEqual(access.admits(address), may, address)

    def test_only_deny(self) -> None:
        """Everybody else may."""
        access = AccessList([], ["192.0.2.0/24"])
        self.assertEqual([access.admits(each) for each in ("192.0.2.7", "::1")], [False, True])

    def test_remembered(self) -> None:
        """Bounded."""
        access = AccessList([], [])
        for number in range(2 * MOST_REMEMBERED):
            access.admits(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.assertEqual(len(access._known), MOST_REMEMBERED)


class RetryBudgetTests(SynchronousTestCase):
    """A storm is stopped."""

    def test_a_fifth(self) -> None:
        """Besides what time gives, there is one retry for five requests."""
        clock = Clock()
        budget = RetryBudget(clock)
        while budget.take():
            pass
        for _ in range(52):
            budget.came()
        self.assertEqual(sum(budget.take() for _ in range(50)), 10)

    def test_ten_a_second(self) -> None:
        """Time gives, up to ten seconds' worth; a clock that is put back takes nothing."""
        clock = Clock()
        budget = RetryBudget(clock)
        self.assertEqual(sum(budget.take() for _ in range(500)), 100)
        clock.advance(1)
        self.assertEqual(sum(budget.take() for _ in range(500)), 10)
        clock.rightNow -= 1
        self.assertFalse(budget.take())
        clock.advance(3600)
        self.assertEqual(sum(budget.take() for _ in range(500)), 100)
