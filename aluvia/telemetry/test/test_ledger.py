"""Tests for :mod:`aluvia.telemetry.ledger`."""

from __future__ import annotations

import typing

import hypothesis
from hypothesis import strategies
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry import ledger as telemetry_ledger
from aluvia.telemetry.ledger import HOSTS, ROWS_PER_HOST, Ledger, Overlay, Place, Sums
from aluvia.testing.properties import settings_for_tests

Request: typing.TypeAlias = tuple[str, str, str | None, int, int]

REQUESTS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["a", "b", "c"]),
        strategies.sampled_from(["direct", "gateway"]),
        strategies.sampled_from([None, *map(str, range(12))]),
        strategies.integers(0, 10**12),
        strategies.integers(0, 10**12),
    ),
    max_size=80,
)


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
        self.assertEqual((2, (4, 7, 50)), (ledger.hosts, numbers(ledger.total)))
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
        self.assertEqual(HOSTS + 7, ledger.total.requests)

    def test_rows_of_a_host_are_bounded(self) -> None:
        """Rules that change for ever do not fill the memory."""
        ledger = Ledger()
        for number in range(ROWS_PER_HOST + 3):
            ledger.count("a.example", "gateway", f"rule{number}", 1, 1)
        self.assertEqual((1, ROWS_PER_HOST), (ledger.hosts, len(ledger.rows)))
        self.assertEqual((3, 3, 3), numbers(ledger.other))

    def test_dearest(self) -> None:
        """The most bytes first; of those that have the same, the most requests."""
        ledger = Ledger()
        for host, bytes_moved in (("a", 2), ("b", 5), ("c", 2), ("c", 0), ("d", 1), ("e", 9)):
            ledger.count(host, "direct", None, bytes_moved, bytes_moved)
        hosts = [place[0] for place, _ in ledger.dearest(4)]
        self.assertEqual(["e", "b", "c", "a"], hosts)
        self.assertEqual(5, len(ledger.dearest(100)))

    def test_an_overlay_is_another(self) -> None:
        """What is added to it is not in the ledger, and finds the room that there is."""
        ledger = Ledger()
        for number in range(HOSTS - 1):
            ledger.count(f"{number}.example", "direct", None, 1, 1)
        before = (numbers(ledger.total), ledger.hosts, ledger.row_count)
        overlay = Overlay(ledger)
        for host in ("0.example", "new.example", "late.example", "0.example"):
            overlay.count(host, "direct", None, 10, 10)
        overlay.count("0.example", "gateway", None, 7, 7)
        self.assertEqual(
            [
                ("0.example", "direct", (3, 21, 21)),
                ("new.example", "direct", (1, 10, 10)),
                ("0.example", "gateway", (1, 7, 7)),
                ("1.example", "direct", (1, 1, 1)),
            ],
            [(place[0], place[1], numbers(sums)) for place, sums in overlay.dearest(4)],
        )
        self.assertEqual((1, 10, 10), numbers(overlay.other))
        self.assertEqual((HOSTS, HOSTS + 1), (overlay.hosts, overlay.row_count))
        self.assertEqual(HOSTS + 1, len(overlay.dearest(2 * HOSTS)))
        self.assertEqual(before, (numbers(ledger.total), ledger.hosts, ledger.row_count))
        self.assertEqual((1, 1, 1), numbers(ledger.rows["0.example", "direct", None]))
        self.assertEqual((0, 0, 0), numbers(ledger.other))

    def test_an_overlay_copies_what_changes(self) -> None:
        """And nothing else, however long the ledger is."""
        ledger = Ledger()
        for number in range(100):
            ledger.count(f"{number}.example", "direct", None, 1, 1)
        overlay = Overlay(ledger)
        overlay.count("5.example", "direct", None, 1, 1)
        self.assertEqual([("5.example", "direct", None)], list(overlay.rows))
        kept = [sums for place, sums in overlay.dearest(200) if place[0] != "5.example"]
        self.assertEqual(99, len(kept))
        self.assertTrue(all(any(sums is row for row in ledger.rows.values()) for sums in kept))

    def test_no_room_for_more(self) -> None:
        """A misspelt name is an error, not a new attribute."""
        self.assertRaises(AttributeError, setattr, Ledger(), "others", 1)
        self.assertRaises(AttributeError, setattr, Sums(), "request", 1)

    @settings_for_tests
    @hypothesis.given(REQUESTS, REQUESTS)
    def test_totals_are_right(self, ended: list[Request], live: list[Request]) -> None:
        """Whatever comes, rows and the rest make up all of it; an overlay is as one ledger is."""
        self.patch(telemetry_ledger, "HOSTS", 2)
        below, whole = Ledger(), Ledger()
        for request in ended:
            below.count(*request)
        overlay = Overlay(below)
        for request in live:
            overlay.count(*request)
        for request in ended + live:
            whole.count(*request)
        rows = whole.dearest(100)
        for number, total in enumerate(numbers(whole.total)):
            told = [numbers(sums)[number] for sums in (whole.other, *(sums for _, sums in rows))]
            self.assertEqual(total, sum(told))
        self.assertEqual(len(ended + live), whole.total.requests)
        self.assertEqual(sum(request[3] for request in ended + live), whole.total.bytes_up)
        self.assertEqual(sum(request[4] for request in ended + live), whole.total.bytes_down)
        self.assertEqual(contents(whole), contents(overlay))
        for number in range(1, 5):
            self.assertEqual(costs(whole.dearest(number)), costs(overlay.dearest(number)))


def costs(rows: list[tuple[Place, Sums]]) -> list[tuple[int, int]]:
    """By what they are ordered; which of two that cost the same comes first is open."""
    return [(sums.bytes_up + sums.bytes_down, sums.requests) for _, sums in rows]


def contents(ledger: Ledger) -> tuple[object, ...]:
    """Everything that it tells."""
    return (
        ledger.hosts,
        ledger.row_count,
        numbers(ledger.other),
        numbers(ledger.total),
        {place: numbers(sums) for place, sums in ledger.dearest(100)},
    )
