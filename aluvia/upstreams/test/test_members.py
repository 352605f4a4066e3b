"""Tests for :mod:`aluvia.upstreams.members`: who is asked, and by what."""

from __future__ import annotations

from random import Random

from aluvia.upstreams.member import (
    EJECTION_SECONDS,
    SLOW_START_SECONDS,
    Admin,
    Health,
    Wanted,
)
from aluvia.upstreams.members import Members
from aluvia.upstreams.test.asking import MembersCase, Request


class PickTests(MembersCase):
    """Who is asked while all are well."""

    def test_strategy(self) -> None:
        """By the strategy, by weight."""
        self.have(a=2, b=1)
        self.assertEqual(["a", "b", "a"] * 2, self.asked(6))

    def test_nobody(self) -> None:
        """None where there is nobody; and that nobody is alive is said of somebody alone."""
        self.assertIsNone(self.members.pick("192.0.2.1"))
        self.members.change([])
        self.assertIsNone(self.members.pick("192.0.2.1"))
        self.assertEqual([], self.told.take())

    def test_not_ready(self) -> None:
        """Nobody is sent where the owner does not want it, whatever else is dead."""
        a, b = self.have("a", "b")
        for admin in (Admin.DRAIN, Admin.MAINT):
            self.set_admin("a", admin)
            self.assertEqual(["b"] * 4, self.asked(4))
            self.assertIsNone(self.members.pick("192.0.2.1", [b]))
        self.kill(b)
        self.assertEqual("b", self.ask().member.id)
        self.assertFalse(a.is_dead)

    def test_nobody_ready(self) -> None:
        """None where none is ready, and that is no news of anybody's death."""
        self.have("a")
        self.set_admin("a", Admin.MAINT)
        self.assertIsNone(self.members.pick("192.0.2.1"))
        self.assertEqual([], self.told.take())

    def test_tried(self) -> None:
        """Not where it was tried; nowhere, if it was tried everywhere."""
        a, b = self.have("a", "b")
        self.assertIs(b, self.members.pick("192.0.2.1", [a]))
        self.assertIsNone(self.members.pick("192.0.2.1", [b, a]))

    def test_active(self) -> None:
        """A request is under way from its beginning to its end."""
        (a,) = self.have("a")
        one, two = self.ask(), self.ask()
        self.assertEqual(2, a.active)
        one.answer()
        self.assertEqual(2, a.active)
        one.end()
        two.fail().end()
        self.assertEqual(0, a.active)

    def test_a_client_abort_does_not_leave_the_backend_busy(self) -> None:
        """A request that ends without an answer or a failure is over, and no sign of either."""
        (a,) = self.have("a")
        self.ask().end()
        self.assertEqual((0, False, None), (a.active, a.is_dead, a.latency))

    def test_clock_is_not_asked(self) -> None:
        """While all are well a pick costs no look at the clock."""
        self.have("a", "b")
        looks = 0

        class Counting:
            def seconds(inner) -> float:  # noqa: N805
                nonlocal looks
                looks += 1
                return 1.0

        members = Members(Counting(), "ROUND_ROBIN", self.told, random=Random(1))
        members.change([Wanted(id="a", target="")])
        looks = 0
        members.pick("192.0.2.1")
        self.assertEqual(0, looks)

    def test_unknown_strategy(self) -> None:
        """There are four, and no others."""
        with self.assertRaises(ValueError):
            Members(self.clock, "P2C", self.told, random=Random(1))


class AddressTests(MembersCase):
    """Clients that belong to somebody."""

    strategy = "IP_HASH"
    clients = tuple(f"198.51.100.{number}" for number in range(200))

    def homes(self) -> dict[str, str]:
        """Where each client's request goes; nobody's is answered."""
        homes = {}
        for client in self.clients:
            request = self.ask(client)
            homes[client] = request.member.id
            request.end()
        return homes

    def test_ip_hash_does_not_choose_dead_members(self) -> None:
        """The clients of one that dies move, the others stay; and they come back with it."""
        _, b, _ = self.have("a", "b", "c")
        before = self.homes()
        self.kill(b)
        after = self.homes()
        self.assertEqual({"a", "c"}, set(after.values()))
        self.assertEqual({"b"}, {before[each] for each in before if after[each] != before[each]})
        self.clock.advance(EJECTION_SECONDS)
        mine = next(client for client in self.clients if before[client] == "b")
        self.ask(mine).answer().end()
        self.clock.advance(SLOW_START_SECONDS)
        self.assertEqual(before, self.homes())

    def test_trial_is_of_its_own_client(self) -> None:
        """No client of another's is moved to try it out."""
        _, b, _ = self.have("a", "b", "c")
        before = self.homes()
        self.kill(b)
        after = self.homes()
        self.clock.advance(EJECTION_SECONDS)
        for client in self.clients:
            request = self.ask(client)
            expected = "b" if before[client] == "b" else after[client]
            self.assertEqual(expected, request.member.id)
            request.end()

    def test_slow_start(self) -> None:
        """Its clients come back bit by bit, and nobody else's move."""
        _, b = self.have("a", "b")
        before = self.homes()
        self.kill(b)
        self.clock.advance(EJECTION_SECONDS)
        self.ask(next(client for client in self.clients if before[client] == "b")).answer().end()
        counts = []
        for _ in range(4):
            homes = self.homes()
            counts.append(list(homes.values()).count("b"))
            self.assertNotIn("b", {homes[each] for each in before if before[each] == "a"})
            self.clock.advance(10)
        self.assertEqual(sorted(counts), counts)
        self.assertLess(counts[0], 20)
        self.assertGreater(counts[3], 70)

    def test_nothing_is_forgotten_without_a_reason(self) -> None:
        """A trial that comes and goes leaves everybody where he is, and remembered."""
        _, b = self.have("a", "b")
        self.kill(b)
        self.homes()
        self.clock.advance(EJECTION_SECONDS)
        kept = self.members._strategy._homes  # type: ignore[attr-defined]
        count = len(kept)
        self.homes()
        self.assertEqual(count, len(kept))


class LatencyTests(MembersCase):
    """Who answers first."""

    strategy = "LEAST_LATENCY"

    def test_a_fast_500_does_not_win_on_latency(self) -> None:
        """A backend that fails at once, and answers so, attracts nobody; it is not dead for it."""
        a, b = self.have("a", "b")
        for member, seconds, failing in ((a, 0.2, False), (b, 0.001, True)):
            Request(self.members, member, self.members.began(member)).answer(
                seconds, failing=failing
            ).end()
        self.assertEqual(["a"] * 20, self.asked(20))
        self.assertFalse(b.is_dead)
        self.assertEqual(None, b.latency)

    def test_a_backend_that_refuses_at_once_attracts_nobody(self) -> None:
        """It is out; and where both are, the one that answered last is asked first."""
        a, b = self.have("a", "b")
        self.kill(b)
        self.assertEqual(["a"] * 5, self.asked(5))
        self.clock.advance(20)
        self.kill(a)
        self.assertIs(b, self.ask().member)

    def test_measured(self) -> None:
        """What an operator sees is the average of the time to the first byte."""
        (a,) = self.have("a")
        self.assertIsNone(a.latency)
        self.ask().answer(0.25).end()
        self.assertEqual(0.25, a.latency)

    def test_timeout(self) -> None:
        """What a failure counts for is the owner's to say."""
        (a,) = self.have("a")
        self.members.timeout = 7.0
        self.ask().answer(failing=True)
        self.assertEqual(7.0, a.measured.cost(self.clock.seconds()))

    def test_revived(self) -> None:
        """What it was before it died does not count against it."""
        a, _ = self.have("a", "b")
        self.kill(a)
        self.clock.advance(EJECTION_SECONDS)
        self.ask().answer(0.01).end()
        self.assertEqual(0.01, a.measured.cost(self.clock.seconds()))


class ChangeTests(MembersCase):
    """Other members, while requests are under way."""

    def test_kept(self) -> None:
        """One whose target is equal stays, with all that is known of it, at another weight."""
        a, _ = self.have("a", "b")
        self.kill(a)
        request = Request(self.members, a, self.members.began(a))
        self.have(a=7, c=1)
        self.assertIs(a, self.members["a"])
        self.assertEqual((7, True, 1), (a.weight, a.is_dead, a.active))
        request.end()
        self.assertEqual(["a", "c"], [member.id for member in self.members])
        self.assertEqual(2, len(self.members))

    def test_another_target(self) -> None:
        """One that leads elsewhere is another: alive, and with nothing to do."""
        (a,) = self.have("a")
        self.kill(a)
        self.ask()
        self.members.change([Wanted(id="a", target="elsewhere")])
        new = self.members["a"]
        self.assertIsNot(a, new)
        self.assertEqual((False, 0, "elsewhere"), (new.is_dead, new.active, new.target))
        self.assertIs(Health.GONE, a.health)
        self.assertEqual(1, a.active)

    def test_late_news(self) -> None:
        """Of one that is gone nothing is news, and its requests are counted to their end."""
        a, b = self.have("a", "b")
        requests = [self.ask() for _ in range(8)]
        self.kill(b)
        self.have("c")
        self.told.take()
        requests[0].fail().end()
        requests[1].answer().end()
        requests[2].answer().fail().end()
        for request in requests[3:]:
            request.end()
        late = Request(self.members, a, self.members.began(a))
        late.fail().end()
        self.assertEqual(([], 0, 0), (self.told.take(), a.active, b.active))
        self.assertEqual((False, False), (a.is_dead, b.is_dead))
        self.assertEqual(["c", "c"], self.asked(2))

    def test_late_answer_where_nobody_is_alive(self) -> None:
        """One that is gone is not revived, even where any sign of life will do."""
        a, _ = self.have("a", "b")
        request = Request(self.members, a, self.members.began(a))
        (c,) = self.have("c")
        self.kill(c)
        self.told.take()
        request.answer().end()
        self.assertEqual((Health.GONE, []), (a.health, self.told.take()))

    def test_gone_in_its_trial(self) -> None:
        """Its trial ends without a trace, whatever comes of it."""
        for end in (Request.answer, Request.fail, lambda request: None):
            a, _ = self.have("a", "b")
            self.kill(a)
            self.clock.advance(EJECTION_SECONDS)
            trial = self.ask()
            self.assertIs(a, trial.member)
            self.have("b")
            self.told.take()
            end(trial)
            trial.end()
            self.assertEqual((Health.GONE, 0, []), (a.health, a.active, self.told.take()))

    def test_another_strategy(self) -> None:
        """It is in force at once, for the same members."""
        a, b = self.have("a", "b")
        self.kill(a)
        self.have("a", "b")
        self.members.change([Wanted(id=each, target=f"at {each}") for each in "ab"], "IP_HASH")
        self.assertEqual(["b"] * 3, self.asked(3))
        self.assertEqual([a, b], list(self.members))

    def test_nothing_by_halves(self) -> None:
        """What cannot be done is not begun."""
        self.have("a")
        b = Wanted(id="b", target="")
        for wanted, strategy in (([b, b], "IP_HASH"), ([b], "FASTEST")):
            with self.assertRaises(ValueError):
                self.members.change(wanted, strategy)
            self.assertEqual(["a"] * 2, self.asked(2))
            self.assertEqual("ROUND_ROBIN", self.members._strategy_name)

    def test_weight(self) -> None:
        """None is without weight."""
        with self.assertRaises(ValueError):
            Wanted(id="a", target="", weight=0)

    def test_change_while_it_is_told(self) -> None:
        """An observer may take away the one that it is told of."""
        a, _ = self.have("a", "b")
        self.told.then = lambda: self.have("b", "c") and None
        self.kill(a)
        self.assertEqual(["b", "c"], sorted(self.asked(2)))
        self.assertIs(Health.GONE, a.health)

    def test_no_secrets(self) -> None:
        """What is printed of a member is not where it leads to, nor how."""
        (a,) = self.have("a")
        self.assertNotIn("at a", repr(a))
