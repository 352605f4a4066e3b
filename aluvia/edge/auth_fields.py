"""
The fields that go from a provider's answer to the backend, and those of clients that must not.

A field that a backend believes because a provider has said it, such as ``X-Auth-User``, is worth
nothing if a client can send it. So the client's fields of that name are removed, always: also when
the provider does not send one this time. And in every spelling: what is behind us may turn ``-``
and ``_`` both into ``_``, as CGI and WSGI do, so that a client's ``x_auth_user`` would be the very
same field.
"""

from __future__ import annotations

import itertools
import re
import typing

from aluvia.wire.headers import Field, FieldNames, Fields, without_hop_by_hop

__all__ = ["copies", "is_sane", "replaced", "spellings"]

#: Hyphens in a name that is copied, at most: its spellings double with each.
MOST_HYPHENS = 8

_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_speakable = re.compile(rb"[\t -~\x80-\xff]*").fullmatch
_no_options: frozenset[bytes] = frozenset()


def spellings(names: typing.Iterable[str]) -> FieldNames:
    """
    Names of fields in every spelling that a backend may take for one of them.

    :raises ValueError: for what is no name, and for a name that means something to the connection
        or to the routing, and so is not a provider's to set; it names it.
    """
    whole: set[bytes] = set()
    for name in names:
        lowered = name.lower().encode("utf-8", "replace")
        if not _token(lowered):
            raise ValueError(f"{name!r} is no name of a header field.")
        if lowered == b"host" or not without_hop_by_hop([(lowered, b"")], _no_options):
            raise ValueError(f"The header field {name} cannot be set by a provider.")
        parts = re.split(rb"[-_]", lowered)
        if len(parts) - 1 > MOST_HYPHENS:
            raise ValueError(f"The header field {name} has more than {MOST_HYPHENS} hyphens.")
        for between in itertools.product((b"-", b"_"), repeat=len(parts) - 1):
            whole.add(b"".join(itertools.chain(*zip(parts, (*between, b""), strict=True))))
    return FieldNames(frozenset(whole))


def copies(fields: typing.Iterable[Field], names: typing.Iterable[str]) -> list[Field]:
    """Those of an answer's fields that have one of these names."""
    wanted = {name.lower().encode("ascii") for name in names}
    return [field for field in fields if field[0].lower() in wanted]


def replaced(
    fields: typing.Iterable[Field], removed: FieldNames, added: typing.Iterable[Field]
) -> Fields:
    """
    A client's fields without those that were removed, and with those that were added.

    :func:`~aluvia.wire.headers.without_hop_by_hop` alone would not do it: it does not look at
    common fields, such as ``Cookie``, which a provider may set all the same.
    """
    kept = [field for field in fields if field[0].lower() not in removed]
    return Fields([*kept, *added])


def is_sane(field: Field) -> bool:
    """Whether it can be written as it is: a token, and a value without control characters."""
    return _token(field[0]) is not None and _speakable(field[1]) is not None
