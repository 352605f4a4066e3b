"""
The file of ``--port-file``: where a program that waits for the proxy finds it.

It appears whole or not at all (written beside, then renamed), only when the proxy can be used, and
goes when the proxy does. One left behind by a process that was killed is taken away at the next
start, so that nobody reads yesterday's port from it.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing
from pathlib import Path

from twisted.logger import Logger

log = Logger()

#: More than this is no port file of ours.
FILE_BYTES = 4_096


class PortFile:
    """
    One port file.

    :param path: its absolute name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None

    def take_away_stale(self) -> None:
        """Remove a file whose writer is no more; leave one whose writer lives, or is not ours."""
        if not self._path.is_file():
            # A pipe, say, on which we would wait for ever.
            return
        try:
            with self._path.open("rb") as file:
                content = json.loads(file.read(FILE_BYTES))
        except (OSError, ValueError, RecursionError):
            # Not there, not to be read, or no port file: whatever it is, writing it will tell.
            return
        pid = content.get("pid") if isinstance(content, dict) else None
        if isinstance(pid, int) and 0 < pid < 1 << 31 and pid != os.getpid() and not _runs(pid):
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def write(self, content: typing.Mapping[str, object]) -> None:
        """
        Let it appear, with this content as a JSON object.

        :raises OSError: if it cannot be, with a sentence that names it; nothing is left behind.
        """
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            # A leftover of a process that had our number.
            beside.unlink(missing_ok=True)
            with beside.open("x", encoding="ascii") as file:
                file.write(json.dumps(dict(content)) + "\n")
                status = os.fstat(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise OSError(f"cannot write the port file {self._path}: {error.strerror}") from error
        self._identity = (status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Let it go, unless another process has put its own in its place."""
        identity, self._identity = self._identity, None
        if identity is None:
            return
        try:
            status = self._path.stat()
            if (status.st_dev, status.st_ino) == identity:
                self._path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warn("The port file {path} stays behind: {error}", path=self._path, error=error)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
