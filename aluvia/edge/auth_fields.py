"""
The fields that go from a provider's answer to the backend, and those of clients that must not.

A field that a backend believes because a provider has said it, such as ``X-Auth-User``, is worth
nothing if a client can send it. So the client's fields of that name are removed, always: also when
the provider does not send one this time. And in every spelling
(:func:`aluvia.edge.request_fields.hyphened`).
"""

from __future__ import annotations

import re
import typing

from aluvia.edge.request_fields import hyphened
from aluvia.wire.headers import Field, FieldNames, is_token, without_hop_by_hop

__all__ = ["copies", "is_sane", "names_of_ours"]

_speakable = re.compile(rb"[\t -~\x80-\xff]*").fullmatch


def names_of_ours(names: typing.Iterable[str]) -> FieldNames:
    """
    Names of fields that a provider writes, for :func:`aluvia.edge.request_fields.belongs_to_us`.

    :raises ValueError: for what is no name, and for a name that means something to the connection
        or to the routing, and so is not a provider's to set; it names it.
    """
    whole: set[bytes] = set()
    for name in names:
        lowered = name.lower().encode("utf-8", "replace")
        if not is_token(lowered):
            raise ValueError(f"{name!r} is no name of a header field.")
        if lowered == b"host" or not without_hop_by_hop([(lowered, b"")]):
            raise ValueError(f"The header field {name} cannot be set by a provider.")
        whole.add(hyphened(lowered))
    return FieldNames(frozenset(whole))


def copies(fields: typing.Iterable[Field], names: typing.Iterable[str]) -> list[Field]:
    """Those of an answer's fields that have one of these names."""
    wanted = {name.lower().encode("ascii") for name in names}
    return [field for field in fields if field[0].lower() in wanted]


def is_sane(field: Field) -> bool:
    """Whether it can be written as it is: a token, and a value without control characters."""
    return is_token(field[0]) and _speakable(field[1]) is not None
