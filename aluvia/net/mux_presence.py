"""
Whether the peer of a carrier is there: it is asked every so often, and what it says is noticed.

TCP does not tell when packets are dropped. A peer of whom nothing was heard for too long is gone;
one whose place somebody wants is asked at once, and has :data:`PROBE_SECONDS` to say anything.
"""

from __future__ import annotations

import typing

from aluvia.net.accept import Clock

__all__ = ["PROBE_SECONDS", "Presence"]

#: For a peer that is probed to say anything; seconds.
PROBE_SECONDS = 5.0

#: The sweep looks once a second: so much earlier it is noticed in time.
_LOOK_SECONDS = 1.0


class Presence:
    """
    Of one peer.

    :param ping: asks it; called with eight bytes that its answer has as well.
    :param ping_seconds: how often it is asked.
    :param silence_seconds: after which it is gone; noticed no later than that.
    :ivar heard: when something last came, by the sweep's clock; whoever hears sets it.
    :ivar deadline: when :meth:`look` is to be called; seconds.
    :ivar round_trip: of the last ping; seconds, None before one was answered.
    """

    __slots__ = (
        "_asked",
        "_clock",
        "_ping",
        "_ping_seconds",
        "_pinged",
        "_pings",
        "_probed",
        "_silence_seconds",
        "deadline",
        "heard",
        "round_trip",
    )

    def __init__(
        self,
        ping: typing.Callable[[bytes], object],
        clock: Clock,
        now: float,
        ping_seconds: float,
        silence_seconds: float,
    ) -> None:
        self.heard = self._asked = now
        self.deadline = now + ping_seconds
        self.round_trip: float | None = None
        self._ping = ping
        self._clock = clock
        self._ping_seconds = ping_seconds
        self._silence_seconds = silence_seconds - _LOOK_SECONDS
        self._probed: float | None = None
        self._pings = 0
        self._pinged: tuple[bytes, float] | None = None

    def look(self, now: float) -> bool:
        """Whether it is there, as far as can be told; ask it if it is time."""
        probed = self._probed
        if probed is not None and self.heard >= probed:
            probed = self._probed = None
        if now - self.heard >= self._silence_seconds:
            return False
        if probed is not None and now - probed >= PROBE_SECONDS:
            return False
        if now - self._asked >= self._ping_seconds:
            self._ask(now)
        self.deadline = min(self._asked + self._ping_seconds, self.heard + self._silence_seconds)
        if probed is not None:
            self.deadline = min(self.deadline, probed + PROBE_SECONDS)
        return True

    def probe(self, now: float) -> None:
        """Ask it at once. Harmless while it is asked like this."""
        if self._probed is None:
            self._probed = now
            # What it has said until now does not count; the clock is that coarse.
            self.heard = min(self.heard, now - _LOOK_SECONDS)
            self.deadline = min(self.deadline, now + PROBE_SECONDS)
            self._ask(now)

    def answered(self, payload: bytes) -> None:
        """It has answered a ping with this."""
        if self._pinged is not None and self._pinged[0] == payload:
            self.round_trip = self._clock.seconds() - self._pinged[1]
            self._pinged = None

    def _ask(self, now: float) -> None:
        self._asked = now
        self._pings += 1
        payload = self._pings.to_bytes(8, "big")
        self._pinged = payload, self._clock.seconds()
        self._ping(payload)
