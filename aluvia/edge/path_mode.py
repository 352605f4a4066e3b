"""
An answer of an app that does not know that it is below a prefix, such as ``/t/app``.

.. code-block:: text

    Location: /login                     /t/app/login
    Location: https://hub.test/login     the same below the visitor's own host; others stay
    Location: login                      stays: it is relative to where the visitor is
    Set-Cookie: a=b; Path=/              Path=/t/app/
    Set-Cookie: a=b                      stays: a browser takes the directory of what it asked for,
                                         which is below the prefix by itself

What begins with the prefix already stays, too: that app has read ``X-Forwarded-Prefix``. A cookie
whose name begins with ``__Host-`` has to be for the whole host, and cannot be in path mode.
"""

from __future__ import annotations

import re

from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.headers import Field
from aluvia.wire.target import Authority, parse_authority

__all__ = ["rewritten"]

_absolute = re.compile(rb"((https?):)?//([^/?#\\]*)(.*)", re.IGNORECASE | re.DOTALL).fullmatch

_USUAL = (None, 80, 443)


def rewritten(field: Field, prefix: bytes, own: bytes | None) -> Field:
    """
    One field of an answer, for the visitor.

    :param own: the host that the visitor asked, and its port; None if that is not known.
    """
    name, value = field
    lowered = name.lower()
    if lowered == b"location":
        return name, _location(value, prefix, own)
    if lowered == b"set-cookie":
        return name, _cookie(value, prefix)
    return field


def _location(value: bytes, prefix: bytes, own: bytes | None) -> bytes:
    absolute = _absolute(value)
    if absolute is None:
        return _below(prefix, value) if value.startswith(b"/") else value
    authority, rest = absolute[3], absolute[4]
    if own is None or not _same(authority, own):
        return value
    path = rest if rest.startswith(b"/") else b"/" + rest
    return b"%b//%b%b" % (absolute[1] or b"", authority, _below(prefix, path))


def _cookie(value: bytes, prefix: bytes) -> bytes:
    pair, *attributes = value.split(b";")
    return b";".join([pair, *(_attribute(each, prefix) for each in attributes)])


def _attribute(attribute: bytes, prefix: bytes) -> bytes:
    name, _, value = attribute.partition(b"=")
    path = value.strip()
    # Any other value is no path, and a browser takes its default (RFC 6265 section 5.2.4).
    if name.strip().lower() == b"path" and path.startswith(b"/"):
        return b" Path=" + _below(prefix, path)
    return attribute


def _below(prefix: bytes, path: bytes) -> bytes:
    if path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in (b"", b"/", b"?", b"#"):
        return path
    return prefix + path


def _same(one: bytes, other: bytes) -> bool:
    """Whether both are one host and port; the usual ones of both schemes count as one."""
    try:
        left, right = parse_authority(one), parse_authority(other)
    except ProtocolViolation:
        return False
    return left.host == right.host and (left.port == right.port or _is_usual(left, right))


def _is_usual(*authorities: Authority) -> bool:
    return all(each.port in _USUAL for each in authorities)
