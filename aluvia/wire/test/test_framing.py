"""Tests for :mod:`aluvia.wire.framing`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aluvia.testing.properties import settings_for_tests
from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    BodyReader,
    ChunkedReader,
    ExactReader,
    Trailers,
    UntilCloseReader,
    body_reader,
    write_chunk,
    write_last_chunk,
)
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.test.pieces import read_body, splits

# What is wrong with a chunked body: name, bytes.
BAD_CHUNKS: list[tuple[str, bytes]] = [
    ("no size", b"\r\nhello\r\n"),
    ("a size that is not hexadecimal", b"g\r\n"),
    ("a size with a sign", b"+5\r\nhello\r\n"),
    ("a negative size", b"-5\r\nhello\r\n"),
    ("a size with a prefix", b"0x5\r\nhello\r\n"),
    ("a size with an underscore", b"1_0\r\n0123456789abcdef\r\n"),
    ("a space before the size", b" 5\r\nhello\r\n"),
    ("a space behind the size", b"5 \r\nhello\r\n"),
    ("a comma behind the size", b"5,5\r\nhello\r\n"),
    ("a size of 2^63", b"8000000000000000\r\n"),
    ("a size of 2^64 + 5", b"10000000000000005\r\n"),
    ("a size of many zeros", b"00000000000000005\r\nhello\r\n"),
    ("a bare LF behind the size", b"5\nhello\r\n"),
    ("a bare CR behind the size", b"5\rhello\r\n"),
    ("two CRs behind the size", b"5\r\r\nhello\r\n"),
    ("a bare LF in an extension", b"5;a\nb\r\nhello\r\n"),
    ("a bare CR in an extension", b"5;a\rb\r\nhello\r\n"),
    ("a NUL in an extension", b"5;a\0\r\nhello\r\n"),
    ("a bare LF behind the data", b"5\r\nhello\n0\r\n\r\n"),
    ("a bare CR behind the data", b"5\r\nhello\r0\r\n\r\n"),
    ("more data than the size says", b"5\r\nhello!\r\n0\r\n\r\n"),
    ("less data than the size says", b"5\r\nhell\r\n0\r\n\r\n"),
    ("nothing behind the data", b"5\r\nhello0\r\n\r\n"),
    ("a folded trailer", b"0\r\nA: b\r\n c\r\n\r\n"),
    ("a trailer without a colon", b"0\r\nA\r\n\r\n"),
    ("a trailer with a bare LF", b"0\r\nA: b\nC: d\r\n\r\n"),
    ("a trailer with a NUL", b"0\r\nA: \0\r\n\r\n"),
    ("a space before the colon of a trailer", b"0\r\nA : b\r\n\r\n"),
    ("contradicting lengths in the trailers", b"0\r\nContent-Length: 5, 6\r\n\r\n"),
]


class ChunkedReaderTests(SynchronousTestCase):
    """Chunks, however they arrive."""

    def assert_read(
        self, data: bytes, body: bytes, trailers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Read ``data`` in every split, alone and with bytes behind it."""
        expected: list[object] = [body] if body else []
        if trailers:
            expected.append(Trailers(trailers))
        for behind in (b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"):
            for pieces in splits(data + behind):
                result = read_body(ChunkedReader(DEFAULT_LIMITS), pieces)
                self.assertEqual(result, (expected, behind), pieces)

    def test_chunks(self) -> None:
        """Data is what the sizes say, in either case of hexadecimal."""
        self.assert_read(b"0\r\n\r\n", b"")
        self.assert_read(b"5\r\nhello\r\n0\r\n\r\n", b"hello")
        self.assert_read(
            b"A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", b"0123456789abcdefghij"
        )
        self.assert_read(b"0005\r\nhe\r\no\r\n000\r\n\r\n", b"he\r\no")
        self.assert_read(b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n")

    def test_extensions_are_dropped(self) -> None:
        """Even quoted ones, and with white space in front (RFC 9112 section 7.1.1)."""
        self.assert_read(b'5;a\r\nhello\r\n0;b="c\xe9;"\r\n\r\n', b"hello")
        self.assert_read(b"5 \t;\r\nhello\r\n0\r\n\r\n", b"hello")

    def test_chunks_of_one_read_are_one_event(self) -> None:
        """A sender of tiny chunks does not make us write as often."""
        events: list[object] = []
        ChunkedReader(DEFAULT_LIMITS).feed(b"1\r\na\r\n" * 1000, events)
        self.assertEqual(events, [b"a" * 1000])

    def test_trailers(self) -> None:
        """They come behind the data, in order."""
        self.assert_read(
            b"1\r\nx\r\n0\r\nDigest: a\r\nb:c\r\nDigest: d\r\n\r\n",
            b"x",
            [(b"Digest", b"a"), (b"b", b"c"), (b"Digest", b"d")],
        )

    def test_trailers_that_are_not_believed(self) -> None:
        """Framing, routing, authentication and content fields are left out (RFC 9110 6.5.1)."""
        bad = (
            b"Content-Length: 5\r\nHost: a\r\nConnection: close\r\nAuthorization: b\r\n"
            b"Set-Cookie: c\r\nCONTENT-TYPE: d\r\nX-Forwarded-For: e\r\nForwarded: f\r\nVia: g\r\n"
            b"Content_Length: 5\r\nX_Forwarded_For: h\r\nProxy-Authorization: i\r\nTrailer: j\r\n"
        )
        self.assert_read(b"0\r\n" + bad + b"\r\n", b"")
        self.assert_read(b"0\r\n" + bad + b"Digest: z\r\n\r\n", b"", [(b"Digest", b"z")])

    def test_gates(self) -> None:
        """Each row is refused, in every split."""
        for name, data in BAD_CHUNKS:
            for pieces in splits(data):
                violation = self.assertRaises(
                    ProtocolViolation, read_body, ChunkedReader(DEFAULT_LIMITS), pieces
                )
                self.assertEqual(violation.status, 400, name)
                self.assertNotEqual(violation.error, "http_response_incomplete", name)

    def assert_limit(self, limits: Limits, good: bytes, bad: bytes) -> ProtocolViolation:
        """Whatever the split, the one is read to its end and the other is refused."""
        for pieces in splits(good):
            self.assertEqual(read_body(ChunkedReader(limits), pieces)[1], b"", good)
        for pieces in splits(bad):
            violation: ProtocolViolation = self.assertRaises(
                ProtocolViolation, read_body, ChunkedReader(limits), pieces
            )
        return violation

    def test_chunk_line_limit(self) -> None:
        """A size line may be as long as the limit, without its CRLF."""
        limits = Limits(chunk_line_bytes=20)
        end = b"\r\nx\r\n0\r\n\r\n"
        self.assert_limit(limits, b"1;" + b"a" * 18 + end, b"1;" + b"a" * 19 + end)
        self.assert_limit(limits, b"0\r\n\r\n", b"1" + b" " * 100)

    def test_chunk_extension_limit(self) -> None:
        """The extensions of a body have a bound together, however short each is."""
        limits = Limits(chunk_extension_bytes=10)
        chunk, end = b"1;a\r\nx\r\n", b"0\r\n\r\n"
        self.assert_limit(limits, chunk * 5 + end, chunk * 6 + end)

    def test_trailer_limit(self) -> None:
        """The trailers may be as large as the limit, with their empty line."""
        limits = Limits(trailer_bytes=20)
        start = b"0\r\nA: "
        violation = self.assert_limit(
            limits, start + b"b" * 13 + b"\r\n\r\n", start + b"b" * 14 + b"\r\n\r\n"
        )
        self.assertEqual(violation.status, 431)
        self.assertEqual(violation.error, "http_response_trailer_section_size")
        self.assert_limit(limits, b"0\r\n\r\n", b"0\r\n" + b"A" * 40)

    def test_trailer_count(self) -> None:
        """Trailers are counted as fields are."""
        limits = Limits(field_count=3)
        field, end = b"A: b\r\n", b"\r\n"
        violation = self.assert_limit(
            limits, b"0\r\n" + field * 3 + end, b"0\r\n" + field * 4 + end
        )
        self.assertEqual(violation.error, "http_response_trailer_section_size")

    def test_what_is_kept_is_bounded(self) -> None:
        """Between reads there is never more than a piece of a line."""
        reader = ChunkedReader(DEFAULT_LIMITS)
        events: list[object] = []
        reader.feed(b"ffffff\r\n", events)
        for _ in range(100):
            reader.feed(b"x" * 65_536, events)
            self.assertEqual(reader._partial, b"")

    @settings_for_tests
    @given(
        st.lists(st.binary(min_size=1, max_size=40)),
        st.lists(st.sampled_from([(b"Digest", b"a"), (b"X", b"")])),
        st.data(),
    )
    def test_what_we_write_we_read(
        self, chunks: list[bytes], trailers: list[tuple[bytes, bytes]], data: st.DataObject
    ) -> None:
        """Any body, with any trailers, in any split, comes out as it went in."""
        wire = b"".join(map(write_chunk, chunks)) + write_last_chunk(trailers)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
        pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
        events, behind = read_body(ChunkedReader(DEFAULT_LIMITS), pieces)
        body = b"".join(chunks)
        expected: list[object] = [body] if body else []
        self.assertEqual(events, expected + ([Trailers(trailers)] if trailers else []))
        self.assertEqual(behind, b"")

    @settings_for_tests
    @given(st.lists(st.sampled_from(list(b"05aA;: \t\r\n\0gx")).map(lambda c: bytes([c]))))
    def test_garbage(self, pieces: list[bytes]) -> None:
        """Nothing but a violation is ever raised, and the split does not matter."""
        results = []
        for split in (pieces, [b"".join(pieces)]):
            try:
                results.append(read_body(ChunkedReader(DEFAULT_LIMITS), split))
            except ProtocolViolation:
                results.append(([], None))
        self.assertEqual(*results)


class OtherReadersTests(SynchronousTestCase):
    """A body of a known length, and one that the connection ends."""

    def test_exact(self) -> None:
        """So many bytes, and what is behind them is left."""
        for behind in (b"", b"x", b"GET / HTTP/1.1\r\n\r\n"):
            for pieces in splits(b"hello" + behind):
                self.assertEqual(read_body(ExactReader(5), pieces), ([b"hello"], behind))

    def test_exact_and_no_bytes(self) -> None:
        """Nothing is no piece of a body."""
        events: list[object] = []
        self.assertIs(ExactReader(5).feed(b"", events), None)
        self.assertEqual(events, [])

    def test_until_close(self) -> None:
        """It goes on, whatever comes."""
        for pieces in ([b"0\r\n\r\n"], [b"0", b"", b"\r\n\r\n"]):
            self.assertEqual(read_body(UntilCloseReader(), pieces), ([b"0\r\n\r\n"], None))

    def test_end_of_input(self) -> None:
        """A connection that ends early cuts every body but the one that it ends."""
        readers: list[BodyReader] = [ExactReader(5), ChunkedReader(DEFAULT_LIMITS)]
        for reader in readers:
            violation = self.assertRaises(ProtocolViolation, reader.end_of_input)
            self.assertEqual(violation.error, "http_response_incomplete")
        UntilCloseReader().end_of_input()

    def test_which_reader(self) -> None:
        """Each length has its reader."""
        self.assertIsInstance(body_reader(5, DEFAULT_LIMITS), ExactReader)
        self.assertIsInstance(body_reader(CHUNKED, DEFAULT_LIMITS), ChunkedReader)
        self.assertIsInstance(body_reader(UNTIL_CLOSE, DEFAULT_LIMITS), UntilCloseReader)


class WritingTests(SynchronousTestCase):
    """Chunks as they are sent."""

    def test_chunk(self) -> None:
        """The size in hexadecimal, the data, CRLF."""
        self.assertEqual(write_chunk(b"x" * 26), b"1a\r\n" + b"x" * 26 + b"\r\n")

    def test_last_chunk(self) -> None:
        """Nothing, the trailers, an empty line; no line ends inside them."""
        self.assertEqual(write_last_chunk(), b"0\r\n\r\n")
        self.assertEqual(write_last_chunk([(b"A", b"b")]), b"0\r\nA: b\r\n\r\n")
        self.assertRaises(LocalProtocolError, write_last_chunk, [(b"A", b"b\r\n\r\nGET")])
