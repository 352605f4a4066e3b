"""
Every option of the client, in one table: its name, what it takes, and what it is for.

The command line, the ``ALUVIA_*`` environment and the TOML file are three spellings of this table,
and so are the help texts.
"""

from __future__ import annotations

from aluvia.process.options import Option
from aluvia.process.takes import (
    Address,
    BaseURL,
    FilePath,
    Gateway,
    HostName,
    Identifier,
    Number,
    NumberOrNone,
    Rules,
    Switch,
    Token,
    Word,
)
from aluvia.telemetry.logs import FORMATS, THRESHOLDS

PREFIX = Option.prefix


_PORT = Number(0, 65535, whole=True)
_SECONDS = Number(0.001, 86_400, unit=" of seconds")

#: All of them, in the order in which help shows them.
OPTIONS = (
    Option(
        "token",
        "token",
        Token(),
        "TOKEN",
        "the user API token; other users of this machine can read it here, and not in "
        "ALUVIA_TOKEN or a --token-file",
    ),
    Option(
        "token-file",
        "token_file",
        FilePath(),
        "FILE",
        "a file with the user API token; without either, systemd's credential aluvia-token is read",
    ),
    Option(
        "api-base-url",
        "api_base_url",
        BaseURL(),
        "URL",
        "the control plane [default: https://api.aluvia.io/v1]",
    ),
    Option(
        "connection",
        "connection",
        Identifier(),
        "ID",
        "follow this connection of an account; the token is then the account's API key",
    ),
    Option(
        "poll-interval",
        "poll_interval",
        Number(1, 86_400, unit=" of seconds"),
        "SECONDS",
        "between two questions whether the configuration has changed [default: 5]",
    ),
    Option(
        "no-strict",
        "no_strict",
        Switch(),
        "",
        "start without a configuration, if there is none to be had yet",
    ),
    Option(
        "on-no-config",
        "on_no_config",
        Word(("direct", "refuse")),
        "WAY",
        "what becomes of requests while there is no configuration: direct shows this machine's "
        "own address, refuse answers 503 [default: direct]",
    ),
    Option(
        "state-file",
        "state_file",
        FilePath(),
        "FILE",
        "keep the last good configuration there, and start from it when the control plane cannot "
        "be reached",
    ),
    Option(
        "flip-grace",
        "flip_grace",
        Number(0, 86_400, unit=" of seconds"),
        "SECONDS",
        "end open tunnels so long after new rules send their host the other way [default: leave "
        "them alone]",
    ),
    Option(
        "gateway-protocol",
        "gateway_protocol",
        Word(("http", "https")),
        "PROTOCOL",
        "http, or https for TLS to the gateway [default: http]",
    ),
    Option(
        "gateway-host",
        "gateway_host",
        HostName(),
        "HOST",
        "the gateway that the control plane's credentials are for [default: gateway.aluvia.io]",
    ),
    Option(
        "gateway-port",
        "gateway_port",
        Number(1, 65535, whole=True),
        "PORT",
        "its port [default: 8080, with https 8443]",
    ),
    Option(
        "gateway-url",
        "gateway",
        Gateway(),
        "URL",
        "in place of a control plane: the parent proxy, http://user:password@host:port or "
        "https://...; user name and password are percent-decoded",
    ),
    Option(
        "rule",
        "rules",
        Rules(),
        "PATTERN",
        "with --gateway-url: a rule that says what goes through it (repeatable), such as "
        "'*.example.com', '-www.example.com', '*'",
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
        "certificates (PEM) to trust for an https gateway and control plane, besides the system's",
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
