"""
``/``: the other pages in one, each with as much as fits.

What is on it is gathered here; :mod:`aluvia.client.page` makes it a page for browsers.
"""

from __future__ import annotations

import functools
import typing

import attrs
from twisted.web.server import Request

from aluvia.client.admin_forms import PageAnswer
from aluvia.client.admin_ledger import ledger_data
from aluvia.client.admin_metrics import bytes_moved
from aluvia.client.admin_pages import (
    ClientPage,
    explained,
    health,
    oldest_first,
    readiness,
    readiness_text,
)
from aluvia.client.observed import LiveConnection, Observed
from aluvia.client.page import page
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.route import DIRECT, GATEWAY

#: What is shown of each list.
RULES = 50
CONNECTIONS = 20
LEDGER_ROWS = 20

#: What is counted for what was refused before a way was decided.
_NONE: typing.Final = "none"

#: Outcomes that are no failures.
_GOOD: typing.Final = ("ok", "client_gone")


class Overview(ClientPage):
    """
    State, configuration, traffic, and which way a host goes.

    ``?host=`` explains a host; ``?refresh=on`` has a browser come again by itself.
    """

    def answer(self, request: Request) -> PageAnswer:
        """All of it as it is now. It is 200 whatever the state: the page itself is well."""
        now = self.clock.seconds()
        arguments = request.args or {}
        asked = arguments.get(b"host", [])
        data = overview(self.observed, now)
        told = ""
        if asked:
            explanation = explained(self.observed.snapshot(), asked)
            data["explained"] = explanation.data
            told = explanation.text()
        html = functools.partial(
            page,
            data,
            now,
            asked=asked[0].decode("utf-8", "replace") if asked else "",
            told=told,
            refresh=b"refresh" in arguments,
        )
        return PageAnswer(200, data, functools.partial(_text, data, told), html)


def overview(observed: Observed, now: float) -> dict[str, typing.Any]:
    """
    Everything that there is to say, lists only as far as they are shown.

    :param now: the reactor's seconds.
    """
    snapshot = observed.snapshot()
    gateway = None if snapshot is None else snapshot.gateway
    rules = () if snapshot is None else snapshot.rules.rules
    live = oldest_first(observed.live())
    return {
        **health(observed, now),
        **readiness(observed, now),
        # A gateway shows neither its user name nor its password as text.
        "gateway": None if gateway is None else str(gateway),
        "first_rules": [rule.text for rule in rules[:RULES]],
        "connections_open": observed.connections_open,
        "accepting": observed.accepting,
        "tunnels_open": observed.counters.tunnels_open,
        "fail_opens": observed.counters.fail_opens,
        "refused": sum(
            number for (way, _), number in observed.counters.requests.items() if way == _NONE
        ),
        "ways": _ways(observed.counters, live),
        "under_way": len(live),
        "connections": [attrs.asdict(each, recurse=False) for each in live[:CONNECTIONS]],
        "ledger": ledger_data(observed.ledger, live, LEDGER_ROWS),
    }


def _text(data: typing.Mapping[str, typing.Any], told: str) -> str:
    return (f"{told}\n" if told else "") + readiness_text(data) + _PAGES


def _ways(counters: Counters, live: typing.Iterable[LiveConnection]) -> dict[str, dict[str, int]]:
    """What went which way; ``failed`` is a part of ``requests``, which are those that ended."""
    ways = {
        way: {"requests": 0, "failed": 0, "bytes_up": 0, "bytes_down": 0}
        for way in (DIRECT, GATEWAY)
    }
    for (way, outcome), number in counters.requests.items():
        if way in ways:
            ways[way]["requests"] += number
            ways[way]["failed"] += 0 if outcome in _GOOD else number
    for (way, direction), number in bytes_moved(counters, live).items():
        if way in ways:
            ways[way][f"bytes_{direction}"] += number
    return ways


_PAGES: typing.Final = """
/healthz        is it alive
/readyz         is it ready
/metrics        numbers for Prometheus
/explain?host=  which way a host goes, and why
/connections    what is under way
/ledger         what each host has cost
/proxy.pac      the rules, for a browser
"""
