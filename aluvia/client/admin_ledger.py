"""
``/ledger``: what each host has cost, the dearest first.

What is no row of its own is in one of two sums, so that rows and sums make up the total: ``more``
is what the limit of this answer cut off, ``other`` what had no room in the ledger
(:mod:`aluvia.telemetry.ledger`).
"""

from __future__ import annotations

import functools
import re
import typing

from twisted.web.server import Request

from aluvia.client.admin_forms import PageAnswer, refusal
from aluvia.client.admin_pages import ClientPage
from aluvia.client.observed import LiveConnection
from aluvia.telemetry.ledger import Ledger, Overlay, Sums
from aluvia.telemetry.logs import escape
from aluvia.telemetry.written import table

#: Rows of an answer, if nothing is said.
ROWS = 100

#: Rows of an answer, at most.
MOST_ROWS = 10_000


class LedgerPage(ClientPage):
    """What each host has cost since the start, what is under way included."""

    def answer(self, request: Request) -> PageAnswer:
        """As many rows as are asked for."""
        asked = (request.args or {}).get(b"limit", [b"%d" % ROWS])
        number = re.fullmatch(rb"[0-9]{1,5}", asked[0])
        if len(asked) != 1 or number is None or not 1 <= int(number[0]) <= MOST_ROWS:
            return refusal(400, f"Ask for 1 to {MOST_ROWS} rows: /ledger?limit={ROWS}")
        data = ledger_data(self.observed.ledger, self.observed.live(), int(number[0]))
        return PageAnswer(200, data, functools.partial(ledger_text, data))


def ledger_data(
    ended: Ledger, live: typing.Iterable[LiveConnection], limit: int
) -> dict[str, typing.Any]:
    """
    The rows with the most bytes, and what the others come to.

    A flow is entered into the ledger when it ends. Living ones are laid over it here, each as a
    request with its bytes so far, so that a tunnel that is open for a week is seen before its end.
    """
    ledger = Overlay(ended)
    for each in live:
        ledger.count(each.host, each.way, each.rule, each.bytes_up, each.bytes_down)
    dearest = ledger.dearest(limit)
    more = ledger.total.copy()
    for sums in (ledger.other, *(sums for _, sums in dearest)):
        more.subtract(sums)
    return {
        "hosts": ledger.hosts,
        "rows": [
            {"host": host, "way": way, "rule": rule, **_numbers(sums)}
            for (host, way, rule), sums in dearest
        ],
        "more": {"rows": ledger.row_count - len(dearest), **_numbers(more)},
        "other": _numbers(ledger.other),
        "total": _numbers(ledger.total),
    }


def ledger_text(data: typing.Mapping[str, typing.Any]) -> str:
    """The same as a table. No host has a blank, so that no sum can be taken for one."""
    rows = [
        (row["host"], row["way"], *_cells(row), "-" if row["rule"] is None else escape(row["rule"]))
        for row in data["rows"]
    ]
    if data["more"]["rows"]:
        rows.append((f"{data['more']['rows']} more rows", "-", *_cells(data["more"]), "-"))
    if data["other"]["requests"]:
        rows.append(("other hosts", "-", *_cells(data["other"]), "-"))
    rows.append(("in total", "-", *_cells(data["total"]), "-"))
    return table("HOST WAY #REQUESTS #UP #DOWN RULE", rows)


def _numbers(sums: Sums) -> dict[str, int]:
    return {
        "requests": sums.requests,
        "bytes_up": sums.bytes_up,
        "bytes_down": sums.bytes_down,
    }


def _cells(numbers: typing.Mapping[str, int]) -> tuple[str, str, str]:
    return str(numbers["requests"]), str(numbers["bytes_up"]), str(numbers["bytes_down"])
