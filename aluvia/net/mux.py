"""
Many streams over one carrier, fairly.

One side, the hub, opens streams; the other, an agent, accepts or refuses them. What the frames are
is in :mod:`aluvia.wire.frames`, what a stream is in :mod:`aluvia.net.mux_stream`, and in which
order they are written in :mod:`aluvia.net.mux_writer`.

Either side asks every so often whether the other is there, and answers. A carrier that brings
nothing for longer than it may is dead, whatever TCP says (:mod:`aluvia.net.mux_presence`).

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    OPEN      drain(), or the peer's GOAWAY -> DRAINING;  a violation, silence, the carrier's end
              -> OVER
    DRAINING  the last stream is over, and it was we who drain: the owner is told, who ends the
              carrier;  else as OPEN
    OVER      every stream was lost
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import math
import typing

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.mux_opening import AtOnce, Incoming, Opening, lost_carrier, refusal
from aluvia.net.mux_outgoing import Outgoing
from aluvia.net.mux_presence import Presence
from aluvia.net.mux_stream import Stream
from aluvia.net.mux_writer import Carrier, FrameWriter
from aluvia.net.readiness import readiness_of
from aluvia.net.resolve import Failed
from aluvia.net.transport import DONE
from aluvia.wire.frames import (
    HIGHEST_STREAM,
    INITIAL_CREDIT,
    Capability,
    Code,
    FrameReader,
    FrameViolation,
    Kind,
    goaway_frame,
    open_frame,
    ping_frame,
    read_credit,
    read_goaway,
    read_open,
    read_rst,
    rst_frame,
    window_frame,
)

__all__ = ["CLOSING_SECONDS", "Incoming", "Mux", "MuxOwner", "State"]

#: For the peer to take what is left of a stream that is to end, or to end it too; seconds.
CLOSING_SECONDS = 60.0

_RESET = Failure(ConnectionLost())

_log = Logger()

Receiver = collections.abc.Callable[["Mux", int, bytes], None]


class MuxOwner(typing.Protocol):
    """Who has a mux, and its carrier."""

    def incoming(self, incoming: Incoming) -> None:
        """The peer opens a stream: accept it or refuse it, now or later."""

    def going_away(self, code: int, reason: str) -> None:
        """The peer opens no more streams, or takes none."""

    def drained(self) -> None:
        """After :meth:`Mux.drain`: no stream is left. End the carrier."""

    def broken(self, code: Code, reason: str) -> None:
        """The peer broke the rules, or is silent. All streams are lost; end the carrier."""


class State(enum.Enum):
    """The table is in the module's docstring."""

    OPEN = enum.auto()
    DRAINING = enum.auto()
    OVER = enum.auto()


class Mux:
    """
    The streams of one carrier.

    :param opens: whether this side opens streams.
    :param ping_seconds: how often the peer is asked whether it is there.
    :param silence_seconds: after which it is not; noticed no later than that.
    :param open_seconds: for the peer to accept a stream.
    :param most_streams: at once.
    :ivar writer: the carrier's producer.
    :ivar streams: those that are not over, by number.
    :ivar presence: whether the peer is there.
    """

    def __init__(
        self,
        carrier: Carrier,
        owner: MuxOwner,
        reactor: typing.Any,
        sweep: Sweep,
        *,
        opens: bool,
        ping_seconds: float = 10.0,
        silence_seconds: float = 25.0,
        open_seconds: float = 15.0,
        most_streams: int = 1_024,
    ) -> None:
        self.streams: dict[int, Stream] = {}
        self.state = State.OPEN
        self.deadline = sweep.now
        self.writer = FrameWriter(carrier, readiness_of(reactor), self._break_soon)
        self.presence = Presence(self._ping_it, reactor, sweep.now, ping_seconds, silence_seconds)
        self._owner = owner
        self._reactor = reactor
        self._sweep = sweep
        self._opens = opens
        self._open_seconds = open_seconds
        self._most_streams = most_streams
        self._reader = FrameReader()
        self._last_stream = 0
        self._opening: dict[int, Opening] = {}
        self._incoming: dict[int, Incoming] = {}
        self._closing: dict[int, float] = {}
        self._calls: list[collections.abc.Callable[[], object]] = []
        self._drain_asked = False
        sweep.watch(self)

    @property
    def silent_for(self) -> float:
        """How long the peer has said nothing, up to a look of the sweep; seconds."""
        return self._sweep.now - self.presence.heard

    # The side that opens streams.

    def open(
        self, capability: Capability, name: str, protocol: IProtocol, failed: Failed
    ) -> Dialing:
        """Connect a protocol; as :meth:`aluvia.net.dial.Dialer.dial` does."""
        if self.state is not State.OPEN or self._last_stream == HIGHEST_STREAM:
            failed(lost_carrier())
            return AtOnce()
        if len(self.streams) >= self._most_streams:
            detail = "The tunnel has as many streams as it may."
            failed(DialError("connection_limit_reached", 503, detail))
            return AtOnce()
        self._last_stream += 1
        stream = Stream(self, self._last_stream, name)
        deadline = self._sweep.now + self._open_seconds
        opening = Opening(self, stream, protocol, failed, deadline)
        self.streams[stream.id] = stream
        self._opening[stream.id] = opening
        self.deadline = min(self.deadline, deadline)
        self.writer.tell(open_frame(stream.id, capability, name))
        return opening

    def probe(self) -> None:
        """See whether the peer is there: it has a few seconds to say anything."""
        if self.state is not State.OVER:
            self.presence.probe(self._sweep.now)
            self.deadline = min(self.deadline, self.presence.deadline)

    # The end.

    def drain(self, reason: str = "") -> None:
        """Open and take no more streams; the owner is told when the last one is over."""
        if self.state is not State.OVER and not self._drain_asked:
            self.state = State.DRAINING
            self._drain_asked = True
            self.writer.tell(goaway_frame(self._last_stream, Code.NO_ERROR, reason))
            self.later(self._perhaps_drained)

    def end(self, code: Code, reason: str) -> None:
        """Send a last GOAWAY, whatever waits, and lose every stream. The carrier is the owner's."""
        if self.state is not State.OVER:
            self.writer.end(goaway_frame(self._last_stream, code, reason))
            self.ended()

    def ended(self) -> None:
        """The carrier is gone: lose every stream. Harmless when it is over."""
        if self.state is State.OVER:
            return
        self.state = State.OVER
        self._sweep.forget(self)
        self.writer.end()
        opening, self._opening = self._opening, {}
        incoming, self._incoming = self._incoming, {}
        streams, self.streams = self.streams, {}
        self._closing.clear()
        for each in opening.values():
            each.fail(lost_carrier())
        for waiting in incoming.values():
            waiting.withdraw()
        for stream in streams.values():
            stream.lost(_RESET)

    # What the carrier tells.

    def received(self, data: bytes) -> None:
        """Bytes of the peer's frames."""
        self.presence.heard = self._sweep.now
        try:
            for kind, id, payload in self._reader.receive(data):
                if self.state is State.OVER:
                    return
                if kind == _DATA and (stream := self.streams.get(id)) is not None:
                    stream.data_received(payload)
                else:
                    _RECEIVERS[kind](self, id, payload)
        except FrameViolation as violation:
            self._break(Code.PROTOCOL_ERROR, str(violation))

    def deadline_passed(self, now: float) -> None:
        """See whether the peer is there, and whose time is over."""
        if not self.presence.look(now):
            self._break(Code.NO_ERROR, "Nothing was heard for too long.")
            return
        for id, opening in [*self._opening.items()]:
            if opening.deadline <= now and id in self._opening:
                opening.late()
        for id, until in [*self._closing.items()]:
            if until <= now:
                stream = self.streams[id]
                self.reset(stream, Code.CANCELLED, "")
                stream.lost(_RESET)
        self.deadline = min(
            self.presence.deadline,
            *(each.deadline for each in self._opening.values()),
            *self._closing.values(),
            math.inf,
        )

    # What streams tell.

    def to_send(self, stream: Outgoing) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        self.writer.add(stream)

    def grant(self, stream: Stream, credit: int) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        self.writer.tell(window_frame(stream.id, credit))

    def reset(self, stream: Stream, code: Code, reason: str) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        if stream.id in self.streams:
            self.writer.tell(rst_frame(stream.id, code, reason))
            self.finished(stream)

    def finished(self, stream: Stream) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        id = stream.id
        if self.streams.pop(id, None) is not None:
            self._opening.pop(id, None)
            self._incoming.pop(id, None)
            self._closing.pop(id, None)
            if self._drain_asked:
                self.later(self._perhaps_drained)

    def closing(self, stream: Stream) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        self._closing[stream.id] = until = self._sweep.now + CLOSING_SECONDS
        self.deadline = min(self.deadline, until)

    def later(self, call: collections.abc.Callable[[], object]) -> None:
        """See :class:`~aluvia.net.mux_outgoing.Muxed`."""
        self._calls.append(call)
        if len(self._calls) == 1:
            self._reactor.callLater(0, self._call)

    def accept(self, stream: Stream, protocol: IProtocol) -> None:
        """Give an incoming stream to a protocol, and tell the peer."""
        del self._incoming[stream.id]
        stream.accepted(protocol)
        stream.credit_received(INITIAL_CREDIT)
        self.writer.tell(window_frame(stream.id, INITIAL_CREDIT))
        stream.guarded(protocol.makeConnection, stream)

    # Frames.

    def _data(self, id: int, payload: bytes) -> None:
        self._see_that_it_was(id)

    def _window(self, id: int, payload: bytes) -> None:
        credit = read_credit(payload)
        stream = self.streams.get(id)
        if stream is None:
            self._see_that_it_was(id)
            return
        if id in self._incoming:
            raise FrameViolation("A stream was given credit before it was accepted.")
        stream.credit_received(credit)
        opening = self._opening.pop(id, None)
        if opening is not None:
            opening.connected()

    def _fin(self, id: int, payload: bytes) -> None:
        stream = self.streams.get(id)
        if stream is None:
            self._see_that_it_was(id)
        else:
            stream.fin_received()

    def _rst(self, id: int, payload: bytes) -> None:
        code, _ = read_rst(payload)
        stream = self.streams.get(id)
        if stream is None:
            self._see_that_it_was(id)
            return
        opening = self._opening.get(id)
        incoming = self._incoming.get(id)
        self.finished(stream)
        if opening is not None:
            opening.fail(refusal(code))
        elif incoming is not None:
            incoming.withdraw()
        else:
            # Who knew no half-close has left, as it does on TCP: with a FIN, and not with an RST.
            stream.lost(DONE if code == Code.NO_ERROR else _RESET)

    def _open(self, id: int, payload: bytes) -> None:
        capability, name = read_open(payload)
        if self._opens:
            raise FrameViolation("The peer opened a stream, which is not its part.")
        if id <= self._last_stream:
            raise FrameViolation("A stream was opened twice, or out of order.")
        self._last_stream = id
        if self.state is not State.OPEN:
            self.writer.tell(rst_frame(id, Code.REFUSED, "The agent goes away."))
        elif len(self.streams) >= self._most_streams:
            self.writer.tell(rst_frame(id, Code.LIMIT))
        else:
            stream = self.streams[id] = Stream(self, id, name)
            incoming = self._incoming[id] = Incoming(self, stream, capability)
            self._owner.incoming(incoming)

    def _ping(self, id: int, payload: bytes) -> None:
        self.writer.answer(payload)

    def _pong(self, id: int, payload: bytes) -> None:
        self.presence.answered(payload)

    def _goaway(self, id: int, payload: bytes) -> None:
        last, code, reason = read_goaway(payload)
        if self.state is State.OPEN:
            self.state = State.DRAINING
        for opened, opening in [*self._opening.items()]:
            if opened > last and opened in self._opening:
                self.finished(self.streams[opened])
                opening.fail(lost_carrier())
        self._owner.going_away(code, reason)

    def _see_that_it_was(self, id: int) -> None:
        """A frame that was on its way when its stream ended is no fault; others are."""
        if id > self._last_stream:
            raise FrameViolation("A frame is for a stream that was never opened.")

    # Inside.

    def _ping_it(self, payload: bytes) -> None:
        self.writer.tell(ping_frame(payload))

    def _break(self, code: Code, reason: str) -> None:
        if self.state is not State.OVER:
            self.end(code, reason)
            self._owner.broken(code, reason)

    def _break_soon(self, code: Code, reason: str) -> None:
        # Whoever writes, or closes, is not told of an end from within that.
        self.later(functools.partial(self._break, code, reason))

    def _perhaps_drained(self) -> None:
        if self._drain_asked and self.state is State.DRAINING and not self.streams:
            self._drain_asked = False
            self._owner.drained()

    def _call(self) -> None:
        calls, self._calls = self._calls, []
        for call in calls:
            try:
                call()
            except Exception:
                # The others are of other streams.
                _log.failure("A call of a mux failed")


_DATA = int(Kind.DATA)

_RECEIVERS: dict[int, Receiver] = {
    Kind.OPEN: Mux._open,
    Kind.DATA: Mux._data,
    Kind.WINDOW: Mux._window,
    Kind.FIN: Mux._fin,
    Kind.RST: Mux._rst,
    Kind.PING: Mux._ping,
    Kind.PONG: Mux._pong,
    Kind.GOAWAY: Mux._goaway,
}
