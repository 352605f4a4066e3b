"""
Certificates in files: a directory in certbot's layout, and the pair that is the default. Watched.

.. code-block:: text

    DIR/NAME/fullchain.pem, privkey.pem         with DIR certbot's ``live``, or one of your own
    DIR/live/NAME/fullchain.pem, privkey.pem    with DIR certbot's own, ``/etc/letsencrypt``

What NAME is does not matter; the names that a certificate is shown for are those in it. Symbolic
links are followed: a renewal turns them round, one by one.

Every few seconds the files are looked at, and those are read that are not what they were; what
then becomes of a pair is the table in :mod:`aluvia.edge.watched_pair`. One whose directory is gone
is used no more. Where DIR itself cannot be read, all that was in it stays in use, and it is said
once.

It all happens in the reactor's thread, and is bounded: so many pairs, some of them at a time, so
many bytes of a file, and no file but regular ones. At the start they are read at once, which takes
half a millisecond for each.
"""

from __future__ import annotations

import math
import os
import typing
from pathlib import Path

from twisted.logger import Logger

from aluvia.edge.certificates import Presented
from aluvia.edge.watched_pair import WatchedPair
from aluvia.net.deadlines import Deadlines

__all__ = ["CertificateFiles", "Changed"]

log = Logger()

#: Between two rounds of looks at the files; seconds.
LOOK_SECONDS = 5.0

#: How many are looked at without a pause; it takes some 2 ms.
PAIRS_AT_ONCE = 200

#: The most directories that are looked at. The others are left out.
MOST_PAIRS = 10_000

CERTIFICATE, KEY = "fullchain.pem", "privkey.pem"

#: Told all that is good now, and the default pair, if there is one:
#: :meth:`aluvia.edge.certificates.Certificates.use_files`.
Changed = typing.Callable[[typing.Sequence[Presented], Presented | None], object]


class Sweep(Deadlines, typing.Protocol):
    """What we need of a sweep; :class:`aluvia.net.accept.Sweep` is one."""

    now: float


class CertificateFiles:
    """
    Watches certificates in files, from :meth:`start` on.

    :param changed: called once at the start, and after each look that found something else.
    :param directory: see the top of this module.
    :param default: a certificate with its chain, and its key.
    """

    def __init__(
        self,
        sweep: Sweep,
        changed: Changed,
        *,
        directory: Path | None = None,
        default: tuple[Path, Path] | None = None,
        log: Logger = log,
    ) -> None:
        self.deadline = math.inf
        self._sweep = sweep
        self._changed = changed
        self._log = log
        self._directory = directory
        self._default = None if default is None else WatchedPair("", *default, log)
        self._pairs: dict[str, WatchedPair] = {}
        # What was told already: directories that cannot be read, and that there are too many pairs.
        self._unread: set[Path] = set()
        self._too_many = False
        # Those that are still to be looked at in this round.
        self._turn: list[WatchedPair] = []

    def start(self) -> None:
        """
        Read them, and watch them from now on. Bad pairs in the directory are said and left out.

        :raises ValueError: the default pair cannot be used, or the directory cannot be read.
        """
        if self._default is not None:
            try:
                self._default.read(self._sweep.now)
            except ValueError as error:
                raise ValueError(f"The default certificate cannot be used. {error}") from None
        if self._directory is not None:
            try:
                os.scandir(self._directory).close()
            except OSError as error:
                raise ValueError(f"{self._directory} cannot be read: {error.strerror}") from None
        self._list_all()
        for pair in self._pairs.values():
            pair.look(self._sweep.now)
        self._tell()
        self.deadline = self._sweep.now + LOOK_SECONDS
        self._sweep.watch(self)

    def look_now(self) -> None:
        """Look at once, and say again what is wrong."""
        self._unread.clear()
        self._too_many = False
        for pair in self._all():
            pair.look_anew()
        self._turn.clear()
        self._look(MOST_PAIRS + 1)

    def stop(self) -> None:
        """Watch no more."""
        self._sweep.forget(self)

    def deadline_passed(self, now: float) -> None:
        """Look at some; at the next look of the sweep at more, if there are more."""
        self._look(PAIRS_AT_ONCE)
        self.deadline = now if self._turn else now + LOOK_SECONDS

    def _all(self) -> list[WatchedPair]:
        default = [] if self._default is None else [self._default]
        return [*default, *self._pairs.values()]

    def _tell(self) -> None:
        files = [pair.presented for pair in self._pairs.values() if pair.presented is not None]
        self._changed(files, None if self._default is None else self._default.presented)

    def _look(self, most: int) -> None:
        """Look at so many, and tell if something else is to be used."""
        different = False
        if not self._turn:
            different = self._list_all()
            self._turn = self._all()
        turn, self._turn = self._turn[:most], self._turn[most:]
        for pair in turn:
            if pair.look(self._sweep.now):
                different = True
        if different:
            self._tell()

    def _list_all(self) -> bool:
        if self._directory is None:
            return False
        return self._list(self._directory) | self._list(self._directory / "live")

    def _list(self, root: Path) -> bool:
        """See which pairs there are in a directory; return whether one that was used is gone."""
        try:
            found = {os.path.join(root, name) for name in os.listdir(root)}
        except OSError as error:
            if root == self._directory or not isinstance(error, FileNotFoundError):
                if root not in self._unread:
                    self._unread.add(root)
                    self._log.warn(
                        "{path} cannot be read ({error}); the certificates in it stay in use.",
                        path=str(root),
                        error=error.strerror,
                    )
                return False
            found = set()
        self._unread.discard(root)
        known = [path for path in self._pairs if os.path.dirname(path) == str(root)]
        gone = [self._pairs.pop(path) for path in known if path not in found]
        for path in sorted(found.difference(self._pairs)):
            if len(self._pairs) >= MOST_PAIRS:
                self._say_too_many()
                break
            directory = Path(path)
            self._pairs[path] = WatchedPair(
                directory.name, directory / CERTIFICATE, directory / KEY, self._log
            )
        return any(pair.presented is not None for pair in gone)

    def _say_too_many(self) -> None:
        if not self._too_many:
            self._too_many = True
            self._log.warn(
                "{path} has more than {most} directories; some are left out.",
                path=str(self._directory),
                most=MOST_PAIRS,
            )
