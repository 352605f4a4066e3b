"""Tests for :mod:`aluvia.edge.access_log`."""

from __future__ import annotations

import errno
import json
import os
import typing

import hypothesis
from hypothesis import strategies as some
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.access_log import (
    FLUSH_BYTES,
    PENDING_BYTES,
    AccessLog,
)
from aluvia.edge.events import completed_event
from aluvia.edge.test.completed_request import Completed
from aluvia.net.accept import Sweep
from aluvia.testing.properties import settings_for_tests

LINE = '{"time":"2026-01-02T03:04:05.678Z","requestId":"3d6f0a6e-0000-4000-8000-000000000001",'
FAILED = "The access log cannot be written: No space left on device"


class Disk:
    """A file that may be full."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0
        self.room: float = float("inf")
        self.error: int = errno.ENOSPC
        self.error_at_close = 0
        self.closed = False

    def write(self, data: memoryview) -> int:
        """Take what there is room for; fail if there is none."""
        self.writes += 1
        taken = int(min(len(data), self.room))
        if not taken:
            raise OSError(self.error, os.strerror(self.error))
        self.data += data[:taken]
        self.room -= taken
        return taken

    def close(self) -> None:
        """Note it."""
        self.closed = True
        if self.error_at_close:
            raise OSError(self.error_at_close, os.strerror(self.error_at_close))

    @property
    def numbers(self) -> list[int]:
        """The statuses of the requests whose lines are there, which must be whole."""
        assert self.data[-1:] in (b"", b"\n")
        return [json.loads(line)["status"] for line in self.data.splitlines()]


class LogCase(SynchronousTestCase):
    """A log whose file is a fake."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.sweep = Sweep(self.clock)
        self.disks: list[Disk] = []
        self.log = AccessLog(self.open, self.sweep)

    def open(self) -> Disk:
        """A new one at each time."""
        self.disks.append(Disk())
        return self.disks[-1]

    @property
    def disk(self) -> Disk:
        """The last."""
        return self.disks[-1]

    def record(self, *statuses: int) -> None:
        """One request of each status."""
        for status in statuses:
            self.log.record(Completed(status=status))

    def look(self, times: int = 1) -> list[str]:
        """What is logged while the sweep looks."""
        with capturedLogs() as logged:
            self.clock.pump([1.0] * times)
        return [str(formatEvent(event)) for event in logged]


class LineTests(LogCase):
    """What a line says."""

    def read(self, line: str) -> dict[str, typing.Any]:
        """One line of ASCII, as JSON reads it."""
        assert line.endswith("\n")
        body = line[:-1]
        assert body.isascii() and not any(ord(each) < 0x20 for each in body), body
        assert len(body.splitlines()) == 1
        read = json.loads(body)
        assert isinstance(read, dict)
        return read

    def test_all_of_it(self) -> None:
        """The fields of the design, in this order."""
        self.assertEqual(
            LINE + '"connectionId":"c-1","client":"192.0.2.1","method":"GET","target":"/a/b?",'
            '"vHost":"api.example.com","route":"api","backend":"one","attempts":2,"status":200,'
            '"bytesUp":10,"bytesDown":1000,"queueMs":0.000,"connectMs":null,"firstByteMs":3.000,'
            '"totalMs":4.000,"cause":"client_gone","upgraded":true}\n',
            self.log.line(
                Completed(
                    target=b"/a/b?key=s3cret",
                    connect=-1.0,
                    attempts=2,
                    cause="client_gone",
                    upgraded=True,
                )
            ),
        )

    def test_time(self) -> None:
        """UTC, to the nearest millisecond, whichever second it is after another."""
        for started, shown in (
            (0.0, "1970-01-01T00:00:00.000Z"),
            (1_767_323_045.0009999, "2026-01-02T03:04:05.001Z"),
            (1_767_323_045.9999, "2026-01-02T03:04:06.000Z"),
            (1_767_323_046.5, "2026-01-02T03:04:06.500Z"),
            (1_767_323_045.25, "2026-01-02T03:04:05.250Z"),
        ):
            self.assertEqual(shown, self.read(self.log.line(Completed(started=started)))["time"])

    @settings_for_tests
    @hypothesis.given(
        method=some.binary(),
        target=some.one_of(some.binary(), some.binary().map(b"/".__add__)),
        request_id=some.text(),
        v_host=some.text(),
        backend_id=some.text(),
        queued=some.floats(-1.0, 1e6),
        total=some.sampled_from([-1.0, 0.0, 0.0005, 1e6]),
        status=some.integers(0, 999),
    )
    def test_whatever_comes(self, **fields: typing.Any) -> None:
        """A line is one line and one object, and says what the event of the request says."""
        request = Completed(**fields)
        read = self.read(self.log.line(request))
        del read["time"]
        self.assertEqual(completed_event(request).data, read)

    def test_no_line_is_forged(self) -> None:
        """Line ends of any kind, quotes and backslashes stay inside their string."""
        evil = '\r\n\x0b\x0c\x1c\x85\u2028\u2029"}\\'
        request = Completed(
            request_id=evil, target=b"/" + evil.encode(), method=evil.encode(), v_host=evil
        )
        read = self.read(self.log.line(request))
        self.assertEqual(
            (evil, evil, "/" + evil), (read["requestId"], read["vHost"], read["target"])
        )


class BatchTests(LogCase):
    """When lines are written."""

    def test_at_the_look(self) -> None:
        """Nothing is written before, and all in one call."""
        self.record(201, 202)
        self.assertEqual(0, self.disk.writes)
        self.assertEqual([], self.look())
        self.assertEqual(([201, 202], 1), (self.disk.numbers, self.disk.writes))
        self.look(5)
        self.assertEqual(1, self.disk.writes)

    def test_at_a_size(self) -> None:
        """A batch is written as soon as it is full."""
        size = len(self.log.line(Completed()))
        self.record(*[200] * (FLUSH_BYTES // size))
        self.assertEqual(0, self.disk.writes)
        self.record(201)
        self.assertEqual(1, self.disk.writes)
        self.assertEqual(201, self.disk.numbers[-1])

    def test_in_pieces(self) -> None:
        """What takes a part of a batch is given the rest."""
        self.disk.room = 100
        written = self.disk.write

        def give_room(data: memoryview) -> int:
            taken = written(data)
            self.disk.room = 100
            return taken

        self.disk.write = give_room  # type: ignore[method-assign]
        self.record(201, 202, 203)
        self.look()
        self.assertEqual([201, 202, 203], self.disk.numbers)

    def test_closing(self) -> None:
        """What there is is written; later lines are lost, and nothing is left."""
        self.record(201)
        self.log.close()
        self.log.close()
        self.record(202)
        self.assertEqual(([201], True, 1), (self.disk.numbers, self.disk.closed, self.log.lost))
        self.assertEqual(0, len(self.sweep))


class FullDiskTests(LogCase):
    """Lines that cannot be written."""

    def test_it_is_said_once(self) -> None:
        """At the first failure; then there is silence, until it is written again."""
        self.disk.room = 0
        self.record(201)
        self.assertEqual([FAILED], self.look())
        self.record(202)
        self.assertEqual([], self.look(10))
        self.disk.room = float("inf")
        self.assertEqual(["The access log is written again; 0 lines were lost."], self.look())
        self.assertEqual(([201, 202], 0), (self.disk.numbers, self.log.lost))
        self.record(203)
        self.assertEqual([], self.look())
        self.disk.room = 0
        self.record(204)
        self.assertEqual([FAILED], self.look())

    def test_bound(self) -> None:
        """So much is kept, in the order in which it came; what comes then is lost, and counted."""
        self.disk.room = 0
        self.record(201)
        self.look()
        size = len(self.log.line(Completed()))
        most = PENDING_BYTES // size
        self.record(*[202] * (most + 9))
        self.assertEqual(10, self.log.lost)
        self.assertEqual([], self.look())
        self.assertEqual([], self.disk.numbers)
        self.disk.room = float("inf")
        self.assertEqual(["The access log is written again; 10 lines were lost."], self.look())
        self.assertEqual([201] + [202] * (most - 1), self.disk.numbers)
        self.record(203)
        self.look()
        self.assertEqual((203, 10), (self.disk.numbers[-1], self.log.lost))

    def test_each_time_for_itself(self) -> None:
        """What is said to be lost was lost since the failure before; full batches go out again."""
        full = [200] * (PENDING_BYTES // len(self.log.line(Completed())))
        for lost in (3, 5):
            self.disk.room = 0
            self.record(201)
            self.assertEqual([FAILED], self.look())
            self.record(*full, *[202] * (lost - 1))
            self.disk.room = float("inf")
            self.assertEqual(
                [f"The access log is written again; {lost} lines were lost."], self.look()
            )
            writes = self.disk.writes
            self.record(*full)
            self.assertTrue(self.disk.writes > writes)
            self.look()
        self.assertEqual(8, self.log.lost)

    def test_no_attempts_between_looks(self) -> None:
        """A full disk costs one call a second, however many lines there are."""
        self.disk.room = 0
        self.record(201)
        self.look()
        writes = self.disk.writes
        self.record(*[200] * 1_000)
        self.assertEqual(writes, self.disk.writes)
        self.look()
        self.assertEqual(writes + 1, self.disk.writes)

    def test_a_line_that_was_cut(self) -> None:
        """Its other half comes when there is room."""
        self.record(201, 202)
        self.disk.room = len(self.log.line(Completed())) + 7
        self.assertEqual([FAILED], self.look())
        self.record(203)
        self.look()
        self.disk.room = float("inf")
        self.look()
        self.assertEqual([201, 202, 203], self.disk.numbers)

    def test_a_reader_that_is_behind(self) -> None:
        """It is no failure, and nothing is said, until a line is lost."""
        self.disk.room, self.disk.error = 0, errno.EAGAIN
        self.record(201)
        self.assertEqual([], self.look())
        with capturedLogs() as logged:
            self.record(*[202] * (PENDING_BYTES // 300))
        self.assertTrue(self.log.lost > 1)
        self.assertEqual(
            ["The access log cannot be written: its reader is behind"],
            [formatEvent(event) for event in logged],
        )
        self.disk.room = float("inf")
        self.assertEqual(
            [f"The access log is written again; {self.log.lost} lines were lost."], self.look()
        )

    def test_what_takes_nothing(self) -> None:
        """Is asked once, and not for ever."""
        self.disk.write = lambda data: 0  # type: ignore[method-assign]
        self.record(201)
        self.assertEqual([], self.look(3))

    def test_closing(self) -> None:
        """What could not be written till the end is counted, and said."""
        self.disk.room, self.disk.error = 0, errno.EAGAIN
        self.record(201, 202)
        with capturedLogs() as logged:
            self.log.close()
        self.assertEqual(2, self.log.lost)
        self.assertEqual(
            ["The access log cannot be written: its reader is behind"],
            [formatEvent(event) for event in logged],
        )


class ReopenTests(LogCase):
    """After SIGHUP."""

    def test_the_place_is_opened_again(self) -> None:
        """What came before goes to the old file, what comes then to the new one."""
        self.record(201)
        self.log.reopen()
        self.record(202)
        self.look()
        old, new = self.disks
        self.assertEqual(([201], True, [202]), (old.numbers, old.closed, new.numbers))

    def test_it_cannot_be_opened(self) -> None:
        """The old one stays, and it is said why."""

        def refuse() -> Disk:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        log = AccessLog(self.open, self.sweep)
        log._open = refuse
        with capturedLogs() as logged:
            log.reopen()
        self.assertEqual(
            ["The access log cannot be opened again, and stays what it was: Permission denied"],
            [formatEvent(event) for event in logged],
        )
        log.record(Completed(status=201))
        self.look()
        self.assertEqual(([201], False), (self.disk.numbers, self.disk.closed))

    def test_from_a_full_disk_to_another(self) -> None:
        """What could not be written goes to the new file, but for a line whose half is in the
        old one.
        """
        self.record(201, 202, 203)
        self.disk.room = len(self.log.line(Completed())) + 7
        self.assertEqual([FAILED], self.look())
        with capturedLogs() as logged:
            self.log.reopen()
        self.assertEqual([203], self.disk.numbers)
        self.assertEqual(1, self.log.lost)
        self.assertEqual(
            ["The access log is written again; 1 lines were lost."],
            [formatEvent(event) for event in logged],
        )
        self.record(204)
        self.look()
        self.assertEqual([203, 204], self.disk.numbers)

    def test_the_old_one_does_not_close_well(self) -> None:
        """It is said, and the new one is used."""
        self.disk.error_at_close = errno.EIO
        with capturedLogs() as logged:
            self.log.reopen()
        self.assertEqual(
            ["The access log did not close well: Input/output error"],
            [formatEvent(event) for event in logged],
        )
        self.record(201)
        self.look()
        self.assertEqual([201], self.disk.numbers)
