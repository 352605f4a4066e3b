"""What options of the edge take that those of no other door do; see :mod:`aluvia.process.takes`."""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.edge.listeners import read_listener
from aluvia.edge.name_fields import host_name
from aluvia.edge.reading import Wrong
from aluvia.edge.settings import IN_MEMORY, STANDARD_OUTPUT, TunnelPlace
from aluvia.edge.trusted import MOST_NETWORKS, read_network
from aluvia.hub.registration import tunnel_id
from aluvia.process.takes import FilePath, Place, Repeatable, Switch, string

__all__ = [
    "Domain",
    "ListenerOrNone",
    "LogPlace",
    "Networks",
    "OnOff",
    "ProviderID",
    "StorePlace",
    "TunnelPlaces",
]


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


@attrs.frozen
class OnOff:
    """``on`` or ``off``, which is said on the command line, too."""

    def from_text(self, text: str) -> object:
        """Read it."""
        try:
            return Switch().from_text(text)
        except ValueError:
            raise ValueError("must be on or off") from None

    def from_toml(self, value: object) -> object:
        """Take a boolean, or the word."""
        return self.from_text(value) if isinstance(value, str) else Switch().from_toml(value)


@attrs.frozen
class Domain:
    """A domain's name, canonical."""

    def from_text(self, text: str) -> object:
        """Read it."""
        try:
            return host_name(text.strip())
        except Wrong as wrong:
            raise ValueError(str(wrong)) from None

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class ProviderID:
    """What a provider is called by."""

    def from_text(self, text: str) -> object:
        """Read it."""
        if _provider_id(text.strip()) is None:
            raise ValueError("must be the id of an authProvider")
        return text.strip()

    def from_toml(self, value: object) -> object:
        """Take a string."""
        return self.from_text(string(value))


@attrs.frozen
class TunnelPlaces(Repeatable):
    """Ports of TCP tunnels, ``ID=ADDRESS:PORT``. In a text they stand between commas or spaces."""

    def from_text(self, text: str) -> object:
        """Read a list."""
        return tuple(_tunnel_place(each) for each in re.split(r"[,\s]+", text) if each)

    def from_toml(self, value: object) -> object:
        """Take an array of strings."""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError("must be an array of strings")
        return self.from_text(",".join(value))


def _tunnel_place(text: str) -> TunnelPlace:
    name, equals, where = text.partition("=")
    id = tunnel_id(name)
    if id is None or not equals:
        raise ValueError("must be ID=ADDRESS:PORT, such as db=127.0.0.1:5432")
    address, port = typing.cast(tuple[str, int], Place().from_text(where))
    return TunnelPlace(id, address, port)


_provider_id = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII).fullmatch
