"""
Which route a request is for: by its host, and where a vhost is split, by its path.

An exact vhost beats the longest wildcard, which beats ``*``. A wildcard is for names of any depth
below it, and not for addresses. Within the vhost the longest prefix wins, by whole segments; a path
that none is for has no route, though a less specific vhost might have one: a vhost is somebody's
whole.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.edge.model import ANY_HOST

__all__ = ["RouteTable", "segments"]

_address = re.compile(r"[0-9.]+|.*:.*").fullmatch

#: Hosts whose vhost is remembered.
MOST_REMEMBERED = 4_096

_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/;")


class Routed(typing.Protocol):
    """What is in the table."""

    @property
    def v_host(self) -> str:
        """As configured."""

    @property
    def path_prefix(self) -> str | None:
        """As configured."""


R = typing.TypeVar("R", bound=Routed)


@attrs.frozen
class _Entry(typing.Generic[R]):
    """A route below a vhost; ``parts`` are the segments of its prefix."""

    parts: tuple[bytes, ...]
    route: R


class RouteTable(typing.Generic[R]):
    """All routes, as they are at one moment."""

    def __init__(self, routes: typing.Iterable[R] = ()) -> None:
        self._by_host: dict[str, list[_Entry[R]]] = {}
        self._known: dict[str, list[_Entry[R]] | None] = {}
        for route in routes:
            prefix = route.path_prefix
            parts = () if prefix is None else segments(prefix.encode("ascii"))
            self._by_host.setdefault(route.v_host, []).append(_Entry(parts, route))
        for entries in self._by_host.values():
            entries.sort(key=lambda entry: -len(entry.parts))

    def find(self, host: str, path: bytes) -> R | None:
        """
        The route of a request.

        :param host: canonical; empty if the request names none.
        :param path: as it stands in the request, with its query or without.
        """
        try:
            entries = self._known[host]
        except KeyError:
            entries = self._remember(host)
        if entries is None:
            return None
        last = entries[-1]
        if len(entries) == 1 and not last.parts:
            return last.route
        asked = segments(path.partition(b"?")[0])
        for entry in entries:
            if asked[: len(entry.parts)] == entry.parts:
                return entry.route
        return None

    def _remember(self, host: str) -> list[_Entry[R]] | None:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        found = self._known[host] = self._entries(host)
        return found

    def _entries(self, host: str) -> list[_Entry[R]] | None:
        by_host = self._by_host
        if host in by_host:
            return by_host[host]
        if _address(host) is None:
            rest = host
            while rest:
                _, _, rest = rest.partition(".")
                if (wildcard := f"*.{rest}") in by_host:
                    return by_host[wildcard]
        return by_host.get(ANY_HOST)


def segments(path: bytes) -> tuple[bytes, ...]:
    """
    What a path is made of, as the most obliging of servers might see it: escaped letters, dots and
    slashes are what they stand for, ``.``, ``..`` and empty segments are resolved (RFC 3986 section
    6.2.2), and what is behind a ``;`` is a parameter. So a path cannot be spelled past a prefix.
    The path itself goes on as it came.
    """
    if b"%" in path:
        path = _escaped.sub(_unescaped, path)
    resolved: list[bytes] = []
    for part in path.split(b"/"):
        name = part.partition(b";")[0]
        if name == b"..":
            del resolved[-1:]
        elif name and name != b".":
            resolved.append(name)
    return tuple(resolved)


def _unescaped(match: re.Match[bytes]) -> bytes:
    byte = int(match[1], 16)
    return bytes([byte]) if byte in _UNRESERVED else match[0].upper()
