"""
Objects with named members, and what may be null.

An object is a table of its members, which says all: what it is read from, in which order it is
shown, and what is unknown.
"""

from __future__ import annotations

import difflib
import operator
import re
import typing

import attrs

from aluvia.edge.reading import Kind, Place, Wrong

__all__ = [
    "ABSENT",
    "Attributes",
    "Member",
    "Nullable",
    "ObjectOf",
    "keep_id",
    "read_object",
    "unknown",
]

V = typing.TypeVar("V")

#: The attributes of a value that is about to be made, by name; those that were wrong are missing.
Attributes = dict[str, typing.Any]

#: What looks at an object as a whole, once its members are read: it tells faults, and adds what
#: follows from elsewhere.
Finish = typing.Callable[[Place, Attributes], None]

#: Shown of a member that is left out.
ABSENT: typing.Final = object()

#: Longer names are no slip of the pen.
_MEANT_CHARS = 64


@attrs.frozen
class Member:
    """
    A member of an object.

    :ivar name: in the document.
    :ivar needed: it must be there. Others that are absent are as the model's defaults.
    :ivar secret: it is not shown, unless secrets are asked for.
    :ivar attribute: what it becomes; the same name in snake_case, if nothing else is said.
    :ivar source: where the value stands in what is shown, with dots; there too.
    """

    name: str
    kind: Kind[typing.Any]
    needed: bool = attrs.field(default=False, kw_only=True)
    secret: bool = attrs.field(default=False, kw_only=True)
    attribute: str = attrs.field(kw_only=True)
    source: str = attrs.field(kw_only=True)

    @attribute.default
    def _in_snake_case(self) -> str:
        return re.sub(r"([A-Z])", r"_\1", self.name).lower()

    @source.default
    def _in_the_attribute(self) -> str:
        return self.attribute

    def of(self, value: object) -> typing.Any:
        """What stands there in a value."""
        return operator.attrgetter(self.source)(value)


def read_object(place: Place) -> dict[str, typing.Any]:
    """
    The members of an object.

    :raises Wrong: there is none.
    """
    if not isinstance(place.value, dict):
        raise Wrong("must be an object")
    if not all(isinstance(name, str) for name in place.value):
        # JSON and TOML have no such names; a program's dictionary may.
        raise Wrong("must have strings for names")
    return place.value


def unknown(name: str, known: typing.Iterable[str]) -> str:
    """What is said of a member that nobody knows."""
    near = difflib.get_close_matches(name, known, 1) if len(name) <= _MEANT_CHARS else []
    return f'is unknown; is "{near[0]}" meant?' if near else "is unknown"


class ObjectOf(typing.Generic[V]):
    """
    An object with named members; others are faults.

    :param model: what it means.
    :param make: makes one of its attributes; the model itself, if nothing else is said.
    :param finish: looks at the whole.
    :param measured: names that are shown and cannot be set: they are accepted, and ignored.
    :param hints: what is said of some unknown names.
    """

    def __init__(
        self,
        model: type[V],
        members: typing.Sequence[Member],
        *,
        make: typing.Callable[..., V] | None = None,
        finish: Finish = lambda place, attributes: None,
        measured: typing.Collection[str] = (),
        hints: typing.Mapping[str, str] | None = None,
    ) -> None:
        self.members = {member.name: member for member in members}
        self.make: typing.Callable[..., V] = model if make is None else make
        self.model = model
        self._finish = finish
        self._measured = measured
        self._hints = hints or {}

    def read(self, place: Place) -> V:
        """Read all members, and make a value of them."""
        told = len(place.reading.faults)
        attributes = self.attributes(place)
        if len(place.reading.faults) > told:
            raise Wrong
        return self.make(**attributes)

    def attributes(self, place: Place) -> Attributes:
        """
        Read all members.

        :raises Wrong: it is no object. What is wrong in it is told.
        """
        document = read_object(place)
        before = place.before if isinstance(place.before, self.model) else None
        attributes: Attributes = {}
        for name, value in document.items():
            member = self.members.get(name)
            if member is None:
                self._other(place, name)
                continue
            below = place.below(name, value, None if before is None else member.of(before))
            try:
                attributes[member.attribute] = member.kind.read(below)
            except Wrong as wrong:
                below.tell(wrong)
        for member in self.members.values():
            if member.needed and member.name not in document:
                place.below(member.name).fault("is missing")
        self._finish(place, attributes)
        return attributes

    def _other(self, place: Place, name: str) -> None:
        if name in self._measured:
            place.reading.notes[f"{name} is shown, and not set: what was sent was ignored."] = None
        else:
            hint = self._hints.get(name)
            place.below(name).fault(unknown(name, self.members) if hint is None else hint)

    def show(self, value: V, secrets: bool) -> typing.Any:
        """Show all members, in the order of the table."""
        if not isinstance(value, self.model):
            return value
        shown = {
            name: member.kind.show(member.of(value), secrets)
            for name, member in self.members.items()
            if secrets or not member.secret
        }
        return {name: each for name, each in shown.items() if each is not ABSENT}


@attrs.frozen
class Nullable(typing.Generic[V]):
    """A value, or null, which is as if it were absent."""

    kind: Kind[V]

    def read(self, place: Place) -> V | None:
        """Read it."""
        return None if place.value is None else self.kind.read(place)

    def show(self, value: V | None, secrets: bool) -> typing.Any:
        """Show it."""
        return None if value is None else self.kind.show(value, secrets)


def keep_id(place: Place, attributes: Attributes) -> None:
    """See to an id: that of before stays, and what has none is given one."""
    before = place.before
    if before is None:
        if "id" not in place.value:
            if place.reading.make_id is None:
                place.below("id").fault("is missing")
            else:
                attributes["id"] = place.reading.make_id()
    elif attributes.setdefault("id", before.id) != before.id:
        place.below("id").fault("cannot be changed")
