"""
Waiting for a change: what stands behind a long poll.

Waiters are bounded, in all and for each key, because each holds a connection.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

__all__ = ["TooManyWaiting", "Watch"]

MOST_WAITING = 1024
MOST_WAITING_FOR_ONE = 16


class TooManyWaiting(Exception):
    """One more may not wait."""


class Watch:
    """
    Those who wait, by what they wait for.

    :ivar waiting: how many there are.
    """

    def __init__(
        self,
        clock: IReactorTime,
        most: int = MOST_WAITING,
        most_for_one: int = MOST_WAITING_FOR_ONE,
    ) -> None:
        self.waiting = 0
        self._clock = clock
        self._most = most
        self._most_for_one = most_for_one
        self._waiters: dict[str, set[Deferred[bool]]] = {}
        self._over = False

    async def wait(self, key: str, seconds: float) -> bool:
        """
        Wait for a change; cancel the Deferred around it to wait no more.

        :return: whether there was one; False when the time is over.
        :raises TooManyWaiting: at once.
        """
        if self._over:
            return False
        waiters = self._waiters.setdefault(key, set())
        if self.waiting >= self._most or len(waiters) >= self._most_for_one:
            if not waiters:
                del self._waiters[key]
            raise TooManyWaiting
        told: Deferred[bool] = Deferred()
        timer = self._clock.callLater(seconds, told.callback, False)
        waiters.add(told)
        self.waiting += 1
        try:
            return await told
        finally:
            if timer.active():
                timer.cancel()
            self.waiting -= 1
            waiters.discard(told)
            if not waiters and self._waiters.get(key) is waiters:
                del self._waiters[key]

    def changed(self, key: str) -> None:
        """Tell those who wait for this."""
        self._tell(self._waiters.get(key, ()), True)

    def end(self) -> None:
        """Let everybody go, with no change; nobody waits from now on."""
        self._over = True
        for waiters in list(self._waiters.values()):
            self._tell(waiters, False)

    def _tell(self, waiters: typing.Iterable[Deferred[bool]], change: bool) -> None:
        for told in list(waiters):
            if not told.called:
                told.callback(change)
