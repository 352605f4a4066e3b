"""How a connection ended, as the side that is left sees it."""

from __future__ import annotations

import enum


class Ended(enum.Enum):
    """How the other side ended its half."""

    FIN = "fin"
    RESET = "reset"


class ConnectionEnded(Exception):
    """
    The connection ended before what was awaited came.

    :ivar how: :attr:`Ended.FIN` after the other side's FIN, else :attr:`Ended.RESET`.
    """

    def __init__(self, how: Ended) -> None:
        super().__init__(how.value)
        self.how = how
