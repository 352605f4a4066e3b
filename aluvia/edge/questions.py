"""
What is being asked of somebody who may take their time, or never answer.

.. code-block:: text

    state  leaves on
    -----  --------------------------------------------------------------------------------------
    OPEN   there is an answer -> OVER, with that verdict
           asking failed -> OVER, with the verdict that is made of the error
           the time is up -> OVER, with the verdict that is made of TooLateError
           stop -> OVER, denied: 503
           who waits gives up -> OVER, with CancelledError
    OVER   whatever the one who was asked still says is dropped

How a question ends is settled before the one who was asked is told to stop, so that what they make
of that (an error of any kind) is taken for nothing else.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.verdicts import Verdict, denied

__all__ = ["CLOSED", "Questions", "TimersOnly", "TooLateError"]

_log = Logger()

#: Nobody is asked any more.
CLOSED = denied(503, "proxy_internal_response", "Nobody is asked about requests any more.")

#: Makes a verdict of an error. It does not raise.
Failed = typing.Callable[[Failure], Verdict]


class TooLateError(Exception):
    """There was no answer in time."""


class TimersOnly(typing.Protocol):
    """What we need of a reactor."""

    def callLater(
        self, delay: float, callable: typing.Callable[..., object], *args: object
    ) -> IDelayedCall:
        """Call it later."""


class Questions:
    """
    The questions to one provider.

    :param timeout: for each; seconds.
    :param failed: makes a verdict of what went wrong.
    :ivar closed: whether nothing is to be asked any more.
    """

    def __init__(
        self, clock: TimersOnly, timeout: float, failed: Failed, *, log: Logger = _log
    ) -> None:
        self.closed = False
        self._clock = clock
        self._timeout = timeout
        self._failed = failed
        self._log = log
        self._open: set[_Question] = set()
        self._finished: list[Deferred[None]] = []

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def wait(self, asked: Deferred[Verdict]) -> Deferred[Verdict]:
        """
        Wait for an answer that was asked for.

        :param asked: what will be said; nobody else is to use it.
        :return: as :meth:`aluvia.edge.verdicts.Authenticator.ask` says.
        """
        question = _Question(self, asked)
        self._open.add(question)
        question.timer = self._clock.callLater(self._timeout, question.late)
        asked.addBoth(question.said)
        return question.verdict

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """
        Ask nothing any more.

        :param finish: let those that are open come to their end before; else they end now.
        :return: fires when none is open.
        """
        self.closed = True
        if not finish:
            for question in list(self._open):
                question.end(CLOSED)
        if not self._open:
            return succeed(None)
        finished: Deferred[None] = Deferred()
        self._finished.append(finished)
        return finished

    def ended(self, question: _Question) -> None:
        """One is over."""
        self._open.discard(question)
        if self.closed and not self._open:
            finished, self._finished = self._finished, []
            for each in finished:
                each.callback(None)

    def failed(self, failure: Failure) -> Verdict:
        """What it means that there is no answer."""
        return self._failed(failure)

    def cancel(self, asked: Deferred[Verdict]) -> None:
        """Tell the one who was asked that it is over."""
        try:
            asked.cancel()
        except Exception:
            # A Deferred may be somebody else's, and so may be what its cancelling calls.
            self._log.failure("Giving up an authentication failed")


class _Question:
    """
    One of them; told apart by identity.

    :ivar verdict: for who waits.
    """

    __slots__ = ("_asked", "_over", "_questions", "timer", "verdict")

    def __init__(self, questions: Questions, asked: Deferred[Verdict]) -> None:
        self._questions = questions
        self._asked = asked
        self._over = False
        self.timer: IDelayedCall | None = None
        self.verdict: Deferred[Verdict] = Deferred(lambda _: self._finish())

    def said(self, result: Verdict | Failure) -> None:
        """There is an answer, or an error."""
        if not self._over:
            self._over = True
            self._close()
            if isinstance(result, Failure):
                result = self._questions.failed(result)
            self.verdict.callback(result)

    def late(self) -> None:
        """There is no answer in time."""
        self._finish()
        self.verdict.callback(self._questions.failed(Failure(TooLateError())))

    def end(self, verdict: Verdict) -> None:
        """It ends without the answer."""
        if not self._over:
            self._finish()
            self.verdict.callback(verdict)

    def _finish(self) -> None:
        self._over = True
        self._questions.cancel(self._asked)
        self._close()

    def _close(self) -> None:
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self._questions.ended(self)
