"""
HTTP, seen in passing: the requests on one connection and their answers, for a line in the log.

The bytes are somebody else's. Nothing is changed, held up or refused; whatever is not the HTTP/1.1
that is read here is *given up* without a word, and is bytes like others from then on. The two
directions are two readers, and between them stands the line of requests that are not answered yet:

.. code-block:: text

    reader       what it waits for                   leaves on
    -----------  ----------------------------------  ----------------------------------------------
    of requests  a head                              it is whole -> its body, or the next head
                 the end of a body                   it -> a head
    of answers   the head that answers the first in  1xx -> the same;  101, or 2xx to a CONNECT ->
                 line                                a stream;  else its body, or the next head
                 the end of a body                   it -> the request is finished; a head
    both         nothing, in a stream                the connection's end -> finished
                 nothing, given up                   -

What is kept is a head until it is whole (:attr:`~aluvia.wire.limits.Limits.head_bytes`), the last
head each way, which is often the next one too, and :data:`MOST_WAITING` requests.
"""

from __future__ import annotations

import collections
import typing

import attrs

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.framing import UNTIL_CLOSE, BodyReader, body_reader
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.remembered import LastRequestHead, LastResponseHead

__all__ = ["MOST_WAITING", "HTTPObserver", "ObservedRequest"]

#: Requests that wait for their answers. Nobody pipelines more; over it: given up.
MOST_WAITING = 64

#: What is kept of a path.
PATH_CHARACTERS = 256

_HEAD_END = b"\r\n\r\n"
_ID = b"X-Request-ID: "


@attrs.define
class ObservedRequest:
    """
    One request, and what became of it.

    :ivar method: as it stood in the head.
    :ivar target: likewise; for people there is :attr:`path`.
    :ivar began: when its head was whole; the clock's seconds.
    :ivar status: of its answer; 0 without one.
    :ivar bytes_in: of its body, or of what went that way in a stream.
    :ivar bytes_out: the same of the answer.
    :ivar whole: whether the answer came to its end.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    began: float
    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    whole: bool = False

    @property
    def path(self) -> str:
        """
        The path alone, at a bounded length: in a query secrets may stand, and in the authority of
        an absolute form.
        """
        path = self.target.partition(b"?")[0]
        if path[:1] != b"/" and path != b"*":
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        return path[:PATH_CHARACTERS].decode("ascii", "replace")


class HTTPObserver:
    """
    The observer of one connection.

    :param seconds: the clock.
    :param finished: called with each request that is over, in their order.
    """

    __slots__ = (
        "_answer",
        "_answer_heads",
        "_answer_part",
        "_answered",
        "_finished",
        "_limits",
        "_request",
        "_request_heads",
        "_request_part",
        "_seconds",
        "_sending",
        "_stream",
        "_until_close",
        "_waiting",
        "given_up",
    )

    def __init__(
        self,
        seconds: typing.Callable[[], float],
        finished: typing.Callable[[ObservedRequest], object],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.given_up = False
        self._answered = False
        self._seconds = seconds
        self._finished = finished
        self._limits = limits
        self._waiting: collections.deque[ObservedRequest] = collections.deque()
        self._stream: ObservedRequest | None = None
        # Of each direction: its last head, the reader of its body, and a head that is not whole.
        self._request_heads = LastRequestHead()
        self._request: BodyReader | None = None
        self._request_part = bytearray()
        self._answer_heads = LastResponseHead()
        self._answer: BodyReader | None = None
        self._answer_part = bytearray()
        # Whose body is coming, and whether the connection's end is the answer's.
        self._sending: ObservedRequest | None = None
        self._until_close = False

    @property
    def idle(self) -> bool:
        """
        Whether the connection is kept for a next request, as far as can be seen. (Of a new one the
        first is on its way.)
        """
        return self._answered and not (
            self.given_up or self._stream or self._waiting or self._request or self._request_part
        )

    def request_bytes(self, data: bytes) -> None:
        """The visitor has sent this."""
        if self._stream is not None:
            self._stream.bytes_in += len(data)
        elif not self.given_up:
            try:
                self._read_requests(data)
            except ProtocolViolation:
                self._give_up()

    def answer_bytes(self, data: bytes) -> None:
        """The target has sent this."""
        if self._stream is not None:
            self._stream.bytes_out += len(data)
        elif not self.given_up:
            try:
                self._read_answers(data)
            except ProtocolViolation:
                self._give_up()

    def closed(self, *, in_order: bool) -> None:
        """
        The connection is over, and so is every request on it.

        :param in_order: whether both sides have ended it, and neither was cut off.
        """
        if self._stream is not None:
            self._stream.whole = in_order
            self._finished(self._stream)
        elif not self.given_up:
            if self._until_close:
                self._waiting[0].whole = in_order
            for request in self._waiting:
                self._finished(request)
        self._give_up()

    def _give_up(self) -> None:
        self.given_up = True
        self._stream = self._sending = self._request = self._answer = None
        self._waiting.clear()
        self._request_part.clear()
        self._answer_part.clear()

    def _read_requests(self, data: bytes) -> None:
        while data:
            reader = self._request
            if reader is not None:
                events: list[typing.Any] = []
                behind = reader.feed(data, events)
                if self._sending is not None:
                    self._sending.bytes_in += _payload(events)
                if behind is None:
                    return
                self._request = self._sending = None
                data = behind
                continue
            raw, data = self._cut(self._request_part, data)
            if raw is None:
                return
            if len(self._waiting) >= MOST_WAITING:
                self._give_up()
                return
            head = self._request_heads.parse(_without_id(raw), self._limits)
            request = ObservedRequest(head.method, head.target, self._seconds())
            self._waiting.append(request)
            length = head.length
            if length > 0 and length == len(data):
                request.bytes_in = length
                return
            if length:
                self._sending = request
                self._request = body_reader(length, self._limits)

    def _read_answers(self, data: bytes) -> None:
        while data:
            reader = self._answer
            if reader is not None:
                events: list[typing.Any] = []
                behind = reader.feed(data, events)
                self._waiting[0].bytes_out += _payload(events)
                if behind is None:
                    return
                self._answer = None
                self._finish()
                data = behind
                continue
            if not self._waiting:
                # An answer to nothing that we know of.
                self._give_up()
                return
            raw, data = self._cut(self._answer_part, data)
            if raw is None:
                return
            request = self._waiting[0]
            head = self._answer_heads.parse(raw, request.method, self._limits)
            status, length = head.status, head.length
            if status < 200 and status != 101:
                continue
            request.status = status
            if status == 101 or (request.method == b"CONNECT" and status < 300):
                self._become_stream(request, data)
                return
            if length >= 0 and length == len(data):
                request.bytes_out = length
                self._finish()
                return
            if length:
                self._until_close = length == UNTIL_CLOSE
                self._answer = body_reader(length, self._limits)
            else:
                self._finish()

    def _cut(self, part: bytearray, data: bytes) -> tuple[bytes | None, bytes]:
        """
        Take a whole head from the front of what there is; None while it is not whole.

        :raises ProtocolViolation: it is too long to be one.
        """
        if not part:
            end = data.find(_HEAD_END) + len(_HEAD_END)
            if end >= len(_HEAD_END):
                return data[:end], data[end:]
            if len(data) > self._limits.head_bytes:
                raise _too_long()
            part += data
            return None, b""
        searched = max(0, len(part) - len(_HEAD_END) + 1)
        part += data
        end = part.find(_HEAD_END, searched) + len(_HEAD_END)
        if end < len(_HEAD_END):
            if len(part) > self._limits.head_bytes:
                raise _too_long()
            return None, b""
        raw, behind = bytes(part[:end]), bytes(part[end:])
        part.clear()
        return raw, behind

    def _become_stream(self, request: ObservedRequest, behind: bytes) -> None:
        """What comes from now on is no HTTP."""
        self._stream = request
        request.bytes_in += len(self._request_part)
        request.bytes_out += len(behind)
        self._request_part.clear()
        self._waiting.clear()

    def _finish(self) -> None:
        """The first in line is answered, whether its own body has come to its end or not."""
        request = self._waiting.popleft()
        request.whole = True
        self._answered = True
        self._finished(request)


def _without_id(raw: bytes) -> bytes:
    """
    A head without the one field that is never the same twice, so that it is often the last one. Our
    edge writes it behind all others.
    """
    begin = raw.rfind(b"\r\n", 0, -len(_HEAD_END)) + 2
    return raw[:begin] + b"\r\n" if raw.startswith(_ID, begin) else raw


def _payload(events: list[typing.Any]) -> int:
    return sum(len(event) for event in events if type(event) is bytes)


def _too_long() -> ProtocolViolation:
    return ProtocolViolation(431, "The head is too large.")
