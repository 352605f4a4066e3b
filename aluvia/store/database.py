"""
One connection to the store's file, for the thread that opened it.

Every writing transaction begins with ``BEGIN IMMEDIATE``: it has SQLite's one write lock before it
reads, so that nobody can come between its reading and its writing. (Python's own ``sqlite3`` begins
a transaction with the first statement that writes, and 150 of 200 concurrent read-modify-writes
were lost that way, without an error.) Write-ahead logging lets readers read meanwhile, and
``synchronous = FULL`` makes a commit outlive a power failure.

The file has passwords in it: it is made with mode 0600, and one that others may read is closed to
them. SQLite gives the files that it makes beside it the same mode; those that are there already,
from a time when others might read, are closed as well.

Who moves another file to its place, or removes it, leaves us one without a name. Nothing is written
to that, since it would be lost, and who asks for the version is told. (SQLite's own advice is the
same: end, replace the file, and begin again; or ``.restore`` what is in it.)

A file that cannot be read is left as it is, and whoever asks is told how to go on: to begin with an
empty one in its place would lose what may still be saved.

:data:`MEMORY` in place of a file is a store that ends with its process.
"""

from __future__ import annotations

import collections.abc
import contextlib
import os
import secrets
import sqlite3
import stat
import time
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from aluvia.store.errors import StoreDamagedError, StoreError, StoreFullError
from aluvia.store.schema import ensure, is_ours

__all__ = ["MEMORY", "RECOVERY", "Database", "see_that_it_can_be_one", "told"]

#: No file.
MEMORY = Path(":memory:")

#: What is said of a file that cannot be read, behind why.
RECOVERY = "put a backup in its place, or move it away to begin with an empty one"

#: How long a transaction waits for another process's to end; seconds.
BUSY_SECONDS = 10.0

#: Between two tries where SQLite does not wait by itself.
RETRY_SECONDS = 0.01

MODE = 0o600

#: What stands behind the name of each file that SQLite keeps beside ours.
BESIDE = ("-wal", "-shm")

# The lower byte of SQLite's error codes.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# What Python says of a text that is none, without a code.
_NO_TEXT = "Could not decode to UTF-8"


class Database:
    """
    An open file.

    :param path: absolute, or relative to the working directory; or :data:`MEMORY`.
    :param create: make it if it is not there.
    :raises StoreError: it cannot be opened, or is not ours.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._begin = "BEGIN"
        self._stack = contextlib.ExitStack()
        self._file: tuple[int, int] | None = None
        if path != MEMORY:
            _see_that_there_is_a_file(path, create)
            self._file = _file_at(path)
        # Parameters are passwords now and then, and errors are logged.
        engine = create_engine(
            "sqlite+pysqlite://", creator=self._open, poolclass=NullPool, hide_parameters=True
        )
        event.listen(engine, "begin", self._begun)
        try:
            with self._sentences():
                self._connection = self._stack.enter_context(engine.connect())
                self._prepare()
        except BaseException:
            self._stack.close()
            raise

    @contextlib.contextmanager
    def writing(self) -> collections.abc.Iterator[Connection]:
        """
        A transaction that may write: committed at its end, rolled back by an exception.

        :raises StoreError: it could not begin, or could not be committed.
        """
        self._see_that_it_is_there()
        self._begin = "BEGIN IMMEDIATE"
        with self._sentences(), self._connection.begin():
            yield self._connection

    @contextlib.contextmanager
    def reading(self) -> collections.abc.Iterator[Connection]:
        """
        A transaction that reads, and sees one state of everything.

        :raises StoreError: it could not be read.
        """
        self._begin = "BEGIN"
        with self._sentences(), self._connection.begin():
            yield self._connection

    def version(self) -> int:
        """
        A number that changes when another connection, of this process or of another one, has
        changed the file.

        :raises StoreError: it could not be read, or another file is in its place.
        """
        self._see_that_it_is_there()
        with self._sentences():
            cursor = self._raw.execute("PRAGMA data_version")
            return int(cursor.fetchone()[0])

    def close(self) -> None:
        """Close. Harmless when it is closed."""
        self._stack.close()

    def _see_that_it_is_there(self) -> None:
        if self._file is not None and _file_at(self.path) != self._file:
            raise StoreError(f"{self.path}: another file is in its place since it was opened")

    def _open(self) -> sqlite3.Connection:
        self._raw = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        return self._raw

    def _begun(self, connection: Connection) -> None:
        connection.exec_driver_sql(self._begin)

    def _prepare(self) -> None:
        # Looked at before anything is changed: it may be another program's.
        with self.reading() as connection:
            ours = is_ours(connection)
        if self._file is not None:
            _close_to_others(self.path)
        if not ours:
            with self.writing() as connection:
                ensure(connection)
        if self._file is not None and self._write_ahead() != "wal":
            raise StoreError(f"{self.path}: write-ahead logging cannot be had there")
        self._raw.execute("PRAGMA synchronous = FULL")

    def _write_ahead(self) -> str:
        """Turn write-ahead logging on. SQLite itself does not wait here for whoever is busy."""
        patience = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return str(self._raw.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
                if not busy or time.monotonic() > patience:
                    raise
                # A thread of the store's own, or a program's beginning: nobody else is held up.
                time.sleep(RETRY_SECONDS)

    @contextlib.contextmanager
    def _sentences(self) -> collections.abc.Iterator[None]:
        """Say what SQLite says as one sentence that names the file."""
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            raise told(self.path, error) from error
        except StoreError as error:
            about_the_file = type(error) in (StoreError, StoreDamagedError)
            if about_the_file and not str(error).startswith(str(self.path)):
                raise type(error)(f"{self.path}: {error}") from None
            raise


def told(path: Path, error: DBAPIError | sqlite3.Error) -> StoreError:
    """What SQLite says of this file, and how to go on where it is for its user to do so."""
    why = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(why, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED or str(why).startswith(_NO_TEXT):
        return StoreDamagedError(f"{path}: {why}; {RECOVERY}")
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(f"{path}: {why}")
    return StoreError(f"{path}: {why}")


def _see_that_there_is_a_file(path: Path, create: bool) -> None:
    try:
        if create and not os.path.lexists(path):
            _make(path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise told(path, error) from error
    see_that_it_can_be_one(path)


def see_that_it_can_be_one(path: Path) -> None:
    """
    See that there is a file, and something in it.

    :raises StoreError: there is none.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path}: is not a file")
    if not found.st_size:
        raise StoreDamagedError(f"{path}: it is empty, and a new one is not; {RECOVERY}")


def _make(path: Path) -> None:
    """
    Make a file that is ours. It has its name when it is whole, so that one that is empty is never a
    new one.
    """
    made = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    os.close(os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE))
    try:
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as raw:
            engine = create_engine("sqlite+pysqlite://", creator=lambda: raw, poolclass=NullPool)
            event.listen(engine, "begin", lambda each: each.exec_driver_sql("BEGIN IMMEDIATE"))
            with engine.begin() as connection:
                ensure(connection)
        # Another process may have been quicker.
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        made.unlink()


def _file_at(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    return found.st_dev, found.st_ino


def _close_to_others(path: Path) -> None:
    # SQLite follows a link, and keeps the others beside what it leads to.
    real = Path(os.path.realpath(path))
    for each in (path, *(real.with_name(real.name + behind) for behind in BESIDE)):
        try:
            if stat.S_IMODE(each.stat().st_mode) & ~MODE:
                each.chmod(MODE)
        except OSError as error:
            # One beside it goes with the last who closes.
            if each is path or not isinstance(error, FileNotFoundError):
                raise StoreError(f"{each}: others may read it, and {error.strerror}") from None
