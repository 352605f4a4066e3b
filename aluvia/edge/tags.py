"""
Entity tags of the configuration: strong, and of nothing but its revisions.

What runs changes all the time (whether a backend is dead, how many requests it has), and nobody who
follows the configuration wants to hear of that: two answers with one tag may differ in it.

A thing's tag is the store's name and the revision that made it what it is. That of several is a
digest over theirs and their keys, in their order.
"""

from __future__ import annotations

import hashlib
import typing

from aluvia.edge.model import Snapshot

__all__ = ["Tags", "Thing"]

_DIGEST_CHARS = 32


class Thing(typing.Protocol):
    """Whatever has a revision."""

    @property
    def revision(self) -> int:
        """It grows with each change."""


class Tags:
    """
    The tags of one store.

    :param store_name: so that those of two stores are not taken for each other.
    """

    def __init__(self, store_name: str) -> None:
        self._store_name = store_name
        self._snapshot: Snapshot | None = None
        self._known: dict[str, bytes] = {}

    def of(self, thing: Thing) -> bytes:
        """That of one thing."""
        return self._tag(str(thing.revision))

    def of_all(self, things: typing.Iterable[tuple[str, Thing]]) -> bytes:
        """
        That of several.

        :param things: with their keys, in their order.
        """
        digest = hashlib.sha256()
        for key, thing in things:
            # No key has a line end in it.
            digest.update(f"{key}={thing.revision}\n".encode())
        return self._tag(digest.hexdigest()[:_DIGEST_CHARS])

    def kept(self, snapshot: Snapshot, name: str, make: typing.Callable[[], bytes]) -> bytes:
        """
        That of all of a snapshot's things of a kind, which is made once: many may wait for a change
        of it, and each looks at it.

        :param name: one of the few that there are.
        """
        if self._snapshot is not snapshot:
            self._snapshot, self._known = snapshot, {}
        tag = self._known.get(name)
        if tag is None:
            tag = self._known[name] = make()
        return tag

    def _tag(self, text: str) -> bytes:
        return f'"{self._store_name}-{text}"'.encode("ascii")
