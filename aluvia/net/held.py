"""How many bytes are held in all, of what is held whole."""

from __future__ import annotations

__all__ = ["Held"]


class Held:
    """
    A bound on many buffers together.

    :param most: bytes.
    :ivar count: how many are held.
    """

    __slots__ = ("_most", "count")

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most

    def take(self, count: int) -> bool:
        """Hold so many more; False, and nothing of them, if there is no room."""
        if self.count + count > self._most:
            return False
        self.count += count
        return True

    def give_back(self, count: int) -> None:
        """Hold so many less."""
        self.count -= count
