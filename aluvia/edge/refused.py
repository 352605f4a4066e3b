"""A request that went nowhere, as it is told when it is over."""

from __future__ import annotations

import attrs

from aluvia.edge.answers import Refusal
from aluvia.edge.model import Route
from aluvia.wire.head import RequestHead

__all__ = ["Refused"]


@attrs.frozen(kw_only=True)
class Refused:
    """
    See :class:`aluvia.edge.events.CompletedRequest`.

    :ivar head: None if there is no good one.
    :ivar route: None if there is none for it.
    """

    request_id: str
    connection_id: str
    client_address: str
    head: RequestHead | None
    route: Route | None
    refusal: Refusal
    bytes_down: int
    started: float
    total: float
    backend_id: str = ""
    attempts: int = 0
    bytes_up: int = 0
    queued: float = -1.0
    connect: float = -1.0
    first_byte: float = -1.0
    upgraded: bool = False

    @property
    def method(self) -> bytes:
        """As it came."""
        return b"" if self.head is None else self.head.method

    @property
    def target(self) -> bytes:
        """As it came."""
        return b"" if self.head is None else self.head.target

    @property
    def v_host(self) -> str:
        """As configured."""
        return "" if self.route is None else self.route.v_host

    @property
    def route_id(self) -> str:
        """Of the route."""
        return "" if self.route is None else self.route.id

    @property
    def status(self) -> int:
        """Of the answer."""
        return self.refusal.status

    @property
    def cause(self) -> str:
        """Why."""
        return "" if self.refusal.status < 400 else self.refusal.error
