"""
The seam to whatever watches absolute deadlines: in a service, one sweep for all.

A timer per connection costs half a kilobyte; an item of a sweep costs a place in a set. The price
is that a deadline is noticed up to one interval late.
"""

from __future__ import annotations

import typing

__all__ = ["Deadlines", "HasDeadline"]


class HasDeadline(typing.Protocol):
    """
    Something that must not take for ever.

    :ivar deadline: seconds of the reactor's clock.
    """

    deadline: float

    def deadline_passed(self, now: float) -> None:
        """Act on it: called at each look, until it is forgotten or its deadline is moved."""


class Deadlines(typing.Protocol):
    """Watches deadlines; :class:`aluvia.net.accept.Sweep` is one."""

    def watch(self, item: HasDeadline) -> None:
        """Call the item when its deadline has passed."""

    def forget(self, item: HasDeadline) -> None:
        """Watch it no more. Harmless for one that is not watched."""
