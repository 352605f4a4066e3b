"""
The last good configuration on disk, so that a start does not need the API.

It holds the gateway's password: it is readable for its owner alone, from the moment that it is
made. It is replaced whole, by a rename, so that whenever the process ends there is the old one or
the new one. It belongs to one token at one address: what another wrote is not read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from pathlib import Path

from twisted.logger import Logger

from aluvia.client.config import BadConfigurationError, User, read_user

log = Logger()

VERSION = 1

_visible = re.compile("[!-~]+", re.ASCII).fullmatch

#: Longer than any answer of an API, written as JSON.
FILE_BYTES = 8_388_608


class StateFile:
    """
    One file.

    :param url: what is asked at the API.
    :param token: with which token; only a hash of the two is written.
    """

    def __init__(self, path: Path, url: str, token: str, log: Logger = log) -> None:
        self.path = path
        self._log = log
        digest = hashlib.sha256(f"{url}\n{token}".encode("utf-8", "surrogateescape"))
        self._account = digest.hexdigest()
        self._failed = False

    def read(self) -> tuple[User, str | None] | None:
        """
        The configuration and its ETag; None if there is none of ours, which is logged.

        An ETag is visible ASCII, or none.
        """
        try:
            return self._read(json.loads(_contents(self.path)))
        except FileNotFoundError:
            return None
        except OSError as error:
            why = error.strerror or str(error)
        except BadConfigurationError as error:
            why = str(error)
        except (ValueError, RecursionError):
            why = "it is no JSON"
        self._log.warn("The state file {path} is not used: {why}", path=str(self.path), why=why)
        return None

    def write(self, user: User, etag: str | None) -> None:
        """Replace what is there. That it cannot be written is logged once, and harms nothing."""
        kept = {
            "version": VERSION,
            "account": self._account,
            "etag": etag,
            "user": user.fields(),
        }
        try:
            _replace(self.path, json.dumps(kept).encode("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            # Fields that we know nothing of may be nested as deep as can just be read.
            if not self._failed:
                self._log.warn(
                    "The state file {path} cannot be written: {why}",
                    path=str(self.path),
                    why=getattr(error, "strerror", None) or error,
                )
            self._failed = True
        else:
            self._failed = False

    def _read(self, kept: object) -> tuple[User, str | None]:
        if not isinstance(kept, dict) or kept.get("version") != VERSION:
            raise BadConfigurationError("It is of another version.")
        if kept.get("account") != self._account:
            raise BadConfigurationError("It belongs to another token, or to another API.")
        return read_user(kept.get("user")), _sendable(kept.get("etag"))


def _sendable(etag: object) -> str | None:
    # Of anything else the header of a question would make an error, or another header. Without an
    # ETag the next answer is a whole one, which is no harm.
    return etag if isinstance(etag, str) and _visible(etag) else None


def _contents(path: Path) -> bytes:
    """
    :raises OSError: it cannot be read.
    :raises BadConfigurationError: others may have written it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BadConfigurationError("It is no regular file.")
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise BadConfigurationError("Others than its owner may write it.")
        return file.read(FILE_BYTES)


def _replace(path: Path, data: bytes) -> None:
    """
    Put a new file in the place of an old one.

    :raises OSError: that cannot be; nothing is left of it then.
    :raises ValueError: that is no name for a file, or something else than a file has it.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no regular file")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write_new(beside, data)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _write_new(path: Path, data: bytes) -> None:
    """Make a file for its owner alone, with all of the data on the disk."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
