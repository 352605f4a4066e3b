"""
Reading a document: where one is in it, and all that is wrong with it.

A document is what JSON (or TOML) brings: dictionaries, lists, texts, numbers. It is read by a
:class:`Kind`, from a :class:`Place`. What reads one value raises :class:`Wrong`, and whoever reads
the things around it tells that at the value's place and goes on, so that in the end every fault is
known, each with its pointer.

.. code-block:: text

    Kind.read(place)   returns a value        it was right, and so was all below it
                       raises Wrong(detail)   it is not what it must be
                       raises Wrong()         something is wrong below it, and was told there
                       raises Enough          there are more faults than are told

No detail quotes the document: what stands there may be a secret in the wrong place. Names are
quoted in pointers, and nowhere else.
"""

from __future__ import annotations

import collections.abc
import typing

import attrs

from aluvia.api.problems import Fault, Problem
from aluvia.edge.bounds import FAULTS
from aluvia.edge.model import KeyPair

__all__ = [
    "DIALERS",
    "Enough",
    "Judges",
    "Kind",
    "MakeId",
    "Place",
    "Read",
    "Reading",
    "Wrong",
    "read_document",
]

T = typing.TypeVar("T")
V = typing.TypeVar("V")

#: Makes an id for what has none.
MakeId = typing.Callable[[], str]

#: Says what is wrong with a pair for a domain; a sentence that is about the key begins with
#: "The key".
JudgePair = typing.Callable[[KeyPair, str], typing.Sequence[str]]

#: Says what is wrong with a place, a host and a port, as that of a backend; None for nothing.
JudgePlace = typing.Callable[[str, int], str | None]

#: Says what is wrong with an entry point, by its name; None for nothing.
JudgeEntryPoint = typing.Callable[[str], str | None]

#: Says what is wrong with a tunnel, by its id, as a backend; None for nothing.
JudgeTunnel = typing.Callable[[str], str | None]

#: The dialers that every edge knows; whether there is a hub for the last is for judges to say.
DIALERS: typing.Final = ("tcp", "tls", "tunnel")


@attrs.frozen(kw_only=True)
class Judges:
    """
    What no document says, and whoever reads one may ask: so that all that is wrong is told at once.
    None of them for nobody to ask.

    :ivar pair: asked about each certificate that is new.
    :ivar place: asked about the place of each backend.
    :ivar tunnel: asked about each tunnel that is a backend.
    :ivar entry_point: asked about each that is new.
    :ivar providers: ids, of which a route may name one; None for any.
    """

    pair: JudgePair | None = None
    place: JudgePlace | None = None
    tunnel: JudgeTunnel | None = None
    entry_point: JudgeEntryPoint | None = None
    providers: collections.abc.Container[str] | None = None


@attrs.frozen
class Read(typing.Generic[T]):
    """
    What a document means.

    :ivar notes: what its sender should know, and what is no fault; a sentence each.
    """

    value: T
    notes: tuple[str, ...] = ()


class Wrong(Exception):
    """
    A value is not what it must be.

    :ivar detail: what it must be; None if that was told already.
    """

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail


class Enough(Exception):
    """There are more faults than are told."""


@attrs.define
class Reading:
    """
    One document being read: what is known beside it, and what is found.

    :ivar make_id: None where an id must be given.
    :ivar dialers: the names that an ``endpoint`` may begin with.
    :ivar judges: of what is not in it.
    :ivar notes: a set, in order.
    """

    make_id: MakeId | None = None
    dialers: collections.abc.Collection[str] = DIALERS
    judges: Judges = Judges()
    faults: list[Fault] = attrs.field(factory=list, init=False)
    notes: dict[str, None] = attrs.field(factory=dict, init=False)

    def fault(self, pointer: str, detail: str) -> None:
        """
        Tell of a fault.

        :raises Enough: there are enough of them.
        """
        if len(self.faults) >= FAULTS:
            raise Enough
        self.faults.append(Fault(pointer, detail))


@attrs.frozen
class Place:
    """
    A value in a document.

    :ivar pointer: to it (RFC 6901).
    :ivar before: what stood here before, as a value of :mod:`aluvia.edge.model`; None for nothing.
    """

    value: typing.Any
    pointer: str
    reading: Reading
    before: typing.Any = None

    def below(self, name: str | int, value: object = None, before: object = None) -> Place:
        """The place of a member or an item."""
        token = str(name).replace("~", "~0").replace("/", "~1")
        return Place(value, f"{self.pointer}/{token}", self.reading, before)

    def fault(self, detail: str) -> None:
        """Tell that something is wrong here."""
        self.reading.fault(self.pointer, detail)

    def tell(self, wrong: Wrong) -> None:
        """The same, unless it was told already."""
        if wrong.detail is not None:
            self.fault(wrong.detail)


class Kind(typing.Protocol[V]):
    """A kind of value: how it is read, and how it is shown."""

    def read(self, place: Place) -> V:
        """
        Read the value that stands there.

        :raises Wrong: it is no such value.
        """

    def show(self, value: V, secrets: bool) -> typing.Any:
        """
        The value as JSON.

        A value of another kind, which only Python code can have put there, is shown as it is:
        whoever reads it will find that.

        :param secrets: whether keys and hashes are shown.
        """


def read_document(kind: Kind[T], document: object, reading: Reading, before: T | None) -> Read[T]:
    """
    Read a whole document.

    :raises Problem: 422, with what is wrong, up to :data:`~aluvia.edge.bounds.FAULTS`.
    """
    place = Place(document, "", reading, before)
    detail = "Some fields are not what they must be."
    try:
        value = kind.read(place)
        if not reading.faults:
            return Read(value, tuple(reading.notes))
    except Wrong as wrong:
        place.tell(wrong)
    except Enough:
        detail = f"Many fields are not what they must be. The first {FAULTS} faults are listed."
    raise Problem(422, "invalid_fields", detail, reading.faults)
