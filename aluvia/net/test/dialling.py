"""Fakes for tests of whatever dials: time, names, connects, transports and protocols, in memory."""

from __future__ import annotations

import collections.abc
import queue
import socket
import typing

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.addresses import Address, Addresses, literal
from aluvia.net.deadlines import HasDeadline
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.parent import ParentProxy, ParentProxyDialer


class FakeDeadlines:
    """Watches deadlines of a clock; they pass when :meth:`look` is called."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.watched: set[HasDeadline] = set()

    def watch(self, item: HasDeadline) -> None:
        """Watch it."""
        self.watched.add(item)

    def forget(self, item: HasDeadline) -> None:
        """Watch it no more."""
        self.watched.discard(item)

    def look(self) -> None:
        """Tell those whose deadline has passed."""
        now = self.clock.seconds()
        for item in list(self.watched):
            if item in self.watched and item.deadline <= now:
                item.deadline_passed(now)


class ThreadedClock(Clock):
    """A clock with ``callFromThread``: the calls are made when :meth:`hear` is called."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: queue.SimpleQueue[typing.Callable[[], object]] = queue.SimpleQueue()

    def callFromThread(self, callable: typing.Callable[..., object], *args: object) -> None:
        """Keep the call."""
        self._calls.put(lambda: callable(*args))

    def hear(self) -> None:
        """Wait for one call, and make it."""
        self._calls.get(timeout=10)()

    def heard_all(self) -> bool:
        """Say whether no call waits to be made."""
        return self._calls.empty()


class NamedAddresses:
    """A resolver whose names are a dictionary; ``pending`` ones are answered by hand."""

    def __init__(self, names: dict[str, Addresses | DialError] | None = None) -> None:
        self.names = names or {}
        self.pending: list[PendingLookup] = []

    def lookup(
        self,
        host: str,
        found: typing.Callable[[Addresses], object],
        failed: typing.Callable[[DialError], object],
    ) -> PendingLookup:
        """Answer at once if it is a literal or in the dictionary."""
        pending = PendingLookup(found, failed)
        answer = self.names.get(host) or literal(host)
        if isinstance(answer, DialError):
            failed(answer)
        elif answer is not None:
            found(answer)
        else:
            self.pending.append(pending)
        return pending


class PendingLookup:
    """A look-up that a test answers."""

    def __init__(
        self,
        found: typing.Callable[[Addresses], object],
        failed: typing.Callable[[DialError], object],
    ) -> None:
        self.found = found
        self.failed = failed
        self.cancelled = False

    def cancel(self) -> None:
        """Remember it."""
        self.cancelled = True


class FakeConnect:
    """
    A ``connect`` that a test ends by hand.

    :ivar at_once: what to do before ``connect`` returns, by address: an error to fail with, or
        None to connect.
    """

    def __init__(self) -> None:
        self.attempts: list[FakeAttempt] = []
        self.at_once: dict[str, OSError | None] = {}

    def __call__(
        self,
        reactor: object,
        family: int,
        sockaddr: tuple[str, int],
        connected: typing.Callable[[typing.Any], None],
        failed: typing.Callable[[OSError], None],
    ) -> FakeAttempt:
        """Begin."""
        attempt = FakeAttempt(family, sockaddr, connected, failed)
        self.attempts.append(attempt)
        if sockaddr[0] in self.at_once:
            error = self.at_once[sockaddr[0]]
            if error is None:
                attempt.connect()
            else:
                attempt.fail(error)
        return attempt

    def tried(self) -> list[str]:
        """Return the addresses that were connected to, in order."""
        return [attempt.sockaddr[0] for attempt in self.attempts]

    def open(self) -> list[str]:
        """Return the addresses whose attempts are neither over nor cancelled."""
        return [each.sockaddr[0] for each in self.attempts if not (each.over or each.cancelled)]


class FakeAttempt:
    """One connect."""

    def __init__(
        self,
        family: int,
        sockaddr: tuple[str, int],
        connected: typing.Callable[[typing.Any], None],
        failed: typing.Callable[[OSError], None],
    ) -> None:
        self.family = family
        self.sockaddr = sockaddr
        self.wire = FakeWire()
        self.over = False
        self.cancelled = False
        self._connected = connected
        self._failed = failed

    def connect(self) -> FakeWire:
        """Let it succeed."""
        assert not self.cancelled, "a cancelled attempt has no outcome"
        self.over = True
        self._connected(self.wire)
        return self.wire

    def fail(self, error: OSError) -> None:
        """Let it fail."""
        assert not self.cancelled, "a cancelled attempt has no outcome"
        self.over = True
        self._failed(error)

    def cancel(self) -> None:
        """Remember it."""
        self.cancelled = True


class FakeWire(StringTransport):
    """
    A transport whose protocol can be changed, and whose other end is the test.

    :ivar half_closed: whether our side has ended what it sends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.protocol: typing.Any = None
        self.aborted = False
        self.half_closed = False

    def start(self, protocol: typing.Any) -> None:
        """Become its transport."""
        self.protocol = protocol
        protocol.makeConnection(self)

    def switch_protocol(self, protocol: typing.Any) -> None:
        """Give it what comes from now on."""
        self.protocol = protocol

    def abortConnection(self) -> None:
        """Close at once; the protocol is told when :meth:`lose` is called."""
        self.aborted = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:
        """Remember the FIN."""
        self.half_closed = True

    def deliver(self, data: bytes) -> None:
        """Let bytes come."""
        self.protocol.dataReceived(data)

    def fin(self) -> None:
        """Let the other end's FIN come, as real ones do."""
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.lose()

    def connectionLost(self, reason: Failure) -> None:
        """Tell the protocol; what the reactor calls."""
        self.protocol.connectionLost(reason)

    def lose(self, cause: Exception | None = None) -> None:
        """Let the connection end."""
        if cause is None:
            cause = ConnectionAborted() if self.aborted else ConnectionDone()
        self.protocol.connectionLost(Failure(cause))

    @property
    def closing(self) -> bool:
        """Say whether our side has closed it."""
        return bool(self.aborted or self.disconnecting)


class FakeDialer:
    """A dialer that a test ends by hand."""

    def __init__(self) -> None:
        self.dials: list[FakeDial] = []

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: typing.Callable[[DialError], object],
    ) -> FakeDial:
        """Begin."""
        dial = FakeDial(host, port, protocol, failed)
        self.dials.append(dial)
        return dial


class FakeDial:
    """One dial."""

    def __init__(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: typing.Callable[[DialError], object],
    ) -> None:
        self.host = host
        self.port = port
        self.protocol = protocol
        self.failed = failed
        self.cancelled = False
        self.wire = FakeWire()

    def connect(self) -> FakeWire:
        """Let it succeed."""
        self.wire.start(self.protocol)
        return self.wire

    def cancel(self) -> None:
        """Remember it."""
        self.cancelled = True


@implementer(IProtocol)
class Recorder:
    """A protocol, and a ``failed``, that keep what they are told."""

    def __init__(self) -> None:
        self.transport: typing.Any = None
        self.connections = 0
        self.data: list[bytes] = []
        self.lost: list[Failure] = []
        self.errors: list[DialError] = []
        self.when_connected: typing.Callable[[], object] = lambda: None
        self.factory: typing.Any = None

    def makeConnection(self, transport: typing.Any) -> None:
        """Keep the transport."""
        self.transport = transport
        self.connections += 1
        self.connectionMade()

    def connectionMade(self) -> None:
        """Do what the test wants."""
        self.when_connected()

    def dataReceived(self, data: bytes) -> None:
        """Keep the bytes."""
        self.data.append(data)

    def connectionLost(self, reason: Failure) -> None:
        """Keep the reason."""
        self.lost.append(reason)

    def failed(self, error: DialError) -> None:
        """Keep the error."""
        self.errors.append(error)

    def outcome(self) -> tuple[int, list[str]]:
        """Return how often it was connected, and the names of its errors."""
        return self.connections, [error.error for error in self.errors]


def addresses(*hosts: str) -> Addresses:
    """Return these literals, in this order."""
    return tuple(
        Address(socket.AF_INET6 if ":" in host else socket.AF_INET, host) for host in hosts
    )


class FakeGetAddrInfo:
    """``getaddrinfo`` of a dictionary: addresses, an error to raise, or a call that gives them."""

    def __init__(self, names: dict[str, typing.Any]) -> None:
        self.names = names
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def __call__(
        self, host: bytes, port: None, /, *, type: int
    ) -> collections.abc.Iterable[tuple[int, int, int, str, tuple[typing.Any, ...]]]:
        """Answer as the system does; runs in a thread."""
        name = host.decode("ascii")
        self.asked.put(name)
        answer = self.names.get(name, socket.gaierror(socket.EAI_NONAME, "Name not known"))
        if callable(answer):
            answer = answer()
        if isinstance(answer, BaseException):
            raise answer
        return [
            (socket.AF_INET6, type, 6, "", (each, 0, 0, 0))
            if ":" in each
            else (socket.AF_INET, type, 6, "", (each, 0))
            for each in answer
        ]


class Through:
    """A dialer that goes through one parent, for tests that take any dialer."""

    def __init__(self, dialer: ParentProxyDialer, parent: ParentProxy) -> None:
        self._dialer = dialer
        self._parent = parent

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: typing.Callable[[DialError], object],
    ) -> Dialing:
        """Dial through it."""
        return self._dialer.dial(self._parent, host, port, protocol, failed)
