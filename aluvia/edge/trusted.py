"""
Who the client is, where proxies that we trust stand between it and us.

Each proxy adds, at the right, whom it has its request from. What a stranger sent stands at the
left of that, so the list is read from the right, hop by hop, for as long as whoever is speaking is
trusted. The first who is not is the client: it is believed about itself (its connection was seen),
and about nothing else.

.. code-block:: text

    X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2          the peer is 10.0.0.1
                     not looked  the client   trusted         10.0.0.0/8 is trusted
                     at

The walk also stops, at the last hop that is known, before an entry that is no address, and after
:data:`MOST_HOPS`. Where there is no ``X-Forwarded-For``, ``Forwarded`` (RFC 7239) is read the same
way; each of its elements also says how that hop was asked. Its quoted strings are taken without
commas, semicolons and backslashes, so that an element ends where the next comma is, whatever a
stranger has begun before it. ``X-Real-IP`` says nothing that can be checked, and is never read.

A trusted proxy that appends to one of the two fields has to remove the other, or a client's own
would be taken for its.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import typing

import attrs

from aluvia.net.addresses import canonical_address
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.headers import Field, pick
from aluvia.wire.target import Authority, parse_authority

__all__ = ["MOST_HOPS", "MOST_NETWORKS", "Told", "TrustedProxies", "read_network"]

#: Entries that are looked at, in one list.
MOST_HOPS: typing.Final = 32

#: Networks that can be trusted.
MOST_NETWORKS: typing.Final = 1024

#: Addresses whose judgement is remembered, and entries that have been read.
REMEMBERED: typing.Final = 4096

#: More than this is no address with a port.
ENTRY_BYTES: typing.Final = 64

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAMES = frozenset(
    [
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"forwarded",
    ]
)

_PROTOCOLS = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}

# RFC 7239 section 4, with the narrower strings of this module.
_pair = re.compile(
    rb"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)="
    rb"(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|\"([^\"\\\x00-\x1f\x7f]*)\")[ \t]*"
).fullmatch
_entry = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?").fullmatch


@attrs.frozen
class Told:
    """
    What is believed of the client of a request.

    :ivar client: its address, as a literal; IPv4 inside IPv6 is IPv4.
    :ivar proto: ``http`` or ``https``, by which it asked the outermost trusted proxy; empty if
        nobody said so.
    :ivar host: the host that it asked for, canonical, with its port if it had one; or empty.
    :ivar port: the port that it asked; 0 if nobody said so.
    """

    client: str
    proto: str = ""
    host: str = ""
    port: int = 0


class TrustedProxies:
    """
    The proxies that are believed, by their networks.

    :param networks: such as ``10.0.0.0/8``, ``2001:db8::/32`` or one address.
    :raises ValueError: one is none.
    """

    def __init__(self, networks: typing.Sequence[str] = ()) -> None:
        self._networks: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for network in map(read_network, networks):
            masked = int(network.network_address), int(network.netmask)
            self._networks[network.version].append(masked)
        self._any = bool(networks)
        self._judged = functools.lru_cache(maxsize=REMEMBERED)(self._judge)

    def __bool__(self) -> bool:
        """Whether anybody is trusted."""
        return self._any

    def trusts(self, address: str) -> bool:
        """Whether what this peer says is believed."""
        return self._any and self._judged(address)

    def client_of(self, peer: str, forwarded_for: typing.Sequence[bytes]) -> str:
        """
        The client's address.

        :param peer: whom the connection is from.
        :param forwarded_for: the values of ``X-Forwarded-For``, in their order.
        """
        client = canonical_address(peer)
        if not forwarded_for or not self.trusts(client):
            return client
        return self._walk(client, b",".join(forwarded_for))[0]

    def told(self, peer: str, fields: typing.Iterable[Field]) -> Told:
        """
        All that is believed of the client.

        :param peer: whom the connection is from.
        :param fields: of the request, as they came. A stranger's are not looked at.
        """
        client = canonical_address(peer)
        if not self.trusts(client):
            return Told(client)
        found = pick(fields, _NAMES)
        walked, said = 1, dict[bytes, bytes]()
        if b"x-forwarded-for" in found:
            client, walked = self._walk(client, found[b"x-forwarded-for"])
        elif b"forwarded" in found:
            client, said = self._walk_elements(client, found[b"forwarded"])
        proto = said.get(b"proto") or _said_by(found.get(b"x-forwarded-proto"), walked)
        host = said.get(b"host") or _said_by(found.get(b"x-forwarded-host"), walked)
        authority = _authority(host)
        port = _port(_said_by(found.get(b"x-forwarded-port"), walked))
        return Told(
            client,
            _PROTOCOLS.get(proto.lower(), ""),
            "" if authority is None else str(authority),
            port or (0 if authority is None else authority.port or 0),
        )

    def _walk(self, client: str, value: bytes) -> tuple[str, int]:
        """Return the client, and how many entries have been believed."""
        walked = 0
        for entry in _from_the_right(value):
            address = _address(entry) if len(entry) <= ENTRY_BYTES else None
            if address is None:
                break
            client = address
            walked += 1
            if not self.trusts(client):
                break
        return client, walked

    def _walk_elements(self, client: str, value: bytes) -> tuple[str, dict[bytes, bytes]]:
        """Return the client, and what the outermost trusted proxy said besides."""
        said: dict[bytes, bytes] = {}
        for element in _from_the_right(value):
            pairs = _pairs(element)
            if pairs is None:
                break
            said = pairs
            entry = pairs.get(b"for", b"")
            address = _address(entry) if len(entry) <= ENTRY_BYTES else None
            if address is None:
                break
            client = address
            if not self.trusts(client):
                break
        return client, said

    def _judge(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(canonical_address(address))
        except ValueError:
            # No address of the internet, as a UNIX socket's.
            return False
        number = int(parsed)
        return any(number & mask == network for network, mask in self._networks[parsed.version])


def read_network(text: str) -> Network:
    """
    Read a network, or one address as the network of it; IPv4 inside IPv6 is IPv4.

    :raises ValueError: it is none, or its address has bits behind its length: whether the one or
        the other was meant nobody knows. What is no network is not quoted.
    """
    try:
        address = ipaddress.ip_interface(text.strip())
    except ValueError:
        raise ValueError("must be a network, such as 10.0.0.0/8 or 2001:db8::/32") from None
    network = address.network
    if address.ip != network.network_address:
        raise ValueError(f"has bits behind its length: the network is {network}")
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None and network.prefixlen >= 96:
        return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def _from_the_right(value: bytes) -> typing.Iterator[bytes]:
    """The entries of a list (RFC 9110 section 5.6.1), the last one first, as far as we look."""
    entries = value.rsplit(b",", MOST_HOPS)
    for entry in reversed(entries[-MOST_HOPS:]):
        stripped = entry.strip(b" \t")
        if stripped:
            yield stripped


@functools.lru_cache(maxsize=REMEMBERED)
def _address(entry: bytes) -> str | None:
    """The address in an entry, which may have a port; None if it is none."""
    text = entry.decode("latin-1")
    found = _entry(text)
    try:
        if found is not None and found[1] is not None:
            return canonical_address(str(ipaddress.IPv6Address(found[1])))
        # Without brackets there is no telling a port from the end of an address. A zone is for one
        # machine alone.
        if "%" not in text:
            return canonical_address(str(ipaddress.ip_address(text if found is None else found[2])))
    except ValueError:
        pass
    return None


def _pairs(element: bytes) -> dict[bytes, bytes] | None:
    """The parameters of an element of ``Forwarded``, by their lower-cased names."""
    pairs: dict[bytes, bytes] = {}
    for part in element.split(b";"):
        if not part.strip(b" \t"):
            continue
        found = _pair(part)
        if found is None or found[1].lower() in pairs:
            return None
        pairs[found[1].lower()] = found[3] if found[2] is None else found[2]
    return pairs


def _said_by(value: bytes | None, walked: int) -> bytes:
    """
    The entry of the proxy that told of the client: as far from the right as the client's own, or
    the leftmost where proxies in between have not added theirs.
    """
    if value is None:
        return b""
    entries = value.rsplit(b",", MOST_HOPS)
    return entries[-min(max(walked, 1), len(entries))].strip(b" \t")


def _authority(host: bytes) -> Authority | None:
    try:
        return parse_authority(host) if host else None
    except ProtocolViolation:
        return None


def _port(digits: bytes) -> int:
    number = int(digits) if re.fullmatch(rb"[0-9]{1,5}", digits) else 0
    return number if number <= 65535 else 0
