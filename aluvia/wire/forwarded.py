"""Fields in which hops speak of themselves and of each other. For now: Proxy-Status (RFC 9209)."""

from __future__ import annotations

import re

__all__ = ["proxy_status"]

# RFC 9651 §3.3.4 and §3.3.3. What a string cannot hold is replaced, since these are words for
# people, and a field that does not parse is worth nothing to anybody.
_token = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*").fullmatch
_unspeakable = re.compile(r"[^ -~]")


def proxy_status(
    name: str,
    *,
    error: str | None = None,
    received_status: int | None = None,
    next_hop: str | None = None,
    details: str | None = None,
) -> bytes:
    """Return one hop's member of a Proxy-Status field.

    Where there are several hops, the members are joined with ``", "``, the nearest to the origin
    first (RFC 9209 §2).

    :param name: by which this hop calls itself.
    :param error: a proxy error type of RFC 9209 §2.3, such as ``dns_error``.
    :param received_status: the status that the next hop answered (§2.1.5).
    :param next_hop: a host name, an address or an alias (§2.1.2).
    :param details: a sentence for people (§2.1.4). Never a secret: it is sent to the client.
    :raises ValueError: the error is no token; it is a name of ours, so that is a mistake of ours.
    """
    parts = [_item(name)]
    if error is not None:
        if not _token(error):
            raise ValueError("An error type is a token.")
        parts.append(f"error={error}")
    if received_status is not None:
        parts.append(f"received-status={received_status:d}")
    if next_hop is not None:
        parts.append(f"next-hop={_string(next_hop)}")
    if details is not None:
        parts.append(f"details={_string(details)}")
    return "; ".join(parts).encode("ascii")


def _item(name: str) -> str:
    """Return a name as a token if it can be one, else as a string; the RFC allows both."""
    return name if _token(name) else _string(name)


def _string(text: str) -> str:
    speakable = _unspeakable.sub("?", text)
    return '"{}"'.format(speakable.replace("\\", "\\\\").replace('"', '\\"'))
