"""
Tunnels in the API: ``GET /tunnels``, an array of all by their ids, and ``GET /tunnels/:id``.

They are what runs, and not what is configured: there is no tag, and nothing to be changed. Whoever
wants an agent gone revokes its key; one that is only cut off comes again at once.
"""

from __future__ import annotations

import json

from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from aluvia.api.answers import send_json, send_json_text
from aluvia.api.queries import Query
from aluvia.edge.answering import not_there
from aluvia.edge.rest_paths import BASE, Path
from aluvia.edge.slices import batches, in_slices
from aluvia.edge.tunnel_view import TunnelView
from aluvia.hub.registration import tunnel_id

__all__ = ["TunnelResources"]


class TunnelResources:
    """Shows them."""

    def __init__(self, view: TunnelView, clock: IReactorTime) -> None:
        self._view = view
        self._clock = clock
        self._one_at_a_time = DeferredLock()

    def paths(self) -> list[Path]:
        """Where they are."""
        return [
            Path("GET", f"{BASE}/tunnels", self.list),
            Path("GET", f"{BASE}/tunnels/<tunnel>", self.show),
        ]

    async def list(self, request: Request, query: Query) -> bytes:
        """All of them: beside other requests, since there may be thousands."""
        texts: list[str] = []
        async with self._one_at_a_time:
            documents = self._view.documents(self._view.find())
            written = (json.dumps(each, ensure_ascii=False) for each in documents)
            await in_slices(batches(written), texts.extend, self._clock)
        return send_json_text(request, 200, f"[{', '.join(texts)}]")

    def show(self, request: Request, query: Query, name: str) -> bytes:
        """One of them."""
        id = tunnel_id(name)
        tunnel = None if id is None else self._view.get(id)
        if tunnel is None:
            raise not_there("tunnel")
        [document] = self._view.documents([tunnel])
        return send_json(request, 200, document)
