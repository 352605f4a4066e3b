"""
Fair writing: the frames of many streams, in messages, as fast as the carrier takes them.

Streams that have something to send and credit for it stand in a line. A turn takes one frame from
the first, and sends it to the end of the line: so a bulk stream never keeps a small one waiting for
longer than one frame of each other one. Frames that are about credit and ends go first.

Frames go out in messages of :data:`MESSAGE_BYTES`, and messages together where there are several,
:data:`WRITE_BYTES` of them; and while wires are told of their events nothing is sent until all were
told, as wires do it themselves (:mod:`aluvia.net.readiness`).

What waits for the carrier is bounded: data by each stream's own queue, and the other frames by
:data:`MOST_CONTROL_FRAMES`. Over that the peer does not read what it is sent.
"""

from __future__ import annotations

import collections
import collections.abc
import typing

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from aluvia.net.mux_outgoing import Outgoing
from aluvia.net.readiness import Readiness, WatchedByReactor
from aluvia.wire.frames import Code, pong_frame

__all__ = ["MESSAGE_BYTES", "MOST_CONTROL_FRAMES", "WRITE_BYTES", "Carrier", "FrameWriter"]

#: Of frames that go out together; no more than one frame above it.
MESSAGE_BYTES = 16_384

#: Of messages that go to the carrier in one write; no more than one message above it.
WRITE_BYTES = 65_536

#: Frames that are not data and wait for the carrier.
MOST_CONTROL_FRAMES = 16_384


class Carrier(typing.Protocol):
    """What carries messages of bytes to the peer, in order."""

    def send(self, messages: collections.abc.Sequence[bytes]) -> None:
        """Send them. It may pause its producer meanwhile."""


class Broken(typing.Protocol):
    """Who is told that no more can be sent."""

    def __call__(self, code: Code, reason: str) -> None:
        """Why."""


@implementer(IPushProducer)
class FrameWriter:
    """
    Writes to one carrier, as its producer.

    :param broken: called if the peer does not read, or if sending fails; maybe from within a call
        to write.
    """

    __slots__ = (
        "_broken",
        "_carrier",
        "_control",
        "_corked",
        "_line",
        "_over",
        "_paused",
        "_pong",
        "_readiness",
        "_sending",
    )

    def __init__(
        self, carrier: Carrier, readiness: Readiness | WatchedByReactor, broken: Broken
    ) -> None:
        self._carrier = carrier
        self._readiness = readiness
        self._broken = broken
        self._line: collections.deque[Outgoing] = collections.deque()
        self._control: collections.deque[bytes] = collections.deque()
        self._pong: bytes | None = None
        self._corked = False
        self._paused = False
        self._sending = False
        self._over = False

    def add(self, stream: Outgoing) -> None:
        """It has something to send."""
        if not stream.in_line:
            stream.in_line = True
            self._line.append(stream)
            self._wake()

    def tell(self, frame: bytes) -> None:
        """Send a frame that is not data, before those that are."""
        if self._over or len(self._control) > MOST_CONTROL_FRAMES:
            return
        self._control.append(frame)
        if len(self._control) > MOST_CONTROL_FRAMES:
            self._broken(Code.LIMIT, "The peer does not read what it is sent.")
        else:
            self._wake()

    def answer(self, ping: bytes) -> None:
        """
        Answer a ping: the last one. A peer that asks faster than it reads gets one answer.
        """
        waiting = self._pong is not None
        self._pong = ping
        if not waiting:
            self._wake()

    def end(self, goodbye: bytes = b"") -> None:
        """
        Send nothing any more.

        :param goodbye: a last frame, which is sent whatever waits.
        """
        if not self._over:
            self._over = True
            self._line.clear()
            self._control.clear()
            if goodbye:
                self._carrier.send([goodbye])

    # What the carrier tells.

    def pauseProducing(self) -> None:
        """It has enough."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It has room."""
        self._paused = False
        self._send()

    def stopProducing(self) -> None:
        """It is gone, as who has it is told."""

    # What the readiness of wires tells.

    def uncork(self) -> None:
        """All wires were told."""
        self._corked = False
        self._send()

    def ended(self, why: BaseException, *, reading: bool) -> None:
        """Sending has failed."""
        self._broken(Code.INTERNAL_ERROR, "Sending has failed.")

    # Inside.

    def _wake(self) -> None:
        """Send when all wires were told; now, if none is being told."""
        if self._corked or self._sending or self._paused:
            return
        corked = self._readiness.corked
        if corked is None:
            self._send()
        else:
            self._corked = True
            corked.append(self)

    def _send(self) -> None:
        """Send until there is nothing to send or the carrier has enough."""
        if self._sending:
            return
        self._sending = True
        try:
            while not (self._paused or self._over):
                messages, size = [], 0
                while size < WRITE_BYTES and (message := self._next_message()):
                    messages.append(message)
                    size += len(message)
                if not messages:
                    break
                self._carrier.send(messages)
        finally:
            self._sending = False

    def _next_message(self) -> bytes:
        frames: list[bytes] = []
        size = 0
        if self._pong is not None:
            frames.append(pong_frame(self._pong))
            self._pong = None
        control, line = self._control, self._line
        while control and size < MESSAGE_BYTES:
            frame = control.popleft()
            size += len(frame)
            frames.append(frame)
        while line and size < MESSAGE_BYTES:
            stream = line.popleft()
            stream.in_line = False
            if stream.over or not stream.may_send():
                continue
            frame = stream.take()
            size += len(frame)
            frames.append(frame)
            if stream.may_send():
                stream.in_line = True
                line.append(stream)
        return frames[0] if len(frames) == 1 else b"".join(frames)
