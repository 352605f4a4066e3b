"""
Entity tags (RFC 9110 sections 8.8.3, 13.1.1 and 13.1.2): which state a client has.

``If-None-Match`` compares weakly, for a client that wants to know whether there is something new;
``If-Match`` strongly, for one that changes what it has seen and nothing else.
"""

from __future__ import annotations

import re
import typing

from twisted.web.http_headers import Headers

__all__ = ["given", "matches", "matches_weakly"]

#: Fields longer than this are not read, and match nothing.
FIELD_CHARS = 8_192

_tag = re.compile(rb'[\t ]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[\t ]*(?:,|\Z)|[\t ]*(?:,|\Z)')


def given(headers: Headers, name: bytes) -> bytes | None:
    """
    The whole of a field, in one line: it may come in several (RFC 9110 section 5.3).

    :param name: ``If-Match`` or ``If-None-Match``.
    :return: None if it did not come at all.
    """
    lines = headers.getRawHeaders(name)
    return None if lines is None else b", ".join(lines)


def matches(field: bytes, tag: bytes) -> bool:
    """Whether one of an ``If-Match`` field is this strong tag; ``*`` is any."""
    return _any(field, lambda each: each == tag)


def matches_weakly(field: bytes, tag: bytes) -> bool:
    """Whether one of an ``If-None-Match`` field is this tag, be it weak; ``*`` is any."""
    return _any(field, lambda each: each.removeprefix(b"W/") == tag)


def _any(field: bytes, wanted: typing.Callable[[bytes], bool]) -> bool:
    if field.strip() == b"*":
        return True
    return any(wanted(each) for each in _tags(field))


def _tags(field: bytes) -> list[bytes]:
    """The tags of a list; none of a field that is no list of tags."""
    tags = []
    at = 0
    if len(field) > FIELD_CHARS:
        return []
    while at < len(field):
        found = _tag.match(field, at)
        if found is None:
            return []
        if found[1] is not None:
            tags.append(found[1])
        at = found.end()
    return tags
