"""The seam between a session and what carries it: one connection to the hub, from dial to end."""

from __future__ import annotations

import typing

import attrs

from aluvia.agent.health import TargetStatus

__all__ = ["Carrier", "CarrierOwner", "Ending", "Place", "Refusal"]

#: Why a hub does not want an agent: what it says in an ``error_response``, and ``revoked``.
Refusal = typing.Literal[
    "unauthorized", "forbidden", "bad_registration", "taken", "full", "revoked"
]


@attrs.frozen
class Ending:
    """
    How a carrier ended.

    :ivar why: one sentence for the operator, without secrets.
    :ivar refusal: the hub's, if it was one.
    :ivar no_websocket: whether there was an answer, and no WebSocket came of it.
    """

    why: str
    refusal: Refusal | None = None
    no_websocket: bool = False


@attrs.frozen
class Place:
    """
    Where visitors find a tunnel, in the hub's words.

    :ivar where: a URL, or a path on the hub's public side.
    """

    id: str
    where: str


class Carrier(typing.Protocol):
    """
    One connection to the hub.

    :ivar kind: ``wss`` or ``longpoll``.
    """

    kind: str

    def start(self) -> None:
        """Connect, and register."""

    def tell(self, id: str, status: TargetStatus) -> None:
        """Tell the hub how a target is. Nothing before it is registered."""

    def drain(self) -> None:
        """Take no more streams; end when the last one has."""

    def end(self) -> None:
        """End it, and its streams, at once."""


class CarrierOwner(typing.Protocol):
    """Who has carriers. Nothing is called from within a carrier's own methods but ``start``."""

    def registered(self, carrier: Carrier, places: typing.Sequence[Place]) -> None:
        """The hub has taken it."""

    def leaving(self, carrier: Carrier, why: str) -> None:
        """The hub opens no more streams over it; those that there are go on."""

    def ended(self, carrier: Carrier, ending: Ending) -> None:
        """It is over; called once."""
