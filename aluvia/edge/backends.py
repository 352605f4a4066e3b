"""
Where a backend is, and how it is dialled: what a member of :mod:`aluvia.upstreams` is about here.

Two places are equal when a connection to the one is as good as one to the other; then health and
kept connections go on through a change of the route.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.edge.model import Backend, BackendTLS, Route
from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialer, Dialers, DialReactor
from aluvia.net.tls import TLSDialer, client_context
from aluvia.wire.target import Authority

__all__ = ["Place", "Places"]

_DEFAULT_PORTS = {"tcp": 80, "tls": 443}


@attrs.frozen
class Place:
    """
    One backend, as it is dialled.

    :ivar way: the name of a dialer.
    :ivar connect_timeout: seconds.
    :ivar host_field: what it is called where the client's Host does not go on.
    """

    way: str
    host: str
    port: int
    tls: BackendTLS | None
    connect_timeout: float
    dialer: Dialer = attrs.field(eq=False, repr=False)
    host_field: bytes = attrs.field(init=False, eq=False, repr=False)

    @host_field.default
    def _host_field(self) -> bytes:
        secure = self.way == "tls"
        usual = self.port == _DEFAULT_PORTS["tls" if secure else "tcp"]
        return str(Authority(self.host, None if usual else self.port)).encode("ascii")


class Places:
    """
    Makes places.

    :param tcp: makes the dialer of plain connections with this timeout.
    :param others: further dialers, by the names that endpoints have.
    """

    def __init__(
        self,
        reactor: DialReactor,
        sweep: Sweep,
        tcp: typing.Callable[[float], Dialer],
        others: Dialers | None = None,
    ) -> None:
        self._reactor = reactor
        self._sweep = sweep
        self._tcp = tcp
        self._others = others

    def place(self, route: Route, backend: Backend) -> Place:
        """
        Where a backend is.

        :raises ValueError: its TLS is no good, or its endpoint's dialer is not there.
        """
        timeout = route.timeouts.connect
        way, host, port, tls = "tcp", backend.hostname, backend.port, backend.tls
        if backend.endpoint is not None:
            way, host, port = _endpoint(backend.endpoint)
        if way == "tls" and tls is None:
            tls = BackendTLS()
        if way == "tcp" and tls is not None:
            way = "tls"
        if way not in ("tcp", "tls"):
            raise ValueError(f"there is no dialer {way!r} here")
        dialer = self._tcp(timeout)
        if tls is not None:
            dialer = self._over_tls(dialer, tls, timeout)
        return Place(way, host, port, tls, timeout, dialer)

    def _over_tls(self, tcp: Dialer, tls: BackendTLS, timeout: float) -> Dialer:
        context = client_context(
            only_authorities=None if tls.ca is None else tls.ca.encode("ascii"),
            certificate=None if tls.client_cert is None else tls.client_cert.encode("ascii"),
            key=None if tls.client_key is None else tls.client_key.encode("ascii"),
            verify=tls.verify,
        )
        return TLSDialer(
            self._reactor,
            tcp,
            context,
            self._sweep,
            connect_timeout=timeout,
            name=tls.sni,
            verify=tls.verify,
        )


def _endpoint(text: str) -> tuple[str, str, int]:
    """Take ``name:host:port`` apart; it was judged when it was read."""
    way, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    return way, host.strip("[]"), int(port)
