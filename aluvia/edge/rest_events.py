"""
``GET /events``: what happens on the edge, as it happens (server-sent events, HTML section 9.2).

.. code-block:: text

    event: backend.dead
    data: {"name": "backend.dead", "at": 1763742000.25, "data": {"route": "a", "backend": "b"}}

``?name=`` (more than once, if one likes) asks for some events and no others; an edge makes no event
of a request for whoever has not asked for those. Every :data:`KEEP_ALIVE_SECONDS` there is a
comment, so that whatever stands between does not take it for dead.

.. code-block:: text

    a listener  until                     or                              what happens is
    ----------  ------------------------  ------------------------------  ----------------------
    reads       its connection is full    it leaves, or the edge ends     written
    is behind   it has read               it was so for STALLED_SECONDS:  kept, up to MOST_KEPT;
                                          then it is cut                  then counted

Who was so far behind that something was not kept is told how much that was, in its place: an event
``dropped``, with a ``count``.
"""

from __future__ import annotations

import collections
import json
import typing

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.web.http import Request
from zope.interface import implementer

from aluvia.api.answers import prepare
from aluvia.api.problems import Problem, busy
from aluvia.api.queries import Query
from aluvia.edge.events import Event, EventBus, EventName, Subscription
from aluvia.edge.rest_paths import BASE, Path

__all__ = ["EventStream"]

#: At once; each holds a connection.
MOST_LISTENERS = 32

#: Events that wait for one listener.
MOST_KEPT = 256

KEEP_ALIVE_SECONDS = 15.0

#: How long a listener may be behind.
STALLED_SECONDS = 60.0

# After how long a browser whose connection was lost comes back by itself; milliseconds.
_HELLO = b"retry: 5000\n\n"
_KEEP_ALIVE = b":\n\n"


class EventStream:
    """
    Those who listen.

    :param bus: what they listen to.
    """

    def __init__(self, bus: EventBus, clock: IReactorTime) -> None:
        self._bus = bus
        self._clock = clock
        self._listeners: set[_Listener] = set()
        self._last: tuple[Event | None, bytes] = None, b""

    def __len__(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def paths(self) -> list[Path]:
        """Where it is."""
        return [Path("GET", f"{BASE}/events", self.listen, frozenset({"name"}))]

    def listen(self, request: Request, query: Query) -> bytes | Deferred[bytes]:
        """Answer with events, until somebody has enough."""
        names = [_event_name(name) for name in query.get("name", ())]
        if len(self._listeners) >= MOST_LISTENERS:
            raise busy("As many listen as may.")
        prepare(request, 200, b"text/event-stream")
        if request.method == b"HEAD":
            return b""
        listener = _Listener(request, self._clock, self._encoded)
        listener.subscriptions = [
            self._bus.subscribe(name, listener.hear) for name in dict.fromkeys(names) or (None,)
        ]
        self._listeners.add(listener)
        listener.done.addBoth(self._gone, listener)
        return listener.done

    def end(self) -> None:
        """Let everybody go."""
        for listener in list(self._listeners):
            listener.end()

    def _encoded(self, event: Event) -> bytes:
        """An event as it is told: made once, for whoever hears it."""
        if self._last[0] is not event:
            self._last = event, _told(event.name, event.at, event.data)
        return self._last[1]

    def _gone(self, result: object, listener: _Listener) -> object:
        self._listeners.discard(listener)
        return result


@implementer(IPushProducer)
class _Listener:
    """
    One of them.

    :param encoded: an event as it is told.
    :ivar done: fires when it is let go; cancelled when it has left.
    """

    def __init__(
        self,
        request: Request,
        clock: IReactorTime,
        encoded: typing.Callable[[Event], bytes],
    ) -> None:
        self.subscriptions: list[Subscription] = []
        self.done: Deferred[bytes] = Deferred(lambda done: self._stop())
        self._request = request
        self._clock = clock
        self._encoded = encoded
        self._kept: collections.deque[bytes] = collections.deque()
        self._dropped = 0
        self._behind = False
        self._stalled: IDelayedCall | None = None
        self._next = clock.callLater(KEEP_ALIVE_SECONDS, self._keep_alive)
        request.registerProducer(self, True)
        request.write(_HELLO)

    def hear(self, event: Event) -> None:
        """Something has happened."""
        if len(self._kept) < MOST_KEPT and not self._dropped:
            self._kept.append(self._encoded(event))
            self._write()
        else:
            self._dropped += 1

    def end(self) -> None:
        """There is nothing more to hear."""
        self._stop()
        self.done.callback(b"")

    def pauseProducing(self) -> None:
        """It does not read as fast as things happen."""
        self._behind = True
        if self._stalled is None:
            self._stalled = self._clock.callLater(STALLED_SECONDS, self._cut)

    def resumeProducing(self) -> None:
        """It has read."""
        self._behind = False
        self._not_stalled()
        self._write()

    def stopProducing(self) -> None:
        """It has left; the request tells of that too."""
        self._behind = True
        self._not_stalled()

    def _write(self) -> None:
        while self._kept and not self._behind:
            self._request.write(self._kept.popleft())
        if self._dropped and not self._behind:
            count, self._dropped = self._dropped, 0
            self._request.write(_told("dropped", self._clock.seconds(), {"count": count}))

    def _keep_alive(self) -> None:
        self._next = self._clock.callLater(KEEP_ALIVE_SECONDS, self._keep_alive)
        if not self._behind:
            self._request.write(_KEEP_ALIVE)

    def _cut(self) -> None:
        self._stalled = None
        channel: typing.Any = self._request.channel
        if channel is not None:
            channel.abortConnection()

    def _not_stalled(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None:
            stalled.cancel()

    def _stop(self) -> None:
        for subscription in self.subscriptions:
            subscription.cancel()
        self._next.cancel()
        self._not_stalled()
        self._kept.clear()
        if self._request.channel is not None:
            # It has not left.
            self._request.unregisterProducer()


def _event_name(name: str) -> EventName:
    try:
        return EventName(name)
    except ValueError:
        there = ", ".join(EventName)
        raise Problem(400, "no_such_event", f"The events are {there}.") from None


def _told(name: str, at: float, data: typing.Mapping[str, object]) -> bytes:
    text = json.dumps({"name": name, "at": at, "data": dict(data)})
    return f"event: {name}\ndata: {text}\n\n".encode("ascii")
