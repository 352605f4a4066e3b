"""
The monitor that a control plane offers: an address that answers when something changes.

.. code-block:: text

    state    meaning                               leaves on
    -------  ------------------------------------  -------------------------------------------
    NONE     no answer names one                   a good answer that does -> NAMED
    NAMED    it is asked, in place of the tick     a whole answer without it -> NONE
                                                   it fails -> PAUSED
    PAUSED   it failed. The tick asks as if there  the pause is over -> NONE
             were none, whatever answers name

A monitor may fail for ever where plain questions do not (a balancer on the way that ends what is
silent for 20 seconds), or once, because a server was started anew. So a pause is four times the one
before it, until it answers well. Its failure is said once, and is no problem of the
configuration's: plain answers renew that. Neither does a ``Retry-After`` of the monitor's hold them
up, only itself.
"""

from __future__ import annotations

import typing

from twisted.logger import Logger

from aluvia.client.polls import PollProblem

#: How long a monitor that failed is not asked, at least, for the first time and at most; seconds.
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 600.0


class Monitor:
    """
    One control plane's.

    :ivar address: what to ask; None for plain polling.
    """

    def __init__(self, clock: typing.Any, log: Logger) -> None:
        self.address: str | None = None
        self._clock = clock
        self._log = log
        self._paused_until = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._said: str | None = None

    def named(self, address: str | None) -> None:
        """A whole answer names this one, or none."""
        paused = self._clock.seconds() < self._paused_until
        self.address = None if paused else address

    def works(self) -> None:
        """It answered well: what goes wrong from now on is news."""
        self._said = None
        self._pause = FIRST_PAUSE_SECONDS

    def failed(self, problem: PollProblem) -> None:
        """Ask it no more for a while."""
        pause = max(self._pause, problem.retry_after or 0.0)
        self._pause = min(4 * self._pause, LONGEST_PAUSE_SECONDS)
        self.address = None
        self._paused_until = self._clock.seconds() + pause
        if problem.sentence != self._said:
            self._log.warn(
                "The API's monitor failed, and is not asked for {pause:.0f} s; the API is polled. "
                "{why}",
                pause=pause,
                why=problem.sentence,
            )
        self._said = problem.sentence
