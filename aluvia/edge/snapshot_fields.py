"""
Documents of a whole configuration, and what its parts mean to each other.

.. code-block:: text

    {"routes": [...], "certificates": [...], "authProviders": [...]}

Nothing is in it twice: no id, no domain, no prefix of one vhost. A route names a provider that is
there.
"""

from __future__ import annotations

import contextlib
import typing

import attrs

from aluvia.api.problems import Fault
from aluvia.edge.bounds import CERTIFICATES
from aluvia.edge.list_shapes import Match, ObjectsOf
from aluvia.edge.model import Snapshot
from aluvia.edge.name_fields import v_host_of
from aluvia.edge.pem_fields import CERTIFICATE
from aluvia.edge.provider_fields import PROVIDER_LIST
from aluvia.edge.reading import Enough, Place, Reading, Wrong
from aluvia.edge.route_fields import NO_PROVIDER, ROUTE_LIST
from aluvia.edge.shapes import Attributes, read_object, unknown

__all__ = ["SECTIONS", "SnapshotKind", "judge_snapshot"]


@attrs.frozen
class _Section:
    """
    A list of a document, and a mapping of a :class:`~aluvia.edge.model.Snapshot`.

    :ivar key: the attribute of a value by which it stands in the mapping.
    """

    name: str
    attribute: str
    key: str
    items: ObjectsOf[typing.Any]


_CERTIFICATE_LIST = ObjectsOf(
    CERTIFICATE,
    CERTIFICATES,
    "domain",
    (Match(lambda document: v_host_of(document, "domain"), lambda known: known.domain),),
)

SECTIONS: typing.Final = (
    _Section("routes", "routes", "id", ROUTE_LIST),
    _Section("certificates", "certificates", "domain", _CERTIFICATE_LIST),
    _Section("authProviders", "providers", "id", PROVIDER_LIST),
)

#: The attributes of a section's values; None for one that cannot be read.
_Items = typing.Sequence[Attributes | None]


@attrs.frozen
class SnapshotKind:
    """
    A whole configuration.

    :ivar partial: a section may be missing; what it would hold stays as it was before.
    """

    partial: bool = False

    def read(self, place: Place) -> Snapshot:
        """Read all sections, and judge them together."""
        told = len(place.reading.faults)
        document = read_object(place)
        names = [section.name for section in SECTIONS]
        for name in document:
            if name not in names:
                place.below(name).fault(unknown(name, names))
        given: dict[str, _Items] = {}
        unreadable = False
        for section in SECTIONS:
            known = getattr(place.before, section.attribute)
            below = place.below(section.name, document.get(section.name), [*known.values()])
            if section.name in document:
                try:
                    given[section.name] = section.items.attributes(below)
                except Wrong as wrong:
                    below.tell(wrong)
                    unreadable = True
            elif not self.partial:
                below.fault("is missing: whoever gives all gives an empty list for none")
                unreadable = True
        if not unreadable:
            _judge_together(given, place.before, place.reading)
        if len(place.reading.faults) > told:
            raise Wrong
        before: Snapshot = place.before
        return attrs.evolve(
            before,
            **{
                section.attribute: _by_key(section, given[section.name])
                for section in SECTIONS
                if section.name in given
            },
        )

    def show(self, value: Snapshot, secrets: bool) -> dict[str, typing.Any]:
        """Show all sections."""
        return {
            section.name: section.items.show(
                tuple(getattr(value, section.attribute).values()), secrets
            )
            for section in SECTIONS
        }


def _by_key(section: _Section, items: _Items) -> dict[str, typing.Any]:
    made = [section.items.kind.make(**item) for item in items if item is not None]
    return {getattr(value, section.key): value for value in made}


def judge_snapshot(snapshot: Snapshot) -> list[Fault]:
    """
    What is wrong with values that are right each by itself.

    :return: with pointers into :func:`aluvia.edge.fields.snapshot_document`, up to
        :data:`~aluvia.edge.bounds.FAULTS`.
    """
    reading = Reading()
    given = {
        section.name: [
            attrs.asdict(value, recurse=False)
            for value in getattr(snapshot, section.attribute).values()
        ]
        for section in SECTIONS
    }
    with contextlib.suppress(Enough):
        _judge_together(given, snapshot, reading)
    return reading.faults


def _judge_together(given: typing.Mapping[str, _Items], before: Snapshot, reading: Reading) -> None:
    """
    Tell what is wrong between the parts.

    :param given: sections by name; one that is missing is as ``before`` has it.
    """
    routes, providers = given.get("routes"), given.get("authProviders")
    known = {
        *(before.providers if providers is None else ()),
        *(item.get("id") for item in providers or () if item is not None),
    }
    if routes is not None:
        _judge_routes(routes, known, reading)
    else:
        for route in before.routes.values():
            if route.auth_provider is not None and route.auth_provider not in known:
                detail = f"must have {route.auth_provider!r}, which a route names that stays"
                reading.fault("/authProviders", detail)


def _judge_routes(routes: _Items, providers: set[typing.Any], reading: Reading) -> None:
    section = Place(None, "/routes", reading)
    wrong = {fault.pointer for fault in reading.faults}
    first: dict[tuple[str, str | None], int] = {}
    v_hosts = {route["v_host"] for route in routes if route is not None and "v_host" in route}
    for index, route in enumerate(routes):
        if route is None:
            continue
        place = section.below(index)
        if "v_host" in route and place.below("pathPrefix").pointer not in wrong:
            where = route["v_host"], route.get("path_prefix")
            if first.setdefault(where, index) != index:
                detail = f"is that of route {first[where]} already, with the same pathPrefix"
                place.below("vHost").fault(detail)
        if route.get("id") in v_hosts and route.get("v_host") != route.get("id"):
            place.below("id").fault("is the vhost of another route, and would stand for two")
        provider = route.get("auth_provider")
        if provider is not None and provider not in providers:
            place.below("authProvider").fault(NO_PROVIDER)
