"""
Threads for what takes the processor for long: hashing passwords, at some 50 ms each.

.. code-block:: text

    do ── a thread is free ──────────────► RUNNING ─► what the job returns, or raises
     ├─── the line has room ─► IN LINE ──────┘
     │                            ├── cancelled: it leaves the line
     │                            └── stop: NoThread
     └─── the line is full, or stopped: NoThread

They are few, since each keeps a processor busy that the reactor wants as well; OpenSSL lets go of
Python's lock meanwhile. They are none of Twisted's pool, which resolves names for others and joins
its threads at the end. They are daemons, and begun when they are needed.

A job that runs cannot be interrupted: who cancels it is told at once, and it comes to its end for
nobody.
"""

from __future__ import annotations

import collections.abc
import queue
import threading
import typing

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

__all__ = ["CallFromThread", "HashingThreads", "NoThread", "Threads"]

#: How many there are.
THREADS = 2

#: Jobs that wait for one, at most.
MOST_IN_LINE = 64

T = typing.TypeVar("T")

#: A reactor's ``callFromThread``.
CallFromThread = collections.abc.Callable[..., object]


class NoThread(Exception):
    """Too much waits for a thread already, or there are none any more. In a second it may go."""


class Threads(typing.Protocol):
    """What does something elsewhere."""

    def do(self, call: collections.abc.Callable[[], T]) -> Deferred[T]:
        """
        Call this in a thread.

        :param call: what it returns comes back, or what it raises.
        :return: fails with :class:`NoThread` where it will not be done.
        """


class _Job:
    """Something to do, and who waits for it; told apart by identity."""

    __slots__ = ("call", "done")

    def __init__(self, call: collections.abc.Callable[[], typing.Any]) -> None:
        self.call = call
        self.done: Deferred[typing.Any] | None = None


class HashingThreads:
    """
    Threads, and a line before them.

    :param call_from_thread: calls in the reactor's thread.
    :param threads: how many there are at most.
    :param line: how many jobs may wait.
    """

    def __init__(
        self,
        call_from_thread: CallFromThread,
        *,
        threads: int = THREADS,
        line: int = MOST_IN_LINE,
    ) -> None:
        self._call_from_thread = call_from_thread
        self._most = threads
        self._most_in_line = line
        self._threads = 0
        self._running: set[_Job] = set()
        self._line: dict[_Job, None] = {}
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._stopped = False

    def do(self, call: collections.abc.Callable[[], T]) -> Deferred[T]:
        """Call this in a thread; see :meth:`Threads.do`."""
        if self._stopped:
            return fail(NoThread("The threads have been stopped."))
        free = self._has_free_thread()
        if not self._threads:
            return fail(NoThread("The system gives no thread."))
        if not free and len(self._line) >= self._most_in_line:
            return fail(NoThread("Too much waits for a thread."))
        job = _Job(call)
        done: Deferred[T] = Deferred(lambda _: self._leave(job))
        job.done = done
        if free:
            self._run(job)
        else:
            self._line[job] = None
        return done

    def stop(self) -> None:
        """
        Fail all that is under way, do nothing any more, and let the threads end.

        Nobody waits for one that is still at work.
        """
        self._stopped = True
        for _ in range(self._threads):
            self._work.put(None)
        self._threads = 0
        given_up = [*self._running, *self._line]
        self._running.clear()
        self._line.clear()
        for job in given_up:
            done, job.done = job.done, None
            if done is not None:
                done.errback(NoThread("The threads have been stopped."))

    def _has_free_thread(self) -> bool:
        """Whether a job could run now; a thread is begun for it if need be."""
        if len(self._running) < self._threads:
            return True
        if self._threads == self._most:
            return False
        thread = threading.Thread(
            target=self._serve, name=f"aluvia-hashing-{self._threads}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more. Those that there are will do.
            return False
        self._threads += 1
        return True

    def _run(self, job: _Job) -> None:
        self._running.add(job)
        self._work.put(job)

    def _leave(self, job: _Job) -> None:
        job.done = None
        self._line.pop(job, None)

    def _serve(self) -> None:
        """Runs in a thread, and touches nothing but what it is given."""
        while (job := self._work.get()) is not None:
            try:
                result: object = job.call()
            except BaseException:
                result = Failure()
            self._call_from_thread(self._ran, job, result)
            del job, result

    def _ran(self, job: _Job, result: object) -> None:
        # Not if everything was stopped.
        if job in self._running:
            self._running.remove(job)
            if self._line:
                first = next(iter(self._line))
                del self._line[first]
                self._run(first)
        done, job.done = job.done, None
        if done is None:
            return
        if isinstance(result, Failure):
            done.errback(result)
        else:
            done.callback(result)
