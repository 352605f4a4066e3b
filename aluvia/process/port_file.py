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

__all__ = ["PortFile", "read", "runs"]

log = Logger()

#: More than this is no port file of ours. (An agent's names all of its tunnels.)
FILE_BYTES = 1_048_576


def read(path: Path) -> dict[str, typing.Any] | None:
    """
    What a port file says, ``pid`` in any case; None if it is none.

    :raises OSError: it is not there, or not to be read.
    """
    if not path.is_file() and path.exists():
        # A pipe, say, on which we would wait for ever.
        return None
    with path.open("rb") as file:
        data = file.read(FILE_BYTES)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    pid = content.get("pid") if isinstance(content, dict) else None
    return content if isinstance(pid, int) and 0 < pid < 1 << 31 else None


def runs(pid: int) -> bool:
    """Whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
        try:
            content = read(self._path)
        except OSError:
            # Whatever it is, writing it will tell.
            return
        if content is not None and content["pid"] != os.getpid() and not runs(content["pid"]):
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
