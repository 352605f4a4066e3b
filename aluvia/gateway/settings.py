"""What the gateway is to do, as its operator said it: typed, and immutable."""

from __future__ import annotations

import typing
from pathlib import Path

import attrs

__all__ = ["Settings"]

#: An address, as a literal, and a port.
Place = tuple[str, int]


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option with its value; the defaults are the product's.

    :ivar proxy: where the proxy listens; port 0 for any free one, here and below.
    :ivar proxy_tls: where it listens inside TLS; None for nowhere.
    :ivar cert: its certificate and chain, in PEM.
    :ivar key: its key.
    :ivar api: where the control plane listens.
    :ivar db: the store's file.
    :ivar exit_mode: ``direct``.
    :ivar allow_private: whether targets that are not public may be reached.
    :ivar sources: where the value of a field came from, for fields that are not at their default;
        not a part of the value.
    :ivar unknown: variables that look like options and are none, each with the one it may mean.
    """

    proxy: Place = ("127.0.0.1", 8080)
    proxy_tls: Place | None = None
    cert: Path | None = None
    key: Path | None = None
    api: Place = ("127.0.0.1", 8900)
    db: Path = attrs.field(factory=lambda: Path("gateway.db").absolute())
    exit_mode: str = "direct"
    allow_private: bool = False
    connect_timeout: float = 10.0
    idle_timeout: float = 600.0
    drain_timeout: float = 10.0
    max_connections: int = 4096
    port_file: Path | None = None
    log_level: str = "info"
    log_format: str = "text"
    sources: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    unknown: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
