"""
Which carrier is next, where the operator leaves that to us (``--carrier auto``).

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    WSS       twice one after the other there was no WebSocket, though somebody was reached, or it
              ended within :data:`SHORT_SECONDS` -> LONGPOLL
    LONGPOLL  a WebSocket that was tried beside it registers -> WSS;  long-polling does not come
              about either, and that is no refusal -> WSS;  :data:`AGAIN_SECONDS` have passed and
              nothing is connected -> WSS

A hub that is away, or refuses us, says nothing about WebSockets.
"""

from __future__ import annotations

import typing

from aluvia.agent.carrier import Ending, Kind

__all__ = ["AGAIN_SECONDS", "SHORT_SECONDS", "Choice"]

#: A WebSocket that lives no longer did not work; seconds.
SHORT_SECONDS = 10.0

#: How long it is long-polled before a WebSocket is tried again; seconds.
AGAIN_SECONDS = 600.0

#: So many WebSockets that did not work, and it is long-polled.
_TOO_MANY = 2


class Choice:
    """
    One agent's.

    :param carrier: ``auto``, or the only one that there is.
    :param seconds: the clock.
    """

    def __init__(
        self,
        carrier: typing.Literal["auto", "wss", "longpoll"],
        seconds: typing.Callable[[], float],
    ) -> None:
        self._only: Kind | None = None if carrier == "auto" else carrier
        self._seconds = seconds
        self._failures = 0
        self._again = 0.0

    @property
    def kind(self) -> Kind:
        """Of which kind the next carrier is to be."""
        if self._only is not None:
            return self._only
        return "longpoll" if self._seconds() < self._again else "wss"

    @property
    def try_in(self) -> float | None:
        """When to try a WebSocket beside long-polling, from now; seconds. None for never."""
        return None if self._only is not None else max(0.0, self._again - self._seconds())

    def ended(self, kind: Kind, ending: Ending, lived: float | None) -> None:
        """
        The carrier there was is over.

        :param lived: for how long the hub had it; None if it never did. Seconds.
        """
        if kind == "longpoll":
            if lived is None and ending.refusal is None:
                self._again = 0.0
        elif ending.no_websocket or (
            lived is not None and lived < SHORT_SECONDS and ending.refusal is None
        ):
            self._failures += 1
            if self._failures >= _TOO_MANY:
                self._again = self._seconds() + AGAIN_SECONDS
        elif lived is not None:
            self._failures = 0

    def tried(self) -> None:
        """A WebSocket was tried beside, and did not work."""
        self._again = self._seconds() + AGAIN_SECONDS

    def works(self) -> None:
        """A WebSocket that was tried beside has registered."""
        self._failures = 0
        self._again = 0.0
