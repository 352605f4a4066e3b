"""
Documents of backends.

A backend is at ``hostname`` and ``port``, or at an ``endpoint``. One that comes without an id, and
stands where one stood before, is that one: who writes the same list twice changes nothing.
"""

from __future__ import annotations

import re
import typing

from aluvia.edge.backends import NO_TLS_TO_TUNNELS, TUNNEL
from aluvia.edge.bounds import BACKENDS, ENDPOINT_CHARS, WEIGHT
from aluvia.edge.list_shapes import Match, ObjectsOf, id_of
from aluvia.edge.model import AdminState, Backend
from aluvia.edge.name_fields import host, host_and_port
from aluvia.edge.pem_fields import BACKEND_TLS
from aluvia.edge.plain_fields import ID, Choice, Plain, Whole, limited
from aluvia.edge.reading import DIALERS, Place, Wrong
from aluvia.edge.shapes import Attributes, Member, Nullable, ObjectOf, keep_id
from aluvia.hub.registration import tunnel_id
from aluvia.wire.target import Authority

__all__ = ["BACKEND", "BACKEND_LIST"]

#: What is shown of a backend besides, while it runs.
MEASURED: typing.Final = ("isDead", "deadSince", "failureCount", "active", "latencyMs")

_dialer = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII).fullmatch
_visible = re.compile(r"[!-~]+", re.ASCII).fullmatch


class _Endpoint:
    """A dialer's name, and what it is to dial."""

    def read(self, place: Place) -> str:
        """Judge it, and spell a host in it canonically."""
        endpoint = _endpoint(place.value)
        name = endpoint.partition(":")[0]
        known = sorted(place.reading.dialers)
        if name not in known:
            raise Wrong(f"begins with a dialer that is not here; {', '.join(known)} are")
        return endpoint

    def show(self, value: str, secrets: bool) -> typing.Any:
        """Show it."""
        return value


def _endpoint(value: object) -> str:
    name, _, rest = limited(value, ENDPOINT_CHARS).partition(":")
    if not rest or _dialer(name) is None:
        raise Wrong("must be a dialer's name and what it is to dial, such as tls:10.0.0.1:443")
    if name == TUNNEL:
        id = tunnel_id(rest)
        if id is None:
            raise Wrong("must have a tunnel's id behind tunnel: (a-z, 0-9, - and _)")
        return f"{name}:{id}"
    if name in DIALERS:
        hostname, port = host_and_port(rest)
        if port is None:
            raise Wrong("must end in a port")
        return f"{name}:{Authority(hostname, port)}"
    if _visible(rest) is None:
        raise Wrong("must be of visible ASCII characters")
    return f"{name}:{rest}"


def _finish(place: Place, attributes: Attributes) -> None:
    """See to the id, and that it is at one place."""
    keep_id(place, attributes)
    direct = [name for name in ("hostname", "port") if place.value.get(name) is not None]
    if place.value.get("endpoint") is not None:
        for name in direct:
            place.below(name).fault("cannot stand beside an endpoint")
    elif not direct:
        place.fault("must have a hostname and a port, or an endpoint")
    elif len(direct) == 1:
        missing = "port" if direct == ["hostname"] else "hostname"
        place.below(missing).fault("is missing")
    wrong = _why_not_there(place, attributes)
    if wrong is not None:
        place.fault(wrong)


def _why_not_there(place: Place, attributes: Attributes) -> str | None:
    """What is wrong with where it is, by who knows; None for nothing."""
    judges = place.reading.judges
    name, _, rest = (attributes.get("endpoint") or "").partition(":")
    if name == TUNNEL:
        if place.value.get("tls") is not None:
            return NO_TLS_TO_TUNNELS
        return None if judges.tunnel is None else judges.tunnel(rest)
    where = _place_of(attributes)
    return None if judges.place is None or where is None else judges.place(*where)


def _place_of(attributes: Attributes) -> tuple[str, int] | None:
    """Where it is; None if that is wrong, or known to its dialer alone."""
    hostname, port, endpoint = (attributes.get(name) for name in ("hostname", "port", "endpoint"))
    if endpoint is not None:
        name, _, rest = endpoint.partition(":")
        if name not in DIALERS:
            return None
        hostname, port = host_and_port(rest)
    return None if not hostname or not port else (hostname, port)


def _make(hostname: str | None = None, port: int | None = None, **others: typing.Any) -> Backend:
    return Backend(hostname=hostname or "", port=port or 0, **others)


class _UnlessEmpty(Nullable[typing.Any]):
    """What the model has empty where there is an endpoint, and a document as null."""

    def show(self, value: object, secrets: bool) -> typing.Any:
        """Show it."""
        return super().show(value or None, secrets)


BACKEND: typing.Final = ObjectOf(
    Backend,
    [
        Member("id", ID),
        Member("hostname", _UnlessEmpty(Plain(host))),
        Member("port", _UnlessEmpty(Whole(1, 65_535))),
        Member("endpoint", Nullable(_Endpoint())),
        Member("weight", Whole(1, WEIGHT)),
        Member("admin", Choice(AdminState)),
        Member("tls", Nullable(BACKEND_TLS)),
    ],
    make=_make,
    finish=_finish,
    measured=MEASURED,
)

_Where: typing.TypeAlias = tuple[str, int, str | None]


def _where_of(document: dict[str, typing.Any]) -> _Where | None:
    """Where a backend without an id is; None for one that has an id, or is nowhere."""
    port, endpoint = document.get("port"), document.get("endpoint")
    if "id" in document:
        return None
    try:
        if endpoint is not None:
            return "", 0, _endpoint(endpoint)
        return (host(document.get("hostname")), port, None) if type(port) is int else None
    except Wrong:
        return None


BACKEND_LIST: typing.Final = ObjectsOf(
    BACKEND,
    BACKENDS,
    "id",
    (
        Match(id_of, lambda backend: backend.id),
        Match(_where_of, lambda backend: (backend.hostname, backend.port, backend.endpoint)),
    ),
)
