"""
Fields as JSON has them, where whole messages are carried in it: ``{name: [values]}``.

HTTP has bytes in its fields and JSON has characters. Bytes that are UTF-8 are those characters, any
others are Latin-1; characters go out as UTF-8. Names that differ in case alone are one, and a field
that is there more than once has its values in their order.
"""

from __future__ import annotations

import re
import typing

from aluvia.wire.headers import Field, is_token

__all__ = ["fields_from_json", "fields_to_json", "text_of"]

#: A value as it may stand on the wire (RFC 9110 section 5.5).
_value = re.compile(rb"[\t -~\x80-\xff]*").fullmatch


def text_of(value: bytes) -> str:
    """A value's characters."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def fields_to_json(fields: typing.Iterable[Field]) -> dict[str, list[str]]:
    """What JSON has for these fields; a name as it was written first."""
    grouped: dict[bytes, tuple[str, list[str]]] = {}
    for name, value in fields:
        _, values = grouped.setdefault(name.lower(), (name.decode("ascii"), []))
        values.append(text_of(value))
    return dict(grouped.values())


def fields_from_json(headers: object) -> list[Field]:
    """
    The fields that JSON has.

    :param headers: None for none of them.
    :raises ValueError: they are none. The text holds nothing of them.
    """
    if headers is None:
        return []
    if not isinstance(headers, dict):
        raise ValueError("headers: an object of lists")
    fields: list[Field] = []
    for name, values in headers.items():
        # A lone value is no list, and can mean but one thing.
        listed = [values] if isinstance(values, str) else values
        if not isinstance(listed, list | None):
            raise ValueError("headers: an object of lists")
        fields += [_field(name, value) for value in listed or ()]
    return fields


def _field(name: str, value: object) -> Field:
    if not isinstance(value, str):
        raise ValueError("headers: its values are lists of strings")
    try:
        written = name.encode("ascii"), value.encode("utf-8").strip(b" \t")
    except UnicodeEncodeError:
        raise ValueError("headers: a name or a value that cannot be sent") from None
    if not is_token(written[0]) or not _value(written[1]):
        raise ValueError("headers: a name or a value that cannot be sent")
    return written
