"""
What the agent does for each stream that the hub opens.

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    ASKED     it asks for a published id -> DIALLING;  for anything else, or there are too many ->
              refused, OVER
    DIALLING  the declared target is connected -> accepted, RELAYED;  it is not -> refused with the
              cause, OVER;  the hub wants it no more -> the dial is cancelled, OVER
    RELAYED   both sides have ended, one is cut off, nothing moves for ``idle_timeout``, abort();
              or after drain(), between two requests -> OVER

    a dial that failed                                         the stream's code
    ---------------------------------------------------------  ------------------
    connection_refused                                         TARGET_REFUSED
    connection_timeout, dns_timeout                            TARGET_TIMEOUT
    connection_terminated                                      TARGET_RESET
    connection_limit_reached                                   LIMIT
    everything else                                            TARGET_UNREACHABLE

Every stream is asked about, and not only the login: what the hub may reach is said here and
nowhere else. Between the two connections there are bytes and nothing else, so that a redirect or a
compressed answer is the visitor's to deal with.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.agent.health import Health
from aluvia.agent.journal import Journal
from aluvia.agent.observed_http import HTTPObserver, ObservedRequest
from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.joined import Relay
from aluvia.net.plain import PlainRelay
from aluvia.wire.frames import Capability, Code

__all__ = ["Incoming", "Streams"]

_CODES = {
    "connection_refused": Code.TARGET_REFUSED,
    "connection_timeout": Code.TARGET_TIMEOUT,
    "dns_timeout": Code.TARGET_TIMEOUT,
    "connection_terminated": Code.TARGET_RESET,
    "connection_limit_reached": Code.LIMIT,
}


class Incoming(typing.Protocol):
    """A stream that is asked for; :class:`aluvia.net.mux_opening.Incoming`."""

    capability: int
    name: str
    withdrawn: typing.Callable[[], object]

    def accept(self, protocol: IProtocol) -> None:
        """Give it to a protocol."""

    def refuse(self, code: Code, reason: str = "") -> None:
        """There will be none."""


class Streams:
    """
    All of them, over whichever carriers.

    :param idle_timeout: for a stream in which nothing moves; seconds.
    :param most: at once.
    :ivar draining: whether connections end that are between two requests.
    """

    def __init__(
        self,
        targets: Targets,
        health: Health,
        journal: Journal,
        clock: IReactorTime,
        deadlines: Deadlines,
        *,
        idle_timeout: float,
        most: int,
    ) -> None:
        self.targets = targets
        self.health = health
        self.journal = journal
        self.clock = clock
        self.deadlines = deadlines
        self.idle_timeout = idle_timeout
        self.draining = False
        self._most = most
        self._live: set[_Carried] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._live)

    def incoming(self, incoming: Incoming) -> None:
        """One is asked for."""
        published = self.targets.get(incoming.name)
        if incoming.capability != Capability.PUBLISH:
            self._refuse(incoming, Code.REFUSED, "this agent publishes, and is no exit")
        elif published is None:
            self._refuse(incoming, Code.REFUSED, "it is not published here")
        elif len(self._live) >= self._most:
            self._refuse(incoming, Code.LIMIT, "there are as many streams as there may be")
        else:
            carried = _Carried(self, incoming, published)
            self._live.add(carried)
            carried.begin()

    def drain(self) -> None:
        """
        End connections that are kept for a next request, now or when they come to it. What else
        there is comes to its own end.
        """
        self.draining = True
        for carried in [*self._live]:
            carried.end_if_idle()

    def abort(self) -> None:
        """End all of them at once."""
        for carried in [*self._live]:
            carried.abort()

    def forget(self, carried: _Carried) -> None:
        """It is over."""
        self._live.discard(carried)

    def _refuse(self, incoming: Incoming, code: Code, why: str) -> None:
        self.journal.refused(incoming.name, why)
        incoming.refuse(code, why)


@implementer(IProtocol)
class _Carried:
    """
    One stream, and its connection to the target, whose protocol it is until the two are joined.
    """

    factory: typing.Any = None

    def __init__(self, streams: Streams, incoming: Incoming, published: Published) -> None:
        self._streams = streams
        self._published = published
        self._incoming: Incoming | None = incoming
        self._dialing: Dialing | None = None
        self._target: typing.Any = None
        self._stream: typing.Any = None
        self._relay: Relay | None = None
        self._observer: HTTPObserver | None = None
        self._began = streams.clock.seconds()

    def begin(self) -> None:
        """Dial."""
        assert self._incoming is not None
        self._incoming.withdrawn = self._withdrawn
        dialing = self._streams.targets.dial(self._published.id, self, self._failed)
        # It may be over already, one way or the other.
        if self._incoming is not None:
            self._dialing = dialing

    def abort(self) -> None:
        """End it."""
        if self._relay is not None:
            self._relay.abort()
        elif self._incoming is not None:
            incoming = self._incoming
            self._withdrawn()
            incoming.refuse(Code.CANCELLED, "the agent goes away")

    def end_if_idle(self) -> None:
        """End it, in order, if it is kept for a next request."""
        if self._observer is not None and self._observer.idle:
            self._stream.loseConnection()

    # The protocol of the connection to the target.

    def makeConnection(self, transport: typing.Any) -> None:
        """The target is there: so is the stream."""
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        self._dialing = None
        self._target = transport
        self._streams.health.reached(self._published.id)
        incoming.accept(_StreamEnd(self))

    def connectionMade(self) -> None:
        """Not called."""

    def dataReceived(self, data: bytes) -> None:
        """Not called: the relay stands here since the connection was made."""

    def connectionLost(self, reason: Failure) -> None:
        """The same."""

    # Inside.

    def join(self, stream: typing.Any) -> None:
        """Join the two."""
        taps: dict[str, typing.Any] = {}
        if self._published.kind == "http":
            self._observer = observer = HTTPObserver(self._streams.clock.seconds, self._finished)
            taps = {"left_tap": observer.request_bytes, "right_tap": observer.answer_bytes}
        relay = PlainRelay(stream, self._target, ended=self._ended, **taps)
        self._relay = relay
        self._target = None
        self._stream = stream
        relay.idle_timeout = self._streams.idle_timeout
        self._streams.deadlines.watch(relay)
        relay.start()

    def _ended(self, relay: Relay, failure: Failure | None) -> None:
        streams = self._streams
        streams.deadlines.forget(relay)
        streams.forget(self)
        self._relay = self._stream = None
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.closed(in_order=failure is None)
        else:
            streams.journal.connection(
                self._published.id, self._began, relay.bytes_from_left, relay.bytes_from_right
            )

    def _finished(self, request: ObservedRequest) -> None:
        self._streams.journal.request(self._published.id, request)
        if self._streams.draining:
            self.end_if_idle()

    def _withdrawn(self) -> None:
        """Nobody waits for it any more."""
        self._incoming = None
        self._streams.forget(self)
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.cancel()

    def _failed(self, error: DialError) -> None:
        incoming, self._incoming = self._incoming, None
        assert incoming is not None
        self._dialing = None
        streams, published = self._streams, self._published
        streams.forget(self)
        if not streams.health.failed(published.id, error):
            # Otherwise it is told once, when it changes.
            streams.journal.not_connected(published.id, error.detail)
        incoming.refuse(_CODES.get(error.error, Code.TARGET_UNREACHABLE), error.detail)


@implementer(IProtocol)
class _StreamEnd:
    """The stream's protocol, until the relay stands in its place: at once."""

    factory: typing.Any = None

    def __init__(self, carried: _Carried) -> None:
        self._carried = carried

    def makeConnection(self, transport: typing.Any) -> None:
        """Join the two."""
        self._carried.join(transport)

    def connectionMade(self) -> None:
        """Not called."""

    def dataReceived(self, data: bytes) -> None:
        """Not called."""

    def connectionLost(self, reason: Failure) -> None:
        """Not called."""
