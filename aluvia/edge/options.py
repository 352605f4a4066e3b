"""
Every option of the edge, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_EDGE_*`` environment and the TOML file are three spellings of it.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.edge.api_token import VARIABLE
from aluvia.edge.listeners import read_listener
from aluvia.edge.settings import IN_MEMORY, STANDARD_OUTPUT
from aluvia.edge.trusted import MOST_NETWORKS, read_network
from aluvia.process.options import Option
from aluvia.process.takes import (
    FilePath,
    Number,
    NumberOrNone,
    Place,
    Repeatable,
    Word,
    string,
)
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

__all__ = ["OPTIONS", "PREFIX", "ListenerOrNone"]

PREFIX = "ALUVIA_EDGE_"


@attrs.frozen
class EdgeOption(Option):
    """One option, with the edge's own variables."""

    prefix: typing.ClassVar[str] = PREFIX


@attrs.frozen
class ListenerOrNone:
    """Where to listen (:mod:`aluvia.edge.listeners`), or the word ``none``."""

    def from_text(self, text: str) -> object:
        """Read it."""
        return None if text.strip().lower() == "none" else read_listener(text)

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class StorePlace:
    """The store's file, by its name or by an SQLite URL of SQLAlchemy's; or none, in memory."""

    def from_text(self, text: str) -> object:
        """Read it. What is wrong is said without a URL, which may have a password in it."""
        scheme, separator, rest = text.strip().partition("://")
        if not separator:
            return str(IN_MEMORY) if text.strip() == str(IN_MEMORY) else FilePath().from_text(text)
        scheme = scheme.lower().partition("+")[0]
        if scheme in ("postgresql", "postgres"):
            raise ValueError("cannot be PostgreSQL yet; an SQLite file is what there is")
        if scheme != "sqlite" or "?" in rest or (rest and not rest.startswith("/")):
            raise ValueError("must be a file, :memory:, or sqlite:///FILE without parameters")
        name = rest[1:]
        return str(IN_MEMORY) if name in ("", str(IN_MEMORY)) else FilePath().from_text(name)

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class Networks(Repeatable):
    """Networks. In a text they stand between commas or white space."""

    def from_text(self, text: str) -> object:
        """Read a list."""
        networks = [str(read_network(each)) for each in re.split(r"[,\s]+", text) if each]
        if len(networks) > MOST_NETWORKS:
            raise ValueError(f"must be {MOST_NETWORKS} networks or less")
        return tuple(dict.fromkeys(networks))

    def from_toml(self, value: object) -> object:
        """Take an array of strings."""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError("must be an array of strings")
        return self.from_text(",".join(value))


@attrs.frozen
class LogPlace:
    """A file, or ``-`` for standard output."""

    def from_text(self, text: str) -> object:
        """Read it."""
        return STANDARD_OUTPUT if text.strip() == STANDARD_OUTPUT else FilePath().from_text(text)

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


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
