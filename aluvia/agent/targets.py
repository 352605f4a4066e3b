"""
The targets of an agent's tunnels, and the dialling of them.

A stream names a tunnel, and a tunnel has one target: the dialer of a tunnel is made for that host
and that port, and has a guard that lets nothing else pass, whatever it is asked for.

.. code-block:: text

    the target's host    what is dialled
    -------------------  -----------------------------------------------------------------------
    an address           that address
    a name               what it is resolved to at each dial, but no link-local address: there
                         clouds keep their credentials, and a name may come to lead anywhere

An ``https`` target is verified, by the system's authorities and those of ``--cafile``; not on this
machine (:func:`~aluvia.net.addresses.is_loopback`), where certificates are of one's own making, and
whoever can take the port's place needs no other.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol

from aluvia.agent.tunnels import Published
from aluvia.net.addresses import is_loopback, literal
from aluvia.net.connecting import ClientWire
from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Connect, Dialer, Dialing, Names, TCPDialer
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.resolve import Failed
from aluvia.net.tls import TLSDialer, client_context

__all__ = ["DeclaredGuard", "Targets"]


class DeclaredGuard:
    """Lets a dial pass to one declared place, and to no other."""

    def __init__(self, host: str, port: int) -> None:
        self._port = port
        is_address = literal(host) is not None
        self._address = host if is_address else None
        self._guard = Guard(tuple, allow_link_local=is_address)

    def check(self, address: str, port: int) -> None:
        """
        Return if the address is the declared one, or may be the declared name's.

        :raises DialError: as :meth:`aluvia.net.guard.Guard.check`.
        """
        if port != self._port or self._address not in (None, address):
            raise DialError(
                "destination_ip_prohibited", 403, "Only the declared target is reached from here."
            )
        self._guard.check(address, port)


class _Target:
    """One tunnel's: how it is reached, and how it is tried."""

    def __init__(self, published: Published, tcp: Dialer, dialer: Dialer) -> None:
        self.published = published
        self.tcp = tcp
        self.dialer = dialer


class Targets:
    """
    The targets of all tunnels.

    :param deadlines: watches dials.
    :param connect_timeout: of each dial; seconds.
    :param authorities: certificates (PEM) to trust, besides the system's.
    :param connect: makes the connections.
    """

    def __init__(
        self,
        tunnels: typing.Iterable[Published],
        reactor: typing.Any,
        resolver: Names,
        deadlines: Deadlines,
        *,
        connect_timeout: float,
        authorities: bytes | None = None,
        connect: Connect = ClientWire.connect,
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._deadlines = deadlines
        self._connect_timeout = connect_timeout
        self._authorities = authorities
        self._connect = connect
        self._contexts: dict[bool, typing.Any] = {}
        self._targets = {each.id: self._target(each) for each in tunnels}

    def get(self, id: str) -> Published | None:
        """What is published under an id; None if it was not declared."""
        target = self._targets.get(id)
        return None if target is None else target.published

    @property
    def tunnels(self) -> list[Published]:
        """All of them, in the order in which they were declared."""
        return [target.published for target in self._targets.values()]

    def dial(self, id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """
        Connect a protocol to a tunnel's target; see :meth:`aluvia.net.dial.Dialer.dial`.

        :raises KeyError: there is no such tunnel.
        """
        target = self._targets[id]
        published = target.published
        return target.dialer.dial(published.host, published.port, protocol, failed)

    def reach(self, id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """As :meth:`dial`, but without TLS: to see whether anything listens."""
        target = self._targets[id]
        return target.tcp.dial(target.published.host, target.published.port, protocol, failed)

    def _target(self, published: Published) -> _Target:
        tcp = TCPDialer(
            self._reactor,
            self._resolver,
            DeclaredGuard(published.host, published.port),
            self._deadlines,
            connect=self._connect,
            connect_timeout=self._connect_timeout,
        )
        dialer: Dialer = tcp
        if published.tls:
            verify = not is_loopback(published.host)
            dialer = TLSDialer(
                self._reactor,
                tcp,
                self._context(verify),
                self._deadlines,
                connect_timeout=self._connect_timeout,
                verify=verify,
            )
        return _Target(published, tcp, dialer)

    def _context(self, verify: bool) -> typing.Any:
        if verify not in self._contexts:
            self._contexts[verify] = client_context(self._authorities, verify=verify)
        return self._contexts[verify]
