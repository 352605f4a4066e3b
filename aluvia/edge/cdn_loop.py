"""
Whether a request has been here before: ``CDN-Loop`` (RFC 8586).

Two edges, each the other's backend, would send one request round and round, until slots and
descriptors are gone. Each is somebody else's address to the other, so that none is seen when it is
configured or dialled. Hence every request that goes to a backend names the edges that it was at,
and one that names this edge is answered 502 with ``proxy_loop_detected``, as RFC 9209 calls it.

Our name is of an edge that runs, chosen by chance at its start, and not kept in its store: a store
is copied (to another machine, from a backup), and two edges of one name would refuse what one
rightly sends to the other. A loop that a restart falls into costs one more round.

``Via`` could tell the same, but is left as it comes, and none is added: for a server behind us it
means that a proxy asks for others, and nginx then compresses nothing (``gzip_proxied``).

What we ask ourselves, a hook's question or a probe, says nothing of this, nor of what came: it is a
request of its own, which may rightly be answered by way of an edge that was passed already, or of
this one.

Who sends our name is answered, and no more; nobody can send so much that the head would not bound
it. What is no good list of names goes on as it came: it is searched, and not parsed.
"""

from __future__ import annotations

import re

__all__ = ["CDN_LOOP", "CDNLoop"]

CDN_LOOP = b"CDN-Loop"


class CDNLoop:
    """
    What an edge writes, and looks for.

    :param name: what it calls itself; a token (RFC 9110 section 5.6.2).
    """

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._ours = re.compile(rb"(?<![^\t ,])" + re.escape(name) + rb"(?![^\t ,;])").search

    def has_us(self, came: bytes | None) -> bool:
        """
        Whether a request was here.

        :param came: what it says, all of its lines together; None for nothing.
        """
        return came is not None and self._ours(came) is not None

    def with_us(self, came: bytes | None) -> bytes:
        """What it says when it leaves."""
        return b"%b, %b" % (came, self._name) if came else self._name
