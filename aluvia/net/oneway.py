"""
One direction of the fast relay: from one of our transports to another, mostly within one event.

.. code-block:: text

    state      waits for        holds                       leaves on
    ---------  ---------------  --------------------------  ---------------------------------------
    FLOWING    source readable  nothing                     sink full -> STALLED; FIN -> DONE
    STALLED    sink writable    one read, or one pipe full  all out -> FLOWING, or DONE after a FIN
    DONE       nothing          nothing                     (the FIN has passed on)

A direction copies while it flows in small pieces: one ``recv``, one ``send``, no pipe. A read that
fills the buffer promotes it to *bulk*, where an event leases a pipe and splices through it: socket,
pipe, socket, at most ``Limits.splice_rounds`` times, so that a hundred streams get their turns. It
is demoted when little came. The lease is as short as the bytes' stay in the pipe: an event of a
stream whose sink keeps up gives it back before it returns; only a stalled direction keeps one. When
there is none the direction goes on copying.

So the most that one direction holds is one pipe, or one read, whatever the other side does.

A direction that stalls stops reading its source and waits for its sink, and goes back only when the
source has run dry: a stream limited by its sink costs no change of epoll's mind per event.

When a sink has reset the connection, what it said before still counts: a server that refuses an
upload answers, and resets because we went on sending. Linux tells two cases apart.

``EPIPE``
    It had sent its FIN before, so its answer is whole: the direction goes *deaf*, reads on and
    drops what it reads, and the tunnel ends in order. But whoever sends on for nobody is read for
    ``linger_bytes`` at most, and then reset.
``ECONNRESET``
    It had not: the direction is *abandoned*, its source not read any more, and when the other
    direction has passed on what is left, the source is reset too.
"""

from __future__ import annotations

import errno
import os
import typing

from twisted.python.failure import Failure

from aluvia.net.pipes import CAN_SPLICE, Pipe, Pipes
from aluvia.net.transport import Wire

__all__ = ["FULL", "NO_SPLICE", "SPLICE_FLAGS", "Joint", "OneWay"]

#: For ``os.splice``.
SPLICE_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK if CAN_SPLICE else 0

#: The sink takes nothing now, for want of room in its buffer or in the system's.
FULL = frozenset((errno.EAGAIN, errno.ENOBUFS))

#: This kind of socket, or this system, does not splice after all.
NO_SPLICE = frozenset((errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP))


class Joint(typing.Protocol):
    """The relay, as its directions see it."""

    pipes: Pipes
    rounds: int
    read_size: int
    linger_bytes: int

    @property
    def over(self) -> bool:
        """Whether it has ended."""

    def reverse(self, direction: OneWay) -> OneWay:
        """The other direction."""

    def finished(self, direction: OneWay) -> None:
        """Everything of a direction has come, and is out."""

    def source_broken(self, direction: OneWay) -> None:
        """Its source was reset, or has failed in another way."""

    def sink_broken(self, direction: OneWay) -> None:
        """Its sink has failed."""

    def wire_lost(self, wire: Wire, reason: Failure) -> None:
        """A wire is lost by what the reactor says, or was closed or aborted by somebody."""


class OneWay:
    """
    One direction of a relay.

    :ivar total: the bytes that its source has sent.
    :ivar bulk: whether it splices.
    :ivar stalled: whether it waits for its sink.
    :ivar deaf: 0; of a direction whose sink wants no more, the total at which it is enough.
    :ivar finished: whether nothing more is read: after the source's FIN, or when abandoned.
    :ivar pending: bytes that were read, or given to us, and are not out yet.
    :ivar pipe: the pipe that it leases; what is in it goes out before what is pending.
    """

    __slots__ = (
        "abandoned",
        "bulk",
        "deaf",
        "finished",
        "pending",
        "pipe",
        "relay",
        "sink",
        "source",
        "stalled",
        "total",
    )

    def __init__(self, relay: Joint, source: Wire, sink: Wire, finished: bool) -> None:
        self.relay = relay
        self.source = source
        self.sink = sink
        self.total = 0
        self.bulk = False
        self.stalled = False
        self.finished = finished
        self.deaf = 0
        self.abandoned = False
        self.pending: bytes | memoryview = b""
        self.pipe: Pipe | None = None

    @property
    def done(self) -> bool:
        """Whether everything has come, and is out."""
        return self.finished and not self.stalled

    @property
    def held(self) -> int:
        """The bytes that are here, in user space or in a pipe."""
        return len(self.pending) + (self.pipe.held if self.pipe is not None else 0)

    def begin(self, first: bytes) -> None:
        """Start, with what goes out before anything is read."""
        relay = self.relay
        if first:
            self.write(first)
        if not relay.over and not self.stalled:
            if self.finished:
                relay.finished(self)
            else:
                self.source.startReading()

    def close(self) -> None:
        """Hold nothing any more, and nobody."""
        self._drop()
        self.stalled = False
        self.finished = True
        del self.relay, self.source, self.sink

    # What the wires call

    def source_ready(self) -> None:
        """Move what the source has."""
        # The reactor's events are older than what we have told it in this turn.
        if not self.stalled and not self.finished:
            self._move()

    def sink_ready(self) -> None:
        """Let out what is held; then go on as if the source had called."""
        if not self.stalled:
            self.sink.stopWriting()
        elif self._let_out():
            if self.finished:
                self._unstall()
                self.relay.finished(self)
            else:
                self._move()

    def write(self, data: bytes) -> None:
        """Send bytes that are not the source's."""
        self.pending = b"".join((self.pending, data))
        if not self.stalled and not self._let_out() and self.pending:
            self._stall()

    def wire_lost(self, wire: Wire, reason: Failure) -> None:
        """See :meth:`Joint.wire_lost`."""
        self.relay.wire_lost(wire, reason)

    # Moving

    def _move(self) -> None:
        """Read until the source is dry, the sink is full, or it is others' turn."""
        if self.bulk and self._lease():
            self._splice()
        else:
            self._copy()

    def _copy(self) -> None:
        """Move through the shared buffer."""
        relay = self.relay
        view = relay.pipes.view
        size = len(view)
        receive = self.source.socket.recv_into
        send = len if self.deaf else self.sink.socket.send
        for _ in range(relay.rounds):
            try:
                count = receive(view)
            except BlockingIOError:
                break
            except OSError:
                relay.source_broken(self)
                return
            if not count:
                self._source_finished()
                return
            self.total += count
            try:
                sent = send(view if count == size else view[:count])
            except OSError as error:
                if not self._only_full(error):
                    return
                sent = 0
            if sent != count:
                self.pending = bytes(view[sent:count])
                self._stall()
                return
            if count != size:
                break
            if relay.pipes.usable and not self.deaf and self._lease():
                self.bulk = True
                self._splice()
                return
        if self.deaf and self.total > self.deaf:
            # A download that nobody waits for any more, or an upload for nobody.
            relay.sink_broken(self)
            return
        self._flow()

    def _splice(self) -> None:
        """Move through the pipe that was leased."""
        relay = self.relay
        pipe = self.pipe
        assert pipe is not None
        source = self.source.descriptor
        for number in range(relay.rounds):
            try:
                count = os.splice(source, pipe.writer, pipe.size, None, None, SPLICE_FLAGS)
            except BlockingIOError:
                # Nothing at all, though epoll told us: urgent data, which splice does not step
                # over, but recv does.
                if not number:
                    self.bulk = False
                break
            except OSError as error:
                if error.errno not in NO_SPLICE:
                    relay.source_broken(self)
                    return
                relay.pipes.give_up()
                break
            if not count:
                self._give_back()
                self._source_finished()
                return
            self.total += count
            pipe.held = count
            if not self._empty(pipe):
                return
            if count < relay.read_size:
                # The source has run dry; and if so little came, it no longer flows in bulk.
                self.bulk = count >= relay.read_size // 4
                break
        self._give_back()
        self._flow()

    def _empty(self, pipe: Pipe) -> bool:
        """Let out what a pipe holds. If the sink does not take all of it, stall."""
        try:
            pipe.held -= os.splice(
                pipe.reader, self.sink.descriptor, pipe.held, None, None, SPLICE_FLAGS
            )
        except OSError as error:
            if not self._only_full(error):
                return False
        if pipe.held:
            self._stall()
            return False
        return True

    def _let_out(self) -> bool:
        """Let out what is held; whether that was all."""
        if self.pipe is not None:
            if not self._empty(self.pipe):
                return False
            self._give_back()
        if self.pending:
            try:
                sent = self.sink.socket.send(self.pending)
            except OSError as error:
                self._only_full(error)
                return False
            if sent != len(self.pending):
                self.pending = memoryview(self.pending)[sent:]
                return False
            self.pending = b""
        return True

    def _only_full(self, error: OSError) -> bool:
        """Whether the sink took nothing for want of room. Otherwise it will never take any more."""
        if error.errno in FULL:
            return True
        relay = self.relay
        if error.errno == errno.EPIPE:
            self.deaf = self.total + relay.linger_bytes
            self.bulk = False
            self._drop()
            if self.finished:
                self._unstall()
                relay.finished(self)
            else:
                self._flow()
        elif error.errno == errno.ECONNRESET and not relay.reverse(self).finished:
            self.abandoned = True
            self.finished = True
            self._drop()
            self._unstall()
            self.source.stopReading()
        else:
            relay.sink_broken(self)
        return False

    # Changing state

    def _stall(self) -> None:
        if not self.stalled:
            self.stalled = True
            self.source.stopReading()
            self.sink.startWriting()

    def _unstall(self) -> None:
        if self.stalled:
            self.stalled = False
            self.sink.stopWriting()

    def _flow(self) -> None:
        if self.stalled:
            self._unstall()
            self.source.startReading()

    def _source_finished(self) -> None:
        """The source's FIN; everything before it is out."""
        self.finished = True
        self._unstall()
        self.relay.finished(self)

    def _lease(self) -> bool:
        self.pipe = self.relay.pipes.lease()
        return self.pipe is not None

    def _give_back(self) -> None:
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            self.relay.pipes.give_back(pipe)

    def _drop(self) -> None:
        self._give_back()
        self.pending = b""
