"""
A certificate and its key in two files, which are written by somebody else while we run.

=========================== ====================================================================
the files have              and then
=========================== ====================================================================
a good pair                 it is used
half of one, two that do    the last good one stays in use; it is said once why
not belong together, or
cannot be read
one whose time has not      the same; but where there is no other that is valid it is used, since
come, or is over            clients are then told what is wrong
=========================== ====================================================================
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

from twisted.logger import Logger

from aluvia.edge.certificates import Presented, present
from aluvia.edge.key_pairs import BadPair, untimely
from aluvia.edge.model import KeyPair

__all__ = ["UnreadableFile", "WatchedPair"]

#: The most bytes of one file.
MOST_BYTES = 262_144

#: What a file is like from the outside; None where there is none.
_Look = tuple[int, ...] | None


class UnreadableFile(ValueError):
    """A file cannot be read. The text says why."""


class WatchedPair:
    """
    Two files, and the last good pair that was in them.

    :param domain: see :class:`~aluvia.edge.certificates.Presented`.
    :param certificate: PEM, with its chain behind it.
    :param key: PEM.
    :ivar presented: the last good pair; None if there was none yet.
    """

    def __init__(self, domain: str, certificate: Path, key: Path, log: Logger) -> None:
        self.presented: Presented | None = None
        self._domain = domain
        # As text, which is quicker to look at.
        self._files = str(certificate), str(key)
        self._log = log
        self._looks: tuple[_Look, ...] | None = None
        self._refused = False
        # When what is refused will be good, if time alone makes it so.
        self._good_from = math.inf

    def look(self, now: float) -> bool:
        """
        Read the files if they are not what they were.

        :return: whether there is another pair to use.
        """
        looks = tuple(map(_look_at, self._files))
        if looks == self._looks and now < self._good_from:
            return False
        if self.presented is None and not any(looks):
            return False
        try:
            return self.read(now)
        except ValueError as error:
            self._refused = True
            self._log.warn(
                "The certificate in {path} is not used: {error}",
                path=self._files[0],
                error=error,
            )
            return False

    def look_anew(self) -> None:
        """At the next look, say again what is wrong."""
        if self._refused:
            self._looks = None

    def read(self, now: float) -> bool:
        """
        Read the files.

        :return: whether there is another pair to use.
        :raises ValueError: they have no good one.
        """
        # Whatever is written from here on is seen at the next look.
        self._looks = tuple(map(_look_at, self._files))
        self._good_from = math.inf
        certificate, key = map(_text, self._files)
        pair = KeyPair(cert=certificate, key=key)
        before = self.presented
        if before is not None and before.pair == pair:
            self._refused = False
            return False
        presented = present(pair, self._domain)
        faults = untimely(presented, now)
        if faults and before is not None and not untimely(before, now):
            if now < presented.not_before:
                self._good_from = presented.not_before
            raise BadPair(faults)
        self.presented = presented
        self._refused = False
        if before is not None:
            self._log.info("The certificate in {path} was renewed.", path=self._files[0])
        if faults:
            self._log.warn(
                "The certificate in {path} is used, and clients will refuse it: {fault}",
                path=self._files[0],
                fault=faults[0],
            )
        return True


def _look_at(path: str) -> _Look:
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return (error.errno or -1,)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _text(path: str) -> str:
    name = os.path.basename(path)
    try:
        data = _bytes(path)
        if data is None:
            raise UnreadableFile(f"{name} is no regular file.")
        if len(data) > MOST_BYTES:
            raise UnreadableFile(f"{name} has more than {MOST_BYTES} bytes.")
        return data.decode()
    except OSError as error:
        raise UnreadableFile(f"{name} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        # Its own text would quote the file.
        raise UnreadableFile(f"{name} is no text.") from None


def _bytes(path: str) -> bytes | None:
    """Read a file, or one byte more than is wanted; None for one that is not regular."""
    # Opening a pipe would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(MOST_BYTES + 1)
    finally:
        os.close(descriptor)
