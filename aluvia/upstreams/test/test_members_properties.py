"""What holds of members whatever happens to them, in whatever order."""

from __future__ import annotations

import collections
import itertools
from random import Random

from hypothesis import settings, stateful
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.upstreams.member import MOST_EJECTION_SECONDS, Admin, Health, Member, Wanted
from aluvia.upstreams.members import Members
from aluvia.upstreams.strategies import STRATEGIES
from aluvia.upstreams.test.asking import Request, Told

CLIENTS = [f"198.51.100.{number}" for number in range(250)]

WANTED = st.lists(
    st.builds(
        Wanted,
        id=st.sampled_from("abcd"),
        target=st.sampled_from(["one", "two"]),
        weight=st.integers(1, 3),
        admin=st.sampled_from([Admin.READY, Admin.READY, Admin.READY, Admin.DRAIN, Admin.MAINT]),
    ),
    unique_by=lambda wanted: wanted.id,
)


class Life(stateful.RuleBasedStateMachine):
    """Requests, probes, time and an owner, all at once."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1_000)
        self.told = Told()
        self.members: Members[str] = Members(self.clock, "RANDOM", self.told, random=Random(1))
        self.every: list[Member[str]] = []
        self.open: list[Request] = []
        self.trials: list[Request] = []

    @stateful.initialize(wanted=WANTED)
    def begin(self, wanted: list[Wanted[str]]) -> None:
        """Somebody is there."""
        self.change_members(wanted, None)

    @stateful.rule(wanted=WANTED, strategy=st.sampled_from([*STRATEGIES, None]))
    def change(self, wanted: list[Wanted[str]], strategy: str | None) -> None:
        """The owner wants others."""
        self.change_members(wanted, strategy)

    def change_members(self, wanted: list[Wanted[str]], strategy: str | None) -> None:
        """Change them, and know all that there ever were."""
        self.members.change(wanted, strategy)
        self.every += [member for member in self.members if member not in self.every]

    @stateful.rule(client=st.sampled_from(CLIENTS), tries=st.integers(1, 5))
    def ask(self, client: str, tries: int) -> None:
        """A request that is sent elsewhere again and again; the last one stays open."""
        tried: list[Member[str]] = []
        for left in range(tries, 0, -1):
            member = self.members.pick(client, tried)
            if member is None:
                self.assert_none_is_right(tried)
                return
            self.assert_right(member, tried)
            due = member.health is Health.DUE
            request = Request(self.members, member, self.members.began(member))
            if due:
                self.trials = [each for each in self.trials if self.runs(each)]
                assert member not in [trial.member for trial in self.trials], "a second trial"
                self.trials.append(request)
            if left > 1:
                request.fail().end()
            else:
                self.open.append(request)
            tried.append(member)

    def assert_right(self, member: Member[str], tried: list[Member[str]]) -> None:
        """It may be picked."""
        assert member not in tried
        assert member in list(self.members)
        assert member.admin is Admin.READY
        assert member.health in (Health.ALIVE, Health.DUE) or self.members.is_nobody_alive, (
            f"{member} is out"
        )

    def assert_none_is_right(self, tried: list[Member[str]]) -> None:
        """Nobody might have been picked."""
        for member in self.members:
            left = member.admin is Admin.READY and member not in tried
            assert not (left and member.health is Health.ALIVE)
            assert not (left and self.members.is_nobody_alive)

    def runs(self, trial: Request) -> bool:
        """Whether the trial of a member is still this one."""
        return (
            trial in self.open
            and trial.member.health is Health.ON_TRIAL
            and trial.term == trial.member.term
        )

    @stateful.precondition(lambda self: self.open)
    @stateful.rule(data=st.data(), step=st.sampled_from(["answer", "fail", "end"]))
    def go_on(self, data: st.DataObject, step: str) -> None:
        """Something becomes of a request, sooner or later, perhaps more than once."""
        request = data.draw(st.sampled_from(self.open))
        if step == "answer":
            request.answer(failing=data.draw(st.booleans()))
        elif step == "fail":
            request.fail()
        else:
            self.open.remove(request)
            request.end()

    @stateful.rule(seconds=st.sampled_from([0.5, 1, 10, 29, 31, 300]))
    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)

    @stateful.precondition(lambda self: self.every)
    @stateful.rule(data=st.data(), news=st.sampled_from(["good", "bad", "none"]))
    def probe(self, data: st.DataObject, news: str) -> None:
        """A probe is over, perhaps of one that is gone."""
        member = data.draw(st.sampled_from(self.every))
        if news == "good":
            self.members.probed_good(member)
        elif news == "bad":
            self.members.probed_bad(member, "probe")
        else:
            self.members.unchecked(member)

    @stateful.invariant()
    def active_is_what_is_open(self) -> None:
        """It is never negative, and never more than what is under way."""
        counts = collections.Counter(request.member for request in self.open)
        for member in self.every:
            assert member.active == counts[member], member

    @stateful.invariant()
    def nobody_is_told_of(self) -> None:
        """What was told last of whether anybody is alive is so."""
        ready = [each for each in self.members if each.admin is Admin.READY]
        so = bool(ready) and all(member.is_dead for member in ready)
        told = [news for news in self.told.news if news in ("nobody alive", "somebody alive")]
        assert self.members.is_nobody_alive is so
        assert (told[-1:] == ["nobody alive"]) is so
        assert all(one != other for one, other in itertools.pairwise(told))

    @stateful.invariant()
    def states_are_whole(self) -> None:
        """What is shown of a member goes together, and nobody is out for ever."""
        for member in self.members:
            dead = member.is_dead
            assert (member.dead_since is not None) is dead
            assert (member.failure_count > 0) is dead
            assert not (dead and member.slow_since is not None)
            assert not member.held or member.health is Health.DEAD
            until = member.ejected_until
            assert (until is not None) is (member.health is Health.DEAD and not member.held)
            if until is not None:
                assert until <= self.clock.seconds() + MOST_EJECTION_SECONDS
        assert Health.GONE not in [member.health for member in self.members]

    def teardown(self) -> None:
        """In the end all is well again, if only it is asked."""
        for request in self.open:
            request.end()
        for member in self.members:
            self.members.unchecked(member)
        self.clock.advance(MOST_EJECTION_SECONDS)
        for client in CLIENTS:
            picked = self.members.pick(client)
            if picked is not None:
                Request(self.members, picked, self.members.began(picked)).answer().end()
        for member in self.members:
            assert member.active == 0
            assert not (member.is_dead and member.admin is Admin.READY), member


class LifeTests(SynchronousTestCase):
    """The rules, in any order."""

    def test_life(self) -> None:
        """No invariant breaks."""
        stateful.run_state_machine_as_test(
            Life, settings=settings(settings_for_tests, max_examples=150, stateful_step_count=40)
        )
