"""Tests for :mod:`aluvia.upstreams.health`: recovery, where no check is configured."""

from __future__ import annotations

import itertools

from twisted.internet.defer import Deferred, fail, succeed

from aluvia.upstreams.health import JITTER, RECOVERY_SECONDS
from aluvia.upstreams.member import EJECTION_SECONDS, Admin, Health, Member
from aluvia.upstreams.probes import ProbeFailed
from aluvia.upstreams.test.probing import HealthCase

#: The latest that a probe is due after the one before.
LATEST = 1 + JITTER


class RecoveryTests(HealthCase):
    """No check is configured: those that are dead are looked after."""

    def test_nobody_is_dead(self) -> None:
        """Then nobody is probed."""
        self.have("a", "b")
        self.watch()
        self.assertEqual([], self.looks(300))

    def test_every_minute(self) -> None:
        """One that is dead is probed every minute or so, as long as it is not well."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        begun = [self.clock.seconds()]
        while len(self.probes) < 10:
            for probe in self.looks(1):
                self.assertIs(a, probe.member)
                begun.append(probe.begun)
                probe.bad()
        for one, other in itertools.pairwise(begun):
            self.assertApproximates(RECOVERY_SECONDS, other - one, RECOVERY_SECONDS * JITTER + 1)

    def test_good(self) -> None:
        """A good one is worth a trial, before the ejection ends."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        for _ in range(2):
            self.clock.advance(EJECTION_SECONDS * 4)
            self.ask().fail().end()
        self.assertEqual(3, a.failure_count)
        self.deadlines.look()
        self.probes[-1].good()
        assert a.dead_since is not None
        trial = self.ask()
        self.assertIs(a, trial.member)
        self.assertNotIn("a", self.asked(3))
        trial.answer().end()
        self.assertFalse(a.is_dead)
        self.assertTrue(self.is_slow(a))
        self.assertEqual([], self.looks(200))

    def test_bad(self) -> None:
        """A bad one changes nothing: it is dead, and comes back when its ejection ends."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        until = a.ejected_until
        (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
        probe.bad()
        self.assertEqual((until, 1), (a.ejected_until, a.failure_count))
        self.assertIs(a, self.ask().member)

    def test_trial_fails(self) -> None:
        """A dead backend is not out for ever after one failed trial: it is probed again."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        for _ in range(3):
            (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
            probe.good()
            self.ask().fail().end()
            self.assertIs(Health.DEAD, a.health)

    def test_a_probe_never_revives_maint(self) -> None:
        """Nor one that is drained: what runs is cancelled, and neither is probed."""
        for admin in (Admin.MAINT, Admin.DRAIN):
            a, _ = self.have("a", "b")
            checks = self.watch()
            self.kill(a)
            (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
            self.set_admin("a", admin)
            self.assertTrue(probe.cancelled)
            self.assertEqual([], self.looks(200))
            self.members.probed_good(a)
            self.assertIs(Health.DEAD, a.health)
            checks.stop()
            self.members.change([])

    def test_news_of_before(self) -> None:
        """What a probe has found before the member died once more is nothing."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
        self.ask().fail().end()
        self.assertEqual(2, a.failure_count)
        probe.good()
        self.assertIs(Health.DEAD, a.health)
        self.assertNotIn("a", self.asked(3))

    def test_revived_meanwhile(self) -> None:
        """One that has come back by a trial needs no probe; what runs is cancelled."""
        a, _ = self.have("a", "b")
        checks = self.watch()
        self.kill(a)
        (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
        self.ask().answer().end()
        self.assertEqual((True, 0), (probe.cancelled, checks.running))

    def test_gone(self) -> None:
        """One that was taken away is not probed, and what runs is cancelled."""
        a, _ = self.have("a", "b")
        self.watch()
        self.kill(a)
        (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
        self.have("b")
        self.assertTrue(probe.cancelled)
        self.assertEqual([], self.looks(200))

    def test_dead_already(self) -> None:
        """One that was dead when probing began is probed too."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.watch()
        self.assertEqual(1, len(self.looks(RECOVERY_SECONDS * LATEST + 1)))

    def test_answered_at_once(self) -> None:
        """A probe may be over before it returns."""
        a, b = self.have("a", "b")

        def answer(member: Member[str]) -> Deferred[None]:
            return succeed(None) if member is a else fail(ProbeFailed("no"))

        checks = self.watch(probe=answer)
        self.kill(a)
        self.kill(b)
        self.looks(RECOVERY_SECONDS * LATEST + 1)
        self.assertIs(Health.DUE, a.health)
        self.assertEqual((0, True), (checks.running, b.is_dead))

    def test_stop(self) -> None:
        """It leaves nothing: no probe, nothing that is watched, nothing that is told."""
        a, _ = self.have("a", "b")
        checks = self.watch()
        self.kill(a)
        (probe,) = self.looks(RECOVERY_SECONDS * LATEST + 1)
        checks.stop()
        self.assertTrue(probe.cancelled)
        self.assertEqual((set(), None), (self.deadlines.watched, self.members.watcher))
        self.assertEqual(0, checks.running)
