"""
The configuration that is in force, and the one way in which it changes.

.. code-block:: text

    a change
    -----------  ---------------------------------------------------------------------------------
    waits        for those before it, in their order, up to :data:`MOST_WAITING`; who leaves now has
                 changed nothing
    is edited    a snapshot is made of the one that is in force; 404, 409, 412
    is judged    as a whole; 422
    is prepared  all that can fail is made, and not used yet; 422
    is kept      what is different, in one transaction, which is on the disk when it is over; 507
                 where that is full, 503 where it fails, 422 for what could not be read again
    is in force  then it is told

Until it is kept, whatever fails leaves everything as it was. From then on it goes to its end,
whether anybody waits for that or not: what is on the disk and what is in force are never two
things.
"""

from __future__ import annotations

import functools
import typing

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.api.problems import RETRY_AFTER, Problem, busy
from aluvia.api.watch import Watch
from aluvia.edge import stored
from aluvia.edge.events import Event, EventBus, EventName
from aluvia.edge.fields import DIALERS
from aluvia.edge.model import Certificate, Route, Snapshot
from aluvia.edge.snapshots import see_that_it_can_be
from aluvia.edge.stored import Difference
from aluvia.store.engine import Store
from aluvia.store.errors import StoreBusyError, StoreDamagedError, StoreError, StoreFullError

__all__ = ["CHANGED", "Apply", "Configuration", "Edit", "Live"]

#: Changes that wait for the one that is made, at most.
MOST_WAITING = 64

#: Who may wait for a change, at most: each holds a connection of the API, and is shown what may be
#: all of it.
MOST_WATCHING = 64

#: What :attr:`Configuration.watch` is told of.
CHANGED = "configuration"

log = Logger()

T = typing.TypeVar("T")

#: Makes the snapshot that is wanted of the one that there is; raises
#: :class:`~aluvia.api.problems.Problem`.
Edit = typing.Callable[[Snapshot], Snapshot]

#: Puts in force what was prepared, and does not fail.
Apply = typing.Callable[[], None]


class Live(typing.Protocol):
    """What works by the configuration: the data path."""

    def prepare(self, before: Snapshot, after: Snapshot) -> Apply:
        """
        Make all that can fail: contexts, entry points.

        :raises Problem: 422.
        """


class Configuration:
    """
    The configuration.

    :param store: open.
    :param bus: is told of routes and certificates that changed, once they have.
    :param dialers: what an ``endpoint`` in the store may begin with.
    :ivar state: what is in force; not to be changed, and another one after each change.
    :ivar store_name: known since the start.
    :ivar watch: of :data:`CHANGED`.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        bus: EventBus,
        clock: IReactorTime,
        *,
        dialers: typing.Collection[str] = DIALERS,
        log: Logger = log,
    ) -> None:
        self.state = Snapshot()
        self.store_name = ""
        self.watch = Watch(clock, MOST_WATCHING, MOST_WATCHING)
        self._store = store
        self._live = live
        self._bus = bus
        self._clock = clock
        self._dialers = dialers
        self._log = log
        self._lock = DeferredLock()
        self._waiting = 0
        self._over = False

    async def start(self) -> None:
        """
        Read what is kept, and put it in force. Changes wait for that.

        :raises StoreError: it cannot be read, or a document in it, which it names; then nothing can
            be changed any more.
        """
        # A change that comes before all is read would be one of an empty snapshot.
        await self._lock.acquire()
        try:
            found = await self._store.read(functools.partial(stored.load, dialers=self._dialers))
            try:
                apply = self._live.prepare(Snapshot(), found.snapshot)
            except Problem as problem:
                raise StoreDamagedError(
                    f"{self._store.path}: {stored.why_unusable(problem)}"
                ) from None
            self.store_name = found.name
            self.state = found.snapshot
            apply()
        except BaseException:
            # Those that wait have nothing to change.
            self._over = True
            raise
        finally:
            self._lock.release()

    async def stop(self) -> None:
        """Take no more changes, let everybody go who waits, and see the last one to its end."""
        self._over = True
        self.watch.end()
        await self._lock.acquire()
        self._lock.release()

    async def change(self, edit: Edit, *, dry_run: bool = False) -> Snapshot:
        """
        Change it. It is on the disk, and in force, when this returns.

        :param edit: called when its turn has come, with what is in force then.
        :param dry_run: go as far as can be without changing anything.
        :return: what is in force; or would be, with revisions of 0 for what would change.
        :raises Problem: nothing was changed; it says why.
        """
        if self._waiting >= MOST_WAITING:
            raise busy("Too many changes wait already.")
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        # It releases the lock.
        return await _to_its_end(Deferred.fromCoroutine(self._change(edit, dry_run)), self._log)

    async def _change(self, edit: Edit, dry_run: bool) -> Snapshot:
        try:
            if self._over:
                raise Problem(503, "draining", "It is about to end, and changes no more.")
            before = self.state
            after = edit(before)
            changes = stored.differences(before, after)
            if not changes:
                return before
            see_that_it_can_be(after)
            apply = self._live.prepare(before, after)
            if dry_run:
                return after
            kept = await self._keep(before, after, changes)
            self.state = kept
            apply()
            self._tell(changes)
            return kept
        finally:
            self._lock.release()

    async def _keep(self, before: Snapshot, after: Snapshot, changes: list[Difference]) -> Snapshot:
        write = functools.partial(
            stored.keep, before=before, after=after, changes=changes, dialers=self._dialers
        )
        try:
            return await self._store.write(write)
        except StoreBusyError:
            raise busy("Too much waits for the store.") from None
        except StoreFullError as error:
            self._log.error("A change could not be kept: {error}", error=error)
            raise Problem(507, "store_full", "There is no room to keep it.") from None
        except StoreError as error:
            self._log.error("A change could not be kept: {error}", error=error)
            retry = [(b"Retry-After", RETRY_AFTER)]
            raise Problem(503, "store_unavailable", "It could not be kept.", fields=retry) from None

    def _tell(self, changes: list[Difference]) -> None:
        at = self._clock.seconds()
        for each in changes:
            if each.change == "moved":
                # It is as it was.
                continue
            thing = each.after or each.before
            if isinstance(thing, Route):
                data = {"id": thing.id, "vHost": thing.v_host, "change": each.change}
                self._bus.publish(Event(EventName.ROUTE_CHANGED, data, at))
            elif isinstance(thing, Certificate):
                data = {"domain": thing.domain, "change": each.change}
                self._bus.publish(Event(EventName.CERTIFICATE_CHANGED, data, at))
        self.watch.changed(CHANGED)


def _to_its_end(work: Deferred[T], log: Logger) -> Deferred[T]:
    """What comes of some work; who does not wait for it any more does not end it."""
    told: Deferred[T] = Deferred()

    def failed(failure: Failure) -> None:
        if told.called and failure.check(Problem) is None:
            log.failure("A change that nobody waits for any more failed.", failure)
        told.errback(failure)

    work.addCallbacks(told.callback, failed)
    return told
