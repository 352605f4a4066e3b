"""
Where a backend is, and how it is dialled: what a member of :mod:`aluvia.upstreams` is about here.

Two places are equal when a connection to the one is as good as one to the other; then health and
kept connections go on through a change of the route.
"""

from __future__ import annotations

import functools
import typing

import attrs
from OpenSSL import SSL

from aluvia.edge.model import Backend, BackendTLS, Route
from aluvia.net.accept import Sweep
from aluvia.net.addresses import literal
from aluvia.net.dial import Dialer, DialReactor
from aluvia.net.tls import TLSDialer, client_context
from aluvia.wire.target import Authority

__all__ = ["NO_HUB", "NO_TLS_TO_TUNNELS", "TUNNEL", "Place", "Places"]

#: The way to a published tunnel: ``tunnel:ID``.
TUNNEL = "tunnel"

NO_HUB = "is a tunnel, and there is no hub here: --hub"
NO_TLS_TO_TUNNELS = "is a tunnel, whose target's scheme is the agent's to say: it has no tls"

#: Contexts that are kept for backends over TLS.
MOST_CONTEXTS = 256

_DEFAULT_PORTS = {"tcp": 80, "tls": 443}


@attrs.define
class Place:
    """
    One backend, as it is dialled.

    :ivar way: the name of a dialer.
    :ivar dialer: how it is dialled now; another one says nothing of the place.
    :ivar named: whether the host is a name, which may lead elsewhere another time.
    :ivar host_field: what it is called where the client's Host does not go on.
    """

    way: str
    host: str
    port: int
    tls: BackendTLS | None
    dialer: Dialer = attrs.field(eq=False, repr=False)
    named: bool = attrs.field(init=False, eq=False, repr=False)
    host_field: bytes = attrs.field(init=False, eq=False, repr=False)

    @named.default
    def _named(self) -> bool:
        return literal(self.host) is None

    @host_field.default
    def _host_field(self) -> bytes:
        if self.way == TUNNEL:
            # Where its target is, the agent knows.
            return self.host.encode("ascii")
        secure = self.way == "tls"
        usual = self.port == _DEFAULT_PORTS["tls" if secure else "tcp"]
        return str(Authority(self.host, None if usual else self.port)).encode("ascii")


class Places:
    """
    Makes places.

    :param tcp: makes the dialer of plain connections with this timeout.
    :param tunnels: the hub's dialer; None where there is no hub.
    """

    def __init__(
        self,
        reactor: DialReactor,
        sweep: Sweep,
        tcp: typing.Callable[[float], Dialer],
        tunnels: Dialer | None = None,
    ) -> None:
        self._reactor = reactor
        self._sweep = sweep
        self._tcp = tcp
        self._tunnels = tunnels
        # A context takes ten milliseconds, and a megabyte: one for all that are alike.
        self._context = functools.lru_cache(maxsize=MOST_CONTEXTS)(_context)

    def place(self, route: Route, backend: Backend) -> Place:
        """
        Where a backend is.

        :raises ValueError: its TLS is no good, or its endpoint's dialer is not there.
        """
        timeout = route.timeouts.connect
        way, host, port, tls = "tcp", backend.hostname, backend.port, backend.tls
        if backend.endpoint is not None:
            way, host, port = _endpoint(backend.endpoint)
        if way == TUNNEL:
            if self._tunnels is None or tls is not None:
                raise ValueError(NO_HUB if self._tunnels is None else NO_TLS_TO_TUNNELS)
            return Place(way, host, port, None, self._tunnels)
        if way == "tls" and tls is None:
            tls = BackendTLS()
        if way == "tcp" and tls is not None:
            way = "tls"
        if way not in ("tcp", "tls"):
            raise ValueError(f"there is no dialer {way!r} here")
        dialer = self._tcp(timeout)
        if tls is not None:
            dialer = self._over_tls(dialer, tls, timeout)
        return Place(way, host, port, tls, dialer)

    def why_no_tunnel(self, id: str) -> str | None:
        """What is wrong with a tunnel as a backend; None for nothing, also while it is offline."""
        return NO_HUB if self._tunnels is None else None

    def _over_tls(self, tcp: Dialer, tls: BackendTLS, timeout: float) -> Dialer:
        return TLSDialer(
            self._reactor,
            tcp,
            # Which name is asked for is no matter of the context's.
            self._context(attrs.evolve(tls, sni=None)),
            self._sweep,
            connect_timeout=timeout,
            name=tls.sni,
            verify=tls.verify,
        )


def _context(tls: BackendTLS) -> SSL.Context:
    return client_context(
        only_authorities=None if tls.ca is None else tls.ca.encode("ascii"),
        certificate=None if tls.client_cert is None else tls.client_cert.encode("ascii"),
        key=None if tls.client_key is None else tls.client_key.encode("ascii"),
        verify=tls.verify,
    )


def _endpoint(text: str) -> tuple[str, str, int]:
    """Take ``name:host:port``, or ``tunnel:id``, apart; it was judged when it was read."""
    way, _, rest = text.partition(":")
    if way == TUNNEL:
        return way, rest, 0
    host, _, port = rest.rpartition(":")
    return way, host.strip("[]"), int(port)
