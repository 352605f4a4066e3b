"""
Addresses: of one family, without a port; as they are dialled, and as clients are known by them.
"""

from __future__ import annotations

import functools
import ipaddress
import itertools
import socket
import typing

__all__ = [
    "Address",
    "Addresses",
    "canonical_address",
    "client_place",
    "from_sockaddr",
    "interleaved",
    "is_loopback",
    "literal",
]

#: How many literals are remembered; a look-up takes a tenth of reading one.
_REMEMBERED_LITERALS = 4096
_REMEMBERED_CLIENTS = 4096

_MAPPED = bytes(10) + b"\xff\xff"


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


@functools.lru_cache(maxsize=_REMEMBERED_CLIENTS)
def canonical_address(address: str) -> str:
    """
    Return an address without its zone, which says how it is reached and not who it is; IPv4 inside
    IPv6 is IPv4.

    :raises ValueError: it looks like IPv6, and is none.
    """
    if ":" not in address:
        return address
    parsed = ipaddress.IPv6Address(address.partition("%")[0])
    return str(parsed.ipv4_mapped or parsed)


@functools.lru_cache(maxsize=_REMEMBERED_CLIENTS)
def client_place(address: str) -> bytes:
    """
    Return what counts as one client: all of an IPv4 address; of IPv6 the first 64 bits, since a
    machine has all that is behind them. IPv4 inside IPv6 is IPv4. What is no address, such as the
    name of a Unix socket, stands for itself.
    """
    try:
        if ":" not in address:
            return socket.inet_pton(socket.AF_INET, address)
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return address.encode("utf-8", "surrogatepass")
    return packed[12:] if packed.startswith(_MAPPED) else packed[:8]


def is_loopback(host: str) -> bool:
    """
    Whether a host is this machine whatever a resolver says (RFC 6761 section 6.3).

    :param host: an address or a name, canonical.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


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
