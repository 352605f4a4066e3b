"""
The store for a reactor: one thread that writes, one that reads, and nobody who waits for a disk.

SQLite has one writer at a time whatever we do; with one thread for it, writers of this process wait
in our queue, in their order, and not in SQLite's busy handler. What reads (a look whether another
process has changed something, and what it has changed) has a thread and a connection of its own, so
that it never waits behind a writer that waits for the disk.

A store in memory has one thread for both: nothing there waits for a disk.

Both are daemon threads, none of Twisted's pool: that also resolves names, and joins its threads at
the end.

.. code-block:: text

    state     leaves on
    --------  -------------------------------------------------------------------------
    NEW       open() -> OPEN, or an error
    OPEN      close() -> CLOSED, behind what is queued
    CLOSED    everything that is asked fails
"""

from __future__ import annotations

import collections.abc
import queue
import threading
import typing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure

from aluvia.store.database import MEMORY, Database
from aluvia.store.errors import StoreBusyError, StoreError
from aluvia.store.lock import StoreLock

__all__ = ["CallFromThread", "Store"]

#: Jobs that wait for a thread, at most.
MOST_WAITING = 1024

T = typing.TypeVar("T")

#: A reactor's ``callFromThread``.
CallFromThread = collections.abc.Callable[..., object]

_Job = tuple[collections.abc.Callable[[Database], typing.Any], "Deferred[typing.Any]"]


class Store:
    """
    One file.

    :param path: absolute: a daemon changes its directory; or
        :data:`~aluvia.store.database.MEMORY`.
    :param call_from_thread: calls in the reactor's thread.
    :param alone: nobody else may have it open so while it is; others may still read it, and make
        copies of it.
    """

    def __init__(
        self, path: Path, call_from_thread: CallFromThread, *, alone: bool = False
    ) -> None:
        self.path = path
        self._alone = alone and path != MEMORY
        self._lock: StoreLock | None = None
        self._wanted = False
        self._writer = self._reader = _Thread("aluvia-store-writer", call_from_thread)
        if path != MEMORY:
            self._reader = _Thread("aluvia-store-reader", call_from_thread)

    async def open(self) -> None:
        """
        Open the file, and make it if it is not there.

        :raises StoreInUseError: somebody else has it, alone.
        :raises StoreError: it cannot be opened, or is not ours, or was closed meanwhile.
            :meth:`close` is still to be called.
        """
        self._wanted = True
        if self._alone:
            self._lock = StoreLock(self.path)
        await self._writer.start(lambda: Database(self.path))
        if not self._wanted:
            raise StoreError("the store is closed")
        if self._reader is not self._writer:
            await self._reader.start(lambda: Database(self.path, create=False))

    def write(self, job: collections.abc.Callable[[Connection], T]) -> Deferred[T]:
        """
        Do this in a writing transaction. When it has fired, the change is on the disk.

        :param job: called in the writer's thread. What it raises rolls everything back, and fails
            the Deferred.
        """

        def write(database: Database) -> T:
            with database.writing() as connection:
                return job(connection)

        return self._writer.do(write)

    def read(self, job: collections.abc.Callable[[Connection], T]) -> Deferred[T]:
        """Do this in a reading transaction, in the reader's thread."""

        def read(database: Database) -> T:
            with database.reading() as connection:
                return job(connection)

        return self._reader.do(read)

    def version(self) -> Deferred[int]:
        """A number that changes with every change, whoever made it."""
        return self._reader.do(Database.version)

    def close(self) -> Deferred[typing.Any]:
        """
        Finish what is queued, and close. Harmless when it is closed, or was never opened.

        The writer's connection is the last: what was written ahead comes into the file when nobody
        else has it open. Of two that close at one moment neither would see to that.
        """
        self._wanted = False
        closed = self._reader.stop().addBoth(self._also, self._writer.stop)
        return closed.addBoth(self._also, self._unlock)

    @staticmethod
    def _also(result: object, close: typing.Callable[[], object]) -> Deferred[object]:
        """Close this too, and come to what it came to before; or to what is wrong with this."""
        return maybeDeferred(close).addCallback(lambda _: result)

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class _Thread:
    """
    A thread with a connection of its own.

    It touches nothing of the reactor's but ``call_from_thread``.
    """

    def __init__(self, name: str, call_from_thread: CallFromThread) -> None:
        self._name = name
        self._call_from_thread = call_from_thread
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._open = False
        self._stopped: Deferred[None] | None = None

    def start(self, open_database: collections.abc.Callable[[], Database]) -> Deferred[None]:
        """Open the database, in the thread that will use it."""
        opened: Deferred[None] = Deferred()
        self._thread = threading.Thread(
            target=self._serve, args=(open_database, opened), name=self._name, daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError as error:
            return fail(StoreError(f"there is no thread for the store: {error}"))
        # Not before there is somebody who will end.
        self._open = True
        return opened

    def do(self, job: collections.abc.Callable[[Database], T]) -> Deferred[T]:
        """Queue a job."""
        if not self._open:
            return fail(StoreError("the store is closed"))
        if self._waiting >= MOST_WAITING:
            return fail(StoreBusyError("too much waits for the store"))
        self._waiting += 1
        done: Deferred[T] = Deferred()
        self._work.put((job, done))
        return done

    def stop(self) -> Deferred[None]:
        """End the thread, behind what is queued."""
        done: Deferred[None] = Deferred()
        if self._open:
            self._open = False
            self._stopped = done
            self._work.put(None)
        elif self._stopped is not None and not self._stopped.called:
            self._stopped.chainDeferred(done)
        else:
            done.callback(None)
        return done

    # In the thread.

    def _serve(
        self, open_database: collections.abc.Callable[[], Database], opened: Deferred[None]
    ) -> None:
        try:
            database = open_database()
        except BaseException:
            self._call_from_thread(self._not_opened, opened, Failure())
            return
        self._call_from_thread(opened.callback, None)
        while (work := self._work.get()) is not None:
            job, done = work
            try:
                result = job(database)
            except BaseException:
                self._call_from_thread(self._answered, done.errback, Failure())
            else:
                self._call_from_thread(self._answered, done.callback, result)
            del job, done, work
        try:
            database.close()
        finally:
            # Whoever waits for the end must not wait for ever; what was raised ends this thread.
            self._call_from_thread(self._ended)

    # In the reactor's.

    def _not_opened(self, opened: Deferred[None], failure: Failure) -> None:
        self._open = False
        self._ended()
        opened.errback(failure)

    def _answered(
        self, answer: collections.abc.Callable[[typing.Any], object], result: object
    ) -> None:
        self._waiting -= 1
        answer(result)

    def _ended(self) -> None:
        # It has called us, and does nothing more.
        self._thread.join()
        stopped = self._stopped
        if stopped is not None and not stopped.called:
            stopped.callback(None)
