"""Tests for :mod:`aluvia.upstreams.health`: a check that is configured."""

from __future__ import annotations

import math

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from aluvia.upstreams.health import MOST_PROBES, Check
from aluvia.upstreams.member import EJECTION_SECONDS, Admin, Health, Member
from aluvia.upstreams.probes import ProbeFailed, ProbeInconclusive
from aluvia.upstreams.test.asking import Request
from aluvia.upstreams.test.probing import HealthCase


class CheckTests(HealthCase):
    """A check is configured."""

    check = Check(interval=10, rise=2, fall=3)

    def run_probes(self, good: bool, count: int, member: Member[str]) -> None:
        """Let some probes of one member be over, all alike, and the others' go well."""
        while count:
            for probe in self.looks(1):
                if probe.member is not member or good:
                    probe.good()
                else:
                    probe.bad()
                count -= probe.member is member

    def test_all_are_probed(self) -> None:
        """Whether they are dead or alive, every interval, as long as they are ready."""
        members = self.have("a", "b", "c")
        self.set_admin("c", Admin.DRAIN)
        self.watch(self.check)
        self.kill(members[0])
        counts = dict.fromkeys(members, 0)
        for _ in range(100):
            for probe in self.looks(1):
                counts[probe.member] += 1
                probe.bad() if probe.member.is_dead else probe.good()
        for count in list(counts.values())[:2]:
            self.assertApproximates(10, count, 1.5)
        self.assertEqual(0, counts[members[2]])

    def test_fall_and_rise(self) -> None:
        """Three bad ones take it out, and two good ones are worth a trial; in a row."""
        a, _ = self.have("a", "b")
        self.watch(self.check)
        self.run_probes(False, 2, a)
        self.run_probes(True, 1, a)
        self.run_probes(False, 2, a)
        self.assertFalse(a.is_dead)
        self.run_probes(False, 1, a)
        self.assertEqual(["a died: probe: connection_refused"], self.told.take())
        self.assertEqual((True, 1), (a.is_dead, a.failure_count))
        self.run_probes(True, 1, a)
        self.run_probes(False, 1, a)
        self.run_probes(True, 1, a)
        self.assertNotIn("a", self.asked(4))
        self.run_probes(True, 1, a)
        trial = self.ask()
        self.assertIs(a, trial.member)
        trial.answer().end()
        self.assertEqual((False, True), (a.is_dead, self.is_slow(a)))
        self.assertEqual(["a revived"], self.told.take())

    def test_down_means_down(self) -> None:
        """One that says that it wants no requests gets none by time alone."""
        a, _ = self.have("a", "b")
        self.watch(self.check)
        self.run_probes(False, 3, a)
        self.run_probes(False, 100, a)
        self.assertIsNone(a.ejected_until)
        self.assertNotIn("a", self.asked(10))
        self.assertEqual(1, a.failure_count)

    def test_down_while_it_waits_for_its_trial(self) -> None:
        """It gets no trial then; what comes of one that runs does not matter."""
        a, _ = self.have("a", "b")
        self.watch(Check(interval=100, fall=1))
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.asked(0)
        self.members.pick("192.0.2.1")
        self.assertIs(Health.DUE, a.health)
        self.members.probed_bad(a, "down")
        self.assertNotIn("a", self.asked(4))
        self.members.probed_good(a)
        trial = self.ask()
        self.members.probed_bad(a, "down")
        trial.answer().end()
        self.assertIs(Health.DEAD, a.health)
        self.assertEqual(1, self.told.news.count("a died: connection_refused"))

    def test_told_twice(self) -> None:
        """To be down is one failure, however often it is said, and no more than to be dead."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.members.probed_bad(a, "down")
        self.assertEqual((1, None), (a.failure_count, a.ejected_until))
        term = a.term
        self.members.probed_bad(a, "down")
        self.assertEqual((1, term), (a.failure_count, a.term))

    def test_not_ready(self) -> None:
        """Who is not ready is not probed, so what is said of it is late."""
        a, _ = self.have("a", "b")
        self.set_admin("a", Admin.DRAIN)
        self.members.probed_bad(a, "down")
        self.assertFalse(a.is_dead)

    def test_dead_of_a_request(self) -> None:
        """One that its check finds well comes back by time, or sooner if its check says so."""
        a, _ = self.have("a", "b")
        self.watch(Check(interval=10, rise=2))
        self.run_probes(True, 5, a)
        self.kill(a)
        self.run_probes(True, 1, a)
        self.assertIs(Health.DEAD, a.health)
        self.run_probes(True, 1, a)
        self.assertIs(Health.DUE, a.health)

    def test_nobody_alive(self) -> None:
        """If all are down requests go there all the same; but then an answer revives nobody."""
        (a,) = self.have("a")
        self.watch(self.check)
        self.run_probes(False, 3, a)
        self.assertIn("nobody alive", self.told.take())
        self.ask().answer().end()
        self.assertTrue(a.is_dead)
        self.run_probes(True, 2, a)
        self.ask().answer().end()
        self.assertEqual(["a revived", "somebody alive"], self.told.take())

    def test_stop(self) -> None:
        """What the check has down comes back by time when there is no check any more."""
        a, _ = self.have("a", "b")
        checks = self.watch(self.check)
        self.run_probes(False, 3, a)
        checks.stop()
        self.assertEqual(self.clock.seconds() + EJECTION_SECONDS, a.ejected_until)
        self.clock.advance(EJECTION_SECONDS)
        self.assertIs(a, self.ask().member)

    def test_maint(self) -> None:
        """One that was down and is made ready again is tried, and probed, like any other."""
        a, _ = self.have("a", "b")
        self.watch(self.check)
        self.run_probes(False, 3, a)
        self.set_admin("a", Admin.MAINT)
        self.assertEqual([], [each for each in self.looks(50) if each.member is a])
        self.set_admin("a", Admin.READY)
        self.ask().answer().end()
        self.assertFalse(a.is_dead)
        self.assertIn(a, [each.member for each in self.looks(11)])

    def test_new_member(self) -> None:
        """One that comes is probed from then on."""
        self.have("a")
        self.watch(self.check)
        self.have("a", "b")
        self.assertEqual({"a", "b"}, {each.member.id for each in self.looks(11)})

    def test_spread(self) -> None:
        """The first probes of many are spread over the interval, and so are the later ones."""
        self.have(*map(str, range(60)))
        self.watch(Check(interval=60))
        for _ in range(5):
            for _ in range(12):
                probes = self.looks(5)
                self.assertLess(len(probes), 16)
                for probe in probes:
                    probe.good()

    def test_jitter(self) -> None:
        """Two doors with the same members do not go on in step."""
        self.have("a")
        steps = set()
        for seed in range(5):
            self.probes.clear()
            checks = self.watch(Check(interval=1_000), seed=seed)
            for _ in range(2):
                while not self.looks(1):
                    pass
                self.probes[-1].good()
            steps.add(self.probes[1].begun - self.probes[0].begun)
            checks.stop()
        self.assertEqual(5, len(steps))

    def test_most_at_once(self) -> None:
        """So many probes run at a time, and no more; those that have waited longest are next."""
        self.have(*map(str, range(20)))
        checks = self.watch(Check(interval=1))
        self.look(5)
        self.assertEqual((MOST_PROBES, math.inf), (len(self.probes), checks.deadline))
        self.assertEqual([], self.looks(5))
        first = [probe.member for probe in self.probes]
        for probe in self.probes[:3]:
            probe.good()
        self.assertEqual(MOST_PROBES - 3, checks.running)
        second = [probe.member for probe in self.looks(1)]
        self.assertEqual((3, MOST_PROBES), (len(second), checks.running))
        self.assertFalse(set(first) & set(second))

    def test_one_at_a_time(self) -> None:
        """A member whose probe takes long is not probed twice at once."""
        self.have("a")
        self.watch(self.check)
        self.assertEqual(1, len(self.looks(100)))
        self.probes[0].good()
        self.assertEqual(1, len(self.looks(1)))

    def test_a_probe_that_does_not_work(self) -> None:
        """It is logged, counts as a bad one, and the next one comes all the same."""
        a, _ = self.have("a", "b")

        def broken(member: Member[str]) -> Deferred[None]:
            if member is a:
                raise ZeroDivisionError("something secret")
            return succeed(None)

        self.watch(Check(interval=10, fall=2), broken)
        self.looks(25)
        self.assertEqual(["a died: probe: ZeroDivisionError"], self.told.take())
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_inconclusive(self) -> None:
        """One that has found out nothing is neither good nor bad."""
        a, _ = self.have("a", "b")
        self.watch(Check(interval=10, rise=2, fall=2))
        self.run_probes(False, 1, a)
        mine = [each for each in self.looks(11) if each.member is a]
        mine[0].done.errback(ProbeInconclusive("no descriptor"))
        self.assertFalse(a.is_dead)
        self.run_probes(False, 1, a)
        self.assertTrue(a.is_dead)

    def test_late_news(self) -> None:
        """A probe of one that is gone says nothing, even if it does not mind being cancelled."""
        a, _ = self.have("a", "b")
        stubborn: list[Deferred[None]] = []

        def probe(member: Member[str]) -> Deferred[None]:
            stubborn.append(Deferred(lambda done: done.errback(ProbeFailed("gone"))))
            return stubborn[-1]

        checks = self.watch(Check(interval=1), probe)
        self.looks(2)
        self.assertEqual(2, checks.running)
        self.have("b")
        self.assertEqual((1, []), (checks.running, self.told.take()))
        self.assertIs(Health.GONE, a.health)
        self.members.probed_good(a)
        self.members.probed_bad(a, "late")
        self.members.unchecked(a)
        self.assertIs(Health.GONE, a.health)

    def test_requests_and_probes(self) -> None:
        """A probe takes no place among the requests."""
        a, _ = self.have("a", "b")
        self.watch(self.check)
        self.looks(11)
        self.assertEqual(0, a.active)
        Request(self.members, a, self.members.began(a)).end()
        self.assertEqual(0, a.active)


class CheckValueTests(SynchronousTestCase):
    """What a check may be."""

    def test_bounds(self) -> None:
        """None is without time between its probes, or takes none to be believed."""
        for wrong in ({"interval": 0.0}, {"interval": -1.0}, {"rise": 0}, {"fall": 0}):
            with self.assertRaises(ValueError):
                Check(**wrong)
