"""
Every option of the edge, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_EDGE_*`` environment and the TOML file are three spellings of it.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.takes import (
    Domain,
    ListenerOrNone,
    LogPlace,
    Networks,
    OnOff,
    ProviderID,
    StorePlace,
    TunnelPlaces,
)
from aluvia.process.options import Option
from aluvia.process.takes import (
    FilePath,
    Number,
    NumberOrNone,
    Place,
    Word,
)
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

__all__ = ["OF_THE_HUB", "OPTIONS", "PREFIX"]

PREFIX = "ALUVIA_EDGE_"


@attrs.frozen
class EdgeOption(Option):
    """One option, with the edge's own variables."""

    prefix: typing.ClassVar[str] = PREFIX


_CONNECTIONS = Number(1, 1_000_000, whole=True)

#: All of them, in the order in which help shows them.
OPTIONS: tuple[Option, ...] = (
    EdgeOption(
        "http",
        "http",
        ListenerOrNone(),
        "PLACE",
        "where it listens: ADDRESS:PORT, port 0 for any free one here and below; tcp:, tcp6: or "
        "systemd: as Twisted spells endpoints; with ,proxy_protocol behind it each connection "
        "begins with that header; or none [default: 0.0.0.0:8080]",
    ),
    EdgeOption(
        "https",
        "https",
        ListenerOrNone(),
        "PLACE",
        "where it listens inside TLS [default: 0.0.0.0:8443]",
    ),
    EdgeOption(
        "public-https-port",
        "public_https_port",
        Number(1, 65_535, whole=True),
        "PORT",
        "where clients reach --https, if that is another port than it has here; autoHttps sends "
        "them there [default: that of --https]",
    ),
    EdgeOption(
        "api",
        "api",
        Place(),
        "ADDRESS:PORT",
        "where the REST API listens, health and metrics with it [default: 127.0.0.1:8901]",
    ),
    EdgeOption(
        "api-token-file",
        "api_token_file",
        FilePath(),
        "FILE",
        f"a file with the token that the API asks for; without it ${VARIABLE} is read, and where "
        "that is not set a token is made at the first start, in a file beside the store",
    ),
    EdgeOption(
        "db",
        "db",
        StorePlace(),
        "FILE",
        "routes, certificates and providers; made if it is not there; :memory: for a trial, "
        "sqlite:///FILE means the same as FILE [default: edge.db]",
    ),
    EdgeOption(
        "routes",
        "routes",
        FilePath(),
        "FILE",
        "routes and certificates (TOML or JSON) to begin with; read again after a SIGHUP",
    ),
    EdgeOption(
        "trusted-proxy",
        "trusted_proxies",
        Networks(),
        "CIDR",
        "a network of proxies that are believed about clients, such as 10.0.0.0/8 (repeatable)",
    ),
    EdgeOption(
        "certificates",
        "certificates",
        FilePath(),
        "DIR",
        "certificates in certbot's layout, NAME/fullchain.pem and NAME/privkey.pem; watched",
    ),
    EdgeOption(
        "default-certificate",
        "default_certificate",
        FilePath(),
        "FILE",
        "the certificate and its chain (PEM) for names that no other is for; wants --default-key",
    ),
    EdgeOption("default-key", "default_key", FilePath(), "FILE", "its key (PEM)"),
    EdgeOption(
        "hub",
        "hub",
        Place(),
        "ADDRESS:PORT",
        "where agents connect and publish tunnels; without it there is no hub",
    ),
    EdgeOption(
        "hub-cert",
        "hub_cert",
        FilePath(),
        "FILE",
        "the hub's certificate and its chain (PEM); wants --hub-key [default: no TLS there]",
    ),
    EdgeOption("hub-key", "hub_key", FilePath(), "FILE", "its key (PEM)"),
    EdgeOption(
        "tunnel-domain",
        "tunnel_domain",
        Domain(),
        "DOMAIN",
        "tunnels are reached at ID.DOMAIN",
    ),
    EdgeOption(
        "tunnel-paths",
        "tunnel_paths",
        OnOff(),
        "on|off",
        "whether tunnels are reached at /t/ID/ under every host that no route is for [default: on]",
    ),
    EdgeOption(
        "tunnel-auth-provider",
        "tunnel_auth_provider",
        ProviderID(),
        "ID",
        "the authProvider that visitors of tunnels are asked by, where no route leads there",
    ),
    EdgeOption(
        "tunnel-rate",
        "tunnel_rate",
        NumberOrNone(Number(0.001, 1_000_000)),
        "N",
        "requests per second of one client to one tunnel, ten seconds' worth of them at once, or "
        "none [default: none]",
    ),
    EdgeOption(
        "tunnel-bytes-per-day",
        "tunnel_bytes_per_day",
        NumberOrNone(Number(1, 2**53 - 1, whole=True)),
        "BYTES",
        "what one tunnel may move in a day (UTC), both ways, or none [default: none]",
    ),
    EdgeOption(
        "tunnel-streams",
        "tunnel_streams",
        Number(0, 1_000_000, whole=True),
        "N",
        "WebSockets and event streams of one tunnel at once; connections of a TCP tunnel's port, "
        "too [default: 256]",
    ),
    EdgeOption(
        "tunnel-body-bytes",
        "tunnel_body_bytes",
        NumberOrNone(Number(0, 2**53 - 1, whole=True)),
        "BYTES",
        "the largest body of a request to a tunnel, or none [default: none]",
    ),
    EdgeOption(
        "tunnel-tcp",
        "tunnel_tcp",
        TunnelPlaces(),
        "ID=ADDRESS:PORT",
        "a port that leads into a TCP tunnel (repeatable)",
    ),
    EdgeOption(
        "access-log",
        "access_log",
        LogPlace(),
        "FILE",
        "a line of JSON for each request, there or (-) to standard output; opened again after a "
        "SIGHUP",
    ),
    EdgeOption(
        "port-file",
        "port_file",
        FilePath(),
        "FILE",
        "write ports, URLs and process id there, as JSON, when ready",
    ),
    EdgeOption(
        "idle-timeout",
        "idle_timeout",
        Number(0.001, 86_400, unit=" of seconds"),
        "SECONDS",
        "for a client's connection between two requests [default: 75]",
    ),
    EdgeOption(
        "drain-timeout",
        "drain_timeout",
        Number(0, 86_400, unit=" of seconds"),
        "SECONDS",
        "for live connections to end after a SIGTERM [default: 10]",
    ),
    EdgeOption(
        "max-connections",
        "max_connections",
        _CONNECTIONS,
        "N",
        "clients at once; more wait to be accepted [default: 16384]",
    ),
    EdgeOption(
        "max-connections-per-address",
        "max_connections_per_address",
        NumberOrNone(_CONNECTIONS),
        "N",
        "of them from one address, that of a proxy included; more are reset; none for no such cap "
        "[default: half of all]",
    ),
    EdgeOption(
        "log-level",
        "log_level",
        Word(tuple(THRESHOLDS)),
        "LEVEL",
        "silent (errors only), info or debug [default: info]",
    ),
    EdgeOption(
        "log-format",
        "log_format",
        Word(FORMATS),
        "FORMAT",
        "text or json [default: text]",
    ),
)

#: The fields of those that say nothing where there is no hub.
OF_THE_HUB: typing.Final = tuple(
    option.field for option in OPTIONS if option.name.startswith(("hub-", "tunnel-"))
)
