"""Our end of a connection to an origin or a parent proxy: requests are written, responses read.

The whole is explained in ``exchange.py``.
"""

from __future__ import annotations

import typing

from aluvia.wire.cycle import (
    AGREED,
    BODY,
    DONE,
    HEAD_END,
    IDLE,
    OPAQUE,
    Event,
    Exchange,
    Step,
    after,
    completed,
)
from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import CHUNKED, END, body_reader
from aluvia.wire.head import (
    ResponseHead,
    check_status_line,
    write_request_head,
)
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.remembered import LastResponseHead

__all__ = ["ClientExchange"]

# RFC 9110 §8.6: a request of such a method says that it has no body.
_METHODS_WITH_CONTENT = frozenset([b"POST", b"PUT", b"PATCH"])


class ClientExchange(Exchange):
    """We are the client: requests are written, responses read, one after the other.

    Every :class:`~aluvia.wire.errors.ProtocolViolation` from here is a 502.

    :ivar response: the final one, once its head is whole.
    :ivar any_bytes_received: whether anything came since the request began. If not, it may be that
        the server closed the connection before it read the request.
    """

    __slots__ = (
        "_heads",
        "_informational",
        "_method",
        "_upgrade_asked",
        "any_bytes_received",
        "response",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self.response: ResponseHead | None = None
        self.any_bytes_received = False
        self._method = b""
        self._upgrade_asked = False
        self._informational = 0
        self._heads = LastResponseHead()

    @property
    def reusable(self) -> bool:
        """Whether another request may go out: all is done, and nobody wants it to close."""
        return self.reading is DONE and self.writing is DONE and not self._closing

    def request(
        self,
        method: bytes,
        target: bytes,
        fields: typing.Sequence[Field],
        length: int,
        lines: bytes = b"",
    ) -> bytes:
        """Return the head of a request, with its framing and Connection.

        :param fields: Host first, then end-to-end ones. With Upgrade among them, Connection says
            so, and a 101 is an answer.
        :param length: of the body, or :data:`~aluvia.wire.framing.CHUNKED`.
        :param lines: whole lines, each with its CRLF, that go behind the fields: what differs from
            request to request, where those do not. They are the caller's, and not looked at.
        :raises LocalProtocolError: a request is under way, or this cannot be one.
        """
        if length < CHUNKED:
            raise LocalProtocolError("There is no such length of a request.")
        after_head = BODY if self.writing is IDLE else after(Step.HEAD, self.writing)
        framing = lines
        if length > 0 or (length == 0 and method in _METHODS_WITH_CONTENT):
            framing += b"Content-Length: %d\r\n" % length
        elif length:
            framing += b"Transfer-Encoding: chunked\r\n"
        bare = write_request_head(method, target, 1, fields)
        head = completed(bare, fields, framing)
        self._upgrade_asked = len(head) > len(bare) + len(framing)
        self._method = method
        self._left = length
        self.writing = after_head
        return head

    def receive(self, data: bytes) -> list[Event]:
        """Read what came.

        :return: a :class:`ResponseHead` for each informational response and for the final one,
            bytes of its body, :class:`Trailers`, :data:`END`. There is no END where the
            connection is agreed to be something else from here (101, 2xx to a CONNECT).
        :raises ProtocolViolation: also for bytes that nobody asked for.
        :raises LocalProtocolError: after :meth:`switch`.
        """
        self.any_bytes_received = True
        reading = self.reading
        try:
            if reading is IDLE:
                return self._read_heads(data)
            if reading is BODY:
                return self._feed(data, [])
            if reading is DONE or reading is AGREED:
                self._keep(data)
                return []
        except ProtocolViolation as violation:
            self._break()
            violation.status = 502
            raise
        if reading is OPAQUE:
            raise LocalProtocolError("The connection is no longer HTTP.")
        return []

    def receive_eof(self) -> list[Event]:
        """The server has sent all that it will send.

        :return: END, if that is how this body ends.
        :raises ProtocolViolation: in the middle of a response, or instead of one.
        """
        self._closing = True
        if self.reading is BODY:
            assert self._reader is not None
            try:
                self._reader.end_of_input()
            except ProtocolViolation as violation:
                self._break()
                violation.status = 502
                raise
            self._reader = None
            self.reading = DONE
            return [END]
        if self.reading is IDLE and self.writing is not IDLE:
            name = "http_response_incomplete" if self._buffer else "connection_terminated"
            self._break()
            raise ProtocolViolation(502, "The connection ended before the response.", name)
        return []

    def next_cycle(self) -> None:
        """Be ready for another request.

        :raises LocalProtocolError: not :attr:`reusable`.
        """
        if self._closing:
            raise LocalProtocolError("The connection closes.")
        if self.reading is not DONE or self.writing is not DONE:
            after(Step.NEXT, self.reading)
            after(Step.NEXT, self.writing)
        self.reading = self.writing = IDLE
        self.response = None
        self.any_bytes_received = False
        self._informational = 0

    def switch(self) -> bytes:
        """Leave HTTP behind a 2xx to a CONNECT, or a 101.

        :return: what the server sent behind its head.
        :raises LocalProtocolError: there was no such response, or the request is not written.
        """
        if self.reading is not AGREED:
            raise LocalProtocolError("Nothing was agreed.")
        if self.writing is BODY and not self._left:
            # A CONNECT or an upgrade whose end nobody troubled to write; it would be empty.
            self.writing = DONE
        return self._take_over()

    def _read_heads(self, data: bytes) -> list[Event]:
        if self.writing is IDLE:
            raise ProtocolViolation(502, "There are bytes that answer no request.")
        buffer = self._buffer
        events: list[Event] = []
        while True:
            end = -1 if buffer else data.find(HEAD_END)
            if end < 0:
                buffer += data
                raw = self._cut_head()
                if raw is None:
                    return events
                data = bytes(buffer)
                buffer.clear()
            else:
                end += len(HEAD_END)
                if end > self.limits.head_bytes:
                    raise self._too_large()
                raw = data[:end]
                data = data[end:]
            head = self._heads.parse(raw, self._method, self.limits)
            events.append(head)
            if not head.informational:
                return self._begin(head, data, events)
            self._informational += 1
            if self._informational > self.limits.informational_heads:
                raise ProtocolViolation(502, "There are too many informational responses.")

    def _begin(self, head: ResponseHead, rest: bytes, events: list[Event]) -> list[Event]:
        status = head.status
        if status == 101 or (self._method == b"CONNECT" and 200 <= status < 300):
            if status == 101 and not (self._upgrade_asked and head.upgrade):
                raise ProtocolViolation(502, "The server switches to something else unasked.")
            self.response = head
            self.reading = AGREED
            if rest:
                self._keep(rest)
            return events
        self.response = head
        if not head.keep_alive:
            self._closing = True
        length = head.length
        if not length:
            self.reading = DONE
            events.append(END)
            if rest:
                self._keep(rest)
            return events
        if length == len(rest):
            self.reading = DONE
            events += (rest, END)
            return events
        self.reading = BODY
        self._reader = body_reader(length, self.limits)
        return self._feed(rest, events)

    def _keep(self, data: bytes) -> None:
        """Behind a response there is nothing but the next one, which nobody has asked for."""
        if self.reading is AGREED:
            super()._keep(data)
        else:
            self._closing = True

    def _judge_line(self, line: bytes) -> None:
        check_status_line(line)

    def _judge_opening(self, buffer: bytearray) -> None:
        if not b"HTTP/1.".startswith(bytes(buffer[:7])):
            raise ProtocolViolation(502, "The status line is malformed, or of another version.")
