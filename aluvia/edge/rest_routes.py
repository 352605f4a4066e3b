"""
``/routes`` and ``/routes/:vHost``.

A route is named by its id, or by its vhost: as long as there is one route of it. Where there are
several, each for a part of the paths, the vhost alone is 409, and the answer lists their ids. An id
goes before a vhost of the same spelling.

What a PUT sends is the route that its path names: by a vhost, with that vhost, which may be absent
in the body; by an id, with that id. So a route that is read and sent back is the same route.
"""

from __future__ import annotations

import re
import typing

from aluvia.edge.answering import invalid
from aluvia.edge.fields import Read, route_document
from aluvia.edge.finding import route_named, see_that_there_is_room
from aluvia.edge.model import Route, Snapshot
from aluvia.edge.name_fields import v_host_of
from aluvia.edge.observed import Runtime
from aluvia.edge.rest_documents import Document, Documents
from aluvia.edge.snapshots import with_route, without_route

__all__ = ["Routes"]


class Routes:
    """What is routes' own (:class:`~aluvia.edge.rest_collection.Kind`)."""

    noun = "route"
    place = re.compile(r"^/routes/[0-9]+")

    def __init__(self, documents: Documents, runtime: Runtime) -> None:
        self._documents = documents
        self._runtime = runtime

    def name(self, snapshot: Snapshot) -> str:
        """There is one collection of them."""
        return "routes"

    def every(self, snapshot: Snapshot) -> typing.Iterable[Route]:
        """All of them."""
        return snapshot.routes.values()

    def find(self, snapshot: Snapshot, name: str) -> Route | None:
        """By its id, or its vhost."""
        return route_named(snapshot, name)

    def replaced(self, snapshot: Snapshot, document: Document) -> Route | None:
        """A POST makes a new one."""
        return None

    def key(self, thing: Route) -> str:
        """Its id."""
        return thing.id

    def read(
        self, snapshot: Snapshot, document: Document, name: str | None, before: Route | None
    ) -> Read[Route]:
        """Read it, and see that it is the one that is meant, and in nobody's way."""
        if name is not None:
            document = _named(document, name, before)
        read = self._documents.route(document, before, snapshot.providers)
        see_that_there_is_room(snapshot, read.value, before)
        return read

    def put(self, snapshot: Snapshot, thing: Route) -> Snapshot:
        """With it."""
        return with_route(snapshot, thing)

    def remove(self, snapshot: Snapshot, thing: Route) -> Snapshot:
        """Without it; nothing rests on a route."""
        return without_route(snapshot, thing.id)

    def show(self, snapshot: Snapshot, thing: Route) -> Document:
        """With what is known of its backends."""
        document = route_document(thing)
        document["backends"] = [
            {**backend, **self._runtime.backend_runtime(thing.id, backend["id"])}
            for backend in document["backends"]
        ]
        return document

    def whole(self, thing: Route) -> Document:
        """With its secrets."""
        return route_document(thing, secrets=True)

    async def prepared(self, snapshot: Snapshot, document: Document, name: str | None) -> Document:
        """What a route keeps secret, it needs."""
        return document

    def location(self, snapshot: Snapshot, thing: Route) -> tuple[str, ...]:
        """By its id, which names no other."""
        return "routes", thing.id


def _named(document: Document, name: str, before: Route | None) -> Document:
    """What was sent, as what the path names."""
    v_host = v_host_of({"vHost": name})
    if before is None and document.get("id") == name:
        return document
    if before is not None and before.id == name:
        return {"vHost": before.v_host, **document}
    if v_host is None:
        # It is no vhost, so it can only be an id.
        return {"id": name, **document}
    sent = v_host_of(document)
    if "vHost" in document and sent is not None and sent != v_host:
        detail = "is not the vhost in the path; a route is given another one by its id"
        raise invalid("/vHost", detail)
    return {"vHost": v_host, **document}
