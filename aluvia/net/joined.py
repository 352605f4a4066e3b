"""What every relay promises, and the one thing they do alike: noticing that nothing moves."""

from __future__ import annotations

import abc
import collections.abc
import math

from twisted.internet.error import TimeoutError
from twisted.python.failure import Failure

__all__ = ["IDLE", "Ended", "Relay"]

#: Why a tunnel ended in which nothing moved.
IDLE = Failure(TimeoutError())

Ended = collections.abc.Callable[["Relay", "Failure | None"], None]


class Relay(abc.ABC):
    """
    Two connections, joined until both have ended.

    :ivar idle_timeout: seconds without a byte, either way, after which both are reset; infinite to
        begin with. Whoever sets it gives the relay to a sweep (:class:`aluvia.net.accept.Sweep`),
        and takes it away in ``ended``. It is noticed up to an eighth late.
    :ivar deadline: when :meth:`deadline_passed` wants to be called; see the sweep.
    """

    __slots__ = ("_ended", "_moved", "_quiet_since", "deadline", "idle_timeout")

    def __init__(self, ended: Ended) -> None:
        self._ended: Ended | None = ended
        self.idle_timeout = math.inf
        self.deadline = 0.0
        self._quiet_since = 0.0
        self._moved = -1

    @abc.abstractmethod
    def start(self, left_bytes: bytes = b"", right_bytes: bytes = b"") -> None:
        """
        Take over both connections.

        What was written to them before goes out first. The relay may be over when this returns.

        :param left_bytes: what was read from the left one and not passed on yet.
        :param right_bytes: the same of the right one.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Reset both, and drop what is held. Harmless when it is over."""

    @property
    @abc.abstractmethod
    def bytes_from_left(self) -> int:
        """How many bytes the left one has sent."""

    @property
    @abc.abstractmethod
    def bytes_from_right(self) -> int:
        """How many bytes the right one has sent."""

    @property
    def over(self) -> bool:
        """Whether ``ended`` was called."""
        return self._ended is None

    def deadline_passed(self, now: float) -> None:
        """
        See whether anything has moved since the last look.

        That keeps the clock out of the data path: bytes are counted anyway.
        """
        moved = self.moved()
        if moved != self._moved:
            self._moved = moved
            self._quiet_since = now
        elif now - self._quiet_since >= self.idle_timeout:
            self._timed_out()
            return
        wait = self._quiet_since + self.idle_timeout - now
        self.deadline = now + min(wait, self.idle_timeout / 8)

    @abc.abstractmethod
    def moved(self) -> int:
        """A number that changes with every byte read or written."""

    @abc.abstractmethod
    def _timed_out(self) -> None:
        """Nothing has moved for too long."""

    def _end(self, failure: Failure | None) -> None:
        """Say that it is over; once."""
        self.deadline = math.inf
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self, failure)
