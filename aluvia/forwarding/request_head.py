"""The head of a request as it goes upstream."""

from __future__ import annotations

import typing

from aluvia.net.parent import ParentProxy
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field
from aluvia.wire.target import AbsoluteTarget

#: Methods whose requests may be sent again (RFC 9110 section 9.2.2).
IDEMPOTENT = frozenset([b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"])


def absolute_form(target: AbsoluteTarget) -> bytes:
    """
    The target as a parent proxy gets it: what was judged, not what was spelled. The ``*`` of an
    OPTIONS is written as an empty path (RFC 9112 section 3.2.4).
    """
    path = target.origin_form
    return b"http://%b%b" % (target.authority.raw, b"" if path == b"*" else path)


def request_fields(
    head: RequestHead,
    target: AbsoluteTarget,
    gateway: ParentProxy | None,
    gone: typing.Container[bytes],
) -> list[Field]:
    """
    The fields that go upstream: end-to-end ones, with the Host of the target (RFC 9112 section
    3.2.2), and the gateway's credentials to the gateway alone.

    :param gone: lower-case names of those that do not.
    """
    fields: list[Field] = head.end_to_end(gone)
    host = target.authority.raw
    if head.host is None:
        fields = [(b"Host", host), *fields]
    elif head.host != host:
        fields = [(name, host if name.lower() == b"host" else value) for name, value in fields]
    if gateway is not None and gateway.authorization is not None:
        fields = [*fields, (b"Proxy-Authorization", gateway.authorization)]
    return fields


def without(fields: typing.Iterable[Field], gone: typing.Container[bytes]) -> list[Field]:
    """Trailers, but for those of these lower-case names."""
    return [field for field in fields if field[0].lower() not in gone]
