"""Documents of routes."""

from __future__ import annotations

import itertools
import re
import typing

from aluvia.edge.backend_fields import BACKEND_LIST
from aluvia.edge.bounds import (
    BODY_BYTES,
    EXPECTED,
    LEAST_INTERVAL,
    LEAST_RATE,
    NETWORKS,
    PROBES,
    QUEUE_TIMEOUT_MS,
    REQUESTS,
    RETRIES,
    ROUTES,
    SECONDS,
)
from aluvia.edge.header_fields import HEADERS_BY_NAME
from aluvia.edge.list_shapes import ListOf, Match, ObjectsOf, id_of, read_list
from aluvia.edge.model import (
    ANY_HOST,
    BalancingStrategy,
    HealthCheck,
    RateLimit,
    Route,
    Timeouts,
)
from aluvia.edge.name_fields import (
    network,
    path_prefix,
    path_prefix_of,
    probe_path,
    v_host,
    v_host_of,
)
from aluvia.edge.pem_fields import KEY_PAIR, judge_new_pair
from aluvia.edge.plain_fields import FLAG, ID, Choice, Number, Plain, Whole
from aluvia.edge.reading import Place, Wrong
from aluvia.edge.shapes import ABSENT, Attributes, Member, Nullable, ObjectOf, keep_id

__all__ = ["NO_PROVIDER", "ROUTE", "ROUTE_LIST"]

#: What an answer ends with (RFC 9110 section 15).
_STATUSES = range(200, 600)

#: Said of an ``authProvider``.
NO_PROVIDER: typing.Final = "is no provider that there is"

#: What a probe expects, unless it says otherwise.
_GOOD = tuple(range(200, 400))

_status_range = re.compile(r"([0-9]{3})-([0-9]{3})", re.ASCII).fullmatch


class _Statuses:
    """
    Statuses: in a document as numbers, and as ranges such as ``200-399``; in the model as numbers,
    in order, and none where they are those that are good without a word.
    """

    def read(self, place: Place) -> tuple[int, ...]:
        """Judge all items."""
        told = len(place.reading.faults)
        found: set[int] = set()
        for index, item in enumerate(read_list(place, EXPECTED)):
            below = place.below(index, item)
            try:
                found.update(_statuses(item))
            except Wrong as wrong:
                below.tell(wrong)
        if len(place.reading.faults) > told:
            raise Wrong
        statuses = tuple(sorted(found))
        return () if statuses == _GOOD else statuses

    def show(self, value: tuple[int, ...], secrets: bool) -> typing.Any:
        """Show them, those in a row as a range."""
        if not isinstance(value, tuple | list):
            return value
        if not all(type(status) is int for status in value):
            return list(value)
        shown: list[int | str] = []
        # What goes up by one with its place stands in one row.
        for _, row in itertools.groupby(
            enumerate(sorted(set(value or _GOOD))), lambda pair: pair[1] - pair[0]
        ):
            statuses = [status for _, status in row]
            first, last = statuses[0], statuses[-1]
            shown.append(first if first == last else f"{first}-{last}")
        return shown


def _statuses(item: object) -> typing.Iterable[int]:
    if type(item) is int and item in _STATUSES:
        return [item]
    match = _status_range(item) if isinstance(item, str) else None
    if match is not None:
        first, last = int(match[1]), int(match[2])
        if first <= last and first in _STATUSES and last in _STATUSES:
            return range(first, last + 1)
    raise Wrong('must be a status from 200 to 599, or a range such as "200-399"')


class _IsNull(Plain[bool]):
    """
    A flag that says that another attribute is None.

    It is shown where it is true alone, so that who patches the other away has no false left over.
    """

    def show(self, value: object, secrets: bool) -> typing.Any:
        """Show it."""
        return True if value is None else ABSENT


def _finish_health_check(place: Place, attributes: Attributes) -> None:
    """It asks for a path, or it connects and no more."""
    tcp = attributes.pop("tcp", None)
    path = place.value.get("path")
    if tcp and path is not None:
        place.below("tcp").fault("cannot be true beside a path")
    if tcp is False and path is None:
        place.below("path").fault("is missing: a probe is for a path, or it is TCP alone")
    if path is None and attributes.get("expect"):
        place.below("expect").fault("is for a path: TCP alone has no status")


def _finish_route(place: Place, attributes: Attributes) -> None:
    """See to the id, to the provider, and to the certificate."""
    keep_id(place, attributes)
    providers, provider = place.reading.judges.providers, attributes.get("auth_provider")
    if providers is not None and provider is not None and provider not in providers:
        place.below("authProvider").fault(NO_PROVIDER)
    pair, name = attributes.get("ssl"), attributes.get("v_host")
    if pair is None:
        return
    below = place.below("ssl")
    if name == ANY_HOST:
        below.fault("wants a vhost with a name: no certificate is for all")
        return
    before = place.before
    known = before is not None and before.ssl == pair and name in (None, before.v_host)
    # Where its vhost is wrong, what is wrong whatever that may be.
    judge_new_pair(below, pair, name or ANY_HOST, known)


_SECONDS = Number(SECONDS)

ROUTE: typing.Final = ObjectOf(
    Route,
    [
        Member("id", ID),
        Member("vHost", Plain(v_host), needed=True),
        Member("pathPrefix", Nullable(Plain(path_prefix))),
        Member("strategy", Choice(BalancingStrategy)),
        Member("autoHttps", FLAG),
        Member("reqQueueLength", Whole(0, REQUESTS)),
        Member("reqActiveLength", Whole(1, REQUESTS)),
        Member("queueTimeoutMs", Whole(1, QUEUE_TIMEOUT_MS)),
        Member("maxStreams", Whole(0, REQUESTS)),
        Member("retries", Whole(0, RETRIES)),
        Member(
            "timeouts",
            ObjectOf(
                Timeouts,
                [
                    Member("connect", _SECONDS),
                    Member("firstByte", _SECONDS),
                    Member("idle", _SECONDS),
                ],
            ),
        ),
        Member("authProvider", Nullable(ID)),
        Member("headers", HEADERS_BY_NAME),
        Member(
            "healthCheck",
            Nullable(
                ObjectOf(
                    HealthCheck,
                    [
                        Member("path", Nullable(Plain(probe_path))),
                        Member("tcp", _IsNull(FLAG.judge), source="path"),
                        Member("interval", Number(SECONDS, LEAST_INTERVAL)),
                        Member("expect", _Statuses()),
                        Member("rise", Whole(1, PROBES)),
                        Member("fall", Whole(1, PROBES)),
                    ],
                    finish=_finish_health_check,
                )
            ),
        ),
        Member("preserveHost", FLAG),
        Member("forwarded", FLAG),
        Member("maxBodyBytes", Nullable(Whole(0, BODY_BYTES))),
        Member(
            "rateLimit",
            Nullable(
                ObjectOf(
                    RateLimit,
                    [
                        Member("perSecond", Number(REQUESTS, LEAST_RATE), needed=True),
                        Member("burst", Whole(1, REQUESTS)),
                    ],
                )
            ),
        ),
        Member("allow", ListOf(Plain(network), NETWORKS)),
        Member("deny", ListOf(Plain(network), NETWORKS)),
        Member("backends", BACKEND_LIST),
        Member("ssl", Nullable(KEY_PAIR)),
    ],
    finish=_finish_route,
)


def _where_of(document: dict[str, typing.Any]) -> tuple[str, str | None] | None:
    """What a route without an id is for; None for one that has an id, or is for nothing."""
    name = v_host_of(document)
    right, prefix = path_prefix_of(document)
    return None if "id" in document or name is None or not right else (name, prefix)


ROUTE_LIST: typing.Final = ObjectsOf(
    ROUTE,
    ROUTES,
    "id",
    (
        Match(id_of, lambda route: route.id),
        Match(_where_of, lambda route: (route.v_host, route.path_prefix)),
    ),
)
