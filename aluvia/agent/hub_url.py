"""Where the hub is: one URL, in the spellings that agents have been told it in."""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.net.addresses import is_loopback
from aluvia.process.takes import string
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import Authority, parse_authority

__all__ = ["AGENT_PATH", "HubURL", "TakesHubURL"]

#: Where a hub has its WebSocket, if nobody says otherwise.
AGENT_PATH: typing.Final = "/agent"

_PORTS = {"ws": 80, "wss": 443}

#: Schemes that are read, and what they become: an HTTP URL is the base that the path is behind.
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

_path = re.compile(r"[!$&-;=@A-Z_a-z~%]*").fullmatch


@attrs.frozen
class HubURL:
    """
    Where the WebSocket is.

    :ivar tls: whether it is reached inside TLS.
    :ivar host: canonical, IPv6 without brackets.
    :ivar path: with its first ``/``.
    """

    tls: bool
    host: str
    port: int
    path: str = AGENT_PATH

    def __str__(self) -> str:
        """As it is written: without the port that goes with the scheme."""
        return f"{self._scheme}://{self.authority}{self.path}"

    @property
    def _scheme(self) -> str:
        return "wss" if self.tls else "ws"

    @property
    def authority(self) -> str:
        """Host and port, without the port that goes with the scheme."""
        port = None if self.port == _PORTS[self._scheme] else self.port
        return str(Authority(self.host, port))

    @property
    def calls(self) -> str:
        """The path before those of the long-poll contract: they are beside the WebSocket."""
        return f"{self.path.rpartition('/')[0]}/api/agent"

    @property
    def exposed(self) -> bool:
        """Whether what is said can be read on the way."""
        return not (self.tls or is_loopback(self.host))


@attrs.frozen
class TakesHubURL:
    """
    ``wss://host/agent``: without a path it is ``/agent``. An ``http`` or ``https`` URL is a base:
    ``/agent`` stands behind its path.
    """

    def from_text(self, text: str) -> object:
        """Read it. What is wrong is said without the URL, in which somebody may have put a key."""
        scheme, separator, rest = text.strip().partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _SCHEMES:
            raise ValueError("must begin with wss://, or for a hub on this machine ws://")
        authority, slash, path = rest.partition("/")
        if "@" in authority:
            raise ValueError("must not hold a user name or a password; the key is for --key-file")
        if "?" in rest or "#" in rest:
            raise ValueError("must end with its path: no query, no fragment")
        if _path(path) is None:
            raise ValueError("must have no spaces, and nothing but ASCII, in its path")
        try:
            place = parse_authority(authority.encode("ascii"))
        except (ProtocolViolation, UnicodeEncodeError):
            raise ValueError("must name a host, and if need be a port") from None
        base = (slash + path).rstrip("/")
        if _SCHEMES[scheme] != scheme:
            base += AGENT_PATH
        scheme = _SCHEMES[scheme]
        return HubURL(scheme == "wss", place.host, place.port or _PORTS[scheme], base or AGENT_PATH)

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))
