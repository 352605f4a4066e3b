"""Heads that need not be read twice: an optimisation of one connection, replaceable by none.

Programs send the same fields again and again on a connection, with another target; servers give
the same answer to the same question. What was read and judged once need not be read again where
it is the same to the byte. (HTTP/2's HPACK lives by the same habit.) What is remembered is the last
head alone, if it is short, and it goes with its connection. Where heads always differ, remembering
costs one comparison; ``benchmarks/RESULTS.md`` has both.
"""

from __future__ import annotations

from aluvia.wire.head import (
    RequestHead,
    ResponseHead,
    judged_request,
    parse_response_head,
    split_request,
)
from aluvia.wire.limits import Limits

__all__ = ["REMEMBERED_BYTES", "LastRequestHead", "LastResponseHead"]

#: A longer head is not remembered.
REMEMBERED_BYTES = 4_096


class LastRequestHead:
    """Reads the request heads of one connection.

    Where method, version and field section are those of the last one, so is everything but the
    target.
    """

    __slots__ = ("_head", "_section")

    def __init__(self) -> None:
        self._head: RequestHead | None = None
        self._section = b""

    def parse(self, raw: bytes, limits: Limits) -> RequestHead:
        """As :func:`~aluvia.wire.head.parse_request_head`; the fields may be shared with others."""
        method, target, minor, section = split_request(raw)
        last = self._head
        if (
            last is not None
            and section == self._section
            and method == last.method
            and minor == last.minor
        ):
            return last.again(target)
        head = judged_request(method, target, minor, section, limits)
        if len(section) <= REMEMBERED_BYTES:
            self._head = head
            self._section = section
        return head


class LastResponseHead:
    """Reads the response heads of one connection. All of the head must be that of the last one,
    and the method that it answers."""

    __slots__ = ("_head", "_method", "_raw")

    def __init__(self) -> None:
        self._head: ResponseHead | None = None
        self._method = b""
        self._raw = b""

    def parse(self, raw: bytes, method: bytes, limits: Limits) -> ResponseHead:
        """As :func:`~aluvia.wire.head.parse_response_head`; it may be one returned before."""
        last = self._head
        if last is not None and raw == self._raw and method == self._method:
            return last
        head = parse_response_head(raw, method, limits)
        if len(raw) <= REMEMBERED_BYTES:
            self._head = head
            self._method = method
            self._raw = raw
        return head
