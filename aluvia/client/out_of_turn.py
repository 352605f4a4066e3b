"""
Questions out of turn: shared by all who want one, and not too many.

.. code-block:: text

    state     meaning                         leaves on
    --------  ------------------------------  ---------------------------------------------------
    RESTING   nobody waits                    ask -> ARRANGED
    ARRANGED  it will be asked, at once or    the time -> ASKING
              when a second has passed
    ASKING    it is out                       its answer -> RESTING, or ARRANGED if somebody has
                                              asked meanwhile
"""

from __future__ import annotations

import collections.abc
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()

#: Between the beginnings of two questions; seconds.
OUT_OF_TURN_SECONDS = 1.0


class OutOfTurn:
    """
    Questions that somebody wants asked now: shared, and not too many.

    :param poll: asks once.
    """

    def __init__(
        self,
        clock: typing.Any,
        poll: collections.abc.Callable[[], collections.abc.Coroutine[typing.Any, typing.Any, None]],
    ) -> None:
        self._clock = clock
        self._poll = poll
        self._last = -OUT_OF_TURN_SECONDS
        self._next: typing.Any = None
        self._asking: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._stopped = False

    @property
    def pending(self) -> bool:
        """Whether one is out, or arranged."""
        return self._next is not None or self._asking is not None

    def ask(self, not_before: float) -> Deferred[None]:
        """See :meth:`ControlPlane.poll_soon`."""
        now = self._clock.seconds()
        # Cancelled, it stays in its list and takes no notice.
        done: Deferred[None] = Deferred()
        if now < not_before or self._stopped:
            done.callback(None)
            return done
        self._waiting.append(done)
        # One that is out already may have been answered before what made the caller ask.
        if self._next is None and self._asking is None:
            self._arrange()
        return done

    def stop(self) -> None:
        """Ask no more; who waits is told."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._asking is not None:
            self._asking.cancel()
        self._tell(self._waiting)

    def _arrange(self) -> None:
        delay = max(0.0, self._last + OUT_OF_TURN_SECONDS - self._clock.seconds())
        self._next = self._clock.callLater(delay, self._begin)

    def _begin(self) -> None:
        self._next = None
        self._last = self._clock.seconds()
        told, self._waiting = self._waiting, []
        asking = self._asking = Deferred.fromCoroutine(self._poll())
        asking.addBoth(self._answered, told)

    def _answered(self, result: Failure | None, told: list[Deferred[None]]) -> None:
        self._asking = None
        self._tell(told)
        # Who was told just now may have asked again, and so arranged it.
        if self._waiting and self._next is None and not self._stopped:
            self._arrange()
        report(result)

    @staticmethod
    def _tell(waiting: list[Deferred[None]]) -> None:
        while waiting:
            waiting.pop().callback(None)


def report(result: Failure | None) -> None:
    """Log what went wrong and has no one else to hear of it."""
    if isinstance(result, Failure) and result.check(CancelledError) is None:
        log.failure("Asking the API failed.", failure=result)
