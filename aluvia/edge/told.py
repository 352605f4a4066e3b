"""
What is told of a request when it is over, and how one is answered in a backend's place.

A :class:`ToldPassage` is an :class:`~aluvia.edge.events.CompletedRequest`: the data path's own
object is what is counted and logged, and nothing is copied for that.
"""

from __future__ import annotations

import typing

from aluvia.edge.answers import Refusal, answer_of, send
from aluvia.edge.live import LiveRoute
from aluvia.edge.request_fields import Client
from aluvia.forwarding.passage import Passage
from aluvia.net.errors import DialError
from aluvia.wire.errors import ProtocolViolation

if typing.TYPE_CHECKING:
    from aluvia.edge.downstream import Downstream
    from aluvia.edge.reverse import ReverseProxy

__all__ = ["ToldPassage"]

#: Of what a guard refuses to dial: the client has no part in it.
BAD_GATEWAY = 502


class ToldPassage(Passage):
    """
    A request of a route.

    :ivar down: the client's connection, as the edge sees it.
    :ivar live: the route that it is for.
    :ivar attempts: how many backends it was at.
    :ivar client_is: who asks.

    Its other attributes are those of :class:`~aluvia.edge.events.CompletedRequest`. It is made as
    an :class:`~aluvia.edge.passage.EdgePassage`.
    """

    proxy: ReverseProxy
    down: Downstream
    live: LiveRoute
    target: bytes
    client_is: Client
    began: float

    attempts = 0
    status = 0
    backend_id = ""
    cause = ""
    upgraded = False
    queued = -1.0
    connect = -1.0
    first_byte = -1.0
    total = 0.0

    @property
    def connection_id(self) -> str:
        """The client's connection."""
        return self.down.connection_id

    @property
    def client_address(self) -> str:
        """Who asked."""
        return self.client_is.address

    @property
    def v_host(self) -> str:
        """As configured."""
        return self.live.v_host

    @property
    def route_id(self) -> str:
        """Of the route."""
        return self.live.route.id

    def release(self, outcome: str) -> None:
        """Count it, and let go."""
        if not self.released:
            self.total = self.proxy.clock() - self.began
            if outcome != "ok" and not self.cause:
                self.cause = outcome
            super().release(outcome)

    # In a backend's place.

    def refuse(self, refusal: Refusal) -> None:
        """Answer it with this; if an answer has begun, by cutting that short."""
        client = self.client
        if not client.exchange.may_respond:
            # What was sent must not look like a whole answer.
            self.let_go()
            self.release(refusal.error)
            client.abort()
            return
        answer = answer_of(self.head, refusal, self.request_id)
        self.status = refusal.status
        self._bytes_down += len(answer.body)
        self.let_go()
        self.release(refusal.error)
        send(client, answer)

    def fail(self, error: DialError) -> None:
        """Say what went wrong; if an answer has begun, by cutting it short."""
        status, detail = error.status, error.detail
        if status < 500 and error.error != "http_request_error":
            status, detail = BAD_GATEWAY, "The backend is at an address that is not reached."
        self.refuse(Refusal(status, error.error, detail, received_status=error.received_status))

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        if self.client.exchange.may_respond:
            self.status = violation.status
        super().request_broken(violation)
