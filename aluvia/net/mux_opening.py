"""Streams that are not connected yet: on the side that asks, and on the one that is asked."""

from __future__ import annotations

import collections.abc
import typing

from twisted.internet.interfaces import IProtocol

from aluvia.net.errors import DialError
from aluvia.net.mux_stream import Stream
from aluvia.net.resolve import Failed
from aluvia.wire.frames import Code

__all__ = ["AtOnce", "Incoming", "Opening", "lost_carrier", "refusal"]

#: What an RST means to who dialled.
_REFUSALS: dict[int, tuple[str, int, str]] = {
    Code.REFUSED: ("destination_unavailable", 502, "The agent does not publish this."),
    Code.TARGET_REFUSED: (
        "connection_refused",
        502,
        "Nothing listens at the tunnel's target: it refused the agent's connection.",
    ),
    Code.TARGET_TIMEOUT: ("connection_timeout", 504, "The tunnel's target does not answer."),
    Code.TARGET_UNREACHABLE: (
        "destination_ip_unroutable",
        502,
        "The agent cannot reach the tunnel's target.",
    ),
    Code.LIMIT: ("connection_limit_reached", 503, "The agent has as many streams as it may."),
}


def refusal(code: int) -> DialError:
    """What an RST with this code means to who dialled."""
    other = ("connection_terminated", 502, "The agent has given the connection up.")
    return DialError(*_REFUSALS.get(code, other))


def lost_carrier() -> DialError:
    """There is nobody to carry it."""
    return DialError("destination_unavailable", 502, "The tunnel's agent is not connected.")


class Asks(typing.Protocol):
    """The mux, as it is seen from here."""

    def reset(self, stream: Stream, code: Code, reason: str) -> None:
        """Tell the peer that it is over, and forget it."""

    def accept(self, stream: Stream, protocol: IProtocol) -> None:
        """Give the stream to a protocol, and tell the peer."""


class Opening:
    """
    A stream that was opened, until the peer accepts it; the :class:`~aluvia.net.dial.Dialing`.

    :ivar deadline: until when the peer has to answer; seconds.
    """

    __slots__ = ("_failed", "_mux", "_protocol", "_stream", "deadline")

    def __init__(
        self, mux: Asks, stream: Stream, protocol: IProtocol, failed: Failed, deadline: float
    ) -> None:
        self._mux = mux
        self._stream = stream
        self._protocol = protocol
        self._failed: Failed | None = failed
        self.deadline = deadline

    def cancel(self) -> None:
        """Leave nothing; see :meth:`aluvia.net.dial.Dialing.cancel`."""
        if self._failed is not None:
            self._failed = None
            self._mux.reset(self._stream, Code.CANCELLED, "")
            self._stream.over = True

    def late(self) -> None:
        """The peer has not answered in time."""
        self._mux.reset(self._stream, Code.CANCELLED, "")
        self.fail(DialError("connection_timeout", 504, "The tunnel's agent did not answer."))

    def connected(self) -> None:
        """The peer has accepted it."""
        self._failed = None
        stream, protocol = self._stream, self._protocol
        stream.accepted(protocol)
        stream.guarded(protocol.makeConnection, stream)

    def fail(self, error: DialError) -> None:
        """There is no stream."""
        self._stream.over = True
        failed, self._failed = self._failed, None
        if failed is not None:
            self._stream.guarded(failed, error)


class AtOnce:
    """A dial that was through, or had failed, before it could be cancelled."""

    def cancel(self) -> None:
        """There is nothing to leave."""


class Incoming:
    """
    A stream that the peer has opened, until it is accepted or refused.

    :ivar capability: the number of a :class:`~aluvia.wire.frames.Capability`, known or not.
    :ivar name: what it is to lead to.
    :ivar withdrawn: called if the peer does not want it any more, or is gone; set it.
    """

    __slots__ = ("_mux", "_stream", "capability", "name", "withdrawn")

    def __init__(self, mux: Asks, stream: Stream, capability: int) -> None:
        self._mux = mux
        self._stream = stream
        self.capability = capability
        self.name = stream.name
        self.withdrawn: collections.abc.Callable[[], object] = _nothing

    def accept(self, protocol: IProtocol) -> None:
        """
        Give the stream to a protocol, by its ``makeConnection``.

        :raises RuntimeError: it was withdrawn, or accepted or refused before.
        """
        if self._stream.over or self._stream.connected:
            raise RuntimeError("the stream is not to be accepted any more")
        self.withdrawn = _nothing
        self._mux.accept(self._stream, protocol)

    def refuse(self, code: Code, reason: str = "") -> None:
        """
        There will be no such stream. Harmless if it was withdrawn.

        :param reason: for people; without secrets.
        """
        self.withdrawn = _nothing
        if not self._stream.over:
            self._mux.reset(self._stream, code, reason)
            self._stream.over = True

    def withdraw(self) -> None:
        """The peer does not want it any more."""
        self._stream.over = True
        self._stream.guarded(self.withdrawn)


def _nothing() -> None:
    """Nobody wants to know."""
