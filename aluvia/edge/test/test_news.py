"""What is told of members, on the bus and in the log."""

from __future__ import annotations

import typing
from random import Random

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.events import Event, EventBus
from aluvia.edge.news import AT_ONCE, News
from aluvia.net.accept import Sweep
from aluvia.telemetry.told_once import TELL_EVERY
from aluvia.upstreams.members import Members, Wanted


class NewsTests(SynchronousTestCase):
    """A route with two backends, of which the first is not well."""

    def setUp(self) -> None:
        """Write down what is told."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.addCleanup(self.sweep.stop)
        bus = EventBus()
        self.events: list[Event] = []
        bus.subscribe(None, self.events.append)
        self.news = News(bus, "r", self.clock.seconds, self.sweep)
        self.members: Members[typing.Any] = Members(
            self.clock, "ROUND_ROBIN", self.news, random=Random(1)
        )
        self.members.change([Wanted(id="a", target=1), Wanted(id="b", target=2)])

    def die(self, id: str = "a") -> None:
        """It resets a connection."""
        self.members.failed(self.members[id], "connection_terminated")

    def come_back(self, id: str = "a") -> None:
        """A probe finds it, and so does a request."""
        member = self.members[id]
        self.members.probed_good(member)
        term = self.members.began(member)
        self.members.answered(member, 0.1, term=term)
        self.members.ended(member, term)

    def told(self, what: typing.Callable[[], object]) -> list[str]:
        """Lines in the log while this is done."""
        with capturedLogs() as events:
            what()
        return [formatEvent(event) for event in events]

    def flap(self) -> None:
        """Change a hundred times."""
        for _ in range(50):
            self.die()
            self.come_back()

    def test_what_happens_once_is_told_at_once(self) -> None:
        """It dies, and is back; and so again after a while."""
        for _ in range(2):
            self.assertEqual(self.told(self.die), ["Backend a of r is dead: connection_terminated"])
            self.assertEqual(self.told(self.come_back), ["Backend a of r is back."])
            self.assertEqual(self.told(lambda: self.clock.pump([1] * int(TELL_EVERY + 1))), [])
        self.assertEqual(len(self.sweep), 0)

    def test_who_flaps_does_not_fill_the_log(self) -> None:
        """The first changes, and the last of each minute; on the bus are all."""
        self.assertEqual(len(self.told(self.flap)), AT_ONCE)
        self.assertEqual(len(self.events), 100)
        self.assertEqual(self.told(self.die), [])
        # Another is told of all the same; and then there is none that lives.
        self.assertEqual(
            self.told(lambda: self.die("b")),
            [
                "Backend b of r is dead: connection_terminated",
                "All backends of r are dead; requests go to those that are ready, whichever.",
            ],
        )
        self.assertEqual(
            self.told(lambda: self.clock.pump([1] * int(TELL_EVERY + 1))),
            ["Backend a of r is dead: connection_terminated (changes since it was told: 99)"],
        )
        self.assertEqual(self.told(self.come_back), ["r has backends that are alive again."])
        self.assertEqual(
            self.told(lambda: self.clock.pump([1] * int(TELL_EVERY + 1))),
            ["Backend a of r is back (changes since it was told: 1)."],
        )
        self.clock.pump([1] * int(TELL_EVERY + 1))
        self.assertEqual(len(self.sweep), 0)

    def test_a_route_that_flaps_as_a_whole(self) -> None:
        """That nobody is alive, and somebody is, is told as seldom."""
        self.die("b")
        lines = self.told(self.flap)
        self.assertEqual(len(lines), 2 * AT_ONCE)
        lines = self.told(lambda: self.clock.pump([1] * int(TELL_EVERY + 1)))
        self.assertEqual(
            lines,
            [
                "Backend a of r is back (changes since it was told: 98).",
                "r has backends that are alive again (changes since it was told: 98).",
            ],
        )
