"""
Kernel pipes to splice through: a pool with a bound, and the buffer for what is not spliced.

``splice(2)`` moves bytes between two sockets by way of a pipe, without copying them. A pipe is
leased only while bytes are in it, that is, for the length of one event, or for as long as the
reading side stalls. So one pipe can serve thousands of streams that flow, and an idle tunnel costs
no descriptor beyond its two sockets.

A pipe that still holds bytes is *closed* when it comes back, and never lent again: what is in it
belongs to one tunnel.

The size decides what splicing costs (64 KiB: about 550 ms of CPU a gigabyte, 1 MiB: 200 to 280),
and large pipes are a budget. Without privileges one user has 16 384 pages in all
(``pipe-user-pages-soft``: 64 pipes of 1 MiB), and beyond it gets pipes of two pages, or none. So a
pool has a budget, and as it gets short it makes smaller pipes: while half of it is free, pipes of
the full size; while a quarter is, of a fourth; then of a sixteenth. Where the kernel refuses, the
next smaller size is tried. Where only tiny ones could be had there is none, and the caller copies.
"""

from __future__ import annotations

import collections.abc
import contextlib
import fcntl
import os
import sys

from aluvia.wire.limits import Limits

__all__ = ["CAN_SPLICE", "Pipe", "Pipes", "pipes_for"]

#: Whether this platform has ``splice(2)`` and pipes of a chosen size.
CAN_SPLICE = sys.platform == "linux" and hasattr(os, "splice") and hasattr(fcntl, "F_SETPIPE_SZ")

#: A pipe under this is not worth its system calls: copying through the buffer is cheaper.
LEAST_PIPE_BYTES = 65_536


class Pipe:
    """
    One pipe.

    :ivar reader: the descriptor that bytes come out of.
    :ivar writer: the descriptor that bytes go into.
    :ivar size: its capacity in bytes, as the kernel gave it.
    :ivar held: the bytes in it now; kept by whoever leases it.
    """

    __slots__ = ("held", "reader", "size", "writer")

    def __init__(self, reader: int, writer: int, size: int) -> None:
        self.reader = reader
        self.writer = writer
        self.size = size
        self.held = 0

    def close(self) -> None:
        """Give both descriptors back to the system, and with them whatever is inside."""
        os.close(self.reader)
        os.close(self.writer)


def open_pipe(sizes: collections.abc.Iterable[int]) -> Pipe | None:
    """
    Make a pipe of the first of these sizes that the kernel gives.

    :return: ``None`` if no descriptor is left, or no pipe worth using.
    """
    try:
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    given = 0
    for size in sizes:
        # Refused over the user's budget, and over pipe-max-size.
        with contextlib.suppress(OSError):
            given = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, size)
            break
    pipe = Pipe(reader, writer, given or fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ))
    if pipe.size < LEAST_PIPE_BYTES:
        pipe.close()
        return None
    return pipe


class Pipes:
    """
    The pool. Users say :meth:`enter` and :meth:`leave`; while there is one, idle pipes are kept.

    :ivar leased: pipes out now.
    :ivar view: the buffer that bytes are copied through; whoever uses it leaves nothing in it that
        matters when it returns. (Everything here runs in the one thread of the reactor.)
    """

    def __init__(self, count: int, size: int, read_size: int) -> None:
        self.leased = 0
        self.view = memoryview(bytearray(read_size))
        self._budget = count * size if CAN_SPLICE else 0
        self._open_bytes = 0
        self._size = size
        self._idle: list[Pipe] = []
        self._users = 0

    @property
    def idle(self) -> int:
        """Pipes that are open and not leased."""
        return len(self._idle)

    @property
    def usable(self) -> bool:
        """Whether a pipe can ever be had here."""
        return self._budget > 0

    def give_up(self) -> None:
        """Lend none any more: sockets do not splice here (a sandbox, another kind of socket)."""
        self._budget = 0
        self._close_idle()

    def enter(self) -> None:
        """A relay begins."""
        self._users += 1

    def leave(self) -> None:
        """A relay is over. After the last one no descriptor is kept."""
        self._users -= 1
        if not self._users:
            self._close_idle()

    def lease(self) -> Pipe | None:
        """Lend an empty pipe; ``None`` if there is none, and the bytes have to be copied."""
        if self._idle:
            self.leased += 1
            return self._idle.pop()
        sizes = self._affordable()
        if not sizes:
            return None
        pipe = open_pipe(sizes)
        if pipe is not None:
            self.leased += 1
            self._open_bytes += pipe.size
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Take a pipe back, and keep it only if it is empty."""
        self.leased -= 1
        if pipe.held or not self._users or not self._budget:
            self._close(pipe)
        elif pipe.size >= self._size:
            self._idle.append(pipe)
        else:
            # Those of the full size are lent first.
            self._idle.insert(0, pipe)

    def _affordable(self) -> list[int]:
        """The sizes that the budget allows now, the best one first."""
        left = self._budget - self._open_bytes
        sizes = []
        size = self._size
        for kept_free in (self._budget // 2, self._budget // 4, 0):
            if size <= left and (left > kept_free or size // 4 < LEAST_PIPE_BYTES):
                sizes.append(size)
            size //= 4
            if size < LEAST_PIPE_BYTES:
                break
        return sizes

    def _close_idle(self) -> None:
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, pipe: Pipe) -> None:
        self._open_bytes -= pipe.size
        pipe.close()


_shared: dict[tuple[int, int, int], Pipes] = {}


def pipes_for(limits: Limits) -> Pipes:
    """
    Return the pool that everything with these limits shares.

    It is one for the process because the kernel's budget is: two clients in one process must not
    each believe that they have all of it.
    """
    key = (limits.pipes, limits.pipe_bytes, limits.relay_read_bytes)
    pipes = _shared.get(key)
    if pipes is None:
        pipes = _shared[key] = Pipes(*key)
    return pipes
