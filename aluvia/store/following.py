"""
Following a store that other processes change too.

It is looked at twice a second: SQLite has a number for that (``data_version``), which costs next to
nothing to ask, and only when it has changed is anything read, in the store's thread. A store that
cannot be read leaves what is known, and is looked at again.
"""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aluvia.store.engine import Store
from aluvia.store.errors import StoreError

__all__ = ["LOOK_SECONDS", "Following", "Read"]

#: Between two looks at the store; seconds.
LOOK_SECONDS = 0.5

#: Reads what has changed. Returns whether all is known now; if not, it is called at the next look
#: too, whatever has changed by then.
Read = typing.Callable[[], typing.Coroutine["Deferred[typing.Any]", object, bool]]


class Following:
    """
    Looks at a store.

    :param store: open.
    :param what: what is followed, in the plural, as the log says it.
    :param read: called when the file has changed; one call at a time.
    :param log: of whoever follows.
    :ivar problem: why the store could not be looked at, if that is so; one line.
    """

    def __init__(
        self, store: Store, clock: IReactorTime, what: str, read: Read, *, log: Logger
    ) -> None:
        self.problem: str | None = None
        self._store = store
        self._what = what
        self._read = read
        self._log = log
        #: The number of the file that is known; None when it is to be read whatever it is.
        self._version: int | None = None
        self._looking: Deferred[None] | None = None
        self._looks = LoopingCall(self.look_now)
        self._looks.clock = clock

    async def start(self) -> None:
        """
        Read, and look for changes from then on.

        :raises StoreError: it cannot be read.
        """
        await self._look()
        self._looks.start(LOOK_SECONDS, now=False)

    async def stop(self) -> None:
        """Look no more."""
        if self._looks.running:
            self._looks.stop()
        if self._looking is not None:
            # It waits for a thread that ends with the store, not for anybody else.
            self._looking.cancel()

    def forget(self) -> None:
        """Read at the next look, whether the file has changed or not."""
        self._version = None

    async def look_now(self) -> None:
        """
        Look, without waiting for the next time; unless a look is under way. What goes wrong is
        logged once, until it is right again: a store that cannot be read now may be so next time.
        """
        if self._looking is not None:
            return
        self._looking = Deferred.fromCoroutine(self._look())
        try:
            await self._looking
        except CancelledError:
            pass
        except StoreError as error:
            if self.problem != str(error):
                self._log.error(
                    "The {what} cannot be looked at: {error}", what=self._what, error=error
                )
            self.problem = str(error)
        except Exception as error:
            # A fault of ours, or a row that is not as we write it; it must not be the last look.
            problem = f"looking at the {self._what} failed with {type(error).__name__}"
            if self.problem != problem:
                self._log.failure("Looking at the {what} failed.", what=self._what)
            self.problem = problem
        else:
            if self.problem is not None:
                self._log.info("The {what} can be looked at again.", what=self._what)
            self.problem = None
        finally:
            self._looking = None

    async def _look(self) -> None:
        # First, so that a change between the two is found at the next look.
        version = await self._store.version()
        if version != self._version and await self._read():
            self._version = version
