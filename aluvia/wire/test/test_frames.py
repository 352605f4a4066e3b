"""Mux frames: what is written is read, whole or in pieces, and nothing else is."""

from __future__ import annotations

import typing
import unittest

from hypothesis import given
from hypothesis import strategies as st

from aluvia.wire.frames import (
    FRAME_DATA_BYTES,
    HEAD_BYTES,
    HIGHEST_STREAM,
    MOST_CREDIT,
    NAME_BYTES,
    REASON_BYTES,
    Capability,
    Code,
    FrameReader,
    FrameViolation,
    Kind,
    data_frame,
    fin_frame,
    goaway_frame,
    open_frame,
    ping_frame,
    pong_frame,
    read_credit,
    read_goaway,
    read_open,
    read_rst,
    rst_frame,
    window_frame,
)

STREAMS = st.integers(1, HIGHEST_STREAM)
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)

FRAMES = st.one_of(
    st.builds(open_frame, STREAMS, st.sampled_from(Capability), NAMES),
    st.builds(data_frame, STREAMS, st.binary(min_size=1, max_size=500)),
    st.builds(window_frame, STREAMS, st.integers(1, MOST_CREDIT)),
    st.builds(fin_frame, STREAMS),
    st.builds(rst_frame, STREAMS, st.sampled_from(Code), st.text(max_size=300)),
    st.builds(ping_frame, st.binary(min_size=8, max_size=8)),
    st.builds(pong_frame, st.binary(min_size=8, max_size=8)),
    st.builds(
        goaway_frame, st.integers(0, HIGHEST_STREAM), st.sampled_from(Code), st.text(max_size=300)
    ),
)


class ReaderTests(unittest.TestCase):
    """Bytes to frames."""

    @given(st.lists(FRAMES, max_size=8), st.data())
    def test_what_is_written_is_read(self, written: list[bytes], data: st.DataObject) -> None:
        """The same frames, however they are cut, and nothing is held behind the last one."""
        whole = b"".join(written)
        frames = FrameReader().receive(whole)
        self.assertEqual(len(frames), len(written))
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
        reader = FrameReader()
        read = []
        for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
            read += reader.receive(whole[begin:end])
        self.assertEqual(read, frames)
        self.assertEqual(reader.held, 0)

    def test_byte_by_byte_and_with_trailing_data(self) -> None:
        """A frame is there with its last byte, and what is behind it waits."""
        reader = FrameReader()
        frame = data_frame(7, b"hello")
        read = [reader.receive(bytes([byte])) for byte in frame]
        self.assertEqual(read[:-1], [[]] * (len(frame) - 1))
        self.assertEqual(read[-1], [(Kind.DATA, 7, b"hello")])
        self.assertEqual(reader.receive(frame + frame[:3]), [(Kind.DATA, 7, b"hello")])
        self.assertEqual(reader.held, 3)

    @given(st.binary(max_size=400))
    def test_noise(self, noise: bytes) -> None:
        """It is frames, or a violation; and what is held is less than a frame."""
        reader = FrameReader()
        try:
            for kind, stream, payload in reader.receive(noise):
                self.assertIn(kind, list(Kind))
                self.assertLessEqual(len(payload), FRAME_DATA_BYTES)
                self.assertEqual(bool(stream), kind not in (Kind.PING, Kind.PONG, Kind.GOAWAY))
        except FrameViolation:
            return
        self.assertLess(reader.held, HEAD_BYTES + FRAME_DATA_BYTES)

    def refused(self, frame: bytes) -> None:
        """It is a violation as soon as its head is there."""
        self.assertRaises(FrameViolation, FrameReader().receive, frame[:HEAD_BYTES])

    def test_lengths(self) -> None:
        """Each kind has its own."""
        for kind, least, most in (
            (Kind.OPEN, 2, 1 + NAME_BYTES),
            (Kind.DATA, 1, FRAME_DATA_BYTES),
            (Kind.WINDOW, 4, 4),
            (Kind.FIN, 0, 0),
            (Kind.RST, 1, 1 + REASON_BYTES),
            (Kind.PING, 8, 8),
            (Kind.PONG, 8, 8),
            (Kind.GOAWAY, 5, 5 + REASON_BYTES),
        ):
            stream = bytes([0, 0, 0, kind < Kind.PING])
            for length in (least - 1, most + 1, 65_535):
                if length >= 0:
                    self.refused(bytes([kind, 0]) + length.to_bytes(2, "big") + stream)
            for length in (least, most):
                frame = bytes([kind, 0]) + length.to_bytes(2, "big") + stream + bytes(length)
                self.assertEqual(len(FrameReader().receive(frame)), 1)

    def test_kinds_and_flags(self) -> None:
        """Those that there are; ACK is reserved, and so is every flag."""
        for kind in (0, Kind.ACK, 10, 255):
            self.refused(bytes([kind, 0, 0, 1, 0, 0, 0, 1]))
        self.refused(bytes([Kind.DATA, 1, 0, 1, 0, 0, 0, 1]))

    def test_streams(self) -> None:
        """Some are of a stream, and some of none."""
        self.refused(bytes([Kind.DATA, 0, 0, 1, 0, 0, 0, 0]))
        self.refused(bytes([Kind.PING, 0, 0, 8, 0, 0, 0, 1]))


class PayloadTests(unittest.TestCase):
    """What is in frames."""

    def payload(self, frame: bytes) -> bytes:
        """Of one frame."""
        [(_, _, payload)] = FrameReader().receive(frame)
        return payload

    def test_open(self) -> None:
        """A capability and a name; one of a later version is not refused here."""
        payload = self.payload(open_frame(1, Capability.PUBLISH, "app"))
        self.assertEqual(read_open(payload), (Capability.PUBLISH, "app"))
        self.assertEqual(read_open(b"\x63x"), (0x63, "x"))
        for name in (b"a\nb", b"\xff", b"\x00"):
            self.assertRaises(FrameViolation, read_open, b"\x01" + name)

    def test_credit(self) -> None:
        """Some, and not too much."""
        self.assertEqual(read_credit(self.payload(window_frame(1, 5))), 5)
        for payload in (bytes(4), b"\x80\0\0\0", b"\xff" * 4):
            self.assertRaises(FrameViolation, read_credit, payload)

    def test_reasons(self) -> None:
        """Short, and fit for a log."""
        self.assertEqual(read_rst(self.payload(rst_frame(1, Code.LIMIT, "full"))), (7, "full"))
        long = self.payload(rst_frame(1, Code.LIMIT, "ä" * 300))
        self.assertEqual(read_rst(long), (7, "ä" * (REASON_BYTES // 2)))
        self.assertEqual(read_rst(b"\xfaa\nb\xff"), (0xFA, "a?b�"))
        away = self.payload(goaway_frame(9, Code.REVOKED, "gone"))
        self.assertEqual(read_goaway(away), (9, Code.REVOKED, "gone"))

    def test_what_cannot_be_written(self) -> None:
        """It is our fault, and not sent."""
        tries: list[typing.Callable[[], bytes]] = [
            lambda: open_frame(1, Capability.PUBLISH, ""),
            lambda: open_frame(1, Capability.PUBLISH, "x" * 256),
            lambda: ping_frame(b"short"),
        ]
        for each in tries:
            self.assertRaises(ValueError, each)
