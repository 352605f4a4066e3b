"""
Probes, again and again: who is dead and would answer, who is alive and would not.

What is probed, and what comes of it:

=================== =================== ================================ ==========================
check               who is probed       a good one                       a bad one
=================== =================== ================================ ==========================
none is configured  those that are      the next request is the trial    nothing: it is known
                    dead, every 60 s
one is configured   all, every          of those that are dead: the      ``fall`` in a row: it is
                    ``interval``        ``rise``-th in a row, the same   out until it is good again
=================== =================== ================================ ==========================

Only those that are ready are probed. What a probe says of a member that has died, been tried or
been taken away since the probe began is not heard, and one that has found out nothing says nothing
(:exc:`~aluvia.upstreams.probes.ProbeInconclusive`).

Of one member:

.. code-block:: text

    state    leaves on
    -------  -----------------------------------------------------------------------------
    WAITING  its time has come, and fewer than MOST_PROBES run -> PROBING
    PROBING  the probe is over -> WAITING
    (either  it need not be probed any more -> it is forgotten, its probe is cancelled)

The first probes are spread over the interval, and each later one comes a little sooner or later
than the interval says, so that many members, and many doors that watch the same, are not probed at
one moment.
"""

from __future__ import annotations

import math
import typing
from random import Random

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.net.deadlines import Deadlines
from aluvia.upstreams.member import Admin, Health, Member
from aluvia.upstreams.members import Clock, Members
from aluvia.upstreams.probes import ProbeFailed, ProbeInconclusive

__all__ = ["MOST_PROBES", "RECOVERY_SECONDS", "Check", "HealthChecks", "Probe"]

_log = Logger()

T = typing.TypeVar("T")

#: Sees how a member is; fails with :exc:`~aluvia.upstreams.probes.ProbeFailed`. It ends by itself,
#: and is cancelled when nobody wants to know any more.
Probe = typing.Callable[[Member[T]], Deferred[None]]

#: How many probes of one owner's members run at once.
MOST_PROBES = 8
#: Between two probes of a dead member, where no check is configured; seconds.
RECOVERY_SECONDS = 60.0
#: By which part of the interval a probe is sooner or later.
JITTER = 0.1


@attrs.frozen(kw_only=True)
class Check:
    """
    A check that an operator has configured.

    :ivar interval: between two probes of one member; seconds.
    :ivar rise: how many good ones in a row bring it back.
    :ivar fall: how many bad ones in a row take it out.
    """

    interval: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    rise: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    fall: int = attrs.field(default=1, validator=attrs.validators.ge(1))


@attrs.define(eq=False)
class _Watched(typing.Generic[T]):
    """
    What is known of one that is probed.

    :ivar due: when it is probed next.
    :ivar probe: the one that runs.
    :ivar term: of the member when that began.
    :ivar good: good ones in a row, since it died; ``bad`` likewise, whatever it is.
    """

    member: Member[T]
    due: float
    probe: Deferred[None] | None = None
    term: int = 0
    good: int = 0
    bad: int = 0


class HealthChecks(typing.Generic[T]):
    """
    The probes of some members, from its making until :meth:`stop`. There is one for them at a time;
    another check is another of these.

    :param deadlines: says when a probe is due.
    :param check: None if none is configured.
    :param most: how many run at once.
    :ivar running: how many run.
    """

    def __init__(
        self,
        members: Members[T],
        probe: Probe[T],
        deadlines: Deadlines,
        clock: Clock,
        *,
        random: Random,
        check: Check | None = None,
        most: int = MOST_PROBES,
    ) -> None:
        self.running = 0
        self.deadline = math.inf
        self._members = members
        self._probe = probe
        self._deadlines = deadlines
        self._now = clock.seconds
        self._random = random
        self._check = check
        self._interval = RECOVERY_SECONDS if check is None else check.interval
        self._most = most
        self._watched: dict[Member[T], _Watched[T]] = {}
        members.watcher = self._look
        deadlines.watch(self)
        self._look()

    def stop(self) -> None:
        """Probe no more. Members that the check has down come back as time goes by."""
        self._members.watcher = None
        self._deadlines.forget(self)
        for watched in list(self._watched.values()):
            self._forget(watched)

    def deadline_passed(self, now: float) -> None:
        """Begin the probes whose time has come: those that have waited longest, if not all can."""
        self._look()
        due = [each for each in self._watched.values() if each.probe is None and each.due <= now]
        due.sort(key=lambda watched: watched.due)
        for watched in due[: self._most - self.running]:
            self._begin(watched, now)
        self._arrange()

    def _look(self) -> None:
        """See who is to be probed."""
        now = self._now()
        wanted = dict.fromkeys(member for member in self._members if self._is_wanted(member))
        for watched in list(self._watched.values()):
            if watched.member not in wanted:
                self._forget(watched)
        for member in wanted:
            if member not in self._watched:
                self._watched[member] = _Watched(member, now + self._first())
        self._arrange()

    def _is_wanted(self, member: Member[T]) -> bool:
        if member.admin is not Admin.READY:
            return False
        return self._check is not None or member.health is Health.DEAD

    def _first(self) -> float:
        """When a member is probed first: one that has just died, not at once."""
        if self._check is None:
            return self._later()
        return self._interval * self._random.random()

    def _later(self) -> float:
        return self._interval * (1 + JITTER * (2 * self._random.random() - 1))

    def _arrange(self) -> None:
        """Be called when the next one is due, or as soon as another is over if too many run."""
        self.deadline = math.inf
        if self.running < self._most:
            waiting = (each.due for each in self._watched.values() if each.probe is None)
            self.deadline = min(waiting, default=math.inf)

    def _begin(self, watched: _Watched[T], now: float) -> None:
        member = watched.member
        if watched.term != member.term:
            # It has died or been tried: what was good before that is forgotten.
            watched.good = 0
        watched.term = member.term
        watched.due = now + self._later()
        self.running += 1
        watched.probe = probe = maybeDeferred(self._probe, member)
        probe.addBoth(self._ended, watched)
        probe.addCallbacks(self._good, self._bad, callbackArgs=(watched,), errbackArgs=(watched,))
        probe.addErrback(_log_failure)

    def _ended(self, result: Failure | None, watched: _Watched[T]) -> Failure | None:
        self.running -= 1
        watched.probe = None
        self._arrange()
        return result

    def _is_news(self, watched: _Watched[T]) -> bool:
        member = watched.member
        return self._watched.get(member) is watched and watched.term == member.term

    def _good(self, _: None, watched: _Watched[T]) -> None:
        if self._is_news(watched):
            watched.bad = 0
            watched.good += 1
            if watched.good >= (1 if self._check is None else self._check.rise):
                self._members.probed_good(watched.member)

    def _bad(self, failure: Failure, watched: _Watched[T]) -> None:
        if self._watched.get(watched.member) is not watched:
            # Cancelled, by us.
            return
        error = failure.value
        if isinstance(error, ProbeInconclusive):
            # A door that runs out of descriptors must not take all its members for dead.
            return
        why = str(error)
        if not isinstance(error, ProbeFailed):
            _log.failure("A probe did not work.", failure)
            why = type(error).__name__
        if self._is_news(watched):
            watched.good = 0
            watched.bad += 1
            if self._check is not None and watched.bad >= self._check.fall:
                self._members.probed_bad(watched.member, f"probe: {why}")

    def _forget(self, watched: _Watched[T]) -> None:
        del self._watched[watched.member]
        if watched.probe is not None:
            watched.probe.cancel()
        self._members.unchecked(watched.member)


def _log_failure(failure: Failure) -> None:
    _log.failure("What follows from a probe failed.", failure)
