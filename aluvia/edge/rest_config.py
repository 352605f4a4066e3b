"""
``/config``: all of it at once, for a backup and for going back to one.

What is shown has no keys and no hashes, unless ``?secrets=1`` asks for them. What is sent takes the
place of all that there is, in one change or not at all; keys and hashes that are not in it stay
with what they belong to.
"""

from __future__ import annotations

import typing

from twisted.web.http import Request

from aluvia.api.answers import send_json
from aluvia.api.bodies import JSON
from aluvia.api.conditions import Condition, Shown, send_shown
from aluvia.api.queries import Query, read_flag
from aluvia.edge.answering import Answering, read_sent
from aluvia.edge.fields import Read, snapshot_document
from aluvia.edge.model import Snapshot
from aluvia.edge.rest_documents import Documents
from aluvia.edge.rest_paths import BASE, Path
from aluvia.edge.stored import CERTIFICATE, PROVIDER, ROUTE

__all__ = ["WholeConfiguration"]


class WholeConfiguration:
    """All of it."""

    def __init__(self, documents: Documents, answering: Answering) -> None:
        self._documents = documents
        self._answering = answering

    def paths(self) -> list[Path]:
        """Where it is."""
        return [
            Path("GET", f"{BASE}/config", self.show, frozenset({"secrets", "wait"})),
            Path("PUT", f"{BASE}/config", self.replace, frozenset({"secrets", "dry_run"})),
        ]

    async def show(self, request: Request, query: Query) -> bytes:
        """Show it."""
        secrets = read_flag(query, "secrets")
        return await self._answering.show(
            request, lambda snapshot: self._shown(snapshot, secrets=secrets)
        )

    async def replace(self, request: Request, query: Query) -> bytes:
        """Put another one in its place."""
        secrets = read_flag(query, "secrets")
        condition = Condition.of(request)
        sent, ignored = read_sent(request, (JSON,))
        known = self._answering.state.providers
        document = await self._documents.hash_secrets(sent, known)
        results: list[Read[Snapshot]] = []

        def edit(snapshot: Snapshot) -> Snapshot:
            shown = self._shown(snapshot, secrets=secrets)
            condition.judge(shown.tag, shown.data)
            read = self._documents.snapshot(document, snapshot)
            results.append(read)
            return read.value

        after, dry_run = await self._answering.change(query, edit)
        (read,) = results
        data = snapshot_document(after, secrets=secrets)
        notes = [*ignored, *read.notes]
        if notes:
            data["notes"] = notes
        if dry_run:
            return send_json(request, 200, data)
        return send_shown(request, 200, Shown(self.tag(after), lambda: data))

    def tag(self, snapshot: Snapshot) -> bytes:
        """That of all."""
        tags = self._answering.tags

        def things() -> typing.Iterator[tuple[str, typing.Any]]:
            for kind, mapping in (
                (ROUTE, snapshot.routes),
                (CERTIFICATE, snapshot.certificates),
                (PROVIDER, snapshot.providers),
            ):
                for key, thing in mapping.items():
                    yield f"{kind} {key}", thing

        return tags.kept(snapshot, "configuration", lambda: tags.of_all(things()))

    def _shown(self, snapshot: Snapshot, *, secrets: bool) -> Shown:
        return Shown(self.tag(snapshot), lambda: snapshot_document(snapshot, secrets=secrets))
