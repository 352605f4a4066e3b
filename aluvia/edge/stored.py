"""
The configuration as the store keeps it: a document for each route, certificate and provider.

A document is what the API would show of it with its secrets, so that one who looks into the file
can read it. Beside a route's there are the revisions of its backends, which are resources of their
own and have no row.

.. code-block:: json

    {"document": {"id": "a", "vHost": "a.example"}, "backends": {"node-1": 17}}
"""

from __future__ import annotations

import typing

import attrs
from sqlalchemy import Connection

from aluvia.api.problems import Problem
from aluvia.edge import fields
from aluvia.edge.model import AuthProvider, Backend, Certificate, Route, Snapshot
from aluvia.edge.snapshots import see_that_it_can_be
from aluvia.store import resources
from aluvia.store.errors import StoreDamagedError
from aluvia.store.resources import Resource
from aluvia.store.revisions import next_revision, store_name

__all__ = [
    "CERTIFICATE",
    "PROVIDER",
    "ROUTE",
    "Difference",
    "Stored",
    "differences",
    "load",
    "why_unusable",
]

ROUTE = "route"
CERTIFICATE = "certificate"
PROVIDER = "provider"

Thing: typing.TypeAlias = Route | Certificate | AuthProvider
T = typing.TypeVar("T", Route, Certificate, AuthProvider)


@attrs.frozen
class Stored:
    """
    What a store had in it.

    :ivar name: the store's.
    """

    name: str
    snapshot: Snapshot


@attrs.frozen
class Difference:
    """
    One thing that is not as it was, or not where it was.

    :ivar kind: :data:`ROUTE`, :data:`CERTIFICATE` or :data:`PROVIDER`.
    :ivar key: its id, or its domain.
    :ivar before: None if it is new.
    :ivar after: None if it is gone.
    :ivar moved: whether it was there, and stands now behind others that were behind it, or that are
        new.
    """

    kind: str
    key: str
    before: Thing | None
    after: Thing | None
    moved: bool = False

    @property
    def change(self) -> str:
        """``added``, ``changed``, ``moved`` or ``removed``."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "moved" if self.before == self.after else "changed"


def differences(before: Snapshot, after: Snapshot) -> list[Difference]:
    """
    What is different in one of them from the other; what is gone comes first, and the rest in the
    order of ``after``.
    """
    gone: list[Difference] = []
    there: list[Difference] = []
    for kind in (ROUTE, CERTIFICATE, PROVIDER):
        old, new = _things(before, kind), _things(after, kind)
        gone += [Difference(kind, key, old[key], None) for key in old if key not in new]
        stayed = _stayed(old, new)
        for at, (key, value) in enumerate(new.items()):
            known = old.get(key)
            moved = known is not None and at >= stayed
            if moved or (known is not value and known != value):
                there.append(Difference(kind, key, known, value, moved))
    return gone + there


def _stayed(old: typing.Mapping[str, Thing], new: typing.Mapping[str, Thing]) -> int:
    """How many of the first ones were there in this order: whatever is behind them is put there."""
    survivors = (key for key in old if key in new)
    at = 0
    for key, known in zip(new, survivors, strict=False):
        if key != known:
            break
        at += 1
    return at


def keep(
    connection: Connection,
    before: Snapshot,
    after: Snapshot,
    changes: typing.Sequence[Difference],
    dialers: typing.Collection[str] = fields.DIALERS,
) -> Snapshot:
    """
    Write what is different; in the store's thread, in a transaction.

    :param dialers: those that this edge has.
    :return: ``after``, with the revisions that its things have now. They will be read again in its
        order; what has moved, and is as it was otherwise, keeps its revision.
    :raises StoreError: it is not to be committed.
    :raises Problem: 422; nor is this: it would not be the same when it is read again.
    """
    made: dict[tuple[str, str], Thing] = {}
    first = next_revision(connection, len(changes))
    for revision, each in enumerate(changes, first):
        seen = None if each.before is None else each.before.revision
        if each.after is None:
            assert seen is not None  # or nothing is different
            resources.remove(connection, each.kind, each.key, seen)
            continue
        if each.change != "moved":
            thing = _stamped(each, each.after, revision)
            body = _body(thing)
            _see_that_it_reads_back(each, Resource(each.kind, each.key, body, revision, 0), dialers)
            resources.put(connection, each.kind, each.key, body, revision, seen)
            made[each.kind, each.key], seen = thing, revision
        if each.moved:
            assert seen is not None  # it was there
            resources.move(connection, each.kind, each.key, revision, seen)
    return Snapshot(
        routes=_as_kept(ROUTE, before.routes, after.routes, made),
        certificates=_as_kept(CERTIFICATE, before.certificates, after.certificates, made),
        providers=_as_kept(PROVIDER, before.providers, after.providers, made),
    )


def load(connection: Connection, dialers: typing.Collection[str]) -> Stored:
    """
    Read all of it; in the store's thread.

    Certificates are not judged again: one that has expired meanwhile is no reason not to start.

    :param dialers: those that this edge has.
    :raises StoreDamagedError: a document that cannot be read, by its name; or those that there are
        do not go together.
    """
    found: dict[str, dict[str, typing.Any]] = {ROUTE: {}, CERTIFICATE: {}, PROVIDER: {}}
    for resource in resources.every(connection):
        try:
            thing = _read(resource, dialers)
        except Problem as problem:
            raise resources.unreadable(resource.kind, resource.key, _why(problem)) from None
        if _key(thing) != resource.key:
            raise resources.unreadable(resource.kind, resource.key, "it is of another name")
        found[resource.kind][resource.key] = thing
    snapshot = Snapshot(
        routes=found[ROUTE], certificates=found[CERTIFICATE], providers=found[PROVIDER]
    )
    try:
        see_that_it_can_be(snapshot)
    except Problem as problem:
        raise StoreDamagedError(why_unusable(problem)) from None
    return Stored(store_name(connection), snapshot)


def why_unusable(problem: Problem) -> str:
    """What to say of documents that can be read, each for itself, and not be used."""
    return (
        f"what is kept cannot be used ({_why(problem)}); put a backup of the file in its place, or "
        "move it away to begin with an empty one"
    )


def _why(problem: Problem) -> str:
    told = "; ".join(f"{fault.pointer} {fault.detail}" for fault in problem.faults)
    return told or problem.detail


def _see_that_it_reads_back(
    each: Difference, resource: Resource, dialers: typing.Collection[str]
) -> None:
    """Nobody would know before the next start, and that would fail."""
    detail = f"The {each.kind} {each.key!r} is not as it would be read again."
    try:
        read = _read(resource, dialers)
    except Problem as problem:
        raise Problem(422, "invalid_fields", detail, problem.faults) from None
    if _key(read) != each.key or read != each.after:
        raise Problem(422, "invalid_fields", detail)


def _read(resource: Resource, dialers: typing.Collection[str]) -> Thing:
    if resource.kind == ROUTE:
        return _route(resource, dialers)
    document, revision = _document(resource), resource.revision
    if resource.kind == CERTIFICATE:
        return attrs.evolve(fields.read_certificate(document).value, revision=revision)
    if resource.kind == PROVIDER:
        return attrs.evolve(fields.read_provider(document, _no_id).value, revision=revision)
    # Nothing is passed over: what is not known now would not be missed.
    raise resources.unreadable(resource.kind, resource.key, "no such thing is known")


def _key(thing: Thing) -> str:
    return thing.domain if isinstance(thing, Certificate) else thing.id


def _things(snapshot: Snapshot, kind: str) -> typing.Mapping[str, Thing]:
    things: dict[str, typing.Mapping[str, Thing]] = {
        ROUTE: snapshot.routes,
        CERTIFICATE: snapshot.certificates,
        PROVIDER: snapshot.providers,
    }
    return things[kind]


def _stamped(each: Difference, wanted: Thing, revision: int) -> Thing:
    if not isinstance(wanted, Route):
        return attrs.evolve(wanted, revision=revision)
    before = each.before if isinstance(each.before, Route) else None
    backends = _backends(wanted, before, revision)
    return attrs.evolve(wanted, revision=revision, backends=backends)


def _body(thing: Thing) -> resources.Body:
    if isinstance(thing, Route):
        return {
            "document": fields.route_document(thing, secrets=True),
            "backends": {backend.id: backend.revision for backend in thing.backends},
        }
    if isinstance(thing, Certificate):
        return {"document": fields.certificate_document(thing, secrets=True)}
    return {"document": fields.provider_document(thing, secrets=True)}


def _backends(route: Route, before: Route | None, revision: int) -> tuple[Backend, ...]:
    """Its backends: those that are as they were keep their revisions."""
    known = {} if before is None else {backend.id: backend for backend in before.backends}
    return tuple(
        attrs.evolve(
            backend,
            revision=known[backend.id].revision if known.get(backend.id) == backend else revision,
        )
        for backend in route.backends
    )


def _as_kept(
    kind: str,
    before: typing.Mapping[str, T],
    after: typing.Mapping[str, T],
    made: typing.Mapping[tuple[str, str], Thing],
) -> dict[str, T]:
    """Those that are other than they were as they were written, the others as they were."""
    return {key: typing.cast(T, made.get((kind, key), before.get(key))) for key in after}


def _document(resource: Resource) -> object:
    return resource.body.get("document")


def _route(resource: Resource, dialers: typing.Collection[str]) -> Route:
    route = fields.read_route(_document(resource), _no_id, dialers=dialers).value
    known = resource.body.get("backends")
    revisions = known if isinstance(known, dict) else {}
    backends = tuple(
        attrs.evolve(backend, revision=_number(revisions.get(backend.id), resource.revision))
        for backend in route.backends
    )
    return attrs.evolve(route, revision=resource.revision, backends=backends)


def _number(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _no_id() -> str:
    # What was stored has its own; what has not is refused.
    return ""
