"""The two ways out: straight to the origin, or through the gateway."""

from __future__ import annotations

import functools
import math
import typing

from twisted.internet.interfaces import IProtocol

from aluvia.forwarding.route import Route
from aluvia.net.dial import Dialers, Dialing
from aluvia.net.door import Door
from aluvia.net.http_client import ClientConnection
from aluvia.net.http_server import ServerConnection
from aluvia.net.resolve import Failed
from aluvia.wire.headers import Field, FieldNames

#: Carries a request's id to the gateway, and ends there.
REQUEST_ID = b"X-Aluvia-Request-ID"

#: Fields of our own, by which a client tells a gateway what it wishes, and a gateway answers.
OURS = FieldNames(prefixes=(b"x-aluvia-",))


class KeptConnections:
    """
    Upstream connections that are kept between two requests.

    :param door: whose they are.
    """

    def __init__(self, door: Door) -> None:
        self._clock = door.reactor
        self._idle = door.idle
        self._limits = door.limits

    def take_idle(
        self, key: typing.Hashable, idle_at_most: float = math.inf
    ) -> ClientConnection | None:
        """
        A connection that was used before and still stands, or None.

        :param idle_at_most: how long ago it was used; seconds.
        """
        return self._idle.take(key, idle_at_most)

    def put_idle(self, connection: ClientConnection, client: ServerConnection) -> None:
        """
        Keep a connection for the next request to the same place.

        :param client: that it was for. One that is pinned takes it with it.
        """
        if client.pinned:
            client.when_gone(connection.key, functools.partial(self.forget, connection.key))
        connection.exchange.next_cycle()
        connection.requester = None
        connection.reused = True
        # A slow client may have paused it; idle, it must see its peer's FIN.
        connection.resume()
        self._idle.put(connection.key, connection)

    def forget(self, key: typing.Hashable) -> None:
        """Close those that are kept for a place: nobody will go there any more."""
        self._idle.close_those_of(key)

    def new_connection(self, key: typing.Hashable) -> ClientConnection:
        """A connection to be dialled."""
        return ClientConnection(key, self._limits, self._clock.seconds(), self._idle.discard)


class Upstreams(KeptConnections):
    """
    Connections to origins and to the gateway.

    :param dialers: ``tcp`` for origins and gateways in the clear, ``tls`` for gateways over TLS.
    """

    def __init__(self, door: Door, dialers: Dialers) -> None:
        super().__init__(door)
        self._tcp = dialers["tcp"]
        self._tls = dialers["tls"]
        self._parent = door.parent_proxies(dialers)

    def dial_forward(
        self, route: Route, host: str, port: int, protocol: IProtocol, failed: Failed
    ) -> Dialing:
        """Connect ``protocol`` to the origin, or to the gateway that forwards to it."""
        gateway = route.gateway
        if gateway is None:
            return self._tcp.dial(host, port, protocol, failed)
        dialer = self._tls if gateway.tls else self._tcp
        return dialer.dial(gateway.host, gateway.port, protocol, failed)

    def dial_tunnel(
        self,
        route: Route,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: Failed,
        request_id: str,
        wishes: typing.Iterable[Field],
    ) -> Dialing:
        """
        Connect ``protocol`` to the origin, if need be by a CONNECT at the gateway.

        :param wishes: fields that the client has for the gateway.
        """
        gateway = route.gateway
        if gateway is None:
            return self._tcp.dial(host, port, protocol, failed)
        fields = [(REQUEST_ID, request_id.encode("ascii")), *wishes]
        return self._parent.dial(gateway, host, port, protocol, failed, fields)


def place_of(route: Route, host: str, port: int) -> tuple[typing.Hashable, ...]:
    """What may be shared is filed under this: where it leads, and whose it is."""
    gateway = route.gateway
    if gateway is None:
        return (host, port, route.account)
    return (gateway.tls, gateway.host, gateway.port, route.account)
