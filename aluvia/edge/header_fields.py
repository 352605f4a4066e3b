"""
Names of header fields, and the fields that a route injects.

The edge writes some fields itself: those that frame a message, those of one hop, and those that
tell the backend who asks. An injected one would be a second opinion, or a lie. (A name with ``_``
is the same to many backends as one with ``-``.)
"""

from __future__ import annotations

import re
import typing

from aluvia.edge.bounds import HEADER_NAME_CHARS, HEADER_NAMES, HEADER_VALUE_BYTES, HEADERS
from aluvia.edge.list_shapes import ListOf
from aluvia.edge.plain_fields import Plain, limited
from aluvia.edge.reading import Place, Wrong
from aluvia.edge.shapes import read_object
from aluvia.wire.headers import FORWARDING, HOP_BY_HOP, FieldNames, is_token

__all__ = ["COPIED_NAMES", "HEADERS_BY_NAME", "SHOWN_NAMES"]

#: RFC 9110 sections 7.6.1 and 10.1, RFC 9112 section 6; and Host.
_OF_ONE_HOP = HOP_BY_HOP | {b"expect", b"host", b"http2-settings", b"trailer"}

#: What the edge tells a backend about a request.
_TOLD = frozenset(
    [
        b"cdn-loop",
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    ]
)

_NOT_INJECTED = FORWARDING | FieldNames(_OF_ONE_HOP | _TOLD)

#: Less: ``X-Forwarded-User`` is what many a hook answers with.
_NOT_COPIED = FieldNames(_OF_ONE_HOP | _TOLD)

_visible = re.compile(r"[\t -~]*", re.ASCII).fullmatch


def _name(value: object) -> str:
    name = limited(value, HEADER_NAME_CHARS)
    if not is_token(name.encode("ascii", "replace")):
        raise Wrong("must be the name of a header field (RFC 9110 section 5.1)")
    return name


def _injected(value: object) -> str:
    return _unless(_NOT_INJECTED, value)


def _copied(value: object) -> str:
    return _unless(_NOT_COPIED, value)


def _unless(names: FieldNames, value: object) -> str:
    name = _name(value)
    if name.lower().replace("_", "-").encode("ascii") in names:
        raise Wrong("is a header field that the edge writes itself, or that is for one hop")
    return name


def _value(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("must be a string")
    if len(value) > HEADER_VALUE_BYTES:
        raise Wrong(f"must have at most {HEADER_VALUE_BYTES} bytes")
    if _visible(value) is None:
        # Others than ASCII are read in as many ways as there are backends.
        raise Wrong("must be of visible ASCII characters, blanks and tabs")
    return value.strip(" \t")


class _Headers:
    """Fields by name: an object in a document, pairs in the model."""

    def read(self, place: Place) -> tuple[tuple[str, str], ...]:
        """Judge all names and values."""
        told = len(place.reading.faults)
        document = read_object(place)
        if len(document) > HEADERS:
            raise Wrong(f"must have at most {HEADERS} members")
        first: dict[str, str] = {}
        fields = []
        for name, value in document.items():
            below = place.below(name, value)
            if first.setdefault(name.lower(), name) != name:
                below.fault("is there already, in another spelling")
            try:
                _injected(name)
            except Wrong as wrong:
                below.tell(wrong)
            try:
                fields.append((name, _value(value)))
            except Wrong as wrong:
                below.tell(wrong)
        if len(place.reading.faults) > told:
            raise Wrong
        return tuple(fields)

    def show(self, value: tuple[tuple[str, str], ...], secrets: bool) -> typing.Any:
        """Show them."""
        return dict(value) if _are_pairs(value) else value


def _are_pairs(value: object) -> bool:
    return isinstance(value, tuple | list) and all(
        isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in value
    )


#: What a route injects.
HEADERS_BY_NAME: typing.Final = _Headers()

#: Names of a client's fields that somebody else is shown.
SHOWN_NAMES: typing.Final = ListOf(Plain(_name), HEADER_NAMES, str.lower)

#: Names of fields that are copied to a backend.
COPIED_NAMES: typing.Final = ListOf(Plain(_copied), HEADER_NAMES, str.lower)
