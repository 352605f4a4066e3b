"""Who may connect: the keys of agents, as the hub needs them."""

from __future__ import annotations

import typing

import attrs

__all__ = ["AnyID", "Keys", "Permit"]

#: In place of ids: any.
AnyID: typing.Final = "*"


@attrs.frozen(kw_only=True)
class Permit:
    """
    What a key is good for, as it was when it was shown.

    :ivar name: the key's label.
    :ivar publish: the ids that it may publish; :data:`AnyID` among them for any.
    :ivar exit: whether its agents may be exits.
    :ivar made: when the key was made, or rotated; seconds since 1970: another key of the same name
        is another one.
    :ivar expires: seconds since 1970; None for never.
    """

    name: str
    publish: frozenset[str] = frozenset([AnyID])
    exit: bool = False
    made: float = 0.0
    expires: float | None = None

    def may_publish(self, id: str) -> bool:
        """Whether it may publish this id."""
        return id in self.publish or AnyID in self.publish


class Keys(typing.Protocol):
    """The keys that there are."""

    def permit(self, key: str) -> Permit | None:
        """What a key is good for; None if it is none, or has expired."""

    def still_good(self, permit: Permit) -> bool:
        """Whether who came with it may stay."""

    def may_be_published(self, id: str) -> bool:
        """Whether some key names this id; a key for any id names none."""

    def on_change(self, changed: typing.Callable[[], object]) -> None:
        """Call this whenever a key was removed, changed or has expired: some may not stay."""
