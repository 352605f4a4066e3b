"""
Which wires can be read or written: an epoll of our own, which the reactor watches as one reader.

From an event to a ``doRead`` the reactor's way costs as much as the system call that follows: a log
context kept in a thread-local, two dictionaries, a judgement of what came. Through an epoll of
theirs all wires of a reactor go that way together, once in a turn.

.. code-block:: text

    reactor ── epoll ──┬── listening ports, and whatever else there is
                       └── Readiness ── epoll ──┬── a wire
                                                └── …

While they are told, what they write is **corked**: it goes out when all were told, one
after the other. That is cheaper than to go from Python to the kernel and back for each, by an
eighth of all that a request costs, and two writes to one wire become one.

What an event means is judged as the reactor judges it. The epoll is there, and in the reactor's
books, while there are any wires; where there can be none, the wires themselves are in the books.
"""

from __future__ import annotations

import select
import typing
import weakref

from twisted.internet import main
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["READ", "WRITE", "Readiness", "WatchedByReactor", "readiness_of"]

#: That it can be read, and that it can be written; as epoll has them.
READ, WRITE = 0x1, 0x4

_BROKEN = 0x8 | 0x10  # EPOLLERR, EPOLLHUP

#: Events that are taken at once; the reactor goes on with other things in between. Of more the
#: first would wait for the last, and what is done for them would not stay in the processor's cache:
#: 256 cost a tenth more where so many are ready.
MOST_EVENTS = 64

_log = Logger()


class Corked(typing.Protocol):
    """What has something to send when all wires were told."""

    def ended(self, why: BaseException, *, reading: bool) -> None:
        """It ended with an event, by what it returned or raised."""

    def uncork(self) -> None:
        """Send what it has in :attr:`Readiness.corked`."""


class Watched(Corked, typing.Protocol):
    """
    A wire, as it is seen from here.

    :ivar watched: the events that are waited for: READ, WRITE, both or none (0).
    """

    watched: int

    @property
    def reactor(self) -> typing.Any:
        """Whose."""

    def fileno(self) -> int:
        """Its descriptor, as long as anything is waited for."""

    def doRead(self) -> Exception | None:
        """It can be read; returns its end."""

    def doWrite(self) -> Exception | None:
        """It can be written; returns its end."""

    def connectionLost(self, reason: Failure) -> None:
        """It is lost; waits for nothing from then on."""


@implementer(IReadDescriptor)
class Readiness:
    """
    The wires of one reactor.

    :ivar corked: those with something to send when all were told; None while none is told.
    """

    def __init__(self) -> None:
        self.corked: list[Corked] | None = None
        self._epoll: select.epoll | None = None
        self._wires: dict[int, Watched] = {}

    def watch(self, wire: Watched, events: int) -> None:
        """
        Wait for these events of a wire from now on, and for no others.

        :param events: not what is waited for already.
        """
        fd = wire.fileno()
        epoll = self._epoll
        if epoll is None:
            epoll = self._epoll = select.epoll()
        if not wire.watched:
            epoll.register(fd, events)
            self._wires[fd] = wire
            # Harmless if we are there.
            wire.reactor.addReader(self)
        elif events:
            epoll.modify(fd, events)
        else:
            epoll.unregister(fd)
            del self._wires[fd]
            if not self._wires:
                wire.reactor.removeReader(self)
                epoll.close()
                self._epoll = None

    # What the reactor calls

    def fileno(self) -> int:
        """The epoll's descriptor; -1 while there is none."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def logPrefix(self) -> str:
        """Our name in logs."""
        return "Readiness"

    def doRead(self) -> None:
        """Tell each wire what it waits for, and send what is written meanwhile."""
        if self._epoll is None:
            return
        corked: list[Corked] = []
        self.corked = corked
        try:
            self._tell_all(self._epoll)
        finally:
            self.corked = None
            for wire in corked:
                self._uncork(wire)

    def _tell_all(self, epoll: select.epoll) -> None:
        wires = self._wires
        # By their descriptors now: those of who goes are soon another's.
        for wire, event in [(wires[fd], event) for fd, event in epoll.poll(0, MOST_EVENTS)]:
            if not wire.watched:
                # It went when another one was told.
                continue
            reading = True
            try:
                if event == READ:
                    why: BaseException | None = wire.doRead()
                else:
                    why, reading = _tell(wire, event)
            except BaseException as error:
                # Whatever it is, this wire is lost and the others go on: as in the reactor.
                _log.failure("A connection failed, and is closed")
                why, reading = error, False
            if why is not None:
                self._end(wire, why, reading)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""
        for wire in [*self._wires.values()]:
            try:
                wire.connectionLost(reason)
            except BaseException:
                _log.failure("A connection failed when it was closed")

    def _uncork(self, wire: Corked) -> None:
        try:
            wire.uncork()
        except BaseException as error:
            _log.failure("A connection failed, and is closed")
            self._end(wire, error, False)

    def _end(self, wire: Corked, why: BaseException, reading: bool) -> None:
        try:
            wire.ended(why, reading=reading)
        except BaseException:
            _log.failure("A connection failed when it was closed")


def _tell(wire: Watched, event: int) -> tuple[BaseException | None, bool]:
    """Tell a wire of anything but that it can be read; how it ended, and whether by reading."""
    if event & _BROKEN and not event & READ:
        # Who reads has read everything. Who does not can know of no end, so it is an error.
        if wire.watched & READ:
            return main.CONNECTION_DONE, True
        return main.CONNECTION_LOST, False
    if event & READ:
        why = wire.doRead()
        if why is not None:
            return why, True
    return (wire.doWrite() if event & WRITE else None), False


class WatchedByReactor:
    """The same where there is no epoll; nothing is corked."""

    corked = None

    def watch(self, wire: typing.Any, events: int) -> None:
        """Wait for these events of a wire from now on, and for no others."""
        reactor = wire.reactor
        (reactor.addReader if events & READ else reactor.removeReader)(wire)
        (reactor.addWriter if events & WRITE else reactor.removeWriter)(wire)


_by_reactor = WatchedByReactor()
_of_reactors: weakref.WeakKeyDictionary[object, Readiness] = weakref.WeakKeyDictionary()


def readiness_of(reactor: object) -> Readiness | WatchedByReactor:
    """The one that a reactor has, for as long as it is there."""
    if not hasattr(select, "epoll"):
        return _by_reactor
    found = _of_reactors.get(reactor)
    if found is None:
        found = _of_reactors[reactor] = Readiness()
    return found
