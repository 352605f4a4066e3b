"""
What an agent publishes: ids, each with one target, as they are written down.

.. code-block:: text

    on the command line, or between commas in a variable     in the file
    ------------------------------------------------------   -------------------------------------
    --publish 'app=http://127.0.0.1:3000'                    [publish]
                                                             app = "http://127.0.0.1:3000"
    --publish 'app@TOKEN=https://localhost:8443'             [publish.app]
                                                             target = "https://localhost:8443"
                                                             token = "TOKEN"
    --publish-tcp 'db=127.0.0.1:5432'                        [publish-tcp]
                                                             db = "127.0.0.1:5432"

A target is a scheme, a host and perhaps a port. It has no path: a tunnel carries connections, and
what is asked for on them is the visitor's. What is wrong is said with the tunnel's id, or with its
place where there is none that can be shown: beside an id there may stand a token.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.hub.registration import SECRET_CHARS, TunnelKind, tunnel_id
from aluvia.process.takes import Repeatable, Token, string, toml_type
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import Authority, parse_authority

__all__ = ["Published", "TakesTunnels"]

_PORTS = {"http": 80, "https": 443}

# The token ends where the URL begins, so that it may have an "=" in it.
_declared = re.compile(r"([^@=]*)(?:@(.*?))?=([A-Za-z][A-Za-z0-9+.-]*://.*)", re.DOTALL).fullmatch
_declared_tcp = re.compile(r"([^@=]*)(?:@(.*))?=([^=]*)", re.DOTALL).fullmatch

_ID = "an id is 1 to 63 of a-z, 0-9, - and _, and begins and ends with no dash"


@attrs.frozen
class Published:
    """
    One tunnel: its id, and the only place that it leads to.

    :ivar kind: ``http``, or ``tcp`` for bytes of any kind.
    :ivar tls: whether its target is reached inside TLS.
    :ivar host: canonical, IPv6 without brackets.
    :ivar token: what visitors must show; None for nothing.
    """

    id: str
    kind: TunnelKind
    tls: bool
    host: str
    port: int
    token: str | None = attrs.field(default=None, repr=False)

    @property
    def scheme(self) -> str:
        """``http``, ``https`` or ``tcp``."""
        return "tcp" if self.kind == "tcp" else "https" if self.tls else "http"

    @property
    def place(self) -> str:
        """The target's host and port."""
        return str(Authority(self.host, self.port))

    @property
    def target(self) -> str:
        """The target, as a URL with its port."""
        return f"{self.scheme}://{self.place}"


@attrs.frozen
class TakesTunnels(Repeatable):
    """
    Tunnels of one kind.

    :ivar kind: ``http`` for URLs, ``tcp`` for a host and a port.
    """

    kind: TunnelKind

    def from_text(self, text: str) -> object:
        """Read a list with commas, or line ends, between them."""
        return self._all([each for each in re.split(r"[,\n]", text) if each.strip()])

    def from_toml(self, value: object) -> object:
        """Take an array of strings as they stand on the command line, or a table by id."""
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return self._all(value)
        if not isinstance(value, dict):
            raise ValueError(f"must be a table of ids, or an array of strings, not {_type(value)}")
        return _unlike([self._entry(name, entry) for name, entry in value.items()])

    def _all(self, texts: typing.Sequence[str]) -> tuple[Published, ...]:
        return _unlike([self._word(text.strip(), at) for at, text in enumerate(texts, 1)])

    def _word(self, text: str, at: int) -> Published:
        tcp = self.kind == "tcp"
        match = (_declared_tcp if tcp else _declared)(text)
        if match is None:
            like = "db=127.0.0.1:5432" if tcp else "app=http://127.0.0.1:3000"
            raise ValueError(f"tunnel {at}: must be like {like}")
        name, token, target = match.groups()
        id = tunnel_id(name)
        if id is None:
            raise ValueError(f"tunnel {at}: {_ID}")
        return self._published(id, target, token)

    def _entry(self, name: str, entry: object) -> Published:
        id = tunnel_id(name)
        if id is None:
            raise ValueError(f"{name!r} is no id: {_ID}")
        if isinstance(entry, dict):
            unknown = set(entry) - {"target", "token"}
            if unknown or "target" not in entry:
                raise ValueError(f"{id}: must have a target, may have a token, and nothing else")
            token = entry.get("token")
            return self._published(
                id, _of(id, entry["target"]), None if token is None else _of(id, token)
            )
        return self._published(id, _of(id, entry), None)

    def _published(self, id: str, target: str, token: str | None) -> Published:
        try:
            tls, host, port = (_tcp_target if self.kind == "tcp" else _url_target)(target.strip())
            return Published(id, self.kind, tls, host, port, _visitors_token(token, self.kind))
        except ValueError as error:
            raise ValueError(f"{id}: {error}") from None


def _unlike(found: typing.Sequence[Published]) -> tuple[Published, ...]:
    """
    :raises ValueError: two have one id.
    """
    ids = [each.id for each in found]
    for id in ids:
        if ids.count(id) > 1:
            raise ValueError(f"{id} is there twice")
    return tuple(found)


def _of(id: str, value: object) -> str:
    try:
        return string(value)
    except ValueError as error:
        raise ValueError(f"{id}: {error}") from None


def _type(value: object) -> str:
    return "an array of something else" if isinstance(value, list) else toml_type(value)


def _visitors_token(token: str | None, kind: TunnelKind) -> str | None:
    if token is None:
        return None
    if kind == "tcp":
        raise ValueError("a TCP tunnel has no token: there is nobody to show one to")
    if len(token.strip()) > SECRET_CHARS:
        raise ValueError(f"the token has more than {SECRET_CHARS} characters")
    try:
        read = Token().from_text(token)
    except ValueError as error:
        raise ValueError(f"the token {error}") from None
    if read is None:
        raise ValueError("the token is empty")
    return typing.cast(str, read)


def _url_target(url: str) -> tuple[bool, str, int]:
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in _PORTS:
        raise ValueError("the target must begin with http:// or https://")
    place = _place(rest.removesuffix("/"))
    return scheme == "https", place.host, place.port or _PORTS[scheme]


def _tcp_target(text: str) -> tuple[bool, str, int]:
    text = text.removeprefix("tcp://")
    if "://" in text:
        raise ValueError("the target must be HOST:PORT alone; a web server's URL is for --publish")
    place = _place(text)
    if place.port is None:
        raise ValueError("the target must have a port, as in 127.0.0.1:5432")
    return False, place.host, place.port


def _place(text: str) -> Authority:
    if "@" in text:
        raise ValueError("the target must not hold a user name or a password")
    if re.search(r"[/?#]", text):
        raise ValueError(
            "the target must be a host and a port alone: a tunnel has no path of its own, and "
            "visitors' paths reach the target as they are"
        )
    try:
        return parse_authority(text.encode("ascii"))
    except (ProtocolViolation, UnicodeEncodeError):
        raise ValueError("the target must name a host, and if need be a port") from None
