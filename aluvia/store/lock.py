"""
The lock of a store that is one process's alone: whoever keeps in memory what is in the file.

It is a ``flock`` on a file of its own, ``FILE.lock``. Of the store's file itself the locks are
SQLite's, which are POSIX's: those go with the first descriptor of the file that their process
closes. The lock goes with its process, however that ends. The file stays: to remove it would let
two have a lock each, on two files of one name. It has nothing in it, and the store's mode, so that
nobody else takes the lock.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from aluvia.store.database import MODE
from aluvia.store.errors import StoreError, StoreInUseError

__all__ = ["StoreLock"]


class StoreLock:
    """
    A lock that is held until :meth:`release`.

    :param path: the store's; a link stands for what it leads to.
    :raises StoreInUseError: another one holds it.
    :raises StoreError: it cannot be had.
    """

    def __init__(self, path: Path) -> None:
        name = os.path.realpath(path) + ".lock"
        try:
            self._file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, MODE)
        except OSError as error:
            raise StoreError(f"{name}: {error.strerror}") from None
        try:
            if stat.S_IMODE(os.fstat(self._file).st_mode) & ~MODE:
                os.fchmod(self._file, MODE)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            if isinstance(error, BlockingIOError):
                detail = f"another process works with it, and holds {name}; one at a time can"
                raise StoreInUseError(f"{path}: {detail}") from None
            raise StoreError(f"{name}: {error.strerror}") from None

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)
