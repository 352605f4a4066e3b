"""A tracker whose time is moved by hand, and an edge's gauges."""

from __future__ import annotations

import typing

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.statistics import Tracker
from aluvia.edge.stats_document import CertificateGauge, MemberGauge
from aluvia.net.accept import Sweep


class TrackerCase(SynchronousTestCase):
    """A tracker that a sweep looks at, with a clock that is moved by hand."""

    def setUp(self) -> None:
        """Make it, at a time that is no whole second."""
        self.clock = Clock()
        self.clock.advance(1_700_000_000.25)
        self.sweep = Sweep(self.clock)
        self.tracker = Tracker(self.clock, self.sweep)

    def pass_seconds(self, seconds: int) -> None:
        """One look after the other."""
        self.clock.pump([1.0] * seconds)

    def requests(self, *place: str) -> tuple[int, int, int, int]:
        """How many there were in each window, and since the start."""
        ten, minute, five = self.tracker.periods(*place).values()
        total = self.tracker.total(*place)
        return ten.tally.requests, minute.tally.requests, five.tally.requests, total.tally.requests


@attrs.define
class Member:
    """A backend as it runs."""

    id: str
    active: int = 0
    dead_since: float | None = None


@attrs.frozen
class Certificate:
    """One that clients are shown."""

    domain: str
    names: list[str]
    not_after: float


class FakeGauges:
    """Two routes, one of which has two backends; the numbers tell who was asked."""

    def v_hosts(self) -> typing.Mapping[str, str]:
        """Both."""
        return {"api": "api.example.com", "web": "*.example.com"}

    def in_flight(self, route_id: str | None) -> int:
        """3 in all, 2 of the first."""
        return {None: 3, "api": 2}.get(route_id, 1)

    def queued(self, route_id: str | None) -> int:
        """30 in all, 20 of the first."""
        return 10 * self.in_flight(route_id)

    def streams(self, route_id: str | None) -> int:
        """300 in all, 200 of the first."""
        return 100 * self.in_flight(route_id)

    def members(self, route_id: str) -> typing.Iterable[MemberGauge]:
        """Of the first: one that lives and one that does not."""
        return [Member("one", 2), Member("two", 0, 5.0)] if route_id == "api" else []

    def certificates(self) -> typing.Iterable[tuple[str, CertificateGauge]]:
        """An upload that ends at the beginning of 2027; two routes' for one vhost; the default."""
        end = 1_798_761_600.0
        name = "api.example.com"
        return [
            ("upload", Certificate(name, [name, "*.example.com"], end)),
            ("route", Certificate(name, [name], end + 2)),
            ("route", Certificate(name, [name], end + 1)),
            ("default", Certificate("", ["example.org"], end + 3)),
        ]
