"""Tests for :mod:`aluvia.edge.access_log`, with real files and pipes."""

from __future__ import annotations

import json
import os
import stat

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.access_log import (
    PENDING_BYTES,
    PIECE_BYTES,
    AccessLog,
    FileSink,
    PipeSink,
    open_access_log,
)
from aluvia.edge.test.completed_request import Completed
from aluvia.net.accept import Sweep


class FileTests(SynchronousTestCase):
    """Real files and pipes."""

    def setUp(self) -> None:
        """A sweep, and a place."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.path = self.mktemp()

    def read(self, path: str) -> str:
        """All of a file."""
        with open(path, encoding="ascii") as file:
            return file.read()

    def test_rotation(self) -> None:
        """A file is added to, and one that was moved away is left alone after a reopening."""
        with open(self.path, "w", encoding="ascii") as file:
            file.write("before\n")
        log = open_access_log(self.path, self.sweep)
        log.record(Completed())
        self.clock.advance(1.0)
        os.rename(self.path, self.path + ".1")
        log.record(Completed(status=201))
        log.reopen()
        log.record(Completed(status=202))
        log.close()
        before, first, second = self.read(self.path + ".1").splitlines()
        self.assertEqual("before", before)
        self.assertEqual([200, 201], [json.loads(each)["status"] for each in (first, second)])
        self.assertEqual(202, json.loads(self.read(self.path))["status"])

    def test_mode(self) -> None:
        """Nobody but the owner and the group reads who asked for what."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        open_access_log(self.path, self.sweep).close()
        self.assertEqual(0o640, stat.S_IMODE(os.stat(self.path).st_mode))

    def test_it_cannot_be_opened(self) -> None:
        """At the start that is the caller's, who says it and ends."""
        self.assertRaises(OSError, open_access_log, self.path + "/there/is/none", self.sweep)
        os.mkdir(self.path)
        self.assertRaises(OSError, open_access_log, self.path, self.sweep)
        self.assertEqual(0, len(self.sweep))

    def test_a_named_pipe(self) -> None:
        """Neither one that nobody reads nor one that is full is waited for."""
        os.mkfifo(self.path)
        self.assertRaises(OSError, FileSink, self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        sink = FileSink(self.path)
        self.addCleanup(sink.close)
        with self.assertRaises(BlockingIOError):
            while True:
                sink.write(memoryview(b"x" * 65_536))

    def test_a_pipe_that_others_use(self) -> None:
        """A full one is not waited for, and is as it was for the others; a line is not torn."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        sink = PipeSink(writer)
        log = AccessLog(lambda: sink, self.sweep)
        size = len(log.line(Completed()))
        for _ in range(PENDING_BYTES // size):
            log.record(Completed())
        self.clock.advance(1.0)
        self.assertTrue(os.get_blocking(writer))
        read = b""
        while piece := os.read(reader, PIECE_BYTES):
            read += piece
            self.clock.advance(1.0)
            if len(read) >= PENDING_BYTES // size * size:
                break
        self.assertEqual(0, log.lost)
        self.assertEqual({200}, {json.loads(line)["status"] for line in read.splitlines()})
        log.record(Completed())
        log.close()
        os.close(writer)
        self.assertEqual(size, len(os.read(reader, 65_536)))
        self.assertEqual(b"", os.read(reader, 1))

    def test_pieces_are_whole_lines(self) -> None:
        """A pipe's piece ends with a line, unless that is longer than a piece."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        sink = PipeSink(writer)
        self.assertEqual(3_000, sink.write(memoryview(b"a" * 2_999 + b"\n" + b"b" * 2_999 + b"\n")))
        self.assertEqual(PIECE_BYTES, sink.write(memoryview(b"c" * 9_000 + b"\n")))

    def test_a_pipe_whose_reader_is_gone(self) -> None:
        """Is a failure, which is said."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        os.close(reader)
        log = AccessLog(lambda: PipeSink(writer), self.sweep)
        log.record(Completed())
        with capturedLogs() as logged:
            self.clock.advance(1.0)
        self.assertEqual(
            ["The access log cannot be written: Broken pipe"],
            [formatEvent(event) for event in logged],
        )
