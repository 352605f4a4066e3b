"""
One member: what its owner wants of it, and how it is.

Two things are told apart. **Admin** is the owner's word: only those that are ``READY`` are picked.
**Health** is what requests and probes have shown:

.. code-block:: text

    state     takes                 leaves on
    --------  --------------------  ------------------------------------------------------------
    ALIVE     its share; a smaller  failed, or its check has it down -> DEAD
              one in slow start
    DEAD      nothing               its ejection ends, enough good probes, or its owner makes it
                                    ready again -> DUE; answered, where nobody is alive -> ALIVE
    DUE       the next request      began -> ON_TRIAL;  its check has it down -> DEAD;
                                    answered, where nobody is alive -> ALIVE
    ON_TRIAL  nothing more          the trial is answered -> ALIVE, in slow start if others are
                                    alive;  it fails -> DEAD, for longer;  it ends without either
                                    (its client has gone) -> DUE;  its check has it down -> DEAD;
                                    another is answered, where nobody is alive -> ALIVE
    GONE      nothing               never: it was taken away, or became another. What is under way
                                    there comes to its end, and is no news

By ``IP_HASH`` a trial is for a client that belongs to the member, so that nobody else's moves; one
that no client comes for stays DUE, and misses none.

Where nobody is alive, all that are ready take their share as if they were: see
:class:`~aluvia.upstreams.members.Members`.

**How long it is out.** An ejection takes ``EJECTION_SECONDS`` for each failure in a row, up to
``MOST_EJECTION_SECONDS``. A member that a configured check has down has no such end: what the
operator has asked to be probed is believed until it is good again, or is probed no more. (Let
back by time alone, one that says on purpose that it wants no requests would get them.)

**Terms.** A request that began before a member died says nothing of how it is afterwards: it may
time out when the member has long been back, and a WebSocket of old that ends is not the trial. So
each death and each trial begins a new *term*, a number that
:meth:`~aluvia.upstreams.members.Members.began` gives to each request, which brings it along with
its news; what is of an earlier term is no news.
"""

from __future__ import annotations

import enum
import typing

import attrs

from aluvia.upstreams.latency import Latency

__all__ = [
    "EJECTION_SECONDS",
    "MOST_EJECTION_SECONDS",
    "SLOW_START_SECONDS",
    "SLOW_START_STEPS",
    "Admin",
    "Health",
    "Member",
    "Observer",
    "Wanted",
]

#: How long a member is out for each failure in a row.
EJECTION_SECONDS = 30.0
#: And for many.
MOST_EJECTION_SECONDS = 300.0
#: How long it takes a member that came back to have its whole share again.
SLOW_START_SECONDS = 30.0
#: In how many steps.
SLOW_START_STEPS = 30

T = typing.TypeVar("T")


class Admin(enum.Enum):
    """
    What the owner wants of a member.

    ``DRAIN``: what is under way comes to its end, and nothing new goes there. ``MAINT``: the same,
    and nothing but its owner ever brings it back. Neither is probed.
    """

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class Health(enum.Enum):
    """The states of the table above."""

    ALIVE = enum.auto()
    DEAD = enum.auto()
    DUE = enum.auto()
    ON_TRIAL = enum.auto()
    GONE = enum.auto()


_UNWELL = frozenset([Health.DEAD, Health.DUE, Health.ON_TRIAL])


@attrs.frozen(kw_only=True)
class Wanted(typing.Generic[T]):
    """
    What a member is to be.

    :ivar id: unique among its fellows. ``IP_HASH`` goes by it, so it is to outlive a restart.
    :ivar target: the owner's: where it leads. Equal where nothing has changed.
    :ivar weight: its share among the others; 1 or more.
    """

    id: str
    target: T
    weight: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    admin: Admin = Admin.READY


@attrs.define(eq=False, kw_only=True)
class Member(typing.Generic[T]):
    """
    One that requests can go to. It is told apart by identity.

    Only :class:`~aluvia.upstreams.members.Members` changes it; others read.

    :ivar id: as wanted; and so ``target``, ``weight``, ``admin``.
    :ivar health: one of the table above.
    :ivar active: how many requests are under way there.
    :ivar failure_count: failures in a row; 0 while it is alive.
    :ivar dead_since: when it died, by the clock (a reactor's gives seconds since the epoch); None
        while it is alive. A trial that fails does not change it.
    :ivar ejected_until: when its ejection ends; None while there is none.
    :ivar slow_since: when its slow start began.
    :ivar held: whether a configured check has it down.
    :ivar term: of the requests that begin now.
    :ivar measured: how long it takes.
    """

    id: str
    target: T = attrs.field(repr=False)
    weight: int
    admin: Admin
    health: Health = Health.ALIVE
    active: int = 0
    failure_count: int = 0
    dead_since: float | None = None
    ejected_until: float | None = None
    slow_since: float | None = None
    held: bool = False
    term: int = 0
    measured: Latency = attrs.field(factory=Latency, repr=False)

    @property
    def is_dead(self) -> bool:
        """Whether it is out, or on trial."""
        return self.health in _UNWELL

    @property
    def latency(self) -> float | None:
        """Time to the first byte of an answer, on average; seconds. None before the first."""
        return self.measured.seconds

    def share(self, now: float) -> int:
        """How much of its share it has, in parts of :data:`SLOW_START_STEPS`."""
        since = self.slow_since
        # A clock that was put back must not hold it there.
        if since is None or not 0 <= now - since < SLOW_START_SECONDS:
            return SLOW_START_STEPS
        return int((now - since) * SLOW_START_STEPS / SLOW_START_SECONDS) + 1


class Observer(typing.Protocol[T]):
    """
    Who is told of what changes by itself. It is told when all is as it says; it may change the
    members, and must not raise.
    """

    def member_died(self, member: Member[T], cause: str) -> None:
        """It was alive. A trial that fails is not told."""

    def member_revived(self, member: Member[T]) -> None:
        """It is alive again."""

    def nobody_alive(self, so: bool) -> None:
        """Whether requests go to members that are dead, since of those that are ready all are."""
