"""
The access log: one line of JSON for each request that is over.

.. code-block:: text

    {"time":"2026-01-02T03:04:05.678Z",   when it began (UTC)
     "requestId":"…","connectionId":"…","client":"192.0.2.1",
     "method":"GET","target":"/a?",       the path alone; "?" where there was a query
     "vHost":"a.example","route":"a","backend":"one","attempts":1,"status":200,
     "bytesUp":0,"bytesDown":1234,        payload
     "queueMs":0.000,"connectMs":0.412,"firstByteMs":3.100,"totalMs":3.512,
                                          null where it did not come to that
     "cause":"","upgraded":false}

Whatever a client sends, a line is one object of ASCII, and is one line. Of the target only the path
is kept (:func:`aluvia.edge.events.shown_target`): a query holds secrets, and nobody can tell which.

Lines are gathered in memory, and written in one call when there are :data:`FLUSH_BYTES` of them or
the sweep looks, in the reactor's thread: a write of 64 KiB to a local file is a copy into the
page cache, some 30 µs.

.. code-block:: text

    FLOWING  a write fails, or its reader does not take it -> HELD (a failure is said)
    HELD     lines are gathered up to PENDING_BYTES, what is more is lost, counted and said once;
             each look of the sweep tries again; all could be written -> FLOWING (said, if the
             other was)
    both     reopen() -> the same place opened again, with what is still to be written; if it
             cannot be, the old one stays.    close() -> CLOSED: lines are lost

Rejected: a thread (it would have to be waited for at the end, and needs the same bound), and a file
object's own buffer (what is in it after a failed write is nobody's to know).
"""

from __future__ import annotations

import errno
import json
import math
import os
import select
import time
import typing

from twisted.logger import Logger

from aluvia.edge.events import CompletedRequest, shown_name, shown_target
from aluvia.net.deadlines import Deadlines

__all__ = ["AccessLog", "FileSink", "PipeSink", "Sink", "open_access_log"]

_log = Logger()

#: So much is written at once, at the latest when the sweep looks.
FLUSH_BYTES = 65_536

#: So much is kept while it cannot be written.
PENDING_BYTES = 1_048_576

#: So much goes at once into what may be a pipe: POSIX's least ``PIPE_BUF`` is 512, Linux' 4096, and
#: up to that it is written whole, and does not wait where poll says that there is room.
PIECE_BYTES = min(4_096, getattr(select, "PIPE_BUF", 512))

#: Who may read the file: its owner and its group.
MODE = 0o640

_encode = json.JSONEncoder().encode


class Sink(typing.Protocol):
    """Where the lines go. Neither method waits for anybody."""

    def write(self, data: memoryview, /) -> int:
        """
        Take some of it, and say how much.

        :raises BlockingIOError: if there is no room now.
        :raises OSError: if it cannot be written.
        """

    def close(self) -> None:
        """Take no more."""


class FileSink:
    """
    A file that is added to, or a named pipe.

    :raises OSError: if it cannot be opened; a pipe that nobody reads cannot.
    """

    def __init__(self, path: str) -> None:
        # A pipe's end would wait for a reader, when it is opened and when it is full.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        self._descriptor = os.open(path, flags, MODE)

    def write(self, data: memoryview) -> int:
        """Write as much as there is room for."""
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class PipeSink:
    """
    A descriptor that others use too, such as standard output: it cannot be made not to wait, since
    that would change it for them, so it is asked first, and given whole lines that it has room for.
    """

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def write(self, data: memoryview) -> int:
        """Write one piece."""
        if not self._poll.poll(0):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        piece = bytes(data[:PIECE_BYTES])
        return os.write(self._descriptor, piece[: piece.rfind(b"\n") + 1] or piece)

    def close(self) -> None:
        """Leave it open: it is not ours."""


class AccessLog:
    """
    Writes what :meth:`record` is given.

    :param open_sink: opens the place; called once now, and at each :meth:`reopen`.
    :param deadlines: calls once a second.
    :ivar lost: how many lines could not be written.
    :raises OSError: if it cannot be opened now.
    """

    #: The sweep calls us at every look.
    deadline = -math.inf

    def __init__(self, open_sink: typing.Callable[[], Sink], deadlines: Deadlines) -> None:
        self.lost = 0
        self._open = open_sink
        self._sink = open_sink()
        self._deadlines = deadlines
        self._lines: list[str] = []
        # What is left of a batch that could not be written whole; it may begin inside a line.
        self._rest = b""
        self._torn = False
        self._size = 0
        self._room = PENDING_BYTES
        # Why nothing is written: empty while that goes well.
        self._held = ""
        self._said = False
        self._lost_before = 0
        self._second = -1
        self._time = ""
        deadlines.watch(self)

    def record(self, request: CompletedRequest) -> None:
        """Write a line about it, soon."""
        line = self.line(request)
        size = self._size + len(line)
        if size > self._room:
            self._lose(1)
            return
        self._lines.append(line)
        self._size = size
        if size >= FLUSH_BYTES and not self._held:
            self.flush()

    def line(self, request: CompletedRequest) -> str:
        """The line about a request, with its end; ASCII."""
        second, millisecond = divmod(round(request.started * 1000.0), 1000)
        if second != self._second:
            self._second = second
            self._time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        queued, connect = request.queued, request.connect
        first_byte, total = request.first_byte, request.total
        encode = _encode
        return (
            f'{{"time":"{self._time}.{millisecond:03d}Z"'
            f',"requestId":{encode(shown_name(request.request_id))}'
            f',"connectionId":{encode(request.connection_id)}'
            f',"client":{encode(request.client_address)}'
            f',"method":{encode(shown_name(request.method.decode("ascii", "backslashreplace")))}'
            f',"target":{encode(shown_target(request.target))}'
            f',"vHost":{encode(request.v_host)}'
            f',"route":{encode(request.route_id)}'
            f',"backend":{encode(request.backend_id)}'
            f',"attempts":{request.attempts}'
            f',"status":{request.status}'
            f',"bytesUp":{request.bytes_up}'
            f',"bytesDown":{request.bytes_down}'
            f',"queueMs":{"null" if queued < 0.0 else f"{queued * 1e3:.3f}"}'
            f',"connectMs":{"null" if connect < 0.0 else f"{connect * 1e3:.3f}"}'
            f',"firstByteMs":{"null" if first_byte < 0.0 else f"{first_byte * 1e3:.3f}"}'
            f',"totalMs":{"null" if total < 0.0 else f"{total * 1e3:.3f}"}'
            f',"cause":{encode(request.cause)}'
            f',"upgraded":{"true" if request.upgraded else "false"}}}\n'
        )

    def deadline_passed(self, now: float) -> None:
        """Write what there is: the sweep looked."""
        self.flush()

    def flush(self) -> None:
        """Write what there is, as far as that goes."""
        data = self._rest + "".join(self._lines).encode("ascii")
        if not data:
            return
        self._lines.clear()
        left = memoryview(data)
        try:
            while left:
                taken = self._sink.write(left)
                if not taken:
                    raise BlockingIOError(errno.EAGAIN, "nothing was taken")
                left = left[taken:]
        except BlockingIOError:
            self._held = "its reader is behind"
        except OSError as error:
            self._held = error.strerror or type(error).__name__
            self._say_held()
        else:
            self._held = ""
            self._say_flowing()
        written = len(data) - len(left)
        if written:
            self._torn = data[written - 1] != ord("\n")
        self._rest = data[written:]
        self._size = len(self._rest)

    def reopen(self) -> None:
        """
        Open the place again, after its file was moved away. If that fails it is logged, and the old
        one stays.
        """
        self.flush()
        try:
            sink = self._open()
        except OSError as error:
            _log.error(
                "The access log cannot be opened again, and stays what it was: {reason}",
                reason=error.strerror or type(error).__name__,
            )
            return
        self._leave()
        self._sink = sink
        self.flush()

    def close(self) -> None:
        """Write what there is, and nothing from now on. Harmless twice."""
        if self._room == 0:
            return
        self.flush()
        self._leave()
        self._lose(self._rest.count(b"\n"))
        self._rest = b""
        self._size = self._room = 0
        self._deadlines.forget(self)

    def _leave(self) -> None:
        """Close the sink; the end of a line whose beginning is there would be none elsewhere."""
        try:
            self._sink.close()
        except OSError as error:
            # Where a file system says only now that it had no room.
            _log.error("The access log did not close well: {reason}", reason=error.strerror)
        if self._torn:
            self._torn = False
            self._rest = self._rest.partition(b"\n")[2]
            self._size = len(self._rest)
            self._lose(1)

    def _lose(self, lines: int) -> None:
        if lines and self._held:
            self._say_held()
        self.lost += lines

    def _say_held(self) -> None:
        if not self._said:
            self._said = True
            self._lost_before = self.lost
            _log.error("The access log cannot be written: {reason}", reason=self._held)

    def _say_flowing(self) -> None:
        if self._said:
            self._said = False
            _log.warn(
                "The access log is written again; {lost} lines were lost.",
                lost=self.lost - self._lost_before,
            )


def open_access_log(place: str, deadlines: Deadlines) -> AccessLog:
    """
    The access log that ``--access-log`` asks for.

    :param place: a file, or ``-`` for standard output.
    :raises OSError: if it cannot be opened.
    """
    if place == "-":
        return AccessLog(PipeSink, deadlines)
    return AccessLog(lambda: FileSink(place), deadlines)
