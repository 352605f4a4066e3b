"""What goes wrong with every request is told once in a while, not with every request."""

from __future__ import annotations

import math

from twisted.internet.interfaces import IReactorTime

__all__ = ["ToldOnce"]

#: Between two lines about one kind of trouble; seconds.
TELL_EVERY = 60.0

#: Kinds that are told apart; what comes beyond them is one kind.
MOST_KINDS = 64


class ToldOnce:
    """
    Knows when each kind of trouble was told last.

    :param clock: by which each may be told again.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def is_new(self, kind: str) -> bool:
        """Whether this kind is to be told now; then it counts as told."""
        if kind not in self._told and len(self._told) >= MOST_KINDS:
            kind = ""
        now = self._clock.seconds()
        if now < self._told.get(kind, -math.inf) + TELL_EVERY:
            return False
        self._told[kind] = now
        return True
