"""Tests for :mod:`aluvia.upstreams.members`: who is out, and when it comes back."""

from __future__ import annotations

from aluvia.upstreams.member import (
    EJECTION_SECONDS,
    MOST_EJECTION_SECONDS,
    SLOW_START_SECONDS,
    Admin,
    Health,
    Member,
)
from aluvia.upstreams.test.asking import MembersCase, Request


class DeathTests(MembersCase):
    """Who is out, and how it comes back."""

    def test_one_failure(self) -> None:
        """One is enough; what an operator sees says since when, how often, and until when."""
        a, _ = self.have("a", "b")
        self.kill(a, "connection_refused")
        self.assertEqual(["a died: connection_refused"], self.told.take())
        now = self.clock.seconds()
        self.assertEqual((True, now, 1), (a.is_dead, a.dead_since, a.failure_count))
        self.assertEqual(now + EJECTION_SECONDS, a.ejected_until)
        self.assertEqual(["b"] * 4, self.asked(4))

    def test_many_at_once(self) -> None:
        """All the requests that it had fail with it: that is one failure, and one piece of news."""
        a, _ = self.have("a", "b")
        requests = [Request(self.members, a, self.members.began(a)) for _ in range(50)]
        for request in requests:
            request.fail().end()
        self.assertEqual((1, 0), (a.failure_count, a.active))
        self.assertEqual(1, len(self.told.take()))

    def test_one_trial(self) -> None:
        """When the ejection ends one request is let through, and the others go elsewhere."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS - 1)
        self.assertNotIn("a", self.asked(4))
        self.clock.advance(1)
        trial = self.ask()
        self.assertIs(a, trial.member)
        self.assertNotIn("a", self.asked(4))
        trial.answer()
        self.assertEqual((False, 0, None), (a.is_dead, a.failure_count, a.dead_since))
        self.assertEqual(None, a.ejected_until)
        self.assertEqual("a revived", self.told.take()[-1])

    def test_a_dead_backend_is_not_out_for_ever_after_one_failed_trial(self) -> None:
        """A trial that fails is followed by another, and each takes longer to come, to a bound."""
        a, _ = self.have("a", "b")
        self.kill(a)
        died = a.dead_since
        for failures in range(1, 15):
            self.assertEqual(failures, a.failure_count)
            self.clock.advance(min(EJECTION_SECONDS * failures, MOST_EJECTION_SECONDS) - 1)
            self.assertNotIn("a", self.asked(3))
            self.clock.advance(1)
            trial = self.ask()
            self.assertIs(a, trial.member)
            trial.fail().end()
            self.assertNotIn("a", self.asked(3))
        self.assertEqual(died, a.dead_since)
        self.assertEqual(1, len(self.told.take()))
        self.clock.advance(MOST_EJECTION_SECONDS)
        self.ask().answer().end()
        self.assertEqual((False, 0), (a.is_dead, a.failure_count))

    def test_trial_of_a_client_that_leaves(self) -> None:
        """It has shown nothing: the next request is the trial."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.ask().end()
        self.assertTrue(a.is_dead)
        trial = self.ask()
        self.assertIs(a, trial.member)
        trial.answer().end()
        self.assertFalse(a.is_dead)

    def test_pick_alone_is_no_trial(self) -> None:
        """Somebody who picks, and does not begin, leaves the trial to the next."""
        a, b = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.assertIs(a, self.members.pick("192.0.2.1"))
        self.assertIs(a, self.members.pick("192.0.2.1"))
        self.assertIs(b, self.members.pick("192.0.2.1", [a]))

    def test_picked_with_the_trial(self) -> None:
        """One that was picked before the trial began is not the trial."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        assert self.members.pick("192.0.2.1") is a
        trial = self.ask()
        other = Request(self.members, a, self.members.began(a))
        other.fail().end()
        self.assertIs(Health.ON_TRIAL, a.health)
        trial.answer().end()
        self.assertFalse(a.is_dead)

    def test_trial_answered_with_a_failing_answer(self) -> None:
        """It answers, so it is alive; but it is no quick one."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.ask().answer(0.001, failing=True)
        self.assertFalse(a.is_dead)
        self.assertEqual(self.members.timeout, a.measured.cost(self.clock.seconds()))

    def test_failure_behind_an_answer(self) -> None:
        """An answer that is cut short is a failure like any other, of a trial too."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.ask().answer().fail("http_response_incomplete").end()
        self.assertEqual((True, 1), (a.is_dead, a.failure_count))

    def test_news_of_before(self) -> None:
        """A request of before the death says nothing of how it is after it: not of the trial."""
        a, _ = self.have("a", "b")
        old = [Request(self.members, a, self.members.began(a)) for _ in range(5)]
        self.kill(a)
        old[0].answer()
        self.assertTrue(a.is_dead)
        self.clock.advance(EJECTION_SECONDS)
        trial = self.ask()
        old[0].end()
        old[1].fail().end()
        old[2].answer()
        self.assertIs(Health.ON_TRIAL, a.health)
        trial.answer(0.5).end()
        old[3].fail().end()
        old[4].answer(9.0, failing=True).end()
        old[2].end()
        self.assertEqual((False, 0.5, 0), (a.is_dead, a.latency, a.active))
        self.assertEqual(0.5, a.measured.cost(self.clock.seconds()))

    def test_without_terms(self) -> None:
        """Who does not say of which term a request was is believed to speak of now."""
        a, _ = self.have("a", "b")
        self.members.began(a)
        self.members.failed(a, "connection_refused")
        self.members.ended(a)
        self.clock.advance(EJECTION_SECONDS)
        assert self.members.pick("192.0.2.1") is a
        self.members.began(a)
        self.members.ended(a)
        self.members.began(a)
        self.members.answered(a, 0.1)
        self.members.ended(a)
        self.assertEqual((False, 0, 0.1), (a.is_dead, a.active, a.latency))
        self.members.answered(a, 0.1, failing=True)
        self.assertFalse(a.is_dead)

    def test_two_due(self) -> None:
        """Each has its trial; a request that was a trial, and failed, is the next one's."""
        a, b, _ = self.have("a", "b", "c")
        self.kill(a)
        self.kill(b)
        self.clock.advance(EJECTION_SECONDS)
        first = self.ask()
        self.assertIs(a, first.member)
        first.fail().end()
        second = self.ask(tried=[a])
        self.assertIs(b, second.member)
        self.assertNotIn("b", self.asked(4))

    def test_drained_while_dead(self) -> None:
        """One that is not ready gets no trial; made ready again, it is tried at once."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.set_admin("a", Admin.MAINT)
        self.clock.advance(EJECTION_SECONDS * 2)
        self.assertNotIn("a", self.asked(4))
        self.set_admin("a", Admin.READY)
        self.assertIs(a, self.ask().member)

    def test_drained_before_its_trial(self) -> None:
        """One that waits for its trial gets none while it is not ready."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        assert self.members.pick("192.0.2.1") is a
        self.set_admin("a", Admin.DRAIN)
        self.assertNotIn("a", self.asked(4))
        self.set_admin("a", Admin.READY)
        self.assertIs(a, self.ask().member)

    def test_made_ready_before_its_ejection_ends(self) -> None:
        """The owner's word is worth a trial, and no more."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.set_admin("a", Admin.DRAIN)
        self.set_admin("a", Admin.READY)
        trial = self.ask()
        self.assertIs(a, trial.member)
        self.assertNotIn("a", self.asked(4))
        trial.fail().end()
        self.assertEqual(2, a.failure_count)

    def test_killed_while_drained(self) -> None:
        """What still runs on one that is not ready can kill it all the same."""
        a, _ = self.have("a", "b")
        request = Request(self.members, a, self.members.began(a))
        self.set_admin("a", Admin.DRAIN)
        request.fail().end()
        self.assertTrue(a.is_dead)


class SlowStartTests(MembersCase):
    """How one that came back gets its share again."""

    def revive(self, member: Member[str]) -> None:
        """Let its trial go well."""
        self.clock.advance(MOST_EJECTION_SECONDS)
        trial = self.ask()
        self.assertIs(member, trial.member)
        trial.answer().end()

    def share(self, id: str, count: int = 310) -> float:
        """Its part of many requests at one moment."""
        return self.asked(count).count(id) / count

    def test_share_grows(self) -> None:
        """Its share grows with each second, to what its weight says."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.revive(a)
        self.assertTrue(self.is_slow(a))
        shares = [self.share("a")]
        for _ in range(int(SLOW_START_SECONDS)):
            self.clock.advance(1)
            shares.append(self.share("a"))
        self.assertApproximates(1 / 31, shares[0], 0.01)
        self.assertApproximates(10 / 40, shares[9], 0.01)
        self.assertEqual(sorted(shares), shares)
        self.assertEqual(0.5, shares[-1])
        self.assertFalse(self.is_slow(a))
        self.assertFalse(self.members._restless)

    def test_nobody_else(self) -> None:
        """One that is alone has all of it, and no slow start."""
        (a,) = self.have("a")
        self.kill(a)
        self.ask().answer().end()
        self.assertFalse(self.is_slow(a))

    def test_nobody_else_any_more(self) -> None:
        """A slow start is over when nobody is left to take the rest."""
        a, b = self.have("a", "b")
        self.kill(a)
        self.revive(a)
        self.kill(b)
        self.assertFalse(self.is_slow(a))
        self.assertEqual(1.0, self.share("a", 10))

    def test_death_in_it(self) -> None:
        """One that dies again is as dead as any, and starts anew."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.revive(a)
        self.kill(a)
        self.assertFalse(self.is_slow(a))
        self.assertEqual(1, a.failure_count)
        self.revive(a)
        self.assertTrue(self.is_slow(a))

    def test_clock_put_back(self) -> None:
        """It does not last for ever then."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.revive(a)
        self.clock.rightNow -= 10_000
        self.assertFalse(self.is_slow(a))


class NobodyAliveTests(MembersCase):
    """Where all are dead."""

    def test_all_that_are_ready(self) -> None:
        """Requests go to all that are ready, rather than nowhere, and that is said, once."""
        members = self.have("a", "b", "c")
        self.set_admin("c", Admin.MAINT)
        for member in members:
            self.kill(member)
        self.assertEqual({"a", "b"}, {self.ask().member.id for _ in range(4)})
        self.assertEqual(1, self.told.take().count("nobody alive"))
        self.assertTrue(self.members.is_nobody_alive)

    def test_whoever_answers_is_alive(self) -> None:
        """No trial is waited for, nor the end of an ejection."""
        a, b = self.have("a", "b")
        self.kill(a)
        self.kill(b)
        self.told.take()
        request = self.ask()
        request.answer().end()
        self.assertEqual([f"{request.member.id} revived", "somebody alive"], self.told.take())
        self.assertEqual({request.member.id}, set(self.asked(4)))

    def test_failures_do_not_add_up(self) -> None:
        """What is sent to the dead is not held against them."""
        (a,) = self.have("a")
        self.kill(a)
        for _ in range(20):
            self.ask().fail().end()
        self.assertEqual(1, a.failure_count)
        self.assertEqual(self.clock.seconds() + EJECTION_SECONDS, a.ejected_until)

    def test_trial_first(self) -> None:
        """One whose ejection has ended comes before the others; for any client at all."""
        for strategy in ("ROUND_ROBIN", "IP_HASH"):
            self.members.change([], strategy)
            a, b = self.have("a", "b")
            self.kill(a)
            self.clock.advance(1)
            self.kill(b)
            self.clock.advance(EJECTION_SECONDS - 1)
            trials = []
            for number in range(200):
                request = self.ask(f"192.0.2.{number}")
                trials.append(request.member)
                request.end()
            self.assertEqual([a] * 200, trials)

    def test_trial_fails(self) -> None:
        """It is out for longer, and nobody is alive as before: that is no news."""
        (a,) = self.have("a")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.told.take()
        self.ask().fail().end()
        self.assertEqual((2, []), (a.failure_count, self.told.take()))

    def test_others_beside_the_trial(self) -> None:
        """They go to all, the one on trial too; it lives if one of them is answered."""
        (a,) = self.have("a")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        trial, other, another = self.ask(), self.ask(), self.ask()
        another.fail().end()
        self.assertIs(Health.ON_TRIAL, a.health)
        other.answer().end()
        self.assertFalse(a.is_dead)
        trial.answer().end()
        self.assertFalse(a.is_dead)

    def test_others_before_the_trial(self) -> None:
        """One that was sent to the dead is not the trial that came after it."""
        (a,) = self.have("a")
        self.kill(a)
        early, another = self.ask(), self.ask()
        self.clock.advance(EJECTION_SECONDS)
        self.ask()
        early.fail().end()
        another.end()
        self.assertEqual((Health.ON_TRIAL, 1), (a.health, a.failure_count))

    def test_an_old_request_is_answered(self) -> None:
        """Any sign of life will do."""
        (a,) = self.have("a")
        old = self.ask()
        self.kill(a)
        old.answer()
        self.assertFalse(a.is_dead)

    def test_alive_and_tried(self) -> None:
        """One who is alive is enough for it not to be so, even for a request that was there."""
        a, b = self.have("a", "b")
        self.kill(a)
        self.assertIsNone(self.members.pick("192.0.2.1", [b]))

    def test_new_member(self) -> None:
        """One that comes new is alive, until it is known to be otherwise."""
        (a,) = self.have("a")
        self.kill(a)
        self.have("a", "b")
        self.assertEqual("somebody alive", self.told.take()[-1])
        self.assertEqual(["b", "b"], self.asked(2))

    def test_all_taken_away(self) -> None:
        """Where nobody is, nothing is to be said of it any more."""
        (a,) = self.have("a")
        self.kill(a)
        self.members.change([])
        self.assertEqual("somebody alive", self.told.take()[-1])
