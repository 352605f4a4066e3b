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

Strangers can make us ask, and who is asked may be slow: so the line is short, and one address has
:data:`SHARE` of it, so that it leaves the rest to others.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.verdicts import Verdict, denied
from aluvia.net.per_address import CountPerAddress

__all__ = ["CLOSED", "SHARE", "Questions", "TimersOnly", "TooLateError"]

_log = Logger()

#: Nobody is asked any more.
CLOSED = denied(503, "proxy_internal_response", "Nobody is asked about requests any more.")

#: Of the questions that may be open, those on behalf of one address (of IPv6, one /64); one at
#: least.
SHARE = 0.25

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
    :param most: how many may be open.
    :param failed: makes a verdict of what went wrong.
    :ivar closed: whether nothing is to be asked any more.
    """

    def __init__(
        self, clock: TimersOnly, timeout: float, most: int, failed: Failed, *, log: Logger = _log
    ) -> None:
        self.closed = False
        self._clock = clock
        self._timeout = timeout
        self._most = most
        self._most_of_one = max(1, int(most * SHARE))
        self._failed = failed
        self._log = log
        self._open: set[_Question] = set()
        self._of_address = CountPerAddress()
        self._finished: list[Deferred[None]] = []

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def has_room_for(self, address: str) -> bool:
        """Whether one more may be asked on behalf of this address."""
        return len(self._open) < self._most and self._of_address.of(address) < self._most_of_one

    def wait(self, asked: Deferred[Verdict], address: str) -> Deferred[Verdict]:
        """
        Wait for an answer that was asked for.

        :param asked: what will be said; nobody else is to use it.
        :param address: the client's.
        :return: as :meth:`aluvia.edge.verdicts.Authenticator.ask` says.
        """
        question = _Question(self, asked, address)
        self._open.add(question)
        self._of_address.add(address)
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
        self._open.remove(question)
        self._of_address.remove(question.address)
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

    :ivar address: on whose behalf.
    :ivar verdict: for who waits.
    """

    __slots__ = ("_asked", "_over", "_questions", "address", "timer", "verdict")

    def __init__(self, questions: Questions, asked: Deferred[Verdict], address: str) -> None:
        self.address = address
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
