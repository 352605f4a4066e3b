"""
How long a client's connection may take: its phases, and the pace of what moves in them.

.. code-block:: text

    phase    what it waits for                         deadline (absolute)       then
    -------  ----------------------------------------  ------------------------  ------------
    WAITING  the first byte of a request               head_seconds at first,    close
                                                       then keep_alive_seconds
    HEAD     the rest of that head                     head_seconds              408, close
    BODY     the request's body                        each body_window_seconds  408, close,
                                                                                 if too slow
             ... that the upstream does not take yet,  as ANSWER                 as ANSWER
             or has not asked for (100-continue)
    ANSWER   the responder, or the client's reading    idle_seconds without a    the responder
             of what was answered                      byte                      is told
    LINGER   the client's FIN, after we closed with    linger_seconds from our   reset
             some of its request unread                FIN, idle_seconds to it
    CLOSING  the client's reading of what is queued    idle_seconds              reset

:class:`~aluvia.net.http_server.ServerConnection` goes through them. In BODY and ANSWER it is bytes
that count, and the data path does no more than count them: it needs no clock, and moves no
deadline. They are judged when a deadline has passed.
"""

from __future__ import annotations

import enum

from aluvia.wire.limits import Limits

__all__ = ["Pace", "Phase"]


class Phase(enum.Enum):
    """Where a connection is; the table is in the module's docstring."""

    WAITING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    LINGER = enum.auto()
    CLOSING = enum.auto()
    CLOSED = enum.auto()


class Pace:
    """
    What has moved on one connection, and whether that was enough.

    There are two measures. A *window* is a stretch of time in which a body must bring so much:
    what came in one window does not help in the next, so that a drip is found out. *Quiet* is the
    time in which nothing moved either way, as it was seen at the looks.

    :ivar read: bytes of bodies that came. The owner adds to it, where they come.
    :ivar written: bytes that we sent. The owner adds to it, where they go.
    :ivar body_begun: whether a body's rate counts: not while its client waits for a 100.
    :ivar idle_seconds: how long it may be quiet.
    """

    __slots__ = (
        "_limits",
        "_moved",
        "_quiet_since",
        "_window",
        "body_begun",
        "idle_seconds",
        "read",
        "written",
    )

    def __init__(self, limits: Limits, idle_seconds: float) -> None:
        self.idle_seconds = idle_seconds
        self.read = 0
        self.written = 0
        self.body_begun = False
        self._limits = limits
        self._moved = 0
        self._quiet_since = 0.0
        self._window = 0

    def begin(self, now: float) -> float:
        """
        Begin a request: quiet counts from here.

        :return: when it will have been quiet for too long; seconds.
        """
        self._quiet_since = now
        self._moved = self.read + self.written
        return now + self.idle_seconds

    def begin_window(self, now: float) -> float:
        """
        Begin a window.

        :return: when it ends; seconds.
        """
        self._window = self.read
        return now + self._limits.body_window_seconds

    @property
    def in_window(self) -> int:
        """How many bytes came since the window began."""
        return self.read - self._window

    @property
    def too_slow(self) -> bool:
        """Whether less came since the window began than must come in a whole one."""
        limits = self._limits
        return self.in_window < limits.body_least_rate * limits.body_window_seconds

    def fell_quiet(self, now: float) -> bool:
        """Look: whether nothing has moved for too long. Once it was so, quiet counts anew."""
        moved = self.read + self.written
        if moved != self._moved:
            self._moved = moved
            self._quiet_since = now
        elif now - self._quiet_since >= self.idle_seconds:
            self._quiet_since = now
            return True
        return False

    @property
    def quiet_until(self) -> float:
        """When it will have been quiet for too long, by the last look; seconds."""
        return self._quiet_since + self.idle_seconds
