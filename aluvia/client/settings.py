"""
What the client is to do, as its user said it: typed, and immutable.

:mod:`aluvia.client.load` reads it from the command line, the environment and a file;
:mod:`aluvia.client.advice` says what its user should know about it.
"""

from __future__ import annotations

import typing
from pathlib import Path
from urllib.parse import quote

import attrs

from aluvia.client.options import OPTIONS
from aluvia.net.parent import ParentProxy

#: What :meth:`Settings.redacted` shows in place of a secret.
HIDDEN = "***"

#: Fields that are for following a control plane, and mean nothing without one.
FOLLOWING = frozenset(
    [
        "api_base_url",
        "connection",
        "poll_interval",
        "no_strict",
        "on_no_config",
        "state_file",
        "flip_grace",
        "gateway_protocol",
        "gateway_host",
        "gateway_port",
    ]
)

_GATEWAY_PORTS = {"http": 8080, "https": 8443}


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option with its value; the defaults are the product's.

    :ivar token: None in static mode.
    :ivar connection: of an account, in place of its user; None for the user.
    :ivar no_strict: whether to start without a configuration.
    :ivar on_no_config: ``direct`` or ``refuse``.
    :ivar flip_grace: None to leave open tunnels alone.
    :ivar gateway_port: None for what goes with the protocol.
    :ivar gateway: the parent proxy of static mode; None where there is a token.
    :ivar admin_port: None for no admin port.
    :ivar local_users: passwords by user name, one of which every client must give; None where no
        client needs any.
    :ivar gateway_ca: certificates (PEM) to trust, besides the system's.
    :ivar sources: where the value of a field came from (``--port``, ``ALUVIA_PORT``, ``port in
        FILE``), for fields that are not at their default; not a part of the value.
    :ivar unknown: variables that look like options and are none, each with the one it may mean.
    """

    token: str | None = attrs.field(default=None, repr=False)
    token_file: Path | None = None
    api_base_url: str = "https://api.aluvia.io/v1"
    connection: str | None = None
    poll_interval: float = 5.0
    no_strict: bool = False
    on_no_config: str = "direct"
    state_file: Path | None = None
    flip_grace: float | None = None
    gateway_protocol: str = "http"
    gateway_host: str = "gateway.aluvia.io"
    gateway_port: int | None = None
    gateway: ParentProxy | None = None
    rules: tuple[str, ...] = ()
    listen: str = "127.0.0.1"
    port: int = 18787
    admin_port: int | None = 18788
    port_file: Path | None = None
    connect_timeout: float = 10.0
    idle_timeout: float = 600.0
    drain_timeout: float = 10.0
    max_connections: int = 4096
    allow_link_local: bool = False
    local_users: typing.Mapping[str, str] | None = attrs.field(default=None, repr=False)
    gateway_ca: bytes | None = attrs.field(default=None, repr=False)
    log_level: str = "info"
    log_format: str = "text"
    sources: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    unknown: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)

    @property
    def place(self) -> ParentProxy:
        """The gateway that the control plane's credentials are for, without them."""
        protocol = self.gateway_protocol
        port = self.gateway_port or _GATEWAY_PORTS[protocol]
        return ParentProxy(self.gateway_host, port, tls=protocol == "https")

    @property
    def strict(self) -> bool:
        """Whether a start needs a configuration."""
        return not self.no_strict

    def credentials(self) -> list[tuple[str, str]]:
        """Each user name and password that must never be shown, as far as they are known."""
        pairs = list((self.local_users or {}).items())
        if self.gateway is not None and self.gateway.username is not None:
            pairs.append((self.gateway.username, self.gateway.password))
        return pairs

    def redacted(self) -> dict[str, object]:
        """
        Every option by its name, as it would stand in a TOML file, without passwords. What is not
        set is not there. User names are shown: it is for whoever checks a configuration of theirs,
        not for a log or a page.
        """
        shown: dict[str, object] = {}
        for option in OPTIONS:
            value = getattr(self, option.field)
            if isinstance(value, ParentProxy):
                name = value.username
                userinfo = "" if name is None else f"{quote(name, safe='')}:{HIDDEN}@"
                value = str(value).replace("://", f"://{userinfo}", 1)
            elif option.field == "token" and value is not None:
                value = HIDDEN
            elif option.field == "local_users" and value is not None:
                value = f"({len(value)} users)"
            elif option.field == "gateway_ca" and value is not None:
                value = f"({value.count(b'-----BEGIN CERTIFICATE-----')} certificates)"
            elif option.field == "admin_port" and value is None:
                value = "none"
            elif option.field in FOLLOWING and self.token is None:
                value = None
            elif isinstance(value, tuple):
                value = list(value)
            elif isinstance(value, Path):
                value = str(value)
            if value is not None:
                shown[option.name] = value
        return shown
