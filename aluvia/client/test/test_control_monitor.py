"""Following a control plane by its monitor."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from aluvia.client.answer_body import NO_JSON
from aluvia.client.monitor import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS
from aluvia.client.test.control_case import DOWN, INTERVAL, ControlCase, good
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError

MONITOR = "http://api/m"

FAILURES: list[Answer | ApiError] = [
    DOWN,
    Answer(401, NO_JSON),
    Answer(404, NO_JSON),
    Answer(504, NO_JSON),
    Answer(200, NO_JSON),
]


class MonitorTests(ControlCase):
    """Being told."""

    def test_followed(self) -> None:
        """It is asked at once, and again as soon as it has answered with a change."""
        self.start("a.example", etag='"1"', monitor=MONITOR)
        self.assertEqual(self.api.last[:3], ("MONITOR", MONITOR, '"1"'))
        self.clock.pump([INTERVAL] * 4)
        self.assertEqual(len(self.api.asked), 2)
        self.answer(good("b.example", etag='"2"', monitor=MONITOR))
        self.assertEqual(self.rules, ["b.example"])
        self.assertEqual(self.api.last[:3], ("MONITOR", MONITOR, '"2"'))
        self.clock.advance(25)
        self.answer(Answer(304, NO_JSON))
        self.assertEqual(len(self.api.asked), 4)

    def test_does_not_flood(self) -> None:
        """One that answers at once, with nothing, is asked no more often than a tick asks."""
        self.start(monitor=MONITOR)
        self.answer(Answer(304, NO_JSON))
        for _ in range(3):
            self.tick(Answer(304, NO_JSON))
        self.assertEqual(len(self.api.asked), 5)

    def test_quick_changes(self) -> None:
        """
        One that answers at once, and each time with a change, is asked once a second: each answer
        is used at once, and what changes in between comes with the next.
        """
        self.start("0.example", etag='"0"', monitor=MONITOR)
        for number in range(1, 5):
            self.answer(good(f"{number}.example", etag=f'"{number}"', monitor=MONITOR))
            self.assertEqual(self.rules, [f"{number}.example"])
            self.clock.advance(OUT_OF_TURN_SECONDS * 0.9)
            self.assertEqual(len(self.api.asked), 1 + number)
            self.clock.advance(OUT_OF_TURN_SECONDS * 0.1)
            self.assertEqual(self.api.last[:3], ("MONITOR", MONITOR, f'"{number}"'))
        self.assertEqual(len(self.api.asked), 6)

    def test_volatile_field(self) -> None:
        """A field that we know nothing of, another each time, makes no flood and no revision."""
        self.start(monitor=MONITOR, now=0)
        said, began = len(self.logged), self.clock.seconds()
        for number in range(1, 5):
            self.answer(good(monitor=MONITOR, now=number))
            self.clock.pump([0.5] * 10)
        self.assertEqual(len(self.api.asked), 6)
        self.assertEqual(self.clock.seconds() - began, 4 * INTERVAL)
        self.assertEqual((self.followed[-1].revision, len(self.logged)), (1, said))

    def test_quick_before_a_tick(self) -> None:
        """Nor is it asked again by a tick that comes within the second."""
        self.start("a.example", monitor=MONITOR)
        self.clock.advance(INTERVAL - 0.1)
        self.answer(good("b.example", monitor=MONITOR))
        self.answer(Answer(304, NO_JSON))
        asked = len(self.api.asked)
        self.clock.advance(0.1)
        self.clock.advance(OUT_OF_TURN_SECONDS - 0.2)
        self.assertEqual(len(self.api.asked), asked)
        self.tick(Answer(304, NO_JSON))

    def test_quick_but_overtaken(self) -> None:
        """The change that a PATCH makes is told here too, and is no reason to wait for a tick."""
        self.start("a.example", etag='"1"', monitor=MONITOR)
        monitor = self.api.last
        patching = Deferred.fromCoroutine(self.control.patch({}))
        changed = good("b.example", etag='"2"', monitor=MONITOR)
        self.answer(changed)
        self.successResultOf(patching)
        monitor.answer.callback(changed)
        asked = len(self.api.asked)
        self.clock.advance(OUT_OF_TURN_SECONDS)
        self.assertEqual(len(self.api.asked), asked + 1)
        self.assertEqual(self.api.last[:3], ("MONITOR", MONITOR, '"2"'))

    def test_stop_in_between(self) -> None:
        """Stopped while it waits to ask again, it leaves no timer."""
        self.start("a.example", monitor=MONITOR)
        self.answer(good("b.example", monitor=MONITOR))
        self.stop()
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.api.asked), 2)

    def test_fails(self) -> None:
        """
        When it fails, it is polled from the next tick on, whatever answers name, and that is no
        problem; a plain answer that names it brings it back when the pause is over.
        """
        for failure in FAILURES:
            self.control = self.make()
            self.start("a.example", monitor=MONITOR)
            self.answer(failure)
            failed_at = self.clock.seconds()
            while self.clock.seconds() < failed_at + FIRST_PAUSE_SECONDS - INTERVAL:
                self.tick(Answer(304, NO_JSON, monitor=MONITOR))
                self.assertEqual(self.api.last.method, "GET")
                self.assertIsNone(self.control.problem)
            self.tick(good("b.example", monitor=MONITOR))
            self.assertEqual(self.rules, ["b.example"])
            self.clock.advance(INTERVAL)
            self.assertEqual(self.api.last.method, "MONITOR", failure)
            self.stop()

    def test_pauses(self) -> None:
        """Each pause is longer than the one before, up to a bound, until it answers well."""
        self.start(monitor=MONITOR)
        pauses = []
        for _ in range(6):
            self.answer(DOWN)
            began = self.clock.seconds()
            self.clock.advance(INTERVAL)
            self.tick_until_watched()
            pauses.append(self.clock.seconds() - began)
        for pause, least in zip(pauses, (10, 40, 160, 600, 600, 600), strict=True):
            self.assertGreaterEqual(pause, least)
            self.assertLess(pause, least + 2 * INTERVAL)
        self.assertLess(max(pauses), LONGEST_PAUSE_SECONDS + 2 * INTERVAL)
        self.clock.advance(25)
        self.answer(Answer(304, NO_JSON))
        self.clock.advance(INTERVAL)
        self.answer(DOWN)
        began = self.clock.seconds()
        self.clock.advance(INTERVAL)
        self.tick_until_watched()
        self.assertLess(self.clock.seconds() - began, FIRST_PAUSE_SECONDS + 2 * INTERVAL)

    def test_said_once(self) -> None:
        """One that fails for ever is said once for each cause, and nobody hears that it is well."""
        self.start(monitor=MONITOR)
        for failure in (DOWN, DOWN, DOWN, Answer(504, NO_JSON), Answer(504, NO_JSON)):
            self.answer(failure)
            self.clock.advance(INTERVAL)
            self.tick_until_watched()
        self.assertEqual(len(self.said), 2, self.said)
        self.assertEqual(len(self.logged), 3, self.logged)
        self.assertIsNone(self.control.problem)
        self.assertEqual(self.control.polls.outcomes["unreachable"], 3)
        # One that worked in between has failed anew.
        self.clock.advance(25)
        self.answer(Answer(304, NO_JSON))
        self.answer(Answer(504, NO_JSON))
        self.assertEqual(len(self.said), 3)

    def tick_until_watched(self) -> None:
        """Give good plain answers until the monitor is asked."""
        while self.api.last.method == "GET":
            self.answer(Answer(304, NO_JSON, monitor=MONITOR))
            self.clock.advance(INTERVAL)

    def test_the_api_fails_too(self) -> None:
        """What plain questions come to is a problem, with a back-off, as ever."""
        self.start(monitor=MONITOR)
        self.answer(DOWN)
        self.tick(DOWN)
        self.assertIsNotNone(self.control.problem)
        self.assertEqual(len(self.said), 2)
        self.tick(Answer(304, NO_JSON, monitor=MONITOR), seconds=2 * INTERVAL)
        self.assertIsNone(self.control.problem)

    def test_retry_after(self) -> None:
        """What a monitor asks for holds for it alone, and makes its pause no shorter."""
        for seconds in (5.0, FIRST_PAUSE_SECONDS * 2):
            self.control = self.make()
            self.start(monitor=MONITOR)
            self.answer(Answer(503, NO_JSON, retry_after=seconds))
            began = self.clock.seconds()
            self.clock.advance(INTERVAL)
            self.assertEqual(self.api.last.method, "GET")
            self.tick_until_watched()
            paused = self.clock.seconds() - began
            self.assertGreaterEqual(paused, max(seconds, FIRST_PAUSE_SECONDS))
            self.assertLess(paused, max(seconds, FIRST_PAUSE_SECONDS) + 2 * INTERVAL)
            self.stop()

    def test_named_no_more(self) -> None:
        """Where an answer does not name it any more it is not asked."""
        self.start(monitor=MONITOR)
        self.answer(good("b.example"))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.api.last.method, "GET")

    def test_seconds(self) -> None:
        """How long a monitor waited is no time that the API took to answer."""
        self.start(monitor=MONITOR)
        self.clock.advance(25)
        self.answer(Answer(304, NO_JSON))
        self.assertEqual(self.control.polls.seconds.count, 1)
        self.assertEqual(self.control.polls.outcomes, {"changed": 1, "unchanged": 1})

    def test_overtaken(self) -> None:
        """What it says of a time before a question out of turn was answered is dropped."""
        self.start("a.example", monitor=MONITOR)
        monitor = self.api.last
        self.control.poll_soon()
        self.clock.advance(0)
        self.answer(good("c.example", monitor=MONITOR))
        monitor.answer.callback(good("b.example", monitor=MONITOR))
        self.assertEqual(self.rules, ["c.example"])
