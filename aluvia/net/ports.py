"""
Where connections come from: our listening port. (The other way is :mod:`aluvia.net.connecting`.)

A connection is accepted with as few system calls as there can be: what its socket inherits from the
listener is set once, on the listener.
"""

from __future__ import annotations

import collections.abc
import errno
import socket
import typing

from twisted.internet import tcp
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.net.connecting import ClientWire, Connecting
from aluvia.net.transport import DONE, Wire, address_of, close_abruptly
from aluvia.wire.proxy_header import Announced

__all__ = [
    "BACKLOG",
    "ClientWire",
    "Connecting",
    "ServerWire",
    "Wire",
    "WirePort",
    "adopt",
    "listen",
]

_log = Logger()

#: How long accepting pauses when the system is out of descriptors or memory; seconds.
EXHAUSTED_PAUSE = 1.0

#: How many clients the kernel lets wait to be accepted, where nobody asked for another number.
BACKLOG = 1024

#: The most connections that one event accepts.
MOST_ACCEPTS = 64

# What accept(2) says when the connection failed in the queue: the next one may be well. After any
# other error (no descriptor, no memory) the queue is as it was, and trying at once would spin.
_PASSING = frozenset(
    getattr(errno, name)
    for name in (
        "ECONNABORTED",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENETUNREACH",
        "ENONET",
        "ENOPROTOOPT",
        "EOPNOTSUPP",
        "EPERM",
        "EPROTO",
    )
    if hasattr(errno, name)
)


class Counter(typing.Protocol):
    """Told of each connection of a port; see :class:`aluvia.net.accept.Admission`."""

    def opened(self) -> None:
        """One more."""

    def closed(self) -> None:
        """One less."""


class Crowd(typing.Protocol):
    """Says from whom there are enough; see :class:`aluvia.net.per_address.PerAddress`."""

    def refuses(self, host: str) -> bool:
        """Whether one more from there is too many."""

    def entered(self, host: str) -> None:
        """One more."""

    def left(self, host: str) -> None:
        """One less."""


class ServerWire(Wire):
    """
    An accepted connection.

    :ivar server: the port that accepted it.
    :ivar announced: what a header of the PROXY protocol said of it, where the port asks for one
        (:mod:`aluvia.net.proxy_protocol`).
    """

    announced: Announced | None = None

    def __init__(
        self,
        skt: socket.socket,
        protocol: IProtocol,
        peer: tuple[typing.Any, ...],
        server: WirePort,
        reactor: typing.Any,
    ) -> None:
        Wire.__init__(self, skt, protocol, peer, reactor)
        self.server = server

    def release(self, *, reset: bool = False) -> None:
        """Close, and leave the port's books."""
        if not self.disconnected:
            Wire.release(self, reset=reset)
            self.server.forget(self)


class WirePort(tcp.Port):
    """
    A listening port.

    Accepting can be *held*, by anybody and for any reason; it goes on when nobody holds it. Clients
    then wait in the kernel's queue, where they cost us nothing.

    :ivar wires: the connections that are open.
    :ivar counter: told of each.
    :ivar crowd: asked about each, if there is one. What it refuses is reset, right after accept.
    :ivar emptied: called when the last connection has closed.
    """

    counter: Counter | None = None
    crowd: Crowd | None = None
    emptied: collections.abc.Callable[[], None] | None = None
    reactor: typing.Any
    _retry: IDelayedCall | None = None
    _starved = False

    def __init__(
        self,
        port: int,
        factory: IProtocolFactory,
        backlog: int = BACKLOG,
        interface: str = "",
        reactor: typing.Any = None,
    ) -> None:
        tcp.Port.__init__(self, port, factory, backlog, interface, reactor)
        self.wires: set[ServerWire] = set()
        self._holders: set[object] = set()

    def startListening(self) -> None:
        """
        Bind and listen. Every option here is inherited by what is accepted (Linux).

        As the stock port does it, but without its line in the log, and with one error for all that
        can go wrong: where two processes bind at the same moment it is ``listen`` that fails.

        :raises CannotListenError: with the system's error as ``socketError``.
        """
        skt = self._preexistingSocket
        if skt is None:
            skt = self._bound()
        else:
            _set_options(skt)
            self._preexistingSocket = None
            # Its owner shuts it down.
            self._shouldShutdown = False
        self._realPortNumber = skt.getsockname()[1]
        self.factory.doStart()  # type: ignore[union-attr]
        self.connected = True
        self.socket = skt
        self.fileno = skt.fileno  # type: ignore[method-assign]
        self.numberAccepts = 1
        self.startReading()

    def _bound(self) -> socket.socket:
        skt: socket.socket | None = None
        try:
            skt = self.createInternetSocket()
            where: typing.Any = (self.interface, self.port)
            if self.addressFamily == socket.AF_INET6:
                # With its scope, if it has one.
                found = socket.getaddrinfo(self.interface, self.port, flags=socket.AI_NUMERICHOST)
                where = found[0][4]
            skt.bind(where)
            skt.listen(self.backlog)
        except OSError as error:
            if skt is not None:
                skt.close()
            raise CannotListenError(self.interface, self.port, error) from None
        return skt

    def _logConnectionLostMsg(self) -> None:  # noqa: N802
        """Whoever opened it says what there is to say."""

    def createInternetSocket(self) -> socket.socket:
        """Make the listening socket."""
        skt: socket.socket = tcp.Port.createInternetSocket(self)
        _set_options(skt)
        return skt

    def hold(self, holder: object) -> None:
        """Stop accepting."""
        if not self._holders and self.connected:
            self.stopReading()
        self._holders.add(holder)

    def let_go(self, holder: object) -> None:
        """Accept again, unless somebody else holds us. Harmless for one who does not hold."""
        if holder in self._holders:
            self._holders.remove(holder)
            if not self._holders and self.connected and not self.disconnecting:
                self.startReading()

    def forget(self, wire: ServerWire) -> None:
        """A connection of ours has closed."""
        self.wires.discard(wire)
        if self.counter is not None:
            self.counter.closed()
        if self.crowd is not None:
            self.crowd.left(wire.peer[0])
        if not self.wires and self.emptied is not None:
            self.emptied()

    def doRead(self) -> None:
        """
        Accept what waits.

        How many are tried follows what came last time: a quiet port does not pay for the ``accept``
        that finds nobody, a busy one empties its queue.
        """
        listening: typing.Any = self.socket
        accepted = 0
        while accepted < self.numberAccepts and not self._holders and self.connected:
            try:
                # socket.accept() without what it asks the system again each time.
                descriptor, peer = listening._accept()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno not in _PASSING:
                    self._exhausted(error)
                    break
                accepted += 1
                continue
            accepted += 1
            self._starved = False
            skt = socket.socket(self.addressFamily, self.socketType, 0, descriptor)
            skt.setblocking(False)
            self._serve(skt, peer)
        if accepted == self.numberAccepts:
            self.numberAccepts = min(2 * accepted, MOST_ACCEPTS)
        else:
            self.numberAccepts = max(1, accepted)

    def loseConnection(self, connDone: Failure = DONE) -> typing.Any:
        """Stop listening; what was accepted lives on."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        return tcp.Port.loseConnection(self, connDone)

    stopListening = loseConnection

    def _serve(self, skt: socket.socket, peer: tuple[typing.Any, ...]) -> None:
        """Make it a connection. An error in making its protocol is that connection's alone."""
        if self.crowd is not None and self.crowd.refuses(peer[0]):
            close_abruptly(skt)
            return
        wire = None
        try:
            protocol = self.factory.buildProtocol(address_of(peer))  # type: ignore[union-attr]
            if protocol is None:
                skt.close()
                return
            wire = ServerWire(skt, protocol, peer, self, self.reactor)
            self.wires.add(wire)
            if self.counter is not None:
                self.counter.opened()
            if self.crowd is not None:
                self.crowd.entered(peer[0])
            wire.startReading()
            protocol.makeConnection(wire)
        except Exception:
            _log.failure("Serving a new connection failed.")
            if wire is None:
                skt.close()
            else:
                wire.abortConnection()

    def _exhausted(self, error: OSError) -> None:
        """
        Pause until descriptors may be free again.

        The connection stays in the kernel's queue, so the port would be ready again at once, and
        again.
        """
        if not self._starved:
            self._starved = True
            _log.warn(
                "Accepting pauses on port {port}: {error}", port=self._realPortNumber, error=error
            )
        self.hold(self)
        self._retry = self.reactor.callLater(EXHAUSTED_PAUSE, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.let_go(self)


def _set_options(skt: socket.socket) -> None:
    skt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    skt.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def listen(
    reactor: typing.Any,
    address: str,
    port: int,
    factory: IProtocolFactory,
    *,
    backlog: int = BACKLOG,
) -> WirePort:
    """
    Listen.

    :param address: an IPv4 or IPv6 literal.
    :param port: 0 for any free one; ``getHost().port`` tells which.
    :raises CannotListenError: with the system's error as ``socketError``.
    """
    listening = WirePort(port, factory, backlog, address, reactor)
    listening.startListening()
    return listening


def adopt(reactor: typing.Any, skt: socket.socket, factory: IProtocolFactory) -> WirePort:
    """
    Listen on a socket that somebody else has bound, systemd say.

    :param skt: stays its owner's, who may close it now: we have a copy of the descriptor. Its
        queue is shared, so that it is not shut down when we stop.
    :raises ValueError: it is no listening TCP socket.
    """
    if (
        skt.family not in (socket.AF_INET, socket.AF_INET6)
        or skt.type != socket.SOCK_STREAM
        or not skt.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        raise ValueError("it is no listening TCP socket")
    skt.setblocking(False)
    listening: WirePort = WirePort._fromListeningDescriptor(
        reactor, skt.fileno(), skt.family, factory
    )
    listening.startListening()
    return listening
