"""
``/routes/:vHost/backends`` and ``…/backends/:id``; and what an operator does with one.

=================  =================================================================================
``POST …/dead``    for maintenance: nothing new goes there, and no probe brings it back
``POST …/drain``   nothing new goes there; what is under way comes to its end
``POST …/ready``   it is among the others again
=================  =================================================================================
"""

from __future__ import annotations

import functools
import re
import typing

import attrs
from twisted.web.http import Request

from aluvia.api.problems import Problem
from aluvia.api.queries import Query
from aluvia.edge.answering import CHANGES, named
from aluvia.edge.fields import Read, backend_document
from aluvia.edge.finding import find_route
from aluvia.edge.model import AdminState, Backend, Route, Snapshot
from aluvia.edge.observed import Runtime
from aluvia.edge.rest_collection import Collection
from aluvia.edge.rest_documents import Document, Documents
from aluvia.edge.rest_paths import Answer, Path
from aluvia.edge.snapshots import with_backend, without_backend

__all__ = ["Backends", "admin_paths"]

_STATES = {"dead": AdminState.MAINT, "drain": AdminState.DRAIN, "ready": AdminState.READY}


class Backends:
    """
    What is backends' own: there is a collection of them in each route.

    :param v_host: of the route, or its id.
    """

    noun = "backend"
    place = re.compile(r"^/routes/[0-9]+/backends/[0-9]+")

    def __init__(self, documents: Documents, runtime: Runtime, v_host: str) -> None:
        self._documents = documents
        self._runtime = runtime
        self._v_host = v_host

    def name(self, snapshot: Snapshot) -> str:
        """By its route."""
        return f"backends of {self._route(snapshot).id}"

    def every(self, snapshot: Snapshot) -> typing.Sequence[Backend]:
        """Those of a route."""
        return self._route(snapshot).backends

    def find(self, snapshot: Snapshot, name: str) -> Backend | None:
        """By its id."""
        backends = self.every(snapshot)
        return next((backend for backend in backends if backend.id == name), None)

    def replaced(self, snapshot: Snapshot, document: Document) -> Backend | None:
        """A POST makes a new one."""
        return None

    def key(self, thing: Backend) -> str:
        """Its id."""
        return thing.id

    def read(
        self,
        snapshot: Snapshot,
        document: Document,
        name: str | None,
        before: Backend | None,
    ) -> Read[Backend]:
        """Read it, and see that no other is called so."""
        read = self._documents.backend(named(document, "id", name), before)
        if before is None and self.find(snapshot, read.value.id) is not None:
            raise Problem(409, "exists", "The route has a backend of this id already.")
        return read

    def put(self, snapshot: Snapshot, thing: Backend) -> Snapshot:
        """With it."""
        return with_backend(snapshot, self._route(snapshot), thing)

    def remove(self, snapshot: Snapshot, thing: Backend) -> Snapshot:
        """Without it; nothing rests on a backend."""
        return without_backend(snapshot, self._route(snapshot), thing.id)

    def show(self, snapshot: Snapshot, thing: Backend) -> Document:
        """With what is known of it."""
        route = self._route(snapshot)
        runtime = self._runtime.backend_runtime(route.id, thing.id)
        return {**backend_document(thing), **runtime}

    def whole(self, thing: Backend) -> Document:
        """With its secrets."""
        return backend_document(thing, secrets=True)

    async def prepared(self, snapshot: Snapshot, document: Document, name: str | None) -> Document:
        """What a backend keeps secret, it needs."""
        return document

    def location(self, snapshot: Snapshot, thing: Backend) -> tuple[str, ...]:
        """By its route's id."""
        return "routes", self._route(snapshot).id, "backends", thing.id

    def _route(self, snapshot: Snapshot) -> Route:
        return find_route(snapshot, self._v_host)


def admin_paths(rule: str, of: typing.Callable[[str], Collection[Backend]]) -> list[Path]:
    """
    What an operator does with a backend.

    :param rule: of one backend.
    :param of: the collection of a route.
    """

    def become(admin: AdminState, request: Request, query: Query, v_host: str, id: str) -> Answer:
        return of(v_host).become(
            request, query, id, lambda backend: attrs.evolve(backend, admin=admin)
        )

    return [
        Path("POST", f"{rule}/{name}", functools.partial(become, admin), CHANGES)
        for name, admin in _STATES.items()
    ]
