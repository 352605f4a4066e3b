"""
Members, and the judgement of them: who is asked next, who is out, and when it may come back.

The states of one member, and what they lead to, are the table in :mod:`aluvia.upstreams.member`.
The owner of a request says what becomes of it:

.. code-block:: text

    member = pick(client, tried)   None: nobody is left
    term = began(member)           at once: by this it is known whether the request is a trial
    answered(member, …, term)      the first byte of an answer has come, a good one or not
    failed(member, …, term)        refused, reset, timed out, unreadable; an answer cut short too
    ended(member, term)            always, once, and last: also if the client has left

Whoever leaves out ``ended`` leaves the member busy for ever.

Nothing here has a timer. While all are well the clock is not even looked at to pick; while one is
not, each pick looks whether an ejection has ended or a slow start has gone on. What is costly,
such as the order of turns, is worked out when something changes, and not at each pick.

Where nobody is alive, requests go to all that are ready, as if they were alive: one may have come
back, and that no answer comes is all that they can lose. Whichever answers is alive at once.
"""

from __future__ import annotations

import math
import typing
from random import Random

from aluvia.upstreams.member import (
    EJECTION_SECONDS,
    MOST_EJECTION_SECONDS,
    SLOW_START_SECONDS,
    SLOW_START_STEPS,
    Admin,
    Health,
    Member,
    Observer,
    Wanted,
)
from aluvia.upstreams.strategies import STRATEGIES, Strategy

__all__ = ["Admin", "Health", "Member", "Members", "Observer", "Wanted"]

# Names of the module, since an attribute of an enum is a look-up in a dictionary more.
_ALIVE = Health.ALIVE
_DEAD = Health.DEAD
_DUE = Health.DUE
_ON_TRIAL = Health.ON_TRIAL
_GONE = Health.GONE

#: What a failure counts for among latencies, where the owner does not say.
TIMEOUT_SECONDS = 60.0

T = typing.TypeVar("T")


class Clock(typing.Protocol):
    """What we need of a reactor."""

    def seconds(self) -> float:
        """Return the time."""


class Members(typing.Generic[T]):
    """
    The members of one owner. There are none before :meth:`change`.

    :param strategy: a name in :data:`~aluvia.upstreams.strategies.STRATEGIES`.
    :ivar timeout: what a failure counts for among latencies, as if the request had waited so long;
        seconds. It may be changed at any time.
    :ivar is_nobody_alive: whether all that are ready are dead (and there are such).
    :ivar watcher: called when somebody has come, gone, died or been revived, or has been made ready
        or is so no more: for the one who probes them.
    """

    def __init__(
        self,
        clock: Clock,
        strategy: str,
        observer: Observer[T],
        *,
        random: Random,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.timeout = timeout
        self.is_nobody_alive = False
        self.watcher: typing.Callable[[], object] | None = None
        self._now = clock.seconds
        self._observer = observer
        self._random = random
        self._members: dict[str, Member[T]] = {}
        self._told_nobody = False
        #: Those of which the next request is the trial.
        self._due: list[Member[T]] = []
        #: When time alone changes something; then, or where a trial is due, picking is restless.
        self._look_at = math.inf
        self._restless = False
        self._use(strategy)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._members)

    def __iter__(self) -> typing.Iterator[Member[T]]:
        """All of them, as they were when this was asked, in the order in which they are wanted."""
        return iter(list(self._members.values()))

    def __getitem__(self, id: str) -> Member[T]:
        """
        The member of this id.

        :raises KeyError: there is none.
        """
        return self._members[id]

    def change(self, wanted: typing.Sequence[Wanted[T]], strategy: str | None = None) -> None:
        """
        Have these members, and no others.

        One of the same id and an equal target is the same, with all that is known of it; one with
        another target is a new one. One that is dead and is made ready again is tried at once.

        :param strategy: None for the same.
        :raises ValueError: two have one id, or there is no such strategy. Nothing is changed then.
        """
        by_id = {each.id: each for each in wanted}
        if len(by_id) != len(wanted):
            raise ValueError("Two members have the same id.")
        if strategy is not None and strategy != self._strategy_name:
            self._use(strategy)
        before = self._members
        self._members = {id: self._changed(before.get(id), each) for id, each in by_id.items()}
        for member in before.values():
            if self._members.get(member.id) is not member:
                member.health = _GONE
        self._settle()
        self._tell()

    # The data path

    def pick(self, client: str, tried: typing.Collection[Member[T]] = ()) -> Member[T] | None:
        """
        Say where a request is to go: one that is ready, and not among ``tried``.

        :param client: its address, without a port.
        :return: None if there is none. One that is dead, only as its trial or if all are.
        """
        if self._restless:
            if self._now() >= self._look_at:
                self._settle()
            for member in self._due:
                if member not in tried and (
                    self.is_nobody_alive
                    or self._strategy.suits(client, member, member.weight * SLOW_START_STEPS)
                ):
                    return member
        return self._choose(client, tried)

    def began(self, member: Member[T]) -> int:
        """
        A request is on its way there. To be called at once when it was picked.

        :return: the term, to be given with what becomes of the request.
        """
        member.active += 1
        health = member.health
        if health is _ALIVE:
            return member.term
        if health is _DUE:
            member.health = _ON_TRIAL
            member.term += 1
            self._settle()
        elif health is _ON_TRIAL:
            # All are dead, or it was picked together with the trial. It is not the trial.
            return member.term - 1
        return member.term

    def answered(
        self,
        member: Member[T],
        seconds: float,
        failing: bool = False,
        term: int | None = None,
    ) -> None:
        """
        The first byte of an answer has come.

        :param seconds: how long that took, from when the request was sent whole.
        :param failing: whether the answer is a failure of the server's (a 5xx). It does not kill,
            since the member answers; but it counts as a timeout among latencies, however quick it
            was.
        :param term: of the request. None: the present one, at a risk; see
            :mod:`aluvia.upstreams.member`.
        """
        health = member.health
        if health is _ALIVE:
            if term is not None and term != member.term:
                return
            if failing:
                member.measured.failed(self.timeout, self._now())
            else:
                member.measured.answered(seconds, self._now())
        elif health is not _GONE and not member.held:
            its_trial = health is _ON_TRIAL and (term is None or term == member.term)
            if its_trial or self.is_nobody_alive:
                self._revive(member, seconds, failing)

    def failed(self, member: Member[T], cause: str, term: int | None = None) -> None:
        """
        The member has failed a request: it is out. It does not matter how much had come by then.

        Not for what is our own fault or the client's: no descriptor was left, it did not read.

        :param cause: one line, for people.
        """
        if term is None or term == member.term:
            member.measured.failed(self.timeout, self._now())
            if member.health is _ALIVE or member.health is _ON_TRIAL:
                self._die(member, cause)

    def ended(self, member: Member[T], term: int | None = None) -> None:
        """A request is there no more, whatever became of it."""
        member.active -= 1
        if member.health is _ON_TRIAL and (term is None or term == member.term):
            # Neither answered nor failed: its client has left. The next one finds out.
            member.health = _DUE
            self._settle()

    # Who probes them

    def probed_good(self, member: Member[T]) -> None:
        """Probes have found it well: if it is dead, the next request is its trial."""
        if member.health is _DEAD and member.admin is Admin.READY:
            member.held = False
            self._become_due(member)
            self._settle()

    def probed_bad(self, member: Member[T], cause: str) -> None:
        """A configured check has it down: it is out until :meth:`probed_good`."""
        if member.health is not _GONE and member.admin is Admin.READY and not member.held:
            member.held = True
            self._die(member, cause)

    def unchecked(self, member: Member[T]) -> None:
        """No configured check watches it any more: if one has it down, time brings it back."""
        if member.held:
            member.held = False
            member.ejected_until = self._now() + _ejection(member)
            self._settle()

    # Within

    def _use(self, name: str) -> None:
        """Pick by this strategy, from the next time that things are settled."""
        if name not in STRATEGIES:
            raise ValueError(f"There is no strategy {name!r}.")
        self._strategy_name = name
        self._strategy: Strategy[Member[T]] = STRATEGIES[name](self._now, self._random)
        self._choose = self._strategy.pick
        #: What it was told last.
        self._weights: list[tuple[Member[T], int]] = []

    def _changed(self, member: Member[T] | None, wanted: Wanted[T]) -> Member[T]:
        if member is None or member.target != wanted.target:
            return Member(
                id=wanted.id,
                target=wanted.target,
                weight=wanted.weight,
                admin=wanted.admin,
            )
        made_ready = wanted.admin is Admin.READY and member.admin is not Admin.READY
        member.weight = wanted.weight
        member.admin = wanted.admin
        if made_ready and member.health is _DEAD and not member.held:
            self._become_due(member)
        return member

    def _become_due(self, member: Member[T]) -> None:
        member.health = _DUE
        member.ejected_until = None

    def _die(self, member: Member[T], cause: str) -> None:
        """Out it goes; a request or its check has failed."""
        was = member.health
        now = self._now()
        member.health = _DEAD
        member.term += 1
        member.slow_since = None
        if was is _ALIVE or was is _ON_TRIAL:
            member.failure_count += 1
        if member.dead_since is None:
            member.dead_since = now
        member.ejected_until = None if member.held else now + _ejection(member)
        self._settle()
        if was is _ALIVE:
            self._observer.member_died(member, cause)
        self._tell()

    def _revive(self, member: Member[T], seconds: float | None, failing: bool) -> None:
        now = self._now()
        member.health = _ALIVE
        member.failure_count = 0
        member.dead_since = member.ejected_until = None
        member.slow_since = now
        # What it was before its death is no sign of what it is.
        member.measured.forget()
        if failing:
            member.measured.failed(self.timeout, now)
        elif seconds is not None:
            member.measured.answered(seconds, now)
        self._settle()
        self._observer.member_revived(member)
        self._tell()

    def _settle(self) -> None:
        """See who may be picked, and with what weights."""
        now = self._now()
        look_at = math.inf
        ready = [each for each in self._members.values() if each.admin is Admin.READY]
        for member in ready:
            until = member.ejected_until
            if until is not None:
                if until <= now:
                    self._become_due(member)
                else:
                    look_at = min(look_at, until)
        alive = [each for each in ready if each.health is _ALIVE]
        if len(alive) == 1:
            # With nobody else to take the rest it takes all of it anyway.
            alive[0].slow_since = None
        weights = []
        for member in alive:
            share = member.share(now)
            weights.append((member, member.weight * share))
            if share < SLOW_START_STEPS and member.slow_since is not None:
                step = SLOW_START_SECONDS / SLOW_START_STEPS
                look_at = min(look_at, member.slow_since + share * step)
        if not alive:
            weights = [(member, member.weight) for member in ready]
        if weights != self._weights:
            # Working out turns takes long, and so does finding where clients belong.
            self._weights = weights
            self._strategy.settle(weights)
        self._due = [each for each in ready if each.health is _DUE]
        self._look_at = look_at
        self._restless = bool(self._due) or look_at < math.inf
        self.is_nobody_alive = bool(ready) and not alive

    def _tell(self) -> None:
        """Tell what has changed, now that all is settled."""
        if self.is_nobody_alive is not self._told_nobody:
            self._told_nobody = self.is_nobody_alive
            self._observer.nobody_alive(self._told_nobody)
        if self.watcher is not None:
            self.watcher()


def _ejection(member: Member[typing.Any]) -> float:
    """How long it is out; seconds."""
    return min(EJECTION_SECONDS * max(1, member.failure_count), MOST_EJECTION_SECONDS)
