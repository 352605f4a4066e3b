"""Keys of a hub without a store: for the demo, and for tests."""

from __future__ import annotations

import typing

from aluvia.hub.key_table import KeyTable
from aluvia.hub.keys import Permit
from aluvia.store.tokens import hash_of

__all__ = ["FixedKeys"]


class FixedKeys(KeyTable):
    """
    Keys that are in this process alone.

    That one has expired is told of at the next :meth:`~aluvia.hub.key_table.KeyTable.look`; it
    opens nothing from the moment on.

    :param now: gives the time; seconds since 1970.
    """

    def __init__(self, now: typing.Callable[[], float] = lambda: 0.0) -> None:
        super().__init__(now)
        self._kept: dict[str, tuple[bytes, Permit]] = {}

    def add(self, permit: Permit, key: str) -> None:
        """Add a key, in the place of the one of its name."""
        self._kept[permit.name] = hash_of(key), permit
        self.hold(self._kept.values())

    def revoke(self, name: str) -> None:
        """Remove a key. Harmless where there is none."""
        self._kept.pop(name, None)
        self.hold(self._kept.values())
