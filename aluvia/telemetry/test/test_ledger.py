"""Tests for :mod:`aluvia.telemetry.ledger`."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.ledger import HOSTS, ROWS_PER_HOST, Ledger, Sums
from aluvia.testing.properties import settings_for_tests


def numbers(sums: Sums) -> tuple[int, int, int]:
    """Requests, and bytes each way."""
    return sums.requests, sums.bytes_up, sums.bytes_down


class LedgerTests(SynchronousTestCase):
    """What is entered, and where it stands."""

    def test_counting(self) -> None:
        """One row for each host, way and rule, with its requests and bytes."""
        ledger = Ledger()
        ledger.count("a.example", "gateway", "*", 1, 20)
        ledger.count("a.example", "gateway", "*", 2, 30)
        ledger.count("a.example", "direct", None, 4, 0)
        ledger.count("b.example", "gateway", "*", 0, 0)
        self.assertEqual(
            {
                ("a.example", "gateway", "*"): (2, 3, 50),
                ("a.example", "direct", None): (1, 4, 0),
                ("b.example", "gateway", "*"): (1, 0, 0),
            },
            {place: numbers(sums) for place, sums in ledger.rows.items()},
        )
        self.assertEqual((2, (4, 7, 50)), (ledger.hosts, numbers(ledger.total())))
        self.assertEqual((0, 0, 0), numbers(ledger.other))

    def test_hosts_are_bounded(self) -> None:
        """The first keep their rows, and go on being counted; the rest is one sum."""
        ledger = Ledger()
        for number in range(HOSTS + 5):
            ledger.count(f"{number}.example", "direct", None, 1, 2)
        ledger.count("0.example", "direct", None, 1, 2)
        ledger.count("0.example", "gateway", "*", 1, 2)
        self.assertEqual((HOSTS, HOSTS + 1), (ledger.hosts, len(ledger.rows)))
        self.assertEqual((2, 2, 4), numbers(ledger.rows["0.example", "direct", None]))
        self.assertEqual((5, 5, 10), numbers(ledger.other))
        self.assertEqual(HOSTS + 7, ledger.total().requests)

    def test_rows_of_a_host_are_bounded(self) -> None:
        """Rules that change for ever do not fill the memory."""
        ledger = Ledger()
        for number in range(ROWS_PER_HOST + 3):
            ledger.count("a.example", "gateway", f"rule{number}", 1, 1)
        self.assertEqual((1, ROWS_PER_HOST), (ledger.hosts, len(ledger.rows)))
        self.assertEqual((3, 3, 3), numbers(ledger.other))

    def test_a_copy_is_another(self) -> None:
        """What is added to it is not in the first, and finds the same room."""
        ledger = Ledger()
        for number in range(HOSTS):
            ledger.count(f"{number}.example", "direct", None, 1, 1)
        ledger.count("late.example", "direct", None, 1, 1)
        copied = ledger.copy()
        for host in ("0.example", "late.example"):
            copied.count(host, "direct", None, 10, 10)
        self.assertEqual((2, 11, 11), numbers(copied.rows["0.example", "direct", None]))
        self.assertEqual((2, 11, 11), numbers(copied.other))
        self.assertEqual((1, 1, 1), numbers(ledger.rows["0.example", "direct", None]))
        self.assertEqual((1, 1, 1), numbers(ledger.other))
        self.assertEqual(HOSTS, copied.hosts)

    def test_no_room_for_more(self) -> None:
        """A misspelt name is an error, not a new attribute."""
        self.assertRaises(AttributeError, setattr, Ledger(), "others", 1)
        self.assertRaises(AttributeError, setattr, Sums(), "request", 1)

    @settings_for_tests
    @hypothesis.given(
        strategies.lists(
            strategies.tuples(
                strategies.sampled_from(["a", "b", "c"]),
                strategies.sampled_from(["direct", "gateway"]),
                strategies.sampled_from([None, *map(str, range(12))]),
                strategies.integers(0, 10**12),
                strategies.integers(0, 10**12),
            ),
            max_size=80,
        )
    )
    def test_totals_are_right(self, requests: list[tuple[str, str, str | None, int, int]]) -> None:
        """Whatever comes, rows and the rest make up all of it."""
        ledger = Ledger()
        for request in requests:
            ledger.count(*request)
        total = ledger.total()
        self.assertEqual(len(requests), total.requests)
        self.assertEqual(sum(request[3] for request in requests), total.bytes_up)
        self.assertEqual(sum(request[4] for request in requests), total.bytes_down)
        self.assertEqual(total.bytes_up + total.bytes_down, total.bytes_moved)
