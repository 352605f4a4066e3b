"""
Keep-alive connections between two requests, kept for the next to the same place.

The one used last is used next: it is the least likely to have been closed by its peer, and those
that are not needed grow old and go. A connection leaves by being taken, by growing too old or
too idle, by being pushed out where there are too many, or because it turned out stale: closed by
its peer, or with bytes that nobody asked for, which must never be taken for the next answer.

A stale one can still be taken, when its peer's FIN is on its way. That is what sending a request
a second time is for (RFC 9110 §9.2.2); nothing here can help it.
"""

from __future__ import annotations

import collections.abc
import math
import typing

from aluvia.net.deadlines import Deadlines
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["IdleConnection", "IdleConnections"]


class IdleConnection(collections.abc.Hashable, typing.Protocol):
    """
    A connection that can be kept. It is told apart from others by identity.

    While it is kept it reads on; when its peer closes it, or bytes come, it sets ``closed``,
    calls :meth:`IdleConnections.discard`, and closes.

    :ivar closed: whether it is of no more use.
    :ivar opened: when it was connected; seconds of the reactor's clock.
    """

    closed: bool
    opened: float

    def close(self) -> None:
        """Close it."""


class Clock(typing.Protocol):
    """What we need of a reactor."""

    def seconds(self) -> float:
        """Return the time."""


Connection = typing.TypeVar("Connection", bound=IdleConnection)
Key = collections.abc.Hashable


class IdleConnections(typing.Generic[Connection]):
    """
    Idle connections by where they lead.

    :param deadlines: calls when the first of them has grown too old or too idle.
    :param idle_time: how long one is kept; seconds.
    :param maximum_age: how old one may be to be kept or taken; seconds since it was opened.
    """

    def __init__(
        self,
        clock: Clock,
        deadlines: Deadlines,
        *,
        idle_time: float = 60.0,
        maximum_age: float = 600.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._idle_time = idle_time
        self._maximum_age = maximum_age
        self._limits = limits
        # Both in the order in which they came: the first has been idle longest.
        self._keys: dict[Connection, Key] = {}
        self._by_key: dict[Key, dict[Connection, float]] = {}
        self._watched = False
        self._ended = False
        self.deadline = math.inf

    def __len__(self) -> int:
        """Return how many are kept."""
        return len(self._keys)

    def take(self, key: Key, idle_at_most: float = math.inf) -> Connection | None:
        """
        Return the connection to this place that was used last, to be used again; or None.

        :param idle_at_most: how long ago it was used; seconds. One that is about to grow too old
            passes for idle longer than it is.
        """
        kept = self._by_key.get(key)
        now = self._clock.seconds()
        while kept:
            connection, expires = kept.popitem()
            if expires - self._idle_time + idle_at_most < now < expires:
                kept[connection] = expires
                return None
            del self._keys[connection]
            if not kept:
                del self._by_key[key]
            if not connection.closed and now < expires:
                return connection
            connection.close()
        return None

    def put(self, key: Key, connection: Connection) -> None:
        """Keep a connection on which nothing is under way, or close it if it is of no more use."""
        now = self._clock.seconds()
        expires = min(now + self._idle_time, connection.opened + self._maximum_age)
        if connection.closed or expires <= now or self._ended:
            connection.close()
            return
        kept = self._by_key.setdefault(key, {})
        kept[connection] = expires
        self._keys[connection] = key
        if len(kept) > self._limits.idle_connections_per_key:
            self._drop(next(iter(kept)))
        elif len(self._keys) > self._limits.idle_connections:
            self._drop(next(iter(self._keys)))
        self.deadline = min(self.deadline, expires)
        if not self._watched:
            self._watched = True
            self._deadlines.watch(self)

    def discard(self, connection: Connection) -> None:
        """Forget a connection that turned out stale. Harmless for one that is not kept."""
        key = self._keys.pop(connection, None)
        if key is not None:
            kept = self._by_key[key]
            del kept[connection]
            if not kept:
                del self._by_key[key]

    def close_those_of(self, key: Key) -> None:
        """Close every one to this place: nobody will take it."""
        for connection in list(self._by_key.get(key, ())):
            self._drop(connection)

    def end(self) -> None:
        """Close every one of them, and keep none from now on."""
        self._ended = True
        self.close_all()

    def close_all(self) -> None:
        """Close every one of them."""
        for connection in list(self._keys):
            self._drop(connection)
        self._rest()

    def deadline_passed(self, now: float) -> None:
        """Close those that have grown too old or too idle, and those that are stale."""
        earliest = math.inf
        for connection, key in list(self._keys.items()):
            expires = self._by_key[key][connection]
            if connection.closed or expires <= now:
                self._drop(connection)
            else:
                earliest = min(earliest, expires)
        self.deadline = earliest
        if not self._keys:
            self._rest()

    def _drop(self, connection: Connection) -> None:
        self.discard(connection)
        connection.close()

    def _rest(self) -> None:
        self.deadline = math.inf
        if self._watched:
            self._watched = False
            self._deadlines.forget(self)
