"""
A body of known length on its way from one connection to another, without coming into Python.

Both connections stay what they were, in both directions but this one: their protocols go on hearing
and writing, and when the body is through, this one is theirs again too.

.. code-block:: text

    state      waits for        holds          leaves on
    ---------  ---------------  -------------  -------------------------------------------------
    FLOWING    source readable  nothing        sink full -> STALLED; the last byte is out -> OVER
    STALLED    sink writable    one pipe full  all out -> FLOWING, or OVER
    OVER       nothing          nothing        (``ended`` was called, or nobody wants it)

It ends early, and what is left of the body goes the plain way, where no pipe is to be had, or
sockets turn out not to splice; and where there is urgent data. The end of a connection goes to its
protocol, as always; whoever has the body drops it then (:meth:`BodySplice.drop`). A sink that takes
no more ends it too, once its protocol has heard what it said before.
"""

from __future__ import annotations

import os
import typing

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from aluvia.net.oneway import FULL, NO_SPLICE, SPLICE_FLAGS
from aluvia.net.pipes import Pipe, pipes_for
from aluvia.net.transport import Wire
from aluvia.wire.limits import Limits

__all__ = ["BodySplice", "can_splice"]

Count = typing.Callable[[int], object]


def can_splice(source: typing.Any, sink: typing.Any) -> bool:
    """Whether the bytes of one transport can go to the other like this, from now on."""
    if not isinstance(source, Wire) or not isinstance(sink, Wire) or source.TLS or sink.TLS:
        return False
    # What goes before them.
    sink.uncork()
    return (
        not sink.queued
        and sink.sink_of is None
        and source.source_of is None
        and not (source.disconnecting or sink.disconnecting)
        and not (source.disconnected or sink.disconnected)
    )


class BodySplice:
    """
    So many bytes, from one wire to another.

    :ivar total: how many have come.
    :ivar stalled: whether it waits for the sink.
    :param left: how many; not more than there are of the body.
    :param moved: told after each event how many went out.
    :param ended: told how many have come in all, and are out, when that is all of them or no more
        will go this way. Not called for a connection that ends, nor after :meth:`drop`.
    """

    __slots__ = (
        "_ended",
        "_left",
        "_moved",
        "_out",
        "_over",
        "_pipe",
        "_pipes",
        "_rounds",
        "_wires",
        "stalled",
        "total",
    )

    def __init__(
        self, source: Wire, sink: Wire, left: int, moved: Count, ended: Count, limits: Limits
    ) -> None:
        self.total = 0
        self._left = left
        self._moved = moved
        self._ended = ended
        self._rounds = limits.splice_rounds
        self._pipes = pipes_for(limits)
        self._pipe: Pipe | None = None
        self.stalled = False
        self._out = 0
        # Whether nothing more goes this way: all is through, or it cannot.
        self._over = False
        self._wires: tuple[Wire, Wire] | None = source, sink
        self._pipes.enter()
        source.source_of = sink.sink_of = self

    def drop(self) -> None:
        """Give both wires back to their protocols. Harmless when it is over."""
        if self._wires is None:
            return
        source, sink = self._wires
        self._wires = None
        if source.source_of is self:
            source.source_of = None
        if sink.sink_of is self:
            sink.sink_of = None
        if self.stalled and not sink.disconnected:
            sink.stopWriting()
        if self.stalled and not (source.disconnected or source.disconnecting):
            source.startReading()
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self._pipes.give_back(pipe)
        self._pipes.leave()

    # What the wires call.

    def source_ready(self) -> ConnectionDone | ConnectionLost | None:
        """Move what the source has."""
        if self.stalled or self._wires is None:
            # The reactor's events are older than what we have told it in this turn.
            return None
        source, sink = self._wires
        pipe = self._pipe = self._pipes.lease()
        if pipe is None:
            self._end()
            return None
        lost = self._move(pipe, source, sink)
        self._tell()
        if self._wires is not None and not self.stalled:
            self._let_go_of_the_pipe()
            if self._over:
                self._end()
        return lost

    def _move(self, pipe: Pipe, source: Wire, sink: Wire) -> ConnectionDone | ConnectionLost | None:
        """Read until the source is dry, the sink is full, all is through, or it is others' turn."""
        for number in range(self._rounds):
            size = min(pipe.size, self._left)
            try:
                count = os.splice(source.descriptor, pipe.writer, size, None, None, SPLICE_FLAGS)
            except BlockingIOError:
                # Nothing at all, though epoll told us: urgent data, which splice does not step
                # over, but recv does.
                self._over = not number
                break
            except OSError as error:
                if error.errno not in NO_SPLICE:
                    self.drop()
                    return main.CONNECTION_LOST
                self._pipes.give_up()
                self._over = True
                break
            if not count:
                self.drop()
                return main.CONNECTION_DONE
            self.total += count
            self._left -= count
            self._over = not self._left
            pipe.held = count
            if not self._empty(pipe, sink) or self._over:
                break
        return None

    def sink_ready(self) -> None:
        """Let out what the pipe holds."""
        if self._wires is None:
            return
        source, sink = self._wires
        if not self.stalled:
            sink.stopWriting()
            return
        assert self._pipe is not None
        if self._empty(self._pipe, sink):
            self.stalled = False
            sink.stopWriting()
            source.startReading()
            self._let_go_of_the_pipe()
            if self._over:
                self._end()
        self._tell()

    def write(self, data: bytes) -> None:
        """Nobody writes into the middle of a body."""
        raise RuntimeError("There is a body on its way to this connection.")

    def wire_lost(self, wire: Wire, reason: Failure) -> None:
        """The source is lost, by what the reactor says; its protocol is to hear of it."""
        self.drop()
        wire.connectionLost(reason)

    # Inside.

    def _empty(self, pipe: Pipe, sink: Wire) -> bool:
        """Let out what a pipe holds; whether that was all."""
        try:
            count = os.splice(pipe.reader, sink.descriptor, pipe.held, None, None, SPLICE_FLAGS)
            pipe.held -= count
            self._out += count
        except OSError as error:
            if error.errno not in FULL:
                # It takes no more; what it said before still counts.
                self.drop()
                sink.broke()
                return False
        if pipe.held and not self.stalled and self._wires is not None:
            self.stalled = True
            self._wires[0].stopReading()
            sink.startWriting()
        return not pipe.held

    def _let_go_of_the_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self._pipes.give_back(pipe)

    def _tell(self) -> None:
        """Say what has gone out."""
        count, self._out = self._out, 0
        if count:
            self._moved(count)

    def _end(self) -> None:
        self._tell()
        self.drop()
        self._ended(self.total)
