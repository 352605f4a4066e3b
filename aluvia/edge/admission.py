"""
How many requests of a route run at once, and who waits for that.

.. code-block:: text

    a request finds           it is
    ------------------------  ------------------------------------------------------------------
    fewer than active_length  running: it has a slot until :meth:`Admission.leave`
    no slot, room in line     waiting: :meth:`Waiter.admitted` in its turn, or
                              :meth:`Waiter.waited_too_long`, or it withdraws
    no slot, no room          refused: :class:`LineFull`

Slots are given in the order in which requests came. One timer serves the line: all of a route wait
equally long, so the first in line is the first whose time is over, but where that was changed.

A request has its slot from its head on, and its body may come as slowly as a body may: for ever, if
it is long enough. So of those whose body is on its way one client has no more than
:data:`BODIES_SHARE` of the slots, and leaves the rest to others. What came whole is not counted.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from aluvia.net.per_address import CountPerAddress

__all__ = ["BODIES_SHARE", "Admission", "LineFull", "Waiter"]

#: Of the slots of a route, how many one address (of IPv6, one /64) may have or wait for with
#: requests whose body is on its way; one at least.
BODIES_SHARE = 0.5


class LineFull(Exception):
    """There is no slot, and no room in line."""


class Waiter(typing.Protocol):
    """A request that waits for a slot."""

    def admitted(self) -> None:
        """It has a slot now."""

    def waited_too_long(self) -> None:
        """It is not in line any more, and has none."""


class Admission:
    """
    The slots of one route.

    :param active_length: how many there are.
    :param queue_length: how many may wait; 0 for none.
    :param queue_seconds: how long.
    :ivar active: slots that are taken.
    """

    __slots__ = (
        "_admitting",
        "_bodies",
        "_clock",
        "_timer",
        "_waiting",
        "active",
        "active_length",
        "queue_length",
        "queue_seconds",
    )

    def __init__(
        self, clock: IReactorTime, active_length: int, queue_length: int, queue_seconds: float
    ) -> None:
        self.active = 0
        self.active_length = active_length
        self.queue_length = queue_length
        self.queue_seconds = queue_seconds
        self._bodies = CountPerAddress()
        self._clock = clock
        # With the time at which each has waited too long; the first is the first in line.
        self._waiting: dict[Waiter, float] = {}
        self._timer: IDelayedCall | None = None
        self._admitting = False

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._waiting)

    def body_begins(self, address: str) -> bool:
        """
        One is to enter whose body is on its way; :meth:`body_is_over` follows.

        :return: whether it may: otherwise its client has its share of these.
        """
        if self._bodies.of(address) >= max(1, int(self.active_length * BODIES_SHARE)):
            return False
        self._bodies.add(address)
        return True

    def body_is_over(self, address: str) -> None:
        """It has come whole, or will not."""
        self._bodies.remove(address)

    def enter(self, waiter: Waiter) -> bool:
        """
        Take a slot, or a place in line.

        :return: whether it is a slot.
        :raises LineFull: neither.
        """
        if self.active < self.active_length and not self._waiting:
            self.active += 1
            return True
        if len(self._waiting) >= self.queue_length:
            raise LineFull
        until = self._waiting[waiter] = self._clock.seconds() + self.queue_seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self.queue_seconds, self._time_out)
        elif until < self._timer.getTime():
            # They wait less long than they used to.
            self._timer.reset(self.queue_seconds)
        return False

    def leave(self) -> None:
        """Give a slot back; the first in line has it."""
        self.active -= 1
        if self._waiting:
            self._admit()

    def withdraw(self, waiter: Waiter) -> None:
        """It waits no more. Harmless for one that is not in line."""
        if self._waiting.pop(waiter, None) is not None:
            self._rest()

    def change(self, active_length: int, queue_length: int, queue_seconds: float) -> None:
        """Have other bounds from now on. Nobody who has a slot or a place loses it."""
        self.active_length = active_length
        self.queue_length = queue_length
        self.queue_seconds = queue_seconds
        self._admit()

    def _admit(self) -> None:
        """Give out what slots there are. Flat: one that is over at once does not nest."""
        if self._admitting:
            return
        self._admitting = True
        try:
            while self._waiting and self.active < self.active_length:
                waiter = next(iter(self._waiting))
                del self._waiting[waiter]
                self.active += 1
                waiter.admitted()
        finally:
            self._admitting = False
            self._rest()

    def _time_out(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        late = [waiter for waiter, until in self._waiting.items() if until <= now]
        try:
            for waiter in late:
                if self._waiting.pop(waiter, None) is not None:
                    waiter.waited_too_long()
        finally:
            if self._waiting and self._timer is None:
                wait = min(self._waiting.values()) - self._clock.seconds()
                self._timer = self._clock.callLater(max(0.0, wait), self._time_out)

    def _rest(self) -> None:
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
