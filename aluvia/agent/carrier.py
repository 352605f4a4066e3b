"""The seam between a session and what carries it: one connection to the hub, from dial to end."""

from __future__ import annotations

import typing

import attrs

from aluvia.agent.health import TargetStatus

__all__ = [
    "Carrier",
    "CarrierOwner",
    "Ending",
    "Kind",
    "Place",
    "Refusal",
    "in_the_hubs_words",
    "places_of",
]

#: What carries: a WebSocket, or one call after the other.
Kind = typing.Literal["wss", "longpoll"]

#: Why a hub does not want an agent: what it says in an ``error_response``, and ``revoked``.
Refusal = typing.Literal[
    "unauthorized", "forbidden", "bad_registration", "taken", "full", "revoked"
]

#: Of what a hub says, for a log.
SAID_CHARS = 300


@attrs.frozen
class Ending:
    """
    How a carrier ended.

    :ivar why: one sentence for the operator, without secrets.
    :ivar refusal: the hub's, if it was one.
    :ivar no_websocket: whether somebody was reached, and no WebSocket over which the hub registers
        us came of it.
    :ivar retry_after: when to come back, if the hub says so; seconds.
    """

    why: str
    refusal: Refusal | None = None
    no_websocket: bool = False
    retry_after: float | None = None


@attrs.frozen
class Place:
    """
    Where visitors find a tunnel, in the hub's words.

    :ivar where: a URL, or a path on the hub's public side.
    """

    id: str
    where: str


def places_of(tunnels: object) -> list[Place]:
    """
    What a hub says of the tunnels that it registered, fit for a log. What cannot be read is left
    out.
    """
    places = []
    for each in tunnels if isinstance(tunnels, list) else ():
        if isinstance(each, dict):
            id, where = each.get("id"), each.get("url") or each.get("path")
            if isinstance(id, str) and isinstance(where, str) and f"{id}{where}".isprintable():
                places.append(Place(id, where))
    return places


def in_the_hubs_words(said: object) -> str:
    """Why a hub does not want us, fit for a log: one line, bounded."""
    text = said if isinstance(said, str) else ""
    text = "".join(char for char in text[:SAID_CHARS] if char.isprintable()).rstrip(".")
    return f"The hub refuses us: {text or 'it does not say why'}."


class Carrier(typing.Protocol):
    """
    One connection to the hub.

    :ivar kind: of which kind it is.
    """

    @property
    def kind(self) -> Kind:
        """See above."""

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
