"""
Every option of the client, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_*`` environment and the TOML file are three spellings of this table,
and so are the help texts.
"""

from __future__ import annotations

import attrs

from aluvia.client.takes import (
    Address,
    FilePath,
    Gateway,
    Number,
    NumberOrNone,
    Rules,
    Switch,
    Takes,
    Word,
)
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

PREFIX = "ALUVIA_"


@attrs.frozen
class Option:
    """
    One option.

    :ivar name: on the command line behind ``--``, and as it is in the file.
    :ivar field: the field of :class:`~aluvia.client.settings.Settings` that its value is for.
    :ivar metavar: what its value is called in help texts; empty for a switch.
    """

    name: str
    field: str
    takes: Takes
    metavar: str
    text: str

    @property
    def flag(self) -> str:
        """On the command line."""
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return PREFIX + self.name.upper().replace("-", "_")


_PORT = Number(0, 65535, whole=True)
_SECONDS = Number(0.001, 86_400, unit=" of seconds")

#: All of them, in the order in which help shows them.
OPTIONS = (
    Option(
        "gateway-url",
        "gateway",
        Gateway(),
        "URL",
        "the parent proxy, http://user:password@host:port or https://...; user name and password "
        "are percent-decoded",
    ),
    Option(
        "rule",
        "rules",
        Rules(),
        "PATTERN",
        "a rule that says what goes through the gateway (repeatable), such as '*.example.com', "
        "'-www.example.com', '*'",
    ),
    Option(
        "listen",
        "listen",
        Address(),
        "ADDRESS",
        "where to listen; anything but loopback wants --local-auth-file [default: 127.0.0.1]",
    ),
    Option("port", "port", _PORT, "PORT", "the proxy's port, 0 for any free one [default: 18787]"),
    Option(
        "admin-port",
        "admin_port",
        NumberOrNone(_PORT),
        "PORT",
        "health, metrics and explanations on 127.0.0.1; 0 for any free port, none for none "
        "[default: 18788]",
    ),
    Option(
        "port-file",
        "port_file",
        FilePath(),
        "FILE",
        "write ports, URL and process id there, as JSON, when ready",
    ),
    Option(
        "local-auth-file",
        "local_users",
        FilePath(),
        "FILE",
        "lines of user:password; with it, every client must give one of them",
    ),
    Option(
        "gateway-ca",
        "gateway_ca",
        FilePath(),
        "FILE",
        "certificates (PEM) to trust for an https gateway, besides the system's",
    ),
    Option(
        "allow-link-local",
        "allow_link_local",
        Switch(),
        "",
        "let direct requests reach link-local addresses, such as 169.254.169.254",
    ),
    Option(
        "connect-timeout",
        "connect_timeout",
        _SECONDS,
        "SECONDS",
        "for a connection to be made [default: 10]",
    ),
    Option(
        "idle-timeout",
        "idle_timeout",
        _SECONDS,
        "SECONDS",
        "after which a silent tunnel ends [default: 600]",
    ),
    Option(
        "drain-timeout",
        "drain_timeout",
        Number(0, 86_400, unit=" of seconds"),
        "SECONDS",
        "for live connections to end after a SIGTERM [default: 10]",
    ),
    Option(
        "max-connections",
        "max_connections",
        Number(1, 1_000_000, whole=True),
        "N",
        "clients at once; more wait to be accepted [default: 4096]",
    ),
    Option(
        "log-level",
        "log_level",
        Word(tuple(THRESHOLDS)),
        "LEVEL",
        "silent (errors only), info or debug [default: info]",
    ),
    Option(
        "log-format",
        "log_format",
        Word(FORMATS),
        "FORMAT",
        "text or json [default: text]",
    ),
)
