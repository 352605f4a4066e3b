"""
A door: ports that take connections, dialers that make others, and the one sweep over both.

It knows nothing of what goes through it. A service's own door says that: it is a :class:`Door`, and
gives :meth:`Door.listen` a factory of protocols.

Everything that it opens, it closes.
"""

from __future__ import annotations

import errno
import socket
import typing

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from aluvia.net.accept import Admission, Drain, Sweep
from aluvia.net.connecting import ClientWire
from aluvia.net.dial import Connect, Dialer, Dialers, TCPDialer
from aluvia.net.guard import Guard
from aluvia.net.http_client import ClientConnection
from aluvia.net.idle import IdleConnections
from aluvia.net.parent import ParentProxyDialer
from aluvia.net.ports import BACKLOG, WirePort, adopt, listen
from aluvia.net.resolve import Resolver
from aluvia.net.tls import TLSDialer, client_context
from aluvia.net.waiting import wait_for
from aluvia.wire.limits import DEFAULT_LIMITS, Limits

__all__ = ["Door", "bind", "bind_error", "listen_stock", "port_of"]

log = Logger()


class Door:
    """
    The ports of one door, and what is behind them.

    :param max_connections: see :class:`aluvia.net.accept.Admission`.
    :param connect_timeout: of each of its dialers; seconds.
    :ivar ports: those that it listens on, by name.
    :ivar own: where this process listens, as addresses and ports; a guard that is given it lets
        nobody through to them.
    :ivar idle: upstream connections that are kept for their next use.
    """

    def __init__(
        self,
        reactor: typing.Any,
        *,
        max_connections: int,
        connect_timeout: float,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.reactor = reactor
        self.limits = limits
        self.ports: dict[str, WirePort] = {}
        self.own: list[tuple[str, int]] = []
        self.sweep = Sweep(reactor)
        self.resolver = Resolver(reactor, self.sweep, limits=limits)
        self.idle = IdleConnections[ClientConnection](reactor, self.sweep, limits=limits)
        self._connect_timeout = connect_timeout
        self._max_connections = max_connections
        self._admission: Admission | None = None
        self._drain: Drain | None = None
        self._ending: Deferred[None] | None = None

    # Ways out.

    def dialers(
        self,
        guard: Guard,
        *,
        authorities: bytes | None = None,
        connect: Connect = ClientWire.connect,
    ) -> Dialers:
        """
        The table of those that every door has: ``tcp``, and ``tls`` over it.

        :param authorities: certificates (PEM) to trust, besides the system's.
        """
        tcp = TCPDialer(
            self.reactor,
            self.resolver,
            guard,
            self.sweep,
            connect=connect,
            connect_timeout=self._connect_timeout,
        )
        return self.over_tls(tcp, authorities)

    def over_tls(self, tcp: Dialer, authorities: bytes | None = None) -> Dialers:
        """A table of this dialer as ``tcp``, and ``tls`` over it."""
        dialers = Dialers()
        dialers.add("tcp", tcp)
        dialers.add(
            "tls",
            TLSDialer(
                self.reactor,
                tcp,
                client_context(authorities),
                self.sweep,
                connect_timeout=self._connect_timeout,
            ),
        )
        return dialers

    def parent_proxies(self, dialers: Dialers) -> ParentProxyDialer:
        """The dialer that asks parent proxies for tunnels."""
        return ParentProxyDialer(
            self.reactor,
            dialers,
            self.sweep,
            connect_timeout=self._connect_timeout,
            limits=self.limits,
        )

    # Ports.

    def listen(
        self,
        name: str,
        address: str,
        port: int,
        factory: IProtocolFactory,
        *,
        backlog: int = BACKLOG,
    ) -> None:
        """
        Open a port. :meth:`admit` is called after the last one.

        :param port: 0 for any free one; :meth:`place` tells which.
        :param backlog: how many clients the kernel lets wait to be accepted.
        :raises CannotListenError: it cannot be bound. :meth:`stop` is still to be called.
        """
        self.ports[name] = listen(self.reactor, address, port, factory, backlog=backlog)
        self.own.append(self.place(name))

    def adopt(self, name: str, skt: socket.socket, factory: IProtocolFactory) -> None:
        """
        Open a port on a socket that listens already; otherwise as :meth:`listen`.

        :param skt: stays the caller's, who may close it.
        :raises ValueError: it is no listening TCP socket.
        """
        self.ports[name] = adopt(self.reactor, skt, factory)
        self.own.append(self.place(name))

    def admit(self, max_connections_per_address: int | None = None) -> None:
        """
        Count connections from now on, and hold the ports where there are too many.

        :param max_connections_per_address: how many of them may come from one address; the others
            are reset. None for no such cap, as where all clients are on this machine.
        """
        self._admission = Admission(
            self.ports.values(),
            self.sweep,
            self._max_connections,
            max_connections_per_address=max_connections_per_address,
        )

    def place(self, name: str) -> tuple[str, int]:
        """The address and the port that it listens on."""
        where = typing.cast(IPv4Address | IPv6Address, self.ports[name].getHost())
        return where.host, where.port

    @property
    def connections_open(self) -> int:
        """Clients' connections, tunnels among them."""
        return 0 if self._admission is None else self._admission.count

    @property
    def connections_refused(self) -> int:
        """How many were reset, since their address had enough."""
        return 0 if self._admission is None else self._admission.refused

    @property
    def accepting(self) -> bool:
        """Whether new clients are taken: not at a cap, and not draining."""
        admission = self._admission
        return admission is not None and not admission.held and self._drain is None

    @property
    def draining(self) -> bool:
        """Whether it takes no new connections any more."""
        return self._drain is not None

    # The end.

    def stop(self, drain_timeout: float = 0.0) -> Deferred[None]:
        """
        Take no new connections, and give live ones this long. Called again, or with 0: end them at
        once.

        :return: fires when nothing is left open. To cancel it is to wait no longer.
        """
        if self._drain is None:
            self._drain = Drain(self.ports.values(), self.reactor, drain_timeout)
            self._ending = Deferred.fromCoroutine(self._end(self._drain.begin()))
            if not drain_timeout:
                self._drain.begin()
        else:
            self._drain.begin()
        assert self._ending is not None
        return wait_for(self._ending)

    async def closing(self) -> None:
        """What a door has besides, and ends as soon as it takes no new connections."""

    def drained(self) -> None:
        """No client is connected any more."""

    async def _end(self, drained: Deferred[None]) -> None:
        # What carries them may wait for their end to come to its own.
        self.idle.end()
        try:
            await self.closing()
        finally:
            await drained
            # The last connection has left the port's books; its protocol has yet to hear of it.
            await deferLater(self.reactor, 0)
            self.drained()
            if self._admission is not None:
                self._admission.stop()
            self.resolver.stop()
            self.sweep.stop()
            # What was closed just now is gone in the next turn, for whoever called.
            await deferLater(self.reactor, 0)


def listen_stock(
    reactor: typing.Any, address: str, port: int, factory: IProtocolFactory
) -> IListeningPort:
    """
    A stock port, for what is not on the data path.

    :raises CannotListenError: it cannot be bound; also where two processes do so at one moment, for
        which the reactor has another error.
    """
    try:
        listening: IListeningPort = reactor.listenTCP(port, factory, interface=address)
    except CannotListenError:
        raise
    except OSError as error:
        raise CannotListenError(address, port, error) from None
    return listening


def bind(
    name: str,
    port: int,
    listen: typing.Callable[[int], None],
    movable: typing.Container[str] = (),
) -> None:
    """
    Open a port; or any free one in its place, where it is taken and nobody asked for this one.

    :param name: what to call it.
    :param listen: opens the port of this number.
    :param movable: the names of those that nobody asked for.
    :raises OSError: it cannot be bound; with a sentence.
    """
    try:
        listen(port)
    except CannotListenError as error:
        taken = getattr(error.socketError, "errno", None) == errno.EADDRINUSE
        if not (taken and name in movable and port):
            raise bind_error(name, error) from None
        log.warn("The {name} port {port} is taken; another one is used.", name=name, port=port)
        bind(name, 0, listen)


def port_of(listening: IListeningPort) -> int:
    """The number of the port that it listens on."""
    return typing.cast(IPv4Address | IPv6Address, listening.getHost()).port


def bind_error(name: str, error: CannotListenError) -> OSError:
    """What to tell whoever gave a port that cannot be bound, by the name of its option."""
    why = error.socketError
    text = getattr(why, "strerror", None) or why
    return OSError(f"the {name} port {error.interface}:{error.port} cannot be bound: {text}")
