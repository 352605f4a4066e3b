"""
Which route a request is for: by its host, and where a vhost is split, by its path.

An exact vhost beats the longest wildcard, which beats ``*``. A wildcard is for names of any depth
below it, and not for addresses. The names right below the domain of tunnels are taken by exact
vhosts alone. Within the vhost the longest prefix wins, by whole segments; a path
that none is for has no route, though a less specific vhost might have one: a vhost is somebody's
whole.

Prefixes are often where a guard stands: authentication for ``/admin``, and none for the rest. So a
path that could be read past one is refused, whichever way its backend reads it; one that is not
plain passes where all its readings lead to the same route. The path itself goes on as it came.

The host is canonical when it comes here, in lower case. In a path case counts, as RFC 3986 section
6.2.2.1 has it: ``/ADMIN`` is not below ``/admin``. A backend for which it is (IIS, a file system
that knows no case) reads past a prefix, and has to be guarded by its whole vhost.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.edge.model import ANY_HOST
from aluvia.wire.errors import ProtocolViolation

__all__ = ["RouteTable", "readings", "segments"]

_address = re.compile(r"[0-9.]+|.*:.*").fullmatch

#: Hosts whose vhost is remembered.
MOST_REMEMBERED = 4_096

_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")

# What has one reading, whoever reads it.
_plain = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[^/%;\\\0]+)*/?").fullmatch

#: How often it is tried whether there is more behind what is escaped.
MOST_UNESCAPED = 3


class Routed(typing.Protocol):
    """What is in the table."""

    @property
    def v_host(self) -> str:
        """As configured."""

    @property
    def path_prefix(self) -> str | None:
        """As configured."""


R = typing.TypeVar("R", bound=Routed)


#: The segments of a path as a server reads it, and whether it unescapes what is escaped.
_Reading = tuple[tuple[bytes, ...], bool]


@attrs.frozen
class _Entry(typing.Generic[R]):
    """
    A route below a vhost.

    :ivar parts: the segments of its prefix, as it is spelled: escaped where it must be.
    :ivar unescaped: the same as a server sees it that unescapes.
    """

    parts: tuple[bytes, ...]
    unescaped: tuple[bytes, ...]
    route: R


class RouteTable(typing.Generic[R]):
    """
    All routes, as they are at one moment.

    :param tunnel_domain: canonical; the names right below it are tunnels', and no wildcard is for
        them. Empty for none.
    """

    def __init__(self, routes: typing.Iterable[R] = (), tunnel_domain: str = "") -> None:
        self._tunnel_domain = tunnel_domain
        self._by_host: dict[str, list[_Entry[R]]] = {}
        self._known: dict[str, list[_Entry[R]] | None] = {}
        # Of vhosts with such a prefix no path is plain.
        self._escaped: set[str] = set()
        for route in routes:
            prefix = route.path_prefix
            parts = () if prefix is None else segments(prefix.encode("ascii"))
            unescaped = tuple(_escaped.sub(_unescaped, part) for part in parts)
            if parts != unescaped:
                self._escaped.add(route.v_host)
            self._by_host.setdefault(route.v_host, []).append(_Entry(parts, unescaped, route))
        for entries in self._by_host.values():
            entries.sort(key=lambda entry: -len(entry.parts))

    def find(self, host: str, path: bytes) -> R | None:
        """
        The route of a request.

        :param host: canonical; empty if the request names none.
        :param path: as it stands in the request, with its query or without.
        :raises ProtocolViolation: 400, for a path that is one route's as one server reads it, and
            another's as another one does.
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
        asked = path.partition(b"?")[0]
        route = _first(entries, (tuple(asked.split(b"/")[1:]), False))
        plain = _plain(asked) is not None and not (
            self._escaped and last.route.v_host in self._escaped
        )
        if not plain and any(_first(entries, each) is not route for each in _readings(asked)):
            raise ProtocolViolation(400, "The path can be read in more than one way.")
        return route

    def claims(self, host: str) -> bool:
        """Whether a host is some route's, though perhaps not with every path."""
        return (self._known[host] if host in self._known else self._remember(host)) is not None

    def _remember(self, host: str) -> list[_Entry[R]] | None:
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        found = self._known[host] = self._entries(host)
        return found

    def _entries(self, host: str) -> list[_Entry[R]] | None:
        by_host = self._by_host
        if host in by_host:
            return by_host[host]
        if self._tunnel_domain and host.partition(".")[2] == self._tunnel_domain:
            return None
        if _address(host) is None:
            rest = host
            while rest:
                _, _, rest = rest.partition(".")
                if (wildcard := f"*.{rest}") in by_host:
                    return by_host[wildcard]
        return by_host.get(ANY_HOST)


def segments(path: bytes) -> tuple[bytes, ...]:
    """
    What a path is made of, as an obliging server sees it: ``.``, ``..`` and empty segments are
    resolved (RFC 3986 section 6.2.2), and what is behind a ``;`` is a parameter.
    """
    resolved: list[bytes] = []
    for part in path.split(b"/"):
        name = part.partition(b";")[0]
        if name == b"..":
            del resolved[-1:]
        elif name and name != b".":
            resolved.append(name)
    return tuple(resolved)


def readings(path: bytes) -> typing.Iterator[tuple[bytes, ...]]:
    """The segments of a path that is not plain, as servers of different manners may read it."""
    return (parts for parts, _ in _readings(path))


def _readings(path: bytes) -> typing.Iterator[_Reading]:
    """
    How servers of different manners may read a path that is not plain.

    What is escaped may be unescaped never, once or again, before or behind the segments being
    found; a backslash may be a slash; a NUL may be the end.
    """
    for times in range(MOST_UNESCAPED):
        for parts in (
            tuple(path.split(b"/")[1:]),
            segments(path),
            segments(path.replace(b"\\", b"/")),
            segments(path.partition(b"\0")[0]),
        ):
            yield parts, times > 0
        unescaped = _escaped.sub(_unescaped, path)
        if unescaped == path and times:
            return
        path = unescaped
    yield segments(path), True


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 16)])


def _spelled(match: re.Match[bytes]) -> bytes:
    # As a prefix is (RFC 3986 section 6.2.2.1).
    return match[0].upper()


def _first(entries: list[_Entry[R]], reading: _Reading) -> R | None:
    asked, unescaped = reading
    if not unescaped and any(b"%" in part for part in asked):
        asked = tuple(_escaped.sub(_spelled, part) for part in asked)
    for entry in entries:
        parts = entry.unescaped if unescaped else entry.parts
        if asked[: len(parts)] == parts:
            return entry.route
    return None
