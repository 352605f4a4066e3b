"""
The client as its admin port sees it.

:class:`Observed` is all that the admin port knows of the service: it reads, and changes nothing.
"""

from __future__ import annotations

import typing

import attrs

from aluvia.client.config import Snapshot
from aluvia.client.polls import Polls
from aluvia.forwarding.measured import Forwarding
from aluvia.telemetry.ledger import Ledger


@attrs.frozen
class LiveConnection:
    """
    A tunnel or a request that is under way.

    :ivar way: ``direct`` or ``gateway``.
    :ivar rule: the rule that settled it; None if none matched.
    :ivar bytes_up: payload from the client so far.
    :ivar bytes_down: payload to the client so far.
    :ivar age: seconds.
    """

    host: str
    port: int
    way: str
    rule: str | None
    bytes_up: int
    bytes_down: int
    age: float


class Observed(Forwarding, typing.Protocol):
    """
    A client, from outside.

    Times are the reactor's seconds.
    """

    @property
    def ledger(self) -> Ledger:
        """What each host has cost since the start; of what has ended."""

    @property
    def url(self) -> str:
        """The proxy's, for programs on this machine."""

    @property
    def started_at(self) -> float:
        """When it started."""

    @property
    def draining(self) -> bool:
        """Whether it takes no new clients any more, and is about to end."""

    @property
    def renewed_at(self) -> float | None:
        """When the configuration last was known to be right; None before it ever was."""

    @property
    def token_refused(self) -> bool:
        """Whether the control plane refuses the token."""

    @property
    def polls(self) -> Polls | None:
        """What asking the control plane came to; None if there is none."""

    @property
    def last_error(self) -> str | None:
        """Why the configuration could not be renewed, if that is so; one line, no secrets."""

    def snapshot(self) -> Snapshot | None:
        """The configuration of the moment; None while there is none."""

    def live(self) -> typing.Iterable[LiveConnection]:
        """What is under way."""
