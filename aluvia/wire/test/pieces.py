"""Bytes delivered in every way that a network may, and what came of it."""

from __future__ import annotations

import typing

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ClientExchange, Event, ServerExchange
from aluvia.wire.framing import BodyReader

GET = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
"""The least request."""


def splits(data: bytes) -> list[list[bytes]]:
    """Return ``data`` whole, byte by byte, and in pieces of seven."""
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        [data[at : at + 7] for at in range(0, len(data), 7)],
    ]


def merged(events: typing.Iterable[Event]) -> list[Event]:
    """Return events with neighbouring pieces of a body as one, since its cuts mean nothing."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += event
        else:
            result.append(event)
    return result


def received(
    exchange: ServerExchange | ClientExchange, pieces: typing.Iterable[bytes]
) -> tuple[list[Event], ProtocolViolation | None]:
    """Feed pieces until they are over or the exchange objects; return events and objection."""
    events: list[Event] = []
    for piece in pieces:
        try:
            events += exchange.receive(piece)
        except ProtocolViolation as violation:
            return merged(events), violation
    return merged(events), None


def read_requests(data: bytes, **kwargs: typing.Any) -> list[list[Event]]:
    """Read ``data`` with a fresh server's exchange in each way of :func:`splits`.

    :return: the events of each; an objection stands at the end as its status.
    """
    return [_listed(ServerExchange(**kwargs), pieces) for pieces in splits(data)]


def read_responses(
    data: bytes, method: bytes = b"GET", fields: typing.Any = (), **kwargs: typing.Any
) -> list[list[Event]]:
    """Read ``data`` with a fresh client's exchange in each way of :func:`splits`."""
    results = []
    for pieces in splits(data):
        exchange = asking(method, fields, **kwargs)
        results.append(_listed(exchange, pieces))
    return results


def _listed(exchange: ServerExchange | ClientExchange, pieces: list[bytes]) -> list[Event]:
    events, violation = received(exchange, pieces)
    return events if violation is None else [*events, b"%d" % violation.status]


def asking(method: bytes = b"GET", fields: typing.Any = (), **kwargs: typing.Any) -> ClientExchange:
    """Return a client's exchange that has sent a request without a body."""
    exchange = ClientExchange(**kwargs)
    exchange.request(method, b"/", [(b"Host", b"a.example"), *fields], 0)
    exchange.end()
    return exchange


def refusals(
    exchange: typing.Callable[[], typing.Any], data: bytes
) -> list[ProtocolViolation | None]:
    """Return what ``data`` is refused with, in each way of :func:`splits`; None where it is not."""
    return [received(exchange(), pieces)[1] for pieces in splits(data)]


def read_body(reader: BodyReader, pieces: list[bytes]) -> tuple[list[Event], bytes | None]:
    """Feed a reader until its body is over.

    :return: what it read, and all the bytes behind the body, or None if it goes on.
    """
    events: list[Event] = []
    for at, piece in enumerate(pieces):
        behind = reader.feed(piece, events)
        if behind is not None:
            return merged(events), behind + b"".join(pieces[at + 1 :])
    return merged(events), None
