"""
``/auth-providers`` and ``/auth-providers/:id``.

Passwords and tokens may be sent in plain text. Hashes of them are kept, and those are not shown
either: a user or a token that is sent without one keeps the one that it has.
"""

from __future__ import annotations

import re
import typing

from aluvia.api.problems import Problem
from aluvia.edge.answering import named
from aluvia.edge.fields import Read, provider_document
from aluvia.edge.model import AuthProvider, Snapshot
from aluvia.edge.rest_documents import Document, Documents
from aluvia.edge.snapshots import with_provider, without_provider

__all__ = ["Providers"]

#: Ids of routes that are told to whoever would remove what they rest on.
MOST_TOLD = 100


class Providers:
    """What is providers' own."""

    noun = "provider"
    place = re.compile(r"^/authProviders/[0-9]+")

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def name(self, snapshot: Snapshot) -> str:
        """There is one collection of them."""
        return "auth-providers"

    def every(self, snapshot: Snapshot) -> typing.Iterable[AuthProvider]:
        """All of them."""
        return snapshot.providers.values()

    def find(self, snapshot: Snapshot, name: str) -> AuthProvider | None:
        """By its id."""
        return snapshot.providers.get(name)

    def replaced(self, snapshot: Snapshot, document: Document) -> AuthProvider | None:
        """A POST makes a new one."""
        return None

    def key(self, thing: AuthProvider) -> str:
        """Its id."""
        return thing.id

    def read(
        self,
        snapshot: Snapshot,
        document: Document,
        name: str | None,
        before: AuthProvider | None,
    ) -> Read[AuthProvider]:
        """Read it, and see that no other is called so."""
        read = self._documents.provider(named(document, "id", name), before)
        if before is None and read.value.id in snapshot.providers:
            raise Problem(409, "exists", "There is a provider of this id already.")
        return read

    def put(self, snapshot: Snapshot, thing: AuthProvider) -> Snapshot:
        """With it."""
        return with_provider(snapshot, thing)

    def remove(self, snapshot: Snapshot, thing: AuthProvider) -> Snapshot:
        """Without it, if no route asks it."""
        ids = [route.id for route in snapshot.routes.values() if route.auth_provider == thing.id]
        if ids:
            detail = f"{len(ids)} routes ask it: take it out of those first."
            raise Problem(409, "in_use", detail, more={"ids": ids[:MOST_TOLD]})
        return without_provider(snapshot, thing.id)

    def show(self, snapshot: Snapshot, thing: AuthProvider) -> Document:
        """Without its hashes."""
        return provider_document(thing)

    def whole(self, thing: AuthProvider) -> Document:
        """With them."""
        return provider_document(thing, secrets=True)

    async def prepared(self, snapshot: Snapshot, document: Document, name: str | None) -> Document:
        """With hashes in place of passwords and tokens, which takes a while."""
        named = document if name is None else {"id": name, **document}
        hashed = await self._documents.hash_secrets(named, snapshot.providers)
        return typing.cast(Document, hashed)

    def location(self, snapshot: Snapshot, thing: AuthProvider) -> tuple[str, ...]:
        """By its id."""
        return "auth-providers", thing.id
