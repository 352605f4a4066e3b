"""
The tunnels of an edge as people and programs see them: one document for the API and the page.

It is :func:`aluvia.hub.tunnel_documents.tunnel_document`, with ``reached_at``: how visitors reach
it, as URLs, paths on any listener of the edge, hosts (and prefixes) of routes, and addresses of TCP
ports.
"""

from __future__ import annotations

import typing

from aluvia.edge.tunnels import Hub
from aluvia.hub.registry import Tunnel
from aluvia.hub.tunnel_documents import tunnel_document

__all__ = ["TunnelView", "Ways"]

#: Says how visitors reach a tunnel, the best way first.
Ways: typing.TypeAlias = typing.Callable[[Tunnel], list[str]]


class TunnelView:
    """
    What is to be seen.

    :param hub: None where there is none, and so no tunnel.
    :param ways: is asked for each look, since what is configured changes.
    """

    def __init__(self, hub: Hub | None, ways: typing.Callable[[], Ways]) -> None:
        self._hub = hub
        self._ways = ways

    @property
    def is_open(self) -> bool:
        """Whether agents may connect at all."""
        return self._hub is not None

    def get(self, id: str) -> Tunnel | None:
        """The one of an id, as it is compared."""
        return None if self._hub is None else self._hub.registry.tunnels.get(id)

    def find(self, text: str = "") -> list[Tunnel]:
        """
        Those whose id, or an agent of which, has this in it, by their ids; all for nothing.

        :param text: in either case.
        """
        if self._hub is None:
            return []
        wanted = text.casefold()
        tunnels = sorted(self._hub.registry.tunnels.items())
        return [tunnel for _, tunnel in tunnels if not wanted or _has(tunnel, wanted)]

    def documents(self, tunnels: typing.Iterable[Tunnel]) -> typing.Iterator[dict[str, typing.Any]]:
        """What there is to say of each; it is found out when it is taken."""
        ways = self._ways()
        for tunnel in tunnels:
            yield {**tunnel_document(tunnel), "reached_at": ways(tunnel)}


def _has(tunnel: Tunnel, wanted: str) -> bool:
    agents = (offer.session.agent_id.casefold() for offer in tunnel.offers)
    return wanted in tunnel.id or any(wanted in agent for agent in agents)
