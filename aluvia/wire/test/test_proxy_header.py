"""Tests for :mod:`aluvia.wire.proxy_header`."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.limits import DEFAULT_LIMITS
from aluvia.wire.proxy_header import Announced, BadProxyHeader, ProxyHeaderReader
from aluvia.wire.test.pieces import splits

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
V4_SAID = Announced(("192.0.2.7", 56324), ("198.51.100.1", 443))


def binary(block: bytes, *, command: int = 0x21, family: int = 0x11, length: int = -1) -> bytes:
    """A header of version 2."""
    size = len(block) if length < 0 else length
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + block


def read(
    data: bytes, pieces: list[bytes] | None = None
) -> tuple[Announced | None, bytes | None, BadProxyHeader | None]:
    """What is announced, the bytes behind the header (None if it is not whole), or the refusal."""
    reader = ProxyHeaderReader()
    behind: bytes | None = None
    for piece in [data] if pieces is None else pieces:
        if behind is not None:
            behind += piece
            continue
        try:
            behind = reader.receive(piece)
        except BadProxyHeader as error:
            return None, None, error
    return reader.announced, behind, None


class ReaderCase(SynchronousTestCase):
    """Headers, whole and in pieces."""

    def assert_read(self, header: bytes, said: Announced | None) -> None:
        """Assert that it is read, however it comes, and that what is behind it is kept."""
        for trailing in (b"", b"GET / HTTP/1.1\r\n", SIGNATURE):
            for pieces in splits(header + trailing):
                self.assertEqual(read(b"", pieces), (said, trailing, None), header)
        for end in range(len(header)):
            self.assertEqual(read(header[:end]), (None, None, None), header[:end])

    def assert_refused(self, header: bytes) -> None:
        """Assert that it is refused, however it comes."""
        for pieces in splits(header):
            self.assertIsNotNone(read(b"", pieces)[2], header)


class LineTests(ReaderCase):
    """Version 1."""

    def test_addresses(self) -> None:
        """Two addresses and two ports, of either family."""
        for line, said in (
            (b"TCP4 192.0.2.7 198.51.100.1 56324 443", V4_SAID),
            (b"TCP4 0.0.0.0 255.255.255.255 0 65535", (("0.0.0.0", 0), ("255.255.255.255", 65535))),
            (b"TCP6 2001:DB8::1 ::1 1 2", (("2001:db8::1", 1), ("::1", 2))),
            (b"TCP6 ::ffff:192.0.2.7 ::1 1 2", (("192.0.2.7", 1), ("::1", 2))),
            (b"TCP6 " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535", None),
        ):
            wanted = said if isinstance(said, Announced) else Announced(*said) if said else None
            if wanted is None:
                place = (":".join(["ffff"] * 8), 65535)
                wanted = Announced(place, place)
            self.assert_read(b"PROXY " + line + b"\r\n", wanted)

    def test_unknown(self) -> None:
        """Announces nothing, whatever stands behind the word."""
        self.assert_read(b"PROXY UNKNOWN\r\n", None)
        self.assert_read(b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", None)
        self.assert_read(b"PROXY UNKNOWN \x00\xff anything\r\n", None)

    def test_malformed(self) -> None:
        """Whatever is not exactly it is refused."""
        for line in (
            b"TCP4 192.0.2.7 198.51.100.1 56324",
            b"TCP4 192.0.2.7 198.51.100.1 56324 443 ",
            b"TCP4 192.0.2.7 198.51.100.1 56324 443 1",
            b"TCP4  192.0.2.7 198.51.100.1 56324 443",
            b"TCP4\t192.0.2.7 198.51.100.1 56324 443",
            b"tcp4 192.0.2.7 198.51.100.1 56324 443",
            b"UDP4 192.0.2.7 198.51.100.1 56324 443",
            b"TCP4 192.0.2.07 198.51.100.1 56324 443",
            b"TCP4 192.0.2 198.51.100.1 56324 443",
            b"TCP4 192.0.2.256 198.51.100.1 56324 443",
            b"TCP4 2001:db8::1 198.51.100.1 56324 443",
            b"TCP6 192.0.2.7 ::1 56324 443",
            b"TCP6 fe80::1%eth0 ::1 56324 443",
            b"TCP6 2001:db8:::1 ::1 56324 443",
            b"TCP4 192.0.2.7 198.51.100.1 65536 443",
            b"TCP4 192.0.2.7 198.51.100.1 1 99999",
            b"TCP4 192.0.2.7 198.51.100.1 056 443",
            b"TCP4 192.0.2.7 198.51.100.1 1 044",
            b"TCP4 192.0.2.7 198.51.100.1 -1 443",
            b"TCP4 192.0.2.7 198.51.100.1 +1 443",
            b"TCP4",
            b"",
            b"UNKNOWNS",
            b"UNKNOWN \r x",
        ):
            self.assert_refused(b"PROXY " + line + b"\r\n")
        self.assert_refused(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n")
        self.assert_refused(b"PROXY UNKNOWN\n")

    def test_too_long(self) -> None:
        """107 bytes with the CRLF, and not one more; whatever it would have become."""
        longest = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
        self.assertEqual(len(longest), 107)
        self.assert_read(longest, None)
        self.assert_refused(b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n")
        self.assert_refused(b"PROXY UNKNOWN " + b"x" * 93)


class BinaryTests(ReaderCase):
    """Version 2."""

    def test_addresses(self) -> None:
        """Two addresses and two ports, of either family."""
        self.assert_read(binary(V4), V4_SAID)
        source, mapped = ipaddress.ip_address("2001:db8::7"), ipaddress.ip_address("::ffff:1.2.3.4")
        block = source.packed + mapped.packed + bytes([0, 1, 255, 255])
        said = Announced(("2001:db8::7", 1), ("1.2.3.4", 65535))
        self.assert_read(binary(block, family=0x21), said)

    def test_additions(self) -> None:
        """What stands behind the addresses is skipped: its form is of no interest, nor a CRC."""
        crc = b"\x03\x00\x04\xde\xad\xbe\xef"
        self.assert_read(binary(V4 + crc + b"\x04\x00\x00"), V4_SAID)
        self.assert_read(binary(V4 + b"\xff\xff\xff no TLV"), V4_SAID)

    def test_nothing(self) -> None:
        """A health check, and what is not TCP, announce nothing; their length is skipped."""
        self.assert_read(binary(b"", command=0x20, family=0x00), None)
        self.assert_read(binary(V4, command=0x20), None)
        self.assert_read(binary(bytes(216), family=0x31), None)
        for family in (0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32):
            self.assert_read(binary(bytes(7), family=family), None)

    def test_malformed(self) -> None:
        """An unknown version, command, family or protocol; a length without room for addresses."""
        for command in (0x00, 0x10, 0x11, 0x22, 0x2F, 0x31, 0xFF):
            self.assert_refused(binary(V4, command=command))
        for family in (0x13, 0x41, 0xF0, 0x03, 0xFF):
            self.assert_refused(binary(V4, family=family))
            self.assert_refused(binary(V4, command=0x20, family=family))
        self.assert_refused(binary(V4[:-1]))
        self.assert_refused(binary(V4, family=0x21))

    def test_too_long(self) -> None:
        """The cap is exact, and is seen before anything is held; so is a line's."""
        most = DEFAULT_LIMITS.proxy_header_bytes
        self.assert_read(binary(V4 + bytes(most - 16 - len(V4))), V4_SAID)
        self.assert_refused(binary(b"", length=most - 15))
        self.assert_refused(binary(b"", length=65_535))
        self.assertRaises(BadProxyHeader, ProxyHeaderReader(20).receive, binary(V4))


class StrangersTests(ReaderCase):
    """What is no PROXY protocol at all."""

    def test_refused_at_once(self) -> None:
        """With the first byte that shows it: nobody waits for the deadline."""
        for begins in (
            b"G",
            b"\x16",
            b"PROXI",
            b"PROXY\t",
            b"PRI",
            b"\r\n\r\nG",
            b"\r\n\r\n\0\r\nQUIT\r",
            SIGNATURE + b"\x22",
            SIGNATURE + b"\x21\x41",
        ):
            self.assert_refused(begins)
            self.assertIsNone(read(begins[:-1])[2])

    def test_it_is_not_quoted(self) -> None:
        """What somebody sent is no part of the sentence."""
        for data in (b"PROXY canary\r\n", b"canary", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 canary\r\n"):
            error = read(data)[2]
            self.assertNotIn("canary", str(error))


addresses = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
ports = st.integers(0, 65535)


def canonical(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As it is announced."""
    return str(getattr(address, "ipv4_mapped", None) or address)


class PropertyTests(SynchronousTestCase):
    """Any header, and any bytes, in any pieces."""

    @settings_for_tests
    @given(addresses, ports, ports, st.booleans(), st.binary(max_size=40), st.data())
    def test_any_pieces(
        self,
        between: tuple[
            ipaddress.IPv4Address | ipaddress.IPv6Address,
            ipaddress.IPv4Address | ipaddress.IPv6Address,
        ],
        source: int,
        destination: int,
        text: bool,
        trailing: bytes,
        data: st.DataObject,
    ) -> None:
        """A header is read the same wherever it is cut, and what is behind it is all kept."""
        one, other = between
        if text:
            header = f"PROXY TCP{one.version} {one} {other} {source} {destination}\r\n".encode()
        else:
            block = one.packed + other.packed + source.to_bytes(2, "big")
            block += destination.to_bytes(2, "big")
            header = binary(block, family=0x11 if one.version == 4 else 0x21)
        whole = header + trailing
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        said = Announced((canonical(one), source), (canonical(other), destination))
        self.assertEqual(read(b"", pieces), (said, trailing, None))

    @settings_for_tests
    @given(
        st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE])
        | st.just(SIGNATURE + b"\x21\x11"),
        st.binary(max_size=200),
    )
    def test_any_bytes(self, begins: bytes, rest: bytes) -> None:
        """The outcome does not depend on the pieces, and no other error comes out."""
        whole, *others = [read(b"", pieces) for pieces in splits(begins + rest)]
        for other in others:
            self.assertEqual(whole[:2], other[:2])
            self.assertEqual(whole[2] is None, other[2] is None)
