"""A client as its admin port sees it, without a client."""

from __future__ import annotations

import typing

from aluvia.client.config import Snapshot
from aluvia.client.observed import LiveConnection
from aluvia.client.polls import Polls
from aluvia.forwarding.counters import Counters
from aluvia.telemetry.ledger import Ledger


class FakeObserved:
    """
    Gives what a test put there.

    :ivar now: what :meth:`snapshot` gives.
    :ivar flows: what :meth:`live` gives.
    """

    def __init__(self, started_at: float = 0.0) -> None:
        self.counters = Counters()
        self.ledger = Ledger()
        self.url = "http://127.0.0.1:18787"
        self.started_at = started_at
        self.connections_open = 0
        self.accepting = True
        self.draining = False
        self.last_error: str | None = None
        self.token_refused = False
        self.polls: Polls | None = None
        self.now: Snapshot | None = None
        self.flows: list[LiveConnection] = []

    @property
    def renewed_at(self) -> float | None:
        """When the snapshot of the test came."""
        return None if self.now is None else self.now.fetched_at

    def snapshot(self) -> Snapshot | None:
        """The snapshot of the test."""
        return self.now

    def live(self) -> typing.Iterable[LiveConnection]:
        """The flows of the test."""
        return iter(self.flows)
