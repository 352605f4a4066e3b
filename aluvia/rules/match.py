"""One host against one pattern: the plain reading of the table.

This is what the table says, kind by kind, and nothing faster. :mod:`aluvia.rules.decide` is the
index that answers the same for many rules at once; :mod:`aluvia.rules.explain` uses this, so that
an explanation does not rest on the index that it explains.
"""

from __future__ import annotations

import socket

from aluvia.rules.model import Kind, Pattern, Unreadable
from aluvia.rules.read import read_pattern
from aluvia.rules.suffixes import is_icann_suffix
from aluvia.wire.target import InvalidHost, canonical_host

__all__ = ["address_number", "match_pattern", "matches", "stems_of"]


def match_pattern(hostname: str, pattern: str) -> bool:
    """Whether a host matches a pattern, in any spelling of both.

    A hostname that is not valid matches nothing, not even ``*``; a pattern that can never match
    matches nothing either. The ``-`` of an exclusion belongs to rules, not to patterns.
    """
    try:
        return matches(read_pattern(pattern), canonical_host(hostname))
    except (Unreadable, InvalidHost):
        return False


def matches(pattern: Pattern, host: str) -> bool:
    """Whether a canonical host matches."""
    match pattern.kind:
        case Kind.ANY:
            return True
        case Kind.NAME:
            return host == pattern.name
        case Kind.BELOW:
            return host.endswith("." + pattern.name)
        case Kind.STEM:
            stem = pattern.name + "."
            return host.startswith(stem) and is_icann_suffix(host[len(stem) :])
        case Kind.BELOW_STEM:
            return any(stem.endswith("." + pattern.name) for stem in stems_of(host))
        case Kind.IPV4 | Kind.IPV6:
            return _in_network(pattern, host)


def _in_network(pattern: Pattern, host: str) -> bool:
    number = address_number(host)
    width = 128 if pattern.kind is Kind.IPV6 else 32
    if number is None or (":" in host) is not (width == 128):
        return False
    return (number ^ pattern.network) >> (width - pattern.bits) == 0


def stems_of(host: str) -> list[str]:
    """Return what can stand before the star of ``google.*`` for this host, longest first.

    A host may have several: behind ``google`` in ``google.co.uk`` stands ``co.uk``, and behind
    ``google.co`` stands ``uk``, and both are public suffixes.
    """
    dots = [at for at, character in enumerate(host) if character == "."]
    return [host[:dot] for dot in reversed(dots) if is_icann_suffix(host[dot + 1 :])]


def address_number(host: str) -> int | None:
    """Return a canonical host as a number if it is an address, IPv4 or IPv6 (it has a colon)."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return int.from_bytes(socket.inet_pton(family, host), "big")
    except OSError:
        return None
