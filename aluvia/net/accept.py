"""
What keeps a door in bounds: one sweep over all deadlines, a cap on connections, and an orderly end.

:class:`Sweep`
    A coarse clock. Everything that must not take for ever has a ``deadline``, an absolute one, and
    is looked at once a second. A timer per connection would cost half a kilobyte each, and most of
    a microsecond every time that one is moved.
:class:`Admission`
    Counts connections, and holds the ports when there are enough of them or descriptors run short.
    One address may be given a cap of its own (:mod:`aluvia.net.per_address`).
:class:`Drain`
    Stops listening, and lets what is alive come to its end, for so long.
"""

from __future__ import annotations

import collections.abc
import math
import os
import typing
from types import ModuleType

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper

from aluvia.net.deadlines import HasDeadline
from aluvia.net.per_address import PerAddress
from aluvia.net.ports import ServerWire, WirePort

resource: ModuleType | None
try:
    import resource
except ImportError:  # Not a POSIX system.
    resource = None

__all__ = ["Admission", "Clock", "Drain", "Sweep", "open_descriptors"]

_log = Logger()


class Clock(typing.Protocol):
    """What we need of a reactor."""

    def seconds(self) -> float:
        """Return the time."""

    def callLater(
        self, delay: float, callable: collections.abc.Callable[..., typing.Any], *args: object
    ) -> IDelayedCall:
        """Call it later."""


class Sweep:
    """
    Looks at all deadlines, again and again, from its making until :meth:`stop`.

    A deadline is noticed no sooner than it passes, and up to one interval later. An item stays
    until it is forgotten; one whose deadline has passed and stays so is called at each look.

    :ivar now: the clock's seconds at the last look: good enough to set a deadline by, and free.
    """

    def __init__(self, clock: Clock, interval: float = 1.0) -> None:
        self.now = clock.seconds()
        self._clock = clock
        self._interval = interval
        self._items: set[HasDeadline] = set()
        self._call: IDelayedCall | None = clock.callLater(interval, self._look)

    def __len__(self) -> int:
        """How many items are watched."""
        return len(self._items)

    def watch(self, item: HasDeadline) -> None:
        """Call ``item.deadline_passed(now)`` when its deadline has passed."""
        self._items.add(item)

    def forget(self, item: HasDeadline) -> None:
        """Watch it no more. Harmless for one that is not watched."""
        self._items.discard(item)

    def stop(self) -> None:
        """Leave no timer."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        # The next look is arranged first, so that nothing that happens in this one can prevent it.
        self._call = self._clock.callLater(self._interval, self._look)
        self.now = now = self._clock.seconds()
        for item in [item for item in self._items if item.deadline <= now]:
            # An earlier one may have ended it, or moved its deadline.
            if item in self._items and item.deadline <= now:
                try:
                    item.deadline_passed(now)
                except Exception:
                    # It would fail again, every second.
                    self._items.discard(item)
                    _log.failure("An item of the sweep failed at its deadline.")


def open_descriptors() -> int:
    """How many descriptors this process has open; 0 if the system does not tell."""
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            # Linux 6.2 and later tell the count as the size, without a list to go through.
            return os.stat(directory).st_size if _SIZE_IS_COUNT else len(os.listdir(directory))
        except OSError:
            continue
    return 0


def _size_is_count() -> bool:
    try:
        return os.stat("/proc/self/fd").st_size > 0
    except OSError:
        return False


_SIZE_IS_COUNT = _size_is_count()


class Admission:
    """
    Counts the connections of some ports, and holds the ports at a bound.

    There are two bounds. ``max_connections`` is exact. The descriptors are counted once per look of
    the sweep, and what is left of their share is divided by two, since a connection may need an
    upstream; so many are admitted until the next look.

    Held ports are let go when there is room for a twentieth of the bound, so that a door at its
    limit does not open and close for each.

    :ivar count: connections that are open.
    :ivar held: whether the ports are held.
    :param max_connections_per_address: how many may be open from one address, over all ports; more
        are reset (:class:`~aluvia.net.per_address.PerAddress`). None for no such cap.
    :param descriptor_limit: how many descriptors the process may have (``RLIMIT_NOFILE``).
    :param descriptors: tells how many it has.
    """

    #: The sweep calls us at every look.
    deadline = -math.inf

    def __init__(
        self,
        ports: collections.abc.Iterable[WirePort],
        sweep: Sweep,
        max_connections: int,
        descriptor_share: float = 0.9,
        *,
        max_connections_per_address: int | None = None,
        descriptor_limit: int | None = None,
        descriptors: collections.abc.Callable[[], int] = open_descriptors,
    ) -> None:
        self.count = 0
        self.held = False
        self._ports = tuple(ports)
        self._sweep = sweep
        self._max = max_connections
        self._resume = max_connections - max(1, max_connections // 20)
        limit = descriptor_limit_of_process() if descriptor_limit is None else descriptor_limit
        self._most_descriptors = descriptor_share * limit
        self._descriptors = descriptors
        self._room = math.inf
        most = max_connections_per_address
        self._crowd = None if most is None else PerAddress(sweep, most)
        self.deadline_passed(sweep.now)
        for port in self._ports:
            self.count += len(port.wires)
            port.counter = self
            port.crowd = self._crowd
            if self._crowd is not None:
                for wire in port.wires:
                    self._crowd.entered(wire.peer[0])
        sweep.watch(self)

    @property
    def refused(self) -> int:
        """How many connections were refused, for want of room for one more of their address."""
        return 0 if self._crowd is None else self._crowd.refused

    def opened(self) -> None:
        """A port has accepted one."""
        self.count += 1
        self._room -= 1
        if not self.held and (self.count >= self._max or self._room <= 0):
            self._hold()

    def closed(self) -> None:
        """One of a port has closed."""
        self.count -= 1
        self._room += 1
        if self.held:
            self._perhaps_let_go()

    def deadline_passed(self, now: float) -> None:
        """Count the descriptors."""
        self._room = (self._most_descriptors - self._descriptors()) // 2
        if self.held:
            self._perhaps_let_go()
        elif self._room <= 0:
            self._hold()

    def stop(self) -> None:
        """Count no more, and hold nothing."""
        self._sweep.forget(self)
        for port in self._ports:
            port.counter = port.crowd = None
            port.let_go(self)
        self.held = False

    def _hold(self) -> None:
        self.held = True
        _log.warn("Accepting pauses at {count} connections.", count=self.count)
        for port in self._ports:
            port.hold(self)

    def _perhaps_let_go(self) -> None:
        if self.count <= self._resume and self._room > self._most_descriptors // 40:
            self.held = False
            _log.info("Accepting goes on at {count} connections.", count=self.count)
            for port in self._ports:
                port.let_go(self)


def descriptor_limit_of_process() -> float:
    """``RLIMIT_NOFILE``, which is infinite where there is none."""
    if resource is None:
        return math.inf
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else soft


@typing.runtime_checkable
class Draining(typing.Protocol):
    """A protocol that can be told that its door closes."""

    def drain(self) -> None:
        """Finish what runs, and close; at once if nothing does."""


class Drain:
    """
    The end of a door.

    .. code-block:: text

        LISTENING  begin() -> DRAINING: the ports stop listening, and each connection's protocol is
                              told, if it has a ``drain``
        DRAINING   the last connection closes -> OVER;  the timeout, or begin() again -> ABORTED
        ABORTED    every connection is reset; the last one is gone -> OVER

    :param timeout: how long connections may take; seconds.
    """

    def __init__(
        self, ports: collections.abc.Iterable[WirePort], clock: Clock, timeout: float
    ) -> None:
        self._ports = tuple(ports)
        self._clock = clock
        self._timeout = timeout
        self._timer: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        self._listening = 0
        self._begun = False
        self._over = False

    def begin(self) -> Deferred[None]:
        """
        Stop listening and drain. A second call means: stop now.

        :return: fires when no port listens and no connection is left.
        """
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        if self._over:
            self._fire()
        elif self._begun:
            self._abort()
        else:
            self._begun = True
            self._start()
        return done

    def _start(self) -> None:
        self._listening = len(self._ports)
        for port in self._ports:
            port.emptied = self._check
            stopped: Deferred[None] | None = port.stopListening()
            if stopped is None:
                self._listening -= 1
            else:
                stopped.addErrback(_log_failure)
                stopped.addCallback(self._stopped)
        for wire in self._wires():
            protocol: object = wire.protocol
            while isinstance(protocol, ProtocolWrapper):
                protocol = protocol.wrappedProtocol
            if isinstance(protocol, Draining):
                protocol.drain()
        if not self._over:
            self._timer = self._clock.callLater(self._timeout, self._timed_out)
            self._check()

    def _wires(self) -> list[ServerWire]:
        return [wire for port in self._ports for wire in port.wires]

    def _stopped(self, _: object) -> None:
        self._listening -= 1
        self._check()

    def _timed_out(self) -> None:
        self._timer = None
        self._abort()

    def _abort(self) -> None:
        for wire in self._wires():
            wire.abortConnection()

    def _check(self) -> None:
        """See whether it is over."""
        if self._over or self._listening or any(port.wires for port in self._ports):
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for port in self._ports:
            port.emptied = None
        self._fire()

    def _fire(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done.callback(None)


def _log_failure(failure: typing.Any) -> None:
    _log.failure("A port did not close in order.", failure)
