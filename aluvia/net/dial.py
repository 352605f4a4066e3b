"""
Dialling: a host and a port become a connected protocol, or a :class:`DialError` that says why not.

Whatever can carry bytes is a :class:`Dialer`, found by name in the table :class:`Dialers` that a
service fills. This is the plainest of them, TCP, the way of every other:

.. code-block:: text

    state        leaves on
    -----------  ---------------------------------------------------------------------
    RESOLVING    found -> CONNECTING;  failed, or the deadline (dns_timeout) -> OVER
    CONNECTING   the first attempt that connects -> OVER, the others are cancelled;
                 no attempt left, or the deadline (connection_timeout) -> OVER
    OVER         nothing is called any more, nothing is held

An attempt begins with the guard: an address that it refuses is passed over, and if all are, its
refusal is the answer. What it was asked about is what is connected to. Attempts follow one
another as in RFC 8305: the next starts when one fails, or a quarter of a second after the last.

A literal or a remembered name goes through these states before :meth:`Dialer.dial` returns, and
if it has but one address, without a timer: the deadline is watched by the sweep.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IDelayedCall, IProtocol

from aluvia.net.addresses import Address, Addresses
from aluvia.net.deadlines import Deadlines
from aluvia.net.errors import DialError, dial_error
from aluvia.net.ports import ClientWire
from aluvia.net.resolve import Failed, Found, Lookup

__all__ = [
    "Connect",
    "ConnectedWire",
    "DialError",
    "DialReactor",
    "Dialer",
    "Dialers",
    "Dialing",
    "Names",
    "TCPDialer",
]

#: RFC 8305 §5, "Connection Attempt Delay".
ATTEMPT_DELAY = 0.25


class Dialing(typing.Protocol):
    """A dial that was begun."""

    def cancel(self) -> None:
        """
        Leave nothing of it; neither the protocol nor ``failed`` is called any more.

        Once one of them was called it does nothing: the connection is the protocol's.
        """


class Dialer(typing.Protocol):
    """One way to carry bytes to a host and a port."""

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: Failed,
    ) -> Dialing:
        """
        Connect a protocol.

        Exactly one of two things happens, unless the dial is cancelled, and either may happen
        before this returns: ``protocol.makeConnection`` is called, or ``failed`` is.

        :param host: canonical (see :mod:`aluvia.wire.target`): a name, or a literal without
            brackets.
        :param port: 1–65535.
        """


class Dialers:
    """
    The table of dialers, by name: ``tcp``, ``tls``.

    A service fills it once, before anything is dialled.
    """

    def __init__(self) -> None:
        self._dialers: dict[str, Dialer] = {}

    def add(self, name: str, dialer: Dialer) -> None:
        """
        Enter a dialer.

        :raises ValueError: if the name is taken.
        """
        if name in self._dialers:
            raise ValueError(f"There is a dialer {name!r} already.")
        self._dialers[name] = dialer

    def __getitem__(self, name: str) -> Dialer:
        """
        Return the dialer of this name.

        :raises KeyError: if there is none.
        """
        return self._dialers[name]


class ConnectedWire(typing.Protocol):
    """A connected transport that reads nothing yet."""

    def start(self, protocol: typing.Any) -> None:
        """Make it the protocol's transport, and begin to read."""


class _Cancellable(typing.Protocol):
    def cancel(self) -> None: ...


class Connect(typing.Protocol):
    """
    One ``connect`` that does not block, such as :meth:`aluvia.net.connecting.ClientWire.connect`.
    """

    def __call__(
        self,
        reactor: typing.Any,
        family: int,
        sockaddr: tuple[str, int],
        connected: typing.Callable[[typing.Any], None],
        failed: typing.Callable[[OSError], None],
        /,
    ) -> _Cancellable:
        """
        Connect a socket of our own.

        One of the two is called, at once or later, unless the handle is cancelled.

        :param connected: called with a :class:`ConnectedWire`.
        """


class DialReactor(typing.Protocol):
    """What we need of a reactor; ``connect`` may need more."""

    def seconds(self) -> float:
        """Return the time."""

    def callLater(
        self, delay: float, callable: typing.Callable[..., typing.Any], *args: object
    ) -> IDelayedCall:
        """Call it later."""


class Names(typing.Protocol):
    """What turns names into addresses; :class:`aluvia.net.resolve.Resolver` does."""

    def lookup(self, host: str, found: Found, failed: Failed) -> Lookup:
        """Call one of the two, at once or later."""


class _Addresses(typing.Protocol):
    def check(self, address: str, port: int) -> None: ...


#: Of several addresses that failed, the first of these is reported: what we refuse ourselves, then
#: what a peer says, then what we know without one.
_MOST_TELLING = (
    "proxy_loop_detected",
    "destination_ip_prohibited",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "destination_unavailable",
    "connection_limit_reached",
    "destination_ip_unroutable",
)


def _telling(error: DialError) -> int:
    name = error.error
    return _MOST_TELLING.index(name) if name in _MOST_TELLING else len(_MOST_TELLING)


class TCPDialer:
    """
    Dials TCP.

    :param resolver: gives the addresses of a host.
    :param guard: refuses addresses.
    :param deadlines: ends a dial at its deadline.
    :param connect: connects one socket.
    :param connect_timeout: for the whole of a dial, resolving included; seconds.
    """

    def __init__(
        self,
        reactor: DialReactor,
        resolver: Names,
        guard: _Addresses,
        deadlines: Deadlines,
        *,
        connect: Connect = ClientWire.connect,
        connect_timeout: float = 10.0,
    ) -> None:
        self.reactor = reactor
        self.resolver = resolver
        self.guard = guard
        self.deadlines = deadlines
        self.connect = connect
        self.connect_timeout = connect_timeout

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: Failed,
    ) -> Dialing:
        """Connect a protocol; see :meth:`Dialer.dial`."""
        dialing = _TCPDialing(self, port, protocol, failed)
        dialing.begin(host)
        return dialing


class _TCPDialing:
    """One dial, from the look-up to the first connection."""

    __slots__ = (
        "_addresses",
        "_attempts",
        "_dialer",
        "_error",
        "_failed",
        "_lookup",
        "_next",
        "_over",
        "_port",
        "_protocol",
        "_stagger",
        "deadline",
    )

    def __init__(self, dialer: TCPDialer, port: int, protocol: IProtocol, failed: Failed) -> None:
        self._dialer = dialer
        self._port = port
        self._protocol = protocol
        self._failed = failed
        self._lookup: Lookup | None = None
        self._addresses: Addresses = ()
        self._next = 0
        self._attempts: list[_Attempt] = []
        self._stagger: IDelayedCall | None = None
        self._error: DialError | None = None
        self._over = False
        self.deadline = dialer.reactor.seconds() + dialer.connect_timeout

    def begin(self, host: str) -> None:
        """Go through as many states as go at once."""
        lookup = self._dialer.resolver.lookup(host, self._found, self._fail)
        if not self._over:
            if not self._addresses:
                self._lookup = lookup
            self._dialer.deadlines.watch(self)

    def cancel(self) -> None:
        """Leave nothing; see :meth:`Dialing.cancel`."""
        if not self._over:
            self._end()

    def deadline_passed(self, now: float) -> None:
        """Say what it was that took too long."""
        if self._over:
            return
        if self._addresses:
            self._fail(DialError("connection_timeout", 504, "The address did not answer in time."))
        else:
            self._fail(DialError("dns_timeout", 504, "The name was not resolved in time."))

    def attempt_connected(self, attempt: _Attempt, wire: ConnectedWire) -> None:
        """The first attempt to connect has won."""
        self._attempts.remove(attempt)
        self._end()
        wire.start(self._protocol)

    def attempt_failed(self, attempt: _Attempt, error: DialError) -> None:
        """Go on to the next address at once (RFC 8305 §5)."""
        self._attempts.remove(attempt)
        self._note(error)
        self._go_on()

    def _found(self, addresses: Addresses) -> None:
        self._lookup = None
        self._addresses = addresses
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next attempt, and arrange for the one after it."""
        stagger, self._stagger = self._stagger, None
        if stagger is not None and stagger.active():
            stagger.cancel()
        dialer = self._dialer
        addresses = self._addresses
        while self._next < len(addresses):
            address = addresses[self._next]
            self._next += 1
            try:
                dialer.guard.check(address.host, self._port)
            except DialError as refusal:
                self._note(refusal)
                continue
            attempt = _Attempt(self, address)
            self._attempts.append(attempt)
            # If it fails at once it has gone on to the next before this returns.
            attempt.begin(dialer, self._port)
            if self._next < len(addresses) and attempt in self._attempts:
                self._stagger = dialer.reactor.callLater(ATTEMPT_DELAY, self._go_on)
            return
        if not self._attempts and self._error is not None:
            self._fail(self._error)

    def _note(self, error: DialError) -> None:
        if self._error is None or _telling(error) < _telling(self._error):
            self._error = error

    def _fail(self, error: DialError) -> None:
        self._end()
        self._failed(error)

    def _end(self) -> None:
        self._over = True
        self._dialer.deadlines.forget(self)
        if self._lookup is not None:
            self._lookup.cancel()
        if self._stagger is not None and self._stagger.active():
            self._stagger.cancel()
        self._lookup = None
        # A refusal of the guard's was raised, and its traceback leads back here: a cycle.
        self._error = None
        for attempt in self._attempts:
            attempt.cancel()
        self._attempts.clear()


class _Attempt:
    """One address being connected to."""

    __slots__ = ("_address", "_connecting", "_dialing")

    def __init__(self, dialing: _TCPDialing, address: Address) -> None:
        self._dialing = dialing
        self._address = address
        self._connecting: _Cancellable | None = None

    def begin(self, dialer: TCPDialer, port: int) -> None:
        """Connect; the end of it may come before this returns."""
        family, host = self._address
        self._connecting = dialer.connect(
            dialer.reactor, family, (host, port), self._connected, self._failed
        )

    def cancel(self) -> None:
        """Close the socket."""
        if self._connecting is not None:
            self._connecting.cancel()

    def _connected(self, wire: ConnectedWire) -> None:
        self._dialing.attempt_connected(self, wire)

    def _failed(self, error: OSError) -> None:
        self._dialing.attempt_failed(self, dial_error(error, self._address.family))
