"""
The header of the PROXY protocol: who is really connected, said by a proxy before the first byte.

Versions 1 (a line of text) and 2 (binary), by HAProxy's ``proxy-protocol.txt``. The header comes
first and once, in as many pieces as the network makes of it, and what stands behind it belongs to
the client. It announces two addresses, or nothing: ``UNKNOWN`` and ``LOCAL`` (a proxy's own health
check), datagrams, UNIX sockets and unspecified families are as if there were no header.

It is read strictly. A sender is a program that was set up to speak this, so whatever is not exactly
it is somebody else, and refused with the first byte that shows it: single spaces, canonical
numbers, CRLF within 107 bytes; known commands and families, a length that holds its addresses.

The additions of version 2 (TLVs) are skipped, CRC32c among them: TCP has checksums of its own, and
an address that was made to be believed has a good one.
"""

from __future__ import annotations

import ipaddress
import re
import typing

import attrs

from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = ["Announced", "BadProxyHeader", "ProxyHeaderReader"]

#: Of version 1, with its CRLF (section 2.1).
LINE_BYTES: typing.Final = 107

_V1: typing.Final = b"PROXY "
_V2: typing.Final = b"\r\n\r\n\x00\r\nQUIT\n"

#: Of version 2, before the addresses (section 2.2).
_FIXED: typing.Final = 16

_LOCAL: typing.Final = 0x20
_PROXY: typing.Final = 0x21

# Leading zeros are refused here; the addresses are judged by ``ipaddress``, which takes the part
# behind a "%" too.
_line = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n"
).fullmatch
_unknown = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n").fullmatch

#: An address, as a literal, and a port.
Place = tuple[str, int]


class BadProxyHeader(ValueError):
    """It is no header of the PROXY protocol; the sentence says why, and never quotes it."""


@attrs.frozen
class Announced:
    """
    What a header says of a connection. IPv4 addresses inside IPv6 are IPv4.

    :ivar source: where the client connected from.
    :ivar destination: where it connected to.
    """

    source: Place
    destination: Place


class ProxyHeaderReader:
    """
    Reads one header.

    :param most: how long one of version 2 may be, its additions included. What is held before it is
        whole is less than that.
    :ivar announced: what it said, once it is whole; None where it says nothing of the kind.
    """

    def __init__(self, most: int = DEFAULT_LIMITS.proxy_header_bytes) -> None:
        self.announced: Announced | None = None
        self._most = most
        self._held = b""

    def receive(self, data: bytes) -> bytes | None:
        """
        Take a piece.

        :return: None until the header is whole; then the bytes behind it, and nothing is to be
            given any more.
        :raises BadProxyHeader: it is none.
        """
        held = self._held + data
        length = self._length(held)
        if not length or len(held) < length:
            self._held = held
            return None
        self._held = b""
        read = _read_line if held.startswith(_V1) else _read_binary
        self.announced = read(held[:length])
        return held[length:]

    def _length(self, held: bytes) -> int:
        """How long the header is; 0 while that cannot be said."""
        if _V1.startswith(held[: len(_V1)]):
            return _length_of_line(held)
        if not _V2.startswith(held[: len(_V2)]):
            raise BadProxyHeader("It begins with something else than a PROXY protocol header.")
        if len(held) > 12 and held[12] not in (_LOCAL, _PROXY):
            raise BadProxyHeader("Its version or its command is unknown.")
        if len(held) > 13:
            _check_family(held[13])
        if len(held) < _FIXED:
            return 0
        length = _FIXED + int.from_bytes(held[14:16], "big")
        if length > self._most:
            raise BadProxyHeader("It is too long.")
        return length


def _length_of_line(held: bytes) -> int:
    end = held.find(b"\n", 0, LINE_BYTES) + 1
    if not end and len(held) >= LINE_BYTES:
        raise BadProxyHeader("Its line is too long.")
    return end


def _read_line(line: bytes) -> Announced | None:
    if _unknown(line) is not None:
        return None
    found = _line(line)
    if found is None:
        raise BadProxyHeader("Its line is malformed.")
    family, source, destination, source_port, destination_port = map(bytes.decode, found.groups())
    kind = ipaddress.IPv4Address if family == "TCP4" else ipaddress.IPv6Address
    ports = int(source_port), int(destination_port)
    if max(ports) > 65535:
        raise BadProxyHeader("A port is a number up to 65535.")
    try:
        addresses = _text(kind(source)), _text(kind(destination))
    except ipaddress.AddressValueError:
        raise BadProxyHeader("An address in its line is malformed.") from None
    return Announced((addresses[0], ports[0]), (addresses[1], ports[1]))


def _check_family(byte: int) -> None:
    # Unspecified, IPv4, IPv6, UNIX; and unspecified, stream, datagram.
    if byte >> 4 > 3 or byte & 0xF > 2:
        raise BadProxyHeader("Its family or its protocol is unknown.")


def _read_binary(header: bytes) -> Announced | None:
    # Any other than these two over TCP is as if it were unspecified.
    family = _BINARY.get(header[13]) if header[12] == _PROXY else None
    if family is None:
        return None
    kind, size = family
    behind = _FIXED + 2 * size
    if len(header) < behind + 4:
        raise BadProxyHeader("It is too short for its addresses.")
    source, destination = header[_FIXED : _FIXED + size], header[_FIXED + size : behind]
    source_port = int.from_bytes(header[behind : behind + 2], "big")
    destination_port = int.from_bytes(header[behind + 2 : behind + 4], "big")
    return Announced(
        (_text(kind(source)), source_port), (_text(kind(destination)), destination_port)
    )


_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Families over TCP, and how long an address is.
_BINARY: dict[int, tuple[type[_IPAddress], int]] = {
    0x11: (ipaddress.IPv4Address, 4),
    0x21: (ipaddress.IPv6Address, 16),
}


def _text(address: _IPAddress) -> str:
    return str(getattr(address, "ipv4_mapped", None) or address)
