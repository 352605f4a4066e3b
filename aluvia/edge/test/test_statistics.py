"""Tests for :mod:`aluvia.edge.statistics`."""

from __future__ import annotations

import gc
import tracemalloc
import typing

from aluvia.edge.statistics import OTHER, SETTLE_SECONDS, Track
from aluvia.edge.tally import BOUNDS, CAUSE_LANES
from aluvia.edge.test.completed_request import Completed
from aluvia.edge.test.tracker_case import TrackerCase
from aluvia.edge.windows import LONGEST, PERIODS, History


class RecordTests(TrackerCase):
    """What of a request is counted."""

    def record(self, **fields: typing.Any) -> None:
        """Record one at the only track."""
        self.tracker.track("api", "one").record(Completed(**fields))

    def test_one(self) -> None:
        """Its class, its bytes, its latency; at once, and also after the next look."""
        self.record(status=404, total=0.0042, bytes_up=7, bytes_down=70)
        for _ in range(2):
            tally = self.tracker.total("api", "one").tally
            self.assertEqual([0, 0, 0, 0, 1, 0, 0, 0, 0, 0], list(tally.classes))
            self.assertEqual((7, 70), (tally.bytes_up, tally.bytes_down))
            self.assertEqual((1, 0.0042), (tally.measured, tally.latency_seconds))
            self.assertEqual((0, 0, 0.0), (tally.retries, tally.queued, tally.queued_seconds))
            self.assertEqual({}, tally.causes(self.tracker.causes))
            self.pass_seconds(1)

    def test_queued(self) -> None:
        """Only those that waited are counted as such."""
        for queued in (-1.0, 0.0, 0.5, 0.25):
            self.record(queued=queued)
        tally = self.tracker.total("api").tally
        self.assertEqual((2, 0.75), (tally.queued, tally.queued_seconds))

    def test_looks(self) -> None:
        """What was recorded before a look and after it is added up."""
        for seconds in (0.25, 0.5):
            self.record(total=seconds, queued=2 * seconds)
            self.pass_seconds(1)
        tally = self.tracker.total("api").tally
        self.assertEqual((0.75, 1.5), (tally.latency_seconds, tally.queued_seconds))

    def test_retries(self) -> None:
        """What was sent three times was sent again twice."""
        for attempts in (0, 1, 3):
            self.record(attempts=attempts)
        self.assertEqual(2, self.tracker.total("api").tally.retries)

    def test_a_stream(self) -> None:
        """The latency of a stream is that of its head, and none if there was none."""
        self.record(status=101, upgraded=True, first_byte=0.02, total=86_400.0)
        self.record(status=101, upgraded=True, first_byte=-1.0, total=86_400.0)
        tally = self.tracker.total("api").tally
        self.assertEqual((2, 1, 0.02), (tally.requests, tally.measured, tally.latency_seconds))

    def test_no_answer(self) -> None:
        """What was not answered has no latency; it is counted all the same."""
        self.record(status=0, cause="client_gone", total=30.0)
        tally = self.tracker.total("api").tally
        self.assertEqual((1, 0), (tally.classes[0], tally.measured))
        self.assertEqual({"client_gone": 1}, tally.causes(self.tracker.causes))

    def test_any_status(self) -> None:
        """Whatever three digits a backend answers with are counted."""
        for status in (100, 199, 299, 599, 600, 999):
            self.record(status=status)
        classes = list(self.tracker.total("api").tally.classes)
        self.assertEqual([0, 2, 1, 0, 0, 1, 1, 0, 0, 1], classes)

    def test_causes(self) -> None:
        """Each has a lane; what comes when there are no more is counted together."""
        for number in range(CAUSE_LANES + 5):
            self.record(status=502, cause=f"cause_{number}")
            self.record(status=502, cause=f"cause_{number}")
        causes = self.tracker.total("api").tally.causes(self.tracker.causes)
        expected = {f"cause_{number}": 2 for number in range(CAUSE_LANES - 1)}
        self.assertEqual({**expected, OTHER: 12}, causes)
        self.assertEqual(CAUSE_LANES, len(self.tracker.causes))


class TrackTests(TrackerCase):
    """Whose requests are whose."""

    def setUp(self) -> None:
        """Two routes, of two backends and of one; something refused; and something without."""
        super().setUp()
        for route, backend, count in (
            ("api", "one", 1),
            ("api", "two", 2),
            ("api", "", 4),
            ("web", "one", 8),
        ):
            for _ in range(count):
                self.tracker.track(route, backend).record(Completed())
        for _ in range(16):
            self.tracker.nowhere.record(Completed(status=404))

    def total(self, *place: str) -> int:
        """Since the start; in the windows it is the same."""
        ten, minute, five, total = self.requests(*place)
        self.assertEqual((total, total, total), (ten, minute, five))
        return total

    def test_levels(self) -> None:
        """A backend's, a route's with what came to no backend, and all with what had no route."""
        self.assertEqual(1, self.total("api", "one"))
        self.assertEqual(2, self.total("api", "two"))
        self.assertEqual(4, self.total("api", ""))
        self.assertEqual(7, self.total("api"))
        self.assertEqual(8, self.total("web"))
        self.assertEqual(16, self.total(""))
        self.assertEqual(31, self.total())
        self.assertEqual(
            [("", ""), ("api", "one"), ("api", "two"), ("api", ""), ("web", "one")],
            self.tracker.places(),
        )

    def test_unknown(self) -> None:
        """What nothing was recorded for has nothing."""
        self.assertEqual(0, self.total("other"))
        self.assertEqual(0, self.total("api", "three"))

    def test_the_same_track(self) -> None:
        """Whoever asks for the same place gets the same track."""
        self.assertIs(self.tracker.track("api", "one"), self.tracker.track("api", "one"))
        self.assertIs(self.tracker.nowhere, self.tracker.track(""))

    def test_a_backend_goes(self) -> None:
        """It has nothing any more; its route has all that it had, and what ends there later."""
        track = self.tracker.track("api", "one")
        self.tracker.forget_backend("api", "one")
        self.assertEqual((0, 7, 31), (self.total("api", "one"), self.total("api"), self.total()))
        track.record(Completed())
        self.assertEqual((0, 8, 32), (self.total("api", "one"), self.total("api"), self.total()))
        self.assertNotIn(("api", "one"), self.tracker.places())

    def test_many_routes(self) -> None:
        """What all did is not added up of what each did."""
        for route in range(100):
            self.tracker.track(f"r{route}", "one").record(Completed())
        self.pass_seconds(1)
        summed: list[str] = []

        def sum(history: History, name: str, second: int) -> int:
            summed.append(name)
            return as_it_is(history, name, second)

        as_it_is = History.sum
        self.patch(History, "sum", sum)
        self.assertEqual((131, 131, 131, 131), self.requests())
        self.assertEqual([*PERIODS], summed)

    def test_a_backend_comes_back(self) -> None:
        """One of the same id begins anew, while requests of the old one still end."""
        old = self.tracker.track("api", "one")
        self.tracker.forget_backend("api", "one")
        new = self.tracker.track("api", "one")
        self.assertIsNot(old, new)
        old.record(Completed())
        new.record(Completed())
        self.assertEqual((1, 9), (self.total("api", "one"), self.total("api")))

    def test_a_route_goes(self) -> None:
        """It has nothing any more; the whole has all that it had, and what ends there later."""
        kept = [self.tracker.track("api", each) for each in ("one", "two", "")]
        self.tracker.forget_backend("api", "two")
        self.tracker.forget("api")
        self.assertEqual((0, 31), (self.total("api"), self.total()))
        for track in kept:
            track.record(Completed())
        self.assertEqual((0, 34), (self.total("api"), self.total()))
        self.tracker.track("api", "one").record(Completed())
        self.assertEqual((1, 35), (self.total("api"), self.total()))
        self.pass_seconds(LONGEST + SETTLE_SECONDS)
        self.assertEqual((0, 0, 0, 35), self.requests())

    def test_forgetting_what_is_not_known(self) -> None:
        """Does nothing."""
        self.tracker.forget("other")
        self.tracker.forget_backend("other", "one")
        self.tracker.forget_backend("api", "three")
        self.assertEqual(31, self.total())


class RollingTests(TrackerCase):
    """How long a request is in the windows."""

    def setUp(self) -> None:
        """One track."""
        super().setUp()
        self.track = self.tracker.track("api", "one")

    def test_exactly(self) -> None:
        """From a first second: for 10, 60 and 300 looks, and not for one more."""
        self.track.record(Completed())
        for look in range(310):
            expected = (int(look < 10), int(look < 60), int(look < 300), 1)
            self.assertEqual(expected, self.requests("api"), look)
            self.pass_seconds(1)

    def test_from_the_end_of_a_part(self) -> None:
        """A request at the end of a part stays for nine more of these."""
        self.pass_seconds(29)
        self.clock.advance(0.9)
        self.track.record(Completed())
        self.clock.advance(0.1)
        for look in range(30, 310):
            expected = (int(look < 39), int(look < 84), int(look < 300), 1)
            self.assertEqual(expected, self.requests("api"), look)
            self.pass_seconds(1)

    def test_silence(self) -> None:
        """After it the windows are empty, and the windows' memory is given back."""
        for _ in range(20):
            self.track.record(Completed())
            self.pass_seconds(1)
        self.assertFalse(self.track.history.cold)
        self.pass_seconds(LONGEST + 2 * SETTLE_SECONDS)
        self.assertTrue(self.track.history.cold)
        self.assertEqual((0, 0, 0, 20), self.requests("api"))
        self.track.record(Completed())
        self.assertEqual((1, 1, 1, 21), self.requests("api"))

    def test_silence_after_a_backend_went(self) -> None:
        """What took it over lets go of its windows too."""
        self.track.record(Completed())
        self.pass_seconds(1)
        self.tracker.forget_backend("api", "one")
        heir = self.track.history.heir
        assert heir is not None
        self.assertFalse(heir.cold)
        self.pass_seconds(LONGEST + 2 * SETTLE_SECONDS)
        self.assertTrue(heir.cold)

    def test_a_reactor_that_was_held_up(self) -> None:
        """Looks that did not come are made up for by the next one."""
        self.track.record(Completed())
        self.clock.advance(45.0)
        self.track.record(Completed())
        self.assertEqual((1, 2, 2, 2), self.requests("api"))

    def test_a_clock_that_is_set_back(self) -> None:
        """Takes nothing out of the windows, and does not stop them."""
        self.pass_seconds(100)
        self.track.record(Completed())
        self.clock.rightNow -= 3_600.0
        self.assertEqual((1, 1, 1, 1), self.requests("api"))
        self.tracker.deadline_passed(self.clock.seconds())
        self.assertEqual((1, 1, 1, 1), self.requests("api"))
        self.assertEqual(100.0, self.tracker.total().seconds)
        for second in range(1, 21):
            self.clock.rightNow += 1.0
            self.tracker.deadline_passed(self.clock.seconds())
            self.assertEqual(100.0 + second, self.tracker.total().seconds)
        self.assertEqual((0, 1, 1, 1), self.requests("api"))

    def test_rates(self) -> None:
        """A steady rate is told as what it is, at any moment and in each window."""
        for _ in range(400):
            for _ in range(5):
                self.track.record(Completed())
            self.pass_seconds(1)
            for name, (seconds, tally) in self.tracker.periods("api").items():
                self.assertEqual(5.0, tally.requests / seconds, name)

    def test_stopped(self) -> None:
        """It leaves the sweep."""
        self.tracker.stop()
        self.assertEqual(0, len(self.sweep))


class MemoryTests(TrackerCase):
    """What a track takes at the most."""

    def allocated(self) -> int:
        """Bytes that are alive."""
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def test_bounds(self) -> None:
        """Never recorded in, always full of everything, and quiet after that."""
        # One request for each bucket, with a large number wherever one can be.
        latencies = (*BOUNDS, 1_000.0)
        requests = [
            Completed(total=each, bytes_up=2**40, bytes_down=2**40, queued=9.0, attempts=4)
            for each in latencies
        ]
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before = self.allocated()
        tracks: list[Track] = [self.tracker.track("api", str(n)) for n in range(8)]
        self.assertTrue((self.allocated() - before) / len(tracks) < 1_000)
        for _ in range(LONGEST):
            for track in tracks:
                for request in requests:
                    track.record(request)
            self.pass_seconds(1)
        for track in tracks:
            for request in requests:
                track.record(request)
        # The whole has a history of its own.
        busy = (self.allocated() - before) / (len(tracks) + 1)
        self.assertTrue(10_000 < busy < 20_000, busy)
        self.pass_seconds(LONGEST + SETTLE_SECONDS)
        quiet = (self.allocated() - before) / len(tracks)
        self.assertTrue(quiet < 2_500, quiet)
