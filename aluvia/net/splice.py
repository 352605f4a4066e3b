"""
The fast relay: two of our own transports, and bytes that need not come into Python.

What moves them are two :class:`~aluvia.net.oneway.OneWay`. What is left to decide here is how one
direction's end becomes the other's, and how both become the tunnel's.
"""

from __future__ import annotations

import contextlib
import socket

from twisted.internet.error import ConnectionAborted
from twisted.python.failure import Failure

from aluvia.net.joined import IDLE, Ended, Relay
from aluvia.net.oneway import OneWay
from aluvia.net.pipes import Pipes, pipes_for
from aluvia.net.transport import ABORTED, LOST, Wire
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["WireRelay"]


class WireRelay(Relay):
    """
    A relay between two :class:`~aluvia.net.transport.Wire`.

    While it lives the wires have no protocol, and their events come here.

    :ivar pipes: where pipes, and the buffer, come from.
    :ivar rounds: how often one event reads.
    :ivar linger_bytes: how much is read of one for which there is nobody any more; then it is
        reset.
    """

    __slots__ = ("_back", "_forth", "linger_bytes", "pipes", "read_size", "rounds")

    def __init__(
        self,
        left: Wire,
        right: Wire,
        *,
        ended: Ended,
        limits: Limits = DEFAULT_LIMITS,
        left_eof: bool = False,
        pipes: Pipes | None = None,
    ) -> None:
        super().__init__(ended)
        self.pipes = pipes_for(limits) if pipes is None else pipes
        self.pipes.enter()
        self.rounds = limits.splice_rounds
        self.read_size = limits.relay_read_bytes
        self.linger_bytes = limits.linger_bytes
        self._forth = OneWay(self, left, right, left_eof)
        self._back = OneWay(self, right, left, False)

    def start(self, left_bytes: bytes = b"", right_bytes: bytes = b"") -> None:
        """Take over both; see :meth:`Relay.start`."""
        forth, back = self._forth, self._back
        left, right = forth.source, forth.sink
        forth.total = len(left_bytes)
        back.total = len(right_bytes)
        if left.disconnecting or left.disconnected or right.disconnecting or right.disconnected:
            self._close(LOST, left, right)
            return
        to_left = left.take_over(forth, back)
        to_right = right.take_over(back, forth)
        forth.begin(to_right + left_bytes)
        if not self.over:
            back.begin(to_left + right_bytes)

    def abort(self) -> None:
        """Reset both at once."""
        if not self.over:
            self._close(ABORTED, self._forth.source, self._forth.sink)

    @property
    def bytes_from_left(self) -> int:
        """How many bytes the left one has sent."""
        return self._forth.total

    @property
    def bytes_from_right(self) -> int:
        """How many bytes the right one has sent."""
        return self._back.total

    @property
    def held(self) -> int:
        """The bytes that came from one side and are not out on the other."""
        return self._forth.held + self._back.held

    def moved(self) -> int:
        """Every byte counts twice, when it comes and when it is out."""
        return 2 * (self._forth.total + self._back.total) - self.held

    # What the directions and the wires call

    def reverse(self, direction: OneWay) -> OneWay:
        """The other direction."""
        return self._back if direction is self._forth else self._forth

    def finished(self, direction: OneWay) -> None:
        """Everything of a direction has come, and is out; pass the FIN on, or close."""
        other = self.reverse(direction)
        if other.abandoned:
            self._close(LOST, other.source)
        elif other.done:
            self._close(None)
        else:
            direction.source.stopReading()
            # If the sink has reset, the other direction meets that when it reads.
            with contextlib.suppress(OSError):
                direction.sink.socket.shutdown(socket.SHUT_WR)

    def source_broken(self, direction: OneWay) -> None:
        """The source was reset, or has failed in another way."""
        self._close(LOST, direction.sink)

    def sink_broken(self, direction: OneWay) -> None:
        """The sink has failed."""
        self._close(LOST, direction.source)

    def wire_lost(self, wire: Wire, reason: Failure) -> None:
        """A wire is lost by what the reactor says, or was closed or aborted by somebody."""
        left, right = self._forth.source, self._forth.sink
        if reason.check(ConnectionAborted):
            self._close(reason, left, right)
        else:
            self._close(reason, right if wire is left else left)

    def _timed_out(self) -> None:
        self._close(IDLE, self._forth.source, self._forth.sink)

    def _close(self, failure: Failure | None, *resets: Wire) -> None:
        """
        Close both.

        :param resets: those of them that are closed with an RST.
        """
        if self.over:
            return
        left, right = self._forth.source, self._forth.sink
        self._forth.close()
        self._back.close()
        self.pipes.leave()
        left.release(reset=left in resets)
        right.release(reset=right in resets)
        self._end(failure)
