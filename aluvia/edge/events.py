"""
What happens on an edge, told to whoever wants to hear it.

.. code-block:: text

    request.completed     a request is over; the data of :func:`completed_event`
    backend.dead          a backend gets no more requests, until it has shown that it lives
    backend.alive         it does again
    route.changed         a route was made, changed or removed
    certificate.changed   so was a certificate

Subscribers are called at once, in the order in which they subscribed; they must not take long,
and whatever they raise is logged and held from the others. Nothing is kept for one who comes
later.

A request is told by :class:`CompletedRequest`, which the data path has anyway. Only if somebody
listens (:meth:`EventBus.wanted`) is an event made of it.
"""

from __future__ import annotations

import enum
import typing

import attrs
from twisted.logger import Logger

from aluvia.telemetry.logs import CUT
from aluvia.telemetry.redaction import MARK

__all__ = [
    "CompletedRequest",
    "Event",
    "EventBus",
    "EventName",
    "Subscription",
    "completed_event",
    "milliseconds",
    "shown_name",
    "shown_target",
]

_log = Logger()

#: Bounds of what a client chooses, in a log line and in an event: of its request's target, and of
#: what else it names (the method, the request id). The cut is marked.
TARGET_BYTES = 2_048
NAME_CHARS = 256


class EventName(enum.StrEnum):
    """All the events that there are."""

    REQUEST_COMPLETED = "request.completed"
    BACKEND_DEAD = "backend.dead"
    BACKEND_ALIVE = "backend.alive"
    ROUTE_CHANGED = "route.changed"
    CERTIFICATE_CHANGED = "certificate.changed"


class CompletedRequest(typing.Protocol):
    """
    A request that is over, as the data path knows it. Durations are seconds, and −1.0 where it did
    not come to that.
    """

    @property
    def request_id(self) -> str:
        """A UUID, or what the client called it."""

    @property
    def connection_id(self) -> str:
        """Of the client's connection."""

    @property
    def client_address(self) -> str:
        """Who asked, as it was resolved; a literal."""

    @property
    def method(self) -> bytes:
        """As it came; empty if it could not be read, as is ``target``."""

    @property
    def target(self) -> bytes:
        """As it came; empty if it could not be read."""

    @property
    def v_host(self) -> str:
        """As configured; empty if no route took it, as are ``route_id`` and ``backend_id``."""

    @property
    def route_id(self) -> str:
        """Of the route; empty if none took it."""

    @property
    def backend_id(self) -> str:
        """The last that was tried; empty if it came to none."""

    @property
    def attempts(self) -> int:
        """How often it was sent, or tried to be."""

    @property
    def status(self) -> int:
        """Of the answer; 0 if none was sent."""

    @property
    def bytes_up(self) -> int:
        """Payload from the client."""

    @property
    def bytes_down(self) -> int:
        """Payload to the client."""

    @property
    def started(self) -> float:
        """Seconds of the reactor's clock, which are those since 1970."""

    @property
    def queued(self) -> float:
        """How long it waited for its turn."""

    @property
    def connect(self) -> float:
        """How long the last connection took to be made."""

    @property
    def first_byte(self) -> float:
        """How long the head of the answer took to come."""

    @property
    def total(self) -> float:
        """From its first byte to the answer's last."""

    @property
    def cause(self) -> str:
        """Why it failed: empty if it did not, ``client_gone``, or a name of RFC 9209 §2.3."""

    @property
    def upgraded(self) -> bool:
        """
        Whether it became a stream (a WebSocket, server-sent events), whose end says nothing of
        how fast it was.
        """


@attrs.frozen
class Event:
    """
    One thing that happened.

    :ivar name: an :class:`EventName`, or its text.
    :ivar data: what JSON can say, in the names of the API; not to be changed.
    :ivar at: seconds since 1970.
    """

    name: str = attrs.field(converter=EventName)
    data: typing.Mapping[str, object]
    at: float


Callback: typing.TypeAlias = typing.Callable[[Event], object]


class Subscription:
    """One who listens, until :meth:`cancel`."""

    __slots__ = ("_bus", "callback", "failures", "name")

    def __init__(self, bus: EventBus, name: EventName | None, callback: Callback) -> None:
        self._bus: EventBus | None = bus
        self.name = name
        self.callback = callback
        self.failures = 0

    @property
    def active(self) -> bool:
        """Whether it hears what is published."""
        return self._bus is not None

    def cancel(self) -> None:
        """Hear nothing from now on, not even the event that is being told. Harmless twice."""
        bus, self._bus = self._bus, None
        if bus is not None:
            bus._remove(self)


class EventBus:
    """Tells events to those who subscribed to them."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        # By name, with those to all events among them; made anew at each change, so that what is
        # being published is not disturbed.
        self._hearing: dict[str, tuple[Subscription, ...]] = {}

    def subscribe(self, name: str | None, callback: Callback) -> Subscription:
        """
        Call ``callback`` with each event of this name.

        :param name: an :class:`EventName`, or its text; None for all events.
        :raises ValueError: if there is no such event.
        """
        subscription = Subscription(self, None if name is None else EventName(name), callback)
        self._subscriptions.append(subscription)
        self._arrange()
        return subscription

    def wanted(self, name: str) -> bool:
        """Whether anybody listens, so that no event need be made for nobody."""
        return name in self._hearing

    def publish(self, event: Event) -> None:
        """
        Tell it. Whoever subscribes meanwhile does not hear this one.
        """
        for subscription in self._hearing.get(event.name, ()):
            if subscription.active:
                try:
                    subscription.callback(event)
                except Exception:
                    _failed(subscription, event)

    def _remove(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        self._arrange()

    def _arrange(self) -> None:
        hearing = {
            name: tuple(each for each in self._subscriptions if each.name in (None, name))
            for name in EventName
        }
        self._hearing = {name: those for name, those in hearing.items() if those}


def _failed(subscription: Subscription, event: Event) -> None:
    """Log the first time, the second, the fourth, …: a request's subscriber is called often."""
    subscription.failures += 1
    times = subscription.failures
    if times & (times - 1) == 0:
        _log.failure(
            "A subscriber to {name} failed; that was time {times}.", name=event.name, times=times
        )


def completed_event(request: CompletedRequest) -> Event:
    """
    A request that is over, in the names of the access log; to be made only where it is
    :meth:`~EventBus.wanted`.
    """
    data = {
        "requestId": shown_name(request.request_id),
        "connectionId": request.connection_id,
        "client": request.client_address,
        "method": shown_name(request.method.decode("ascii", "backslashreplace")),
        "target": shown_target(request.target),
        "vHost": request.v_host,
        "route": request.route_id,
        "backend": request.backend_id,
        "attempts": request.attempts,
        "status": request.status,
        "bytesUp": request.bytes_up,
        "bytesDown": request.bytes_down,
        "queueMs": milliseconds(request.queued),
        "connectMs": milliseconds(request.connect),
        "firstByteMs": milliseconds(request.first_byte),
        "totalMs": milliseconds(request.total),
        "cause": request.cause,
        "upgraded": request.upgraded,
    }
    return Event(EventName.REQUEST_COMPLETED, data, request.started + max(0.0, request.total))


def milliseconds(seconds: float) -> float | None:
    """A duration for people and JSON; None where it did not come to it."""
    return None if seconds < 0.0 else round(seconds * 1000.0, 3)


def shown_name(text: str) -> str:
    """What a client named, no longer than :data:`NAME_CHARS`."""
    return text if len(text) <= NAME_CHARS else text[:NAME_CHARS] + CUT


def shown_target(target: bytes) -> str:
    """
    The path of a request's target, and no more.

    Queries hold tokens, keys and people's names, and nobody can tell which: they are left out, and
    a ``?`` says that there was one. So is a fragment, which has no place there. A path is shown as
    it came: whoever puts a secret into one shows it to every server on its way.

    What is not a path (the target of a bad request, or the absolute form) may have credentials
    before an ``@``; then nothing of it is shown.
    """
    if not target.startswith(b"/") and b"@" in target:
        return MARK
    path, query, _ = target.partition(b"?")
    path = path.partition(b"#")[0]
    shown = path[:TARGET_BYTES].decode("utf-8", "backslashreplace")
    if len(path) > TARGET_BYTES:
        shown += CUT
    return shown + "?" if query else shown
