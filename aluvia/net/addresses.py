"""
Addresses as they are dialled: of one family, without a port, in an order to try them in.
"""

from __future__ import annotations

import functools
import itertools
import socket
import typing

__all__ = ["Address", "Addresses", "from_sockaddr", "interleaved", "literal"]

#: How many literals are remembered; a look-up takes a tenth of reading one.
_REMEMBERED_LITERALS = 4096


class Address(typing.NamedTuple):
    """An address without its port; ``host`` has its zone behind a ``%`` if it needs one."""

    family: int
    host: str


Addresses = tuple[Address, ...]


def from_sockaddr(family: int, at: tuple[typing.Any, ...]) -> Address:
    """Return the address in what ``getaddrinfo`` gives."""
    if family == socket.AF_INET6 and at[3] and "%" not in at[0]:
        return Address(family, f"{at[0]}%{at[3]}")
    return Address(family, at[0])


@functools.lru_cache(maxsize=_REMEMBERED_LITERALS)
def literal(host: str) -> Addresses | None:
    """Return the address that a literal is (IPv6 without brackets); None for a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return (Address(family, host),)


def interleaved(addresses: typing.Iterable[Address]) -> list[Address]:
    """
    Return the addresses in the order in which they are to be tried.

    RFC 8305 §4: the families take turns, beginning with that of the first address; within a
    family the order stays. Repeated addresses are dropped.
    """
    by_family: dict[int, list[Address]] = {}
    for address in dict.fromkeys(addresses):
        by_family.setdefault(address.family, []).append(address)
    turns = itertools.zip_longest(*by_family.values())
    return [address for turn in turns for address in turn if address is not None]
