"""
Collections of the API: one manner for routes, backends, certificates and providers.

=========================  =========================================================================
``GET`` a collection       an array of all of it, with a tag of its own
``POST`` to it             makes one: 201 and where it is
``GET`` one of it          shows it; 404
``PUT`` one                makes it what the body says: 200, or 201 where there was none
``PATCH`` one              changes what the body names (RFC 7396): 200
``DELETE`` one             204, and 404 from then on
=========================  =========================================================================

Each change can rest on a condition (:mod:`aluvia.api.conditions`), and ``?dry_run=1`` goes as far
as can be without changing anything: 200, with what would be; for a DELETE, with what would go. Of
each resource ``?wait=`` holds a GET until it has changed.

What there is besides, in an answer to a change: ``notes``, where there is something to know of what
was sent.
"""

from __future__ import annotations

import re
import typing

import attrs
from twisted.web.http import Request

from aluvia.api import bodies
from aluvia.api.answers import send_json, send_nothing
from aluvia.api.bodies import JSON
from aluvia.api.conditions import Condition, Shown, send_shown
from aluvia.api.merge_patch import merge_patch
from aluvia.api.problems import Fault, Problem
from aluvia.api.queries import Query
from aluvia.edge.answering import CHANGES, SHOWS, Answering, not_there, read_sent
from aluvia.edge.fields import Read
from aluvia.edge.model import Snapshot
from aluvia.edge.rest_documents import Document
from aluvia.edge.rest_paths import Answer, Path, location
from aluvia.edge.tags import Thing

__all__ = ["Collection", "Kind", "paths"]


T = typing.TypeVar("T", bound=Thing)


class Kind(typing.Protocol[T]):
    """
    What is a collection's own.

    :ivar noun: what one of it is called in a sentence.
    :ivar place: where one of it is in the whole configuration, as a pointer begins.
    """

    noun: str
    place: re.Pattern[str]

    def name(self, snapshot: Snapshot) -> str:
        """What the collection is called, among all."""

    def every(self, snapshot: Snapshot) -> typing.Iterable[T]:
        """
        All of it, in the order in which it is shown.

        :raises Problem: 404 or 409, if what the collection is in cannot be found.
        """

    def find(self, snapshot: Snapshot, name: str) -> T | None:
        """
        The one that a path names; None if there is none.

        :raises Problem: 409, if there are several; and as :meth:`every`.
        """

    def key(self, thing: T) -> str:
        """What it is known by in its collection, whatever changes of it."""

    def replaced(self, snapshot: Snapshot, document: Document) -> T | None:
        """The one that a POST comes in place of; None where that would be in the way of it."""

    async def prepared(self, snapshot: Snapshot, document: Document, name: str | None) -> Document:
        """What was sent, without what is not to be known for longer."""

    def read(
        self, snapshot: Snapshot, document: Document, name: str | None, before: T | None
    ) -> Read[T]:
        """
        Read one that was sent.

        :param name: the one in the path; None where that does not say what it is.
        :param before: in whose place it comes.
        :raises Problem: 422; 409, if it would be in the way of another one.
        """

    def put(self, snapshot: Snapshot, thing: T) -> Snapshot:
        """With this one, in place of the one with its key."""

    def remove(self, snapshot: Snapshot, thing: T) -> Snapshot:
        """
        Without it.

        :raises Problem: 409, if something rests on it.
        """

    def show(self, snapshot: Snapshot, thing: T) -> Document:
        """As it is shown."""

    def whole(self, thing: T) -> Document:
        """As it would have to be sent to be made again, for a patch to change."""

    def location(self, snapshot: Snapshot, thing: T) -> tuple[str, ...]:
        """The segments of its own path."""


@attrs.frozen
class _Edited(typing.Generic[T]):
    """What has come of an edit: a snapshot, and the one in it that was meant."""

    snapshot: Snapshot
    thing: T
    notes: tuple[str, ...]
    new: bool


class Collection(typing.Generic[T]):
    """One collection."""

    def __init__(self, kind: Kind[T], answering: Answering) -> None:
        self._kind = kind
        self._answering = answering

    async def list(self, request: Request, query: Query) -> bytes:
        """Show all of it."""
        kind = self._kind

        def find(snapshot: Snapshot) -> Shown:
            things = kind.every(snapshot)
            return Shown(
                self.tag(snapshot), lambda: [kind.show(snapshot, thing) for thing in things]
            )

        return await self._answering.show(request, find)

    async def make(self, request: Request, query: Query) -> bytes:
        """Make one."""
        # What is not there yet is what If-None-Match would be about.
        condition = Condition(Condition.of(request).match)
        document, ignored = await self._sent(request, (JSON,), None)
        kind = self._kind

        def edit(snapshot: Snapshot) -> _Edited[T]:
            condition.judge(self.tag(snapshot))
            before = kind.replaced(snapshot, document)
            read = kind.read(snapshot, document, None, before)
            return self._with(snapshot, read, ignored, before)

        return await self._changed(request, query, edit)

    async def show(self, request: Request, query: Query, name: str) -> bytes:
        """Show one of it."""
        return await self._answering.show(
            request, lambda snapshot: self._shown(snapshot, self._there(snapshot, name))
        )

    async def replace(self, request: Request, query: Query, name: str) -> bytes:
        """Make one what the body says."""
        condition = Condition.of(request)
        document, ignored = await self._sent(request, (JSON,), name)
        kind = self._kind

        def edit(snapshot: Snapshot) -> _Edited[T]:
            before = kind.find(snapshot, name)
            self._judge(condition, snapshot, before)
            read = kind.read(snapshot, document, name, before)
            return self._with(snapshot, read, ignored, before)

        return await self._changed(request, query, edit)

    async def patch(self, request: Request, query: Query, name: str) -> bytes:
        """Change of one what the body names."""
        condition = Condition.of(request)
        document, ignored = await self._sent(request, bodies.CHANGES, name)
        kind = self._kind

        def edit(snapshot: Snapshot) -> _Edited[T]:
            before = self._there(snapshot, name)
            self._judge(condition, snapshot, before)
            # It may give it another name than that of the path.
            read = kind.read(snapshot, merge_patch(kind.whole(before), document), None, before)
            return self._with(snapshot, read, ignored, before)

        return await self._changed(request, query, edit)

    async def become(
        self, request: Request, query: Query, name: str, change: typing.Callable[[T], T]
    ) -> bytes:
        """Change one in a way that needs no body."""
        condition = Condition.of(request)

        def edit(snapshot: Snapshot) -> _Edited[T]:
            before = self._there(snapshot, name)
            self._judge(condition, snapshot, before)
            return self._with(snapshot, Read(change(before)), (), before)

        return await self._changed(request, query, edit)

    async def remove(self, request: Request, query: Query, name: str) -> bytes:
        """Remove one."""
        condition = Condition.of(request)
        gone: list[Document] = []

        def edit(snapshot: Snapshot) -> Snapshot:
            before = self._there(snapshot, name)
            self._judge(condition, snapshot, before)
            gone.append(self._kind.show(snapshot, before))
            return self._kind.remove(snapshot, before)

        _, dry_run = await self._answering.change(query, edit)
        return send_json(request, 200, gone[0]) if dry_run else send_nothing(request, 204)

    def tag(self, snapshot: Snapshot) -> bytes:
        """The collection's."""
        kind, tags = self._kind, self._answering.tags

        def make() -> bytes:
            return tags.of_all((kind.key(thing), thing) for thing in kind.every(snapshot))

        return tags.kept(snapshot, kind.name(snapshot), make)

    async def _sent(
        self, request: Request, types: typing.Sequence[str], name: str | None
    ) -> tuple[Document, tuple[str, ...]]:
        """What was sent, and what is to be noted of it already."""
        document, ignored = read_sent(request, types)
        return await self._kind.prepared(self._answering.state, document, name), ignored

    def _with(
        self, snapshot: Snapshot, read: Read[T], ignored: tuple[str, ...], before: T | None
    ) -> _Edited[T]:
        after = self._kind.put(snapshot, read.value)
        return _Edited(after, read.value, (*ignored, *read.notes), before is None)

    async def _changed(
        self, request: Request, query: Query, edit: typing.Callable[[Snapshot], _Edited[T]]
    ) -> bytes:
        """Change the configuration, and show the one that was meant as it is then."""
        results: list[_Edited[T]] = []

        def edited(snapshot: Snapshot) -> Snapshot:
            results.append(edit(snapshot))
            return results[0].snapshot

        try:
            after, dry_run = await self._answering.change(query, edited)
        except Problem as problem:
            # What was found in the whole is told of what was sent.
            problem.faults = tuple(self._relative(fault) for fault in problem.faults)
            raise
        (result,) = results
        kind = self._kind
        key = kind.key(result.thing)
        (thing,) = (each for each in kind.every(after) if kind.key(each) == key)
        data = kind.show(after, thing)
        if result.notes:
            data["notes"] = [*result.notes]
        if dry_run:
            return send_json(request, 200, data)
        where = location(*kind.location(after, thing)).encode("ascii")
        name = b"Location" if result.new else b"Content-Location"
        shown = Shown(self._answering.tags.of(thing), lambda: data, ((name, where),))
        return send_shown(request, 201 if result.new else 200, shown)

    def _relative(self, fault: Fault) -> Fault:
        return attrs.evolve(fault, pointer=self._kind.place.sub("", fault.pointer, count=1))

    def _there(self, snapshot: Snapshot, name: str) -> T:
        found = self._kind.find(snapshot, name)
        if found is None:
            raise not_there(self._kind.noun)
        return found

    def _judge(self, condition: Condition, snapshot: Snapshot, before: T | None) -> None:
        if before is None:
            condition.judge(None)
        else:
            shown = self._shown(snapshot, before)
            condition.judge(shown.tag, shown.data)

    def _shown(self, snapshot: Snapshot, thing: T) -> Shown:
        return Shown(self._answering.tags.of(thing), lambda: self._kind.show(snapshot, thing))


def paths(
    rule: str,
    variable: str,
    of: typing.Callable[..., Collection[T]],
    *,
    patch: bool = True,
) -> list[Path]:
    """
    Where a collection is.

    :param rule: of the collection.
    :param variable: the name of the segment behind it.
    :param of: the collection, by the variables of its rule.
    :param patch: whether one of it can be patched.
    """
    one = f"{rule}/<{variable}>"
    depth = len(re.findall("<", rule))

    def at(method: typing.Callable[..., Answer]) -> typing.Callable[..., Answer]:
        def answer(request: Request, query: Query, *variables: str) -> Answer:
            return method(of(*variables[:depth]), request, query, *variables[depth:])

        return answer

    found = [
        Path("GET", rule, at(Collection.list), SHOWS),
        Path("POST", rule, at(Collection.make), CHANGES),
        Path("GET", one, at(Collection.show), SHOWS),
        Path("PUT", one, at(Collection.replace), CHANGES),
        Path("DELETE", one, at(Collection.remove), CHANGES),
    ]
    return [*found, Path("PATCH", one, at(Collection.patch), CHANGES)] if patch else found
