"""
Every option of the gateway, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_GATEWAY_*`` environment and the TOML file are three spellings of it.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.process.options import Option
from aluvia.process.takes import FilePath, Number, Place, Switch, Word
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

__all__ = ["OPTIONS", "PREFIX"]

PREFIX = "ALUVIA_GATEWAY_"


@attrs.frozen
class GatewayOption(Option):
    """One option, with the gateway's own variables."""

    prefix: typing.ClassVar[str] = PREFIX


@attrs.frozen
class ExitMode:
    """By which exits requests go out. There is one way so far."""

    def from_text(self, text: str) -> object:
        """Read the word."""
        mode = text.strip()
        if mode in ("agents", "prefer-agents"):
            raise ValueError("there are no agents yet; direct is the only way out")
        if mode != "direct":
            raise ValueError("must be direct")
        return mode

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(str(Word(("direct", "agents", "prefer-agents")).from_toml(value)))


_SECONDS = Number(0.001, 86_400, unit=" of seconds")

#: All of them, in the order in which help shows them.
OPTIONS: tuple[Option, ...] = (
    GatewayOption(
        "proxy",
        "proxy",
        Place(),
        "ADDRESS:PORT",
        "where the proxy listens, such as 0.0.0.0:8080; port 0 is any free one, here and below "
        "[default: 127.0.0.1:8080]",
    ),
    GatewayOption(
        "proxy-tls",
        "proxy_tls",
        Place(),
        "ADDRESS:PORT",
        "where it listens inside TLS; wants --cert and --key",
    ),
    GatewayOption(
        "cert",
        "cert",
        FilePath(),
        "FILE",
        "its certificate and chain (PEM); read again after a SIGHUP, with the key",
    ),
    GatewayOption("key", "key", FilePath(), "FILE", "the certificate's key (PEM)"),
    GatewayOption(
        "api",
        "api",
        Place(),
        "ADDRESS:PORT",
        "where the control plane listens [default: 127.0.0.1:8900]",
    ),
    GatewayOption(
        "db",
        "db",
        FilePath(),
        "FILE",
        "the accounts; made if it is not there [default: gateway.db]",
    ),
    GatewayOption(
        "exit-mode",
        "exit_mode",
        ExitMode(),
        "MODE",
        "direct: requests leave by this machine's own line [default: direct]",
    ),
    GatewayOption(
        "allow-private",
        "allow_private",
        Switch(),
        "",
        "let requests reach addresses that are not public, this machine's among them (for tests)",
    ),
    GatewayOption(
        "port-file",
        "port_file",
        FilePath(),
        "FILE",
        "write ports, URLs and process id there, as JSON, when ready",
    ),
    GatewayOption(
        "connect-timeout",
        "connect_timeout",
        _SECONDS,
        "SECONDS",
        "for a connection to be made [default: 10]",
    ),
    GatewayOption(
        "idle-timeout",
        "idle_timeout",
        _SECONDS,
        "SECONDS",
        "after which a silent tunnel ends [default: 600]",
    ),
    GatewayOption(
        "drain-timeout",
        "drain_timeout",
        Number(0, 86_400, unit=" of seconds"),
        "SECONDS",
        "for live connections to end after a SIGTERM [default: 10]",
    ),
    GatewayOption(
        "max-connections",
        "max_connections",
        Number(1, 1_000_000, whole=True),
        "N",
        "clients at once; more wait to be accepted [default: 4096]",
    ),
    GatewayOption(
        "log-level",
        "log_level",
        Word(tuple(THRESHOLDS)),
        "LEVEL",
        "silent (errors only), info or debug [default: info]",
    ),
    GatewayOption(
        "log-format",
        "log_format",
        Word(FORMATS),
        "FORMAT",
        "text or json [default: text]",
    ),
)
