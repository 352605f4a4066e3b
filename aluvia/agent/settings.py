"""What the agent is to do, as its operator said it: typed, and immutable."""

from __future__ import annotations

import typing
from pathlib import Path

import attrs

from aluvia.agent.hub_url import HubURL
from aluvia.agent.tunnels import Published

__all__ = ["Settings"]


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option with its value; the defaults are the product's.

    :ivar key: the agent's, which the hub knows.
    :ivar key_file: where it stood, if in a file.
    :ivar id: what people call this agent.
    :ivar group: None for none.
    :ivar publish: tunnels to web servers.
    :ivar publish_tcp: tunnels to anything else.
    :ivar exit: always false so far.
    :ivar cafile: certificates to trust (PEM), besides the system's.
    :ivar max_streams: at once, over all tunnels.
    :ivar config: the TOML file, if there is one.
    :ivar sources: where the value of a field came from, for fields that are not at their default;
        not a part of the value.
    :ivar unknown: variables that look like options and are none, each with the one it may mean.
    :ivar passed_over: variables that are set, and stand below another one that holds.
    """

    hub: HubURL
    key: str = attrs.field(repr=False)
    key_file: Path | None = None
    id: str
    group: str | None = attrs.field(default=None, repr=False)
    publish: tuple[Published, ...] = ()
    publish_tcp: tuple[Published, ...] = ()
    exit: bool = False
    carrier: typing.Literal["auto", "wss", "longpoll"] = "auto"
    insecure: bool = False
    cafile: bytes | None = attrs.field(default=None, repr=False)
    port_file: Path | None = None
    connect_timeout: float = 10.0
    idle_timeout: float = 3600.0
    drain_timeout: float = 10.0
    max_streams: int = 1024
    log_level: str = "info"
    log_format: str = "text"
    config: Path | None = attrs.field(default=None, eq=False)
    sources: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    unknown: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)
    passed_over: typing.Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)

    @property
    def tunnels(self) -> tuple[Published, ...]:
        """All that is published."""
        return self.publish + self.publish_tcp

    def secrets(self) -> list[str]:
        """What no log may show. (A group is a word like others, and is not logged at all.)"""
        return [self.key, *(each.token for each in self.tunnels if each.token is not None)]
