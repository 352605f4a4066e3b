"""Our end of a client's connection: requests are read, responses written.

The whole is explained in ``exchange.py``.
"""

from __future__ import annotations

import re
import typing

from aluvia.wire.cycle import (
    AGREED,
    BODY,
    BROKEN,
    DONE,
    HEAD_END,
    IDLE,
    NO_BODY,
    OPAQUE,
    Event,
    Exchange,
    Step,
    after,
    completed,
)
from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import CHUNKED, END, UNTIL_CLOSE, body_reader
from aluvia.wire.head import (
    RequestHead,
    check_request_line,
    write_response_head,
)
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.remembered import LastRequestHead

__all__ = ["ServerExchange"]

_no_method_begins = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]").match


class ServerExchange(Exchange):
    """We are the server: requests are read, responses written, one after the other.

    :ivar request: the current one, once its head is whole.
    """

    __slots__ = ("_empty_lines", "_heads", "request")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits)
        self.request: RequestHead | None = None
        self._empty_lines = 0
        self._heads = LastRequestHead()

    @property
    def complete(self) -> bool:
        """Whether the request is read whole, and its response written whole."""
        return self.reading is DONE and self.writing is DONE

    @property
    def must_close(self) -> bool:
        """Whether the connection closes behind this response.

        Because either side wants it, the body ends so, the request was not read to its end, it
        broke the rules, or it was a CONNECT that is refused.
        """
        return (
            self._closing
            or self.reading is BROKEN
            or (self.writing is DONE and self.reading is not DONE)
        )

    @property
    def may_respond(self) -> bool:
        """Whether nothing of a response is written yet."""
        return self.writing is IDLE

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has come. Empty lines are nothing."""
        return self.reading is IDLE and not self._buffer

    @property
    def mid_message(self) -> bool:
        """Whether something of a request has come, and the rest has not."""
        return self.reading is BODY or (self.reading is IDLE and bool(self._buffer))

    def receive(self, data: bytes) -> list[Event]:
        """Read what came.

        :return: a :class:`RequestHead`, bytes of its body, :class:`Trailers`, :data:`END`. Of one
            request at the most: what comes behind it is kept for :meth:`next_cycle`.
        :raises ProtocolViolation: with what to answer, if :attr:`may_respond`.
        :raises LocalProtocolError: after :meth:`switch`.
        """
        reading = self.reading
        try:
            if reading is IDLE:
                return self._read_head(data)
            if reading is BODY:
                return self._feed(data, [])
            if reading is DONE:
                self._keep(data)
                return []
        except ProtocolViolation:
            self._break()
            raise
        if reading is OPAQUE:
            raise LocalProtocolError("The connection is no longer HTTP.")
        return []

    def receive_eof(self) -> list[Event]:
        """The client has sent all that it will send.

        :raises ProtocolViolation: in the middle of a request.
        """
        if self.mid_message:
            self._break()
            raise ProtocolViolation(400, "The connection ended in the middle of a request.")
        return []

    def informational(self, status: int, fields: typing.Sequence[Field] = ()) -> bytes:
        """Return a 1xx; nothing for an HTTP/1.0 client, who must not get any (RFC 9110 §15.2).

        :raises LocalProtocolError: there is no request, the response has begun, or the status is
            none of these. (A 101 is a :meth:`respond`.)
        """
        if self.request is None or self.writing is not IDLE:
            raise LocalProtocolError("A 1xx stands between a request and its response.")
        if not 100 <= status < 200 or status == 101:
            raise LocalProtocolError("This status is not informational.")
        if not self.request.minor:
            return b""
        return completed(write_response_head(status, b"", fields), fields, b"")

    def respond(
        self,
        status: int,
        reason: bytes,
        fields: typing.Sequence[Field],
        length: int,
        *,
        close: bool = False,
    ) -> bytes:
        """Return the head of the response, with its framing and Connection.

        :param fields: end-to-end ones. With Upgrade among them, Connection says so.
        :param length: of the body. :data:`~aluvia.wire.framing.CHUNKED` becomes until-close for
            an HTTP/1.0 client. To a HEAD, and for a 304, it is what a GET would have got, and
            :meth:`data` is dropped.
        :param close: close behind it, and say so.
        :raises LocalProtocolError: a response has begun, or this cannot be one.
        """
        request = self.request
        head = write_response_head(status, reason, fields)
        if status == 101 or (
            request is not None and request.method == b"CONNECT" and 200 <= status < 300
        ):
            return self._agree(status, head, fields)
        if not 200 <= status <= 999 or length < UNTIL_CLOSE:
            raise LocalProtocolError("There is no such status or length of a response.")
        after_head = BODY if self.writing is IDLE else after(Step.HEAD, self.writing)
        if request is None or request.method == b"CONNECT":
            close = True
        framing = b""
        if status in (204, 304) or (request is not None and request.method == b"HEAD"):
            left = NO_BODY
            if length > 0 and status != 204:
                framing = b"Content-Length: %d\r\n" % length
        elif length >= 0:
            left = length
            framing = b"Content-Length: %d\r\n" % length
        elif length == CHUNKED and (request is None or request.minor):
            left = CHUNKED
            framing = b"Transfer-Encoding: chunked\r\n"
        else:
            left = UNTIL_CLOSE
            close = True
        close = close or self._closing or self.reading is BROKEN
        head = completed(head, fields, framing, b"close" if close else b"")
        self._closing = close
        self._left = left
        self.writing = after_head
        if request is None and self.reading is not BROKEN:
            self._break()
        return head

    def next_cycle(self) -> list[Event]:
        """Go on to the next request, with what is there of it already.

        :raises ProtocolViolation: as :meth:`receive`.
        :raises LocalProtocolError: the current one is not done, or was the last.
        """
        if self.must_close:
            raise LocalProtocolError("The connection closes.")
        if self.reading is not DONE or self.writing is not DONE:
            after(Step.NEXT, self.reading)
            after(Step.NEXT, self.writing)
        self.reading = self.writing = IDLE
        self.request = None
        return self.receive(b"") if self._buffer else []

    def switch(self) -> bytes:
        """Leave HTTP behind a 2xx to a CONNECT, or a 101.

        :return: what the client sent behind its request.
        :raises LocalProtocolError: there was no such response.
        """
        if self.writing is not AGREED:
            raise LocalProtocolError("Nothing was agreed.")
        return self._take_over()

    def _agree(self, status: int, head: bytes, fields: typing.Sequence[Field]) -> bytes:
        request = self.request
        if request is None or (status == 101 and request.upgrade is None):
            raise LocalProtocolError("Nobody asked for this.")
        after_head = after(Step.AGREE, self.writing)
        head = completed(head, fields, b"")
        self.writing = after_head
        return head

    def _read_head(self, data: bytes) -> list[Event]:
        buffer = self._buffer
        if not buffer:
            # The usual case: the whole head in one read, and nothing in front of it.
            end = data.find(HEAD_END) + len(HEAD_END)
            if end >= len(HEAD_END) and data[0] != 13:
                if end > self.limits.head_bytes:
                    raise self._too_large()
                return self._begin(self._heads.parse(data[:end], self.limits), data[end:])
        buffer += data
        while buffer.startswith(b"\r\n"):
            self._empty_lines += 1
            if self._empty_lines > self.limits.leading_empty_lines:
                raise ProtocolViolation(400, "There are only empty lines.")
            del buffer[:2]
        raw = self._cut_head()
        if raw is None:
            return []
        head = self._heads.parse(raw, self.limits)
        if not head.length:
            # What is behind it stays where it is (a thousand pipelined requests are not copied a
            # thousand times), and is counted.
            self._keep(b"")
            return self._begin(head, b"")
        rest = bytes(buffer)
        buffer.clear()
        return self._begin(head, rest)

    def _begin(self, head: RequestHead, rest: bytes) -> list[Event]:
        self.request = head
        self._empty_lines = 0
        if not head.keep_alive:
            self._closing = True
        length = head.length
        if not length:
            self.reading = DONE
            if rest:
                self._keep(rest)
            return [head, END]
        self.reading = BODY
        self._reader = body_reader(length, self.limits)
        return self._feed(rest, [head])

    def _judge_line(self, line: bytes) -> None:
        check_request_line(line)

    def _judge_opening(self, buffer: bytearray) -> None:
        if _no_method_begins(buffer) and buffer != b"\r":
            raise ProtocolViolation(400, "The request line is malformed.")
