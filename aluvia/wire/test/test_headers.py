"""Tests for :mod:`aluvia.wire.headers`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire import headers
from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.headers import (
    connection_options,
    is_look_alike,
    pick,
    read_section,
    without_hop_by_hop,
    write_section,
)
from aluvia.wire.limits import DEFAULT_LIMITS

NOTHING: frozenset[bytes] = frozenset()

HOP_BY_HOP = [
    b"Connection",
    b"Proxy-Connection",
    b"Keep-Alive",
    b"TE",
    b"Upgrade",
    b"Transfer-Encoding",
    b"Content-Length",
    b"Proxy-Authorization",
    b"Proxy-Authenticate",
    b"Proxy-Authentication-Info",
]


def names(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the names alone."""
    return [name for name, _ in fields]


class ReadSectionTests(SynchronousTestCase):
    """A section is cut where llhttp saw its lines."""

    def test_blanks_are_cut_in_linear_time(self) -> None:
        """A value of blanks is empty; a quadratic expression would take minutes here."""
        blanks = b" \t" * 30_000
        section = b"A:%bb%bc%b\r\nB:%b\r\n\r\n" % (blanks, blanks, blanks, blanks)
        fields = read_section(section, DEFAULT_LIMITS)
        self.assertEqual(fields, [(b"A", b"b" + blanks + b"c"), (b"B", b"")])

    def test_no_fields(self) -> None:
        """The empty line alone is a section."""
        self.assertEqual(read_section(b"\r\n", DEFAULT_LIMITS), [])

    def test_every_byte(self) -> None:
        """Names are tokens; values are visible bytes, obs-text, spaces and tabs."""
        token = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        for code in range(256):
            byte = bytes([code])
            for section, good in (
                (b"a" + byte + b"b: c\r\n\r\n", byte in token or byte == b":"),
                (b"a: b" + byte + b"c\r\n\r\n", byte == b"\t" or (code >= 0x20 and code != 0x7F)),
            ):
                try:
                    read_section(section, DEFAULT_LIMITS)
                except ProtocolViolation:
                    self.assertFalse(good, section)
                else:
                    self.assertTrue(good, section)


class PickTests(SynchronousTestCase):
    """The fields that matter, by lower-cased names."""

    def test_case_and_repetition(self) -> None:
        """Any case counts, and repetition is a list."""
        fields = [(b"Accept", b"0"), (b"CONNECTION", b"a"), (b"x", b"1"), (b"connection", b"b")]
        wanted = frozenset([b"connection", b"host"])
        self.assertEqual(pick(fields, wanted), {b"connection": b"a, b"})


class ConnectionOptionsTests(SynchronousTestCase):
    """Connection is a list of names."""

    def test_options(self) -> None:
        """Lower case, no blanks, no empty members."""
        for value, options in (
            (None, set()),
            (b"", set()),
            (b"keep-alive", {b"keep-alive"}),
            (b"Keep-Alive", {b"keep-alive"}),
            (b"close", {b"close"}),
            (b"KEEP-alive ,\tUpgrade,", {b"keep-alive", b"upgrade"}),
            (b", ,", set()),
        ):
            self.assertEqual(connection_options(value), options, value)


class HopByHopTests(SynchronousTestCase):
    """What ends at this hop."""

    def test_always_removed(self) -> None:
        """The fields of RFC 9110 section 7.6.1, the framing, and a proxy's credentials."""
        fields = [(name, b"x") for name in HOP_BY_HOP]
        fields += [(name.lower(), b"x") for name in HOP_BY_HOP]
        fields += [(name.upper(), b"x") for name in HOP_BY_HOP]
        self.assertEqual(without_hop_by_hop(fields, NOTHING), [])
        self.assertEqual(without_hop_by_hop(fields, frozenset([b"x"])), [])

    def test_order_and_spelling_stay(self) -> None:
        """The others pass as they came, Trailer and unknown ones too."""
        fields = [
            (b"host", b"a"),
            (b"SET-COOKIE", b"1"),
            (b"Trailer", b"X"),
            (b"X-Odd", b"2"),
            (b"Set-Cookie", b"3"),
        ]
        self.assertEqual(without_hop_by_hop(fields, frozenset([b"close"])), fields)

    def test_listed_by_connection(self) -> None:
        """What Connection lists goes, but Host, without which there is no request."""
        fields = [(b"Host", b"a"), (b"Cookie", b"b"), (b"X-Forwarded-For", b"c"), (b"Accept", b"d")]
        connection = frozenset([b"host", b"cookie", b"x-forwarded-for", b"keep-alive"])
        self.assertEqual(names(without_hop_by_hop(fields, connection)), [b"Host", b"Accept"])

    def test_upgrade_is_kept_if_asked(self) -> None:
        """An upgrade that is to happen needs its field, listed beside others or not."""
        fields = [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade, x"), (b"X", b"y")]
        for connection, kept in (
            (frozenset([b"upgrade"]), [b"Upgrade", b"X"]),
            (frozenset([b"upgrade", b"x"]), [b"Upgrade"]),
        ):
            self.assertEqual(names(without_hop_by_hop(fields, connection, True)), kept)
            self.assertNotIn(b"Upgrade", names(without_hop_by_hop(fields, connection)))

    def test_look_alikes(self) -> None:
        """Framing and forwarding fields in disguise go; other names with an underscore stay."""
        disguised = [
            b"Content_Length",
            b"content_length",
            b"TRANSFER_ENCODING",
            b"Transfer_Encoding",
            b"Keep_Alive",
            b"Proxy_Connection",
            b"Proxy_Authorization",
            b"X_Forwarded_For",
            b"X-Forwarded_For",
            b"x_forwarded-proto",
            b"X_Forwarded_Anything",
            b"X_Real_IP",
            b"X_Client_IP",
            b"True_Client_IP",
            b"Forwarded_For",
        ]
        passing = [b"X_Request_Id", b"my_header", b"_", b"content_type", b"X-Forwarded-For"]
        fields = [(name, b"x") for name in disguised + passing]
        self.assertEqual(names(without_hop_by_hop(fields, NOTHING)), passing)
        self.assertEqual(names(without_hop_by_hop(fields, frozenset([b"x"]))), passing)
        self.assertFalse(is_look_alike(b"content-length"))

    @settings_for_tests
    @given(
        st.lists(
            st.sampled_from(sorted(headers._ORDINARY | {name.lower() for name in HOP_BY_HOP}))
            | st.sampled_from([b"Host", b"x_forwarded_for", b"a_b", b"X-Odd"])
        ),
        st.frozensets(st.sampled_from([b"close", b"accept", b"x-odd", b"host"])),
        st.booleans(),
    )
    def test_short_cut(
        self, given_names: list[bytes], connection: frozenset[bytes], keep: bool
    ) -> None:
        """The look-up of ordinary names changes nothing of the result."""
        fields = [(name, b"x") for name in given_names]
        quick = without_hop_by_hop(fields, connection, keep)
        # In upper case none of the names is among the ordinary spellings.
        shouted = [(name.upper(), b"x") for name in given_names]
        plain = without_hop_by_hop(shouted, connection, keep)
        self.assertEqual([name.upper() for name, _ in quick], names(plain))

    def test_ordinary_names_mean_nothing_here(self) -> None:
        """No field that this hop must look at is passed over."""
        for name in headers._ORDINARY:
            self.assertNotIn(name.lower(), headers.HOP_BY_HOP | {b"host", b"expect"})
            self.assertNotIn(b"_", name)


class WriteSectionTests(SynchronousTestCase):
    """Lines that are put together are the lines that were meant."""

    @settings_for_tests
    @given(st.binary(), st.lists(st.tuples(st.binary(), st.binary())))
    def test_no_line_is_smuggled_in(self, first: bytes, fields: list[tuple[bytes, bytes]]) -> None:
        """Whatever the parts hold, the result has one line for each, or there is none."""
        try:
            written = write_section(first, fields)
        except LocalProtocolError:
            return
        lines = [first, *(name + b": " + value for name, value in fields)]
        self.assertEqual(written.split(b"\r\n"), [*lines, b"", b""])
        self.assertEqual(len(written.splitlines()), len(lines) + 1)
