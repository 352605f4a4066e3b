"""What the edge is to do, as its operator said it: typed, and immutable."""

from __future__ import annotations

import typing
from pathlib import Path

import attrs

from aluvia.edge.api_token import place_beside
from aluvia.edge.listeners import Listener
from aluvia.wire.target import Authority

__all__ = ["IN_MEMORY", "STANDARD_OUTPUT", "Settings", "TunnelPlace"]

#: In place of the store's file: it ends with the process.
IN_MEMORY = Path(":memory:")

#: In place of the access log's file.
STANDARD_OUTPUT: typing.Final = "-"

_HTTP = Listener(address="0.0.0.0", port=8080)
_HTTPS = Listener(address="0.0.0.0", port=8443)

#: An address, as a literal, and a port.
Place = tuple[str, int]


@attrs.frozen
class TunnelPlace:
    """A port of the edge that leads into a TCP tunnel."""

    id: str
    address: str
    port: int

    def __str__(self) -> str:
        """Spell it so that it can be read again."""
        return f"{self.id}={Authority(self.address, self.port)}"


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option with its value; the defaults are the product's.

    :ivar http: where it listens; None for nowhere.
    :ivar https: where it listens inside TLS; None for nowhere.
    :ivar public_https_port: where clients reach that, if it is not the port that it has here.
    :ivar api: where the REST API listens; port 0 for any free one.
    :ivar api_token_file: the operator's own; see :mod:`aluvia.edge.api_token`.
    :ivar db: the store's file, or :data:`IN_MEMORY`.
    :ivar routes: a file that is applied at the start, and after a SIGHUP.
    :ivar trusted_proxies: networks, whose word about clients is taken.
    :ivar certificates: a directory in certbot's layout.
    :ivar default_certificate: for names that no other certificate is for, with its chain (PEM).
    :ivar default_key: its key (PEM).
    :ivar hub: where agents connect; None for no hub.
    :ivar hub_cert: its certificate and chain (PEM); None for one that speaks without TLS.
    :ivar hub_key: its key (PEM).
    :ivar tunnel_domain: canonical; a tunnel is reached at its id below it.
    :ivar tunnel_paths: whether tunnels are reached at ``/t/ID/``.
    :ivar tunnel_auth_provider: the id of what authenticates visitors of tunnels without a route.
    :ivar tunnel_rate: requests of one client address to one tunnel, per second; None for no limit.
    :ivar tunnel_bytes_per_day: of one tunnel, both ways; None for no limit.
    :ivar tunnel_streams: WebSockets, event streams and TCP connections of one tunnel, each way of
        reaching it for itself.
    :ivar tunnel_body_bytes: of one request; None for no limit.
    :ivar tunnel_tcp: ports that lead into TCP tunnels.
    :ivar idle_timeout: for a client's connection between two requests; seconds.
    :ivar max_connections_per_address: how many clients may come from one address; None for no such
        cap. Half of all, unless it is said.
    :ivar access_log: a file, :data:`STANDARD_OUTPUT`, or None for none.
    :ivar sources: where the value of a field came from, for fields that are not at their default;
        not a part of the value.
    :ivar unknown: variables that look like options and are none, each with the one it may mean.
    :ivar own_token_file: where a token is kept that the edge has made for itself.
    """

    http: Listener | None = _HTTP
    https: Listener | None = _HTTPS
    public_https_port: int | None = None
    api: Place = ("127.0.0.1", 8901)
    api_token_file: Path | None = None
    db: Path = attrs.field(factory=lambda: Path("edge.db").absolute())
    routes: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    certificates: Path | None = None
    default_certificate: Path | None = None
    default_key: Path | None = None
    hub: Place | None = None
    hub_cert: Path | None = None
    hub_key: Path | None = None
    tunnel_domain: str | None = None
    tunnel_paths: bool = True
    tunnel_auth_provider: str | None = None
    tunnel_rate: float | None = None
    tunnel_bytes_per_day: int | None = None
    tunnel_streams: int = 256
    tunnel_body_bytes: int | None = None
    tunnel_tcp: tuple[TunnelPlace, ...] = ()
    idle_timeout: float = 75.0
    drain_timeout: float = 10.0
    max_connections: int = 16_384
    max_connections_per_address: int | None = attrs.field()
    port_file: Path | None = None
    access_log: Path | typing.Literal["-"] | None = None
    log_level: str = "info"
    log_format: str = "text"
    sources: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    unknown: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    own_token_file: Path = attrs.field(init=False, eq=False, repr=False)

    @max_connections_per_address.default
    def _half_of_them(self) -> int:
        return max(1, self.max_connections // 2)

    @own_token_file.default
    def _beside_the_store(self) -> Path:
        # Known before a daemon changes its directory.
        return place_beside(None if self.db == IN_MEMORY else self.db)
