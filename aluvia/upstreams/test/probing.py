"""Members whose probes a test ends by hand."""

from __future__ import annotations

import typing
from random import Random

import attrs
from twisted.internet.defer import Deferred

from aluvia.net.test.dialling import FakeDeadlines
from aluvia.upstreams.health import Check, HealthChecks
from aluvia.upstreams.member import Member
from aluvia.upstreams.probes import ProbeFailed
from aluvia.upstreams.test.asking import MembersCase


@attrs.define(eq=False)
class FakeProbe:
    """One that a test ends by hand."""

    member: Member[str]
    begun: float
    done: Deferred[None] = attrs.field(init=False)
    cancelled: bool = False

    def __attrs_post_init__(self) -> None:
        self.done = Deferred(self._cancel)

    def _cancel(self, done: Deferred[None]) -> None:
        self.cancelled = True

    def good(self) -> None:
        """It has found it well."""
        self.done.callback(None)

    def bad(self, why: str = "connection_refused") -> None:
        """It has not."""
        self.done.errback(ProbeFailed(why))

    @property
    def open(self) -> bool:
        """Whether it runs."""
        return not self.done.called


class HealthCase(MembersCase):
    """Members that are probed."""

    def setUp(self) -> None:
        """Probe nobody yet."""
        super().setUp()
        self.deadlines = FakeDeadlines(self.clock)
        self.probes: list[FakeProbe] = []

    def probe(self, member: Member[str]) -> Deferred[None]:
        """Begin one."""
        self.probes.append(FakeProbe(member, self.clock.seconds()))
        return self.probes[-1].done

    def watch(
        self,
        check: Check | None = None,
        probe: typing.Callable[[Member[str]], Deferred[None]] | None = None,
        seed: int = 5,
    ) -> HealthChecks[str]:
        """Probe them."""
        return HealthChecks(
            self.members,
            probe or self.probe,
            self.deadlines,
            self.clock,
            random=Random(seed),
            check=check,
        )

    def look(self, seconds: float) -> list[FakeProbe]:
        """Let time pass, a second at a time, and return the probes that were begun meanwhile."""
        before = len(self.probes)
        self.clock.pump([1] * int(seconds))
        self.deadlines.look()
        return self.probes[before:]

    def looks(self, seconds: float) -> list[FakeProbe]:
        """The same, with a look at each second."""
        before = len(self.probes)
        for _ in range(int(seconds)):
            self.look(1)
        return self.probes[before:]
