"""How anything of the configuration is shown and changed, and what is taken of what is sent."""

from __future__ import annotations

import typing

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from aluvia.api.bodies import read_object
from aluvia.api.conditions import Shown, known, show, until_changed, wait_seconds
from aluvia.api.problems import Fault, Problem
from aluvia.api.queries import Query, read_flag
from aluvia.edge.configuration import CHANGED, Configuration, Edit
from aluvia.edge.model import Snapshot
from aluvia.edge.rest_documents import Document
from aluvia.edge.tags import Tags

__all__ = ["CHANGES", "SHOWS", "Answering", "invalid", "named", "not_there", "read_sent"]

#: The parameters of what shows, and of what changes.
SHOWS = frozenset({"wait"})
CHANGES = frozenset({"dry_run"})


class Answering:
    """
    What all that is configured has in common.

    :param configuration: started.
    :ivar tags: of its store.
    """

    def __init__(self, configuration: Configuration, clock: IReactorTime) -> None:
        self.configuration = configuration
        self.tags = Tags(configuration.store_name)
        self._clock = clock
        self._turns = DeferredLock()

    @property
    def state(self) -> Snapshot:
        """What is in force."""
        return self.configuration.state

    async def show(self, request: Request, find: typing.Callable[[Snapshot], Shown]) -> bytes:
        """
        Answer a GET.

        :param find: finds what is shown in a snapshot.
        """

        def found() -> Shown:
            return find(self.state)

        seconds = wait_seconds(request)
        shown = found()
        if seconds and known(request, shown.tag):
            watch = self.configuration.watch
            shown = await until_changed(found, watch, CHANGED, self._clock, seconds)
            if not known(request, shown.tag):
                # All who wait are told at once, and to show much takes long: one in each turn of
                # the reactor, so that requests are served in between.
                await self._turns.acquire()
                self._clock.callLater(0, self._turns.release)
        return show(request, shown)

    async def change(self, query: Query, edit: Edit) -> tuple[Snapshot, bool]:
        """
        Change the configuration.

        :return: what is in force then, or would be; and whether that is what it would be.
        """
        dry_run = read_flag(query, "dry_run")
        return await self.configuration.change(edit, dry_run=dry_run), dry_run


def read_sent(request: Request, types: typing.Sequence[str]) -> tuple[Document, tuple[str, ...]]:
    """
    The object in a body, and what is to be noted of it.

    Whoever sends back what the answer to a change was sends its ``notes`` as well.
    """
    document = read_object(request, types)
    if "notes" not in document:
        return document, ()
    del document["notes"]
    return document, ("notes is shown, and not set: what was sent was ignored.",)


def named(
    document: Document,
    member: str,
    name: str | None,
    spelled: typing.Callable[[str], object] = str,
) -> Document:
    """
    What was sent, with the name that it has in its path.

    :param member: where the name stands.
    :param name: None where the path has none.
    :param spelled: the one spelling of a name.
    :raises Problem: 422, if it says another one.
    """
    if name is None:
        return document
    given = document.get(member)
    if isinstance(given, str) and spelled(given) != spelled(name):
        raise invalid(f"/{member}", "is not the one in the path")
    return {member: name, **document}


def invalid(pointer: str, detail: str) -> Problem:
    """What to raise for one thing in a body that is not what it must be."""
    faults = [Fault(pointer, detail)]
    return Problem(422, "invalid_fields", "Some fields are not what they must be.", faults)


def not_there(noun: str) -> Problem:
    """What to raise for what a path names, and is not there."""
    return Problem(404, "not_found", f"There is no such {noun}.")
