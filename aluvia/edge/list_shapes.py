"""Lists of plain values, and lists of objects that are known again by a mark."""

from __future__ import annotations

import collections
import typing

import attrs

from aluvia.edge.reading import Kind, Place, Wrong
from aluvia.edge.shapes import Attributes

__all__ = ["ListOf", "Match", "ObjectKind", "ObjectsOf", "id_of", "read_list"]

V = typing.TypeVar("V")


def read_list(place: Place, most: int) -> list[typing.Any]:
    """
    The items of a list.

    :raises Wrong: there is none, or it is too long.
    """
    if not isinstance(place.value, list):
        raise Wrong("must be a list")
    if len(place.value) > most:
        raise Wrong(f"must have at most {most} items")
    return place.value


def _itself(value: typing.Any) -> typing.Hashable:
    return typing.cast(typing.Hashable, value)


@attrs.frozen
class ListOf(typing.Generic[V]):
    """
    A list of plain values. One that stands there twice counts once.

    :ivar most: items.
    :ivar mark: what is the same in two that are one.
    """

    kind: Kind[V]
    most: int
    mark: typing.Callable[[V], typing.Hashable] = _itself

    def read(self, place: Place) -> tuple[V, ...]:
        """Read all items."""
        told = len(place.reading.faults)
        values: dict[object, V] = {}
        for index, item in enumerate(read_list(place, self.most)):
            below = place.below(index, item)
            try:
                value = self.kind.read(below)
                values.setdefault(self.mark(value), value)
            except Wrong as wrong:
                below.tell(wrong)
        if len(place.reading.faults) > told:
            raise Wrong
        return tuple(values.values())

    def show(self, value: tuple[V, ...], secrets: bool) -> typing.Any:
        """Show all items."""
        if not isinstance(value, tuple | list):
            return value
        return [self.kind.show(item, secrets) for item in value]


@attrs.frozen
class Match(typing.Generic[V]):
    """
    One way to tell which thing of before an item is now.

    :ivar of_item: its mark in a document; None if it has none.
    :ivar of_value: the mark of a thing.
    """

    of_item: typing.Callable[[dict[str, typing.Any]], typing.Hashable]
    of_value: typing.Callable[[V], typing.Hashable]


class ObjectKind(Kind[V], typing.Protocol[V]):
    """What an :class:`ObjectOf` is: something that can be read by half."""

    @property
    def make(self) -> typing.Callable[..., V]:
        """Makes one of its attributes."""

    def attributes(self, place: Place) -> Attributes:
        """
        Read all members that can be read.

        :raises Wrong: it is no object. What is wrong in it is told.
        """


@attrs.frozen
class ObjectsOf(typing.Generic[V]):
    """
    A list of objects that are told apart by one of their members.

    :ivar most: items.
    :ivar unique: the name of that member, and of its attribute.
    :ivar matches: how an item's thing of before is found: by the first that finds one, and each
        thing for one item.
    """

    kind: ObjectKind[V]
    most: int
    unique: str
    matches: tuple[Match[V], ...] = ()

    def read(self, place: Place) -> tuple[V, ...]:
        """Read all items."""
        told = len(place.reading.faults)
        items = self.attributes(place)
        if len(place.reading.faults) > told:
            raise Wrong
        return tuple(self.kind.make(**attributes) for attributes in items if attributes is not None)

    def attributes(self, place: Place) -> list[Attributes | None]:
        """
        Read the members of all items; None for what is no object. What is wrong is told.

        :raises Wrong: it is no list.
        """
        items = read_list(place, self.most)
        befores = self._befores(items, place.before or ())
        read: list[Attributes | None] = []
        first: dict[object, int] = {}
        for index, item in enumerate(items):
            below = place.below(index, item, befores[index])
            try:
                attributes = self.kind.attributes(below)
            except Wrong as wrong:
                below.tell(wrong)
                read.append(None)
                continue
            read.append(attributes)
            mark = attributes.get(self.unique)
            if mark is not None and first.setdefault(mark, index) != index:
                below.below(self.unique).fault(f"is that of item {first[mark]} already")
        return read

    def _befores(self, items: list[typing.Any], before: typing.Iterable[V]) -> list[V | None]:
        found: list[V | None] = [None] * len(items)
        left = list(before)
        for match in self.matches:
            marked: dict[object, list[V]] = collections.defaultdict(list)
            for value in left:
                marked[match.of_value(value)].append(value)
            for index, item in enumerate(items):
                if found[index] is None and isinstance(item, dict):
                    mark = match.of_item(item)
                    if mark is not None and marked.get(mark):
                        found[index] = marked[mark].pop(0)
            left = [value for values in marked.values() for value in values]
        return found

    def show(self, value: tuple[V, ...], secrets: bool) -> typing.Any:
        """Show all items."""
        if not isinstance(value, tuple | list):
            return value
        return [self.kind.show(item, secrets) for item in value]


def id_of(document: dict[str, typing.Any]) -> str | None:
    """The id that stands in an object, for a :class:`Match`."""
    given = document.get("id")
    return given if isinstance(given, str) else None
