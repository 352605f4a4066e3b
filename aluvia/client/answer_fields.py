"""
Fields of a control plane's answer: what they say to us, or that they say nothing.

Whatever is in them, reading them is no error: who sends nonsense in one of them may well have sent
a good configuration.
"""

from __future__ import annotations

import collections.abc
import re
from urllib.parse import urljoin, urlsplit

from twisted.web.http import stringToDatetime

#: A ``Retry-After`` that asks for more is taken for this; seconds.
RETRY_AFTER_SECONDS = 3_600.0


def entity_tag(value: bytes | None) -> str | None:
    """
    An ``ETag``, to be sent back as it is; None if it is empty, which is none.

    :return: bytes that are no UTF-8 are lone surrogates in it.
    """
    return value.decode("utf-8", "surrogateescape") if value else None


def retry_after(value: bytes | None, now: float) -> float | None:
    """
    A ``Retry-After`` in either of its forms (RFC 9110 section 10.2.3).

    :param now: seconds since the epoch.
    :return: seconds, at most :data:`RETRY_AFTER_SECONDS`; None if there is none, or no good one.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text) if text.isdigit() else stringToDatetime(text) - now
    except (ValueError, IndexError, OverflowError):
        # An empty one is an IndexError, and a year of 400 digits no floating-point number.
        return None
    return min(max(0.0, seconds), RETRY_AFTER_SECONDS)


_links = re.compile(
    r"<([^<>]*)>((?:\s*;\s*[A-Za-z*-]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s\",;]*))?)*)"
).findall
_relation = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s\",;]*))", re.IGNORECASE).search


def monitor_address(lines: collections.abc.Iterable[bytes], url: str) -> str | None:
    """
    The address in a ``Link`` of relation ``monitor`` (RFC 8288, RFC 5989).

    :param lines: the values of every ``Link`` field.
    :param url: what was asked. Only an address on the same origin counts: whoever asks it sends
        the token along.
    """
    origin = _origin(url)
    for line in lines:
        for address, parameters in _links(line.decode("latin-1")):
            relation = _relation(parameters)
            if relation is None or "monitor" not in (relation[1] or relation[2]).lower().split():
                continue
            try:
                found: str = urljoin(url, address.strip())
            except ValueError:
                continue
            if origin is not None and _origin(found) == origin:
                return found
    return None


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if "@" in parts.netloc or parts.hostname is None:
        return None
    return parts.scheme, parts.hostname, port
