"""
A request for a tunnel: of a visitor, or of a route that has tunnels among its backends.

It is an :class:`~aluvia.edge.passage.EdgePassage` like any other, with more to be judged:

.. code-block:: text

                        by /t/ID/ or by name             by a route
    ------------------  -------------------------------  -------------------------------------------
    rate, body          --tunnel-rate, --tunnel-body-    the route's
                        bytes
    the tunnel's token  before anything else             once a tunnel is picked, behind the route's
                                                         authentication
    authentication      --tunnel-auth-provider           the route's
    bytes of the day    of the tunnel, however it is reached: both count, both are cut
    what visitors show  is taken off (:mod:`aluvia.edge.visitor_tokens`)
    its end             is counted at the tunnel that it was at last
"""

from __future__ import annotations

import typing

import attrs

from aluvia.edge.answers import Refusal, answer_of, send
from aluvia.edge.backends import TUNNEL, Place
from aluvia.edge.judging import judge_by_route
from aluvia.edge.live import LiveRoute
from aluvia.edge.passage import EdgePassage
from aluvia.edge.path_mode import rewritten
from aluvia.edge.request_fields import Client, hyphened
from aluvia.edge.tunnel_answers import PROXER_REQUEST_ID, day_over, in_words, with_id
from aluvia.edge.verdicts import Denied
from aluvia.edge.visitor_tokens import TOKEN_FIELD, LastShown
from aluvia.forwarding.passage import ANSWERED, DIALLING
from aluvia.upstreams.members import Health, Member

if typing.TYPE_CHECKING:
    from aluvia.edge.downstream import Downstream
    from aluvia.edge.tunnels import Visit
    from aluvia.hub.registry import Tunnel
    from aluvia.net.errors import DialError
    from aluvia.wire.errors import ProtocolViolation
    from aluvia.wire.exchange import ClientExchange, Event
    from aluvia.wire.head import RequestHead, ResponseHead
    from aluvia.wire.headers import Field

__all__ = ["TunnelPassage"]

_PREFIX = b"X-Forwarded-Prefix"
_OURS = PROXER_REQUEST_ID.lower()


class TunnelPassage(EdgePassage):
    """
    One request.

    :param visit: None for one of a route.
    """

    _visit: Visit | None = None
    #: The one that it is counted at, and the one that it has a connection of.
    _tunnel: Tunnel | None = None
    _at: Tunnel | None = None
    _charged = 0
    _prefixed = False
    #: Whether the answer is one of ours, and is whole.
    _answered_here = False

    def __init__(
        self,
        down: Downstream,
        client: typing.Any,
        head: RequestHead,
        live: LiveRoute,
        host: str,
        authority: bytes | None,
        target: bytes,
        client_is: Client,
        request_id: str,
        began: float,
        visit: Visit | None = None,
    ) -> None:
        if down.last_shown is None:
            down.last_shown = LastShown()
        shown = down.last_shown.of(head, target)
        super().__init__(
            down,
            client,
            shown.head,
            live,
            host,
            authority,
            shown.target,
            client_is,
            request_id,
            began,
        )
        self._shown = shown
        assert down.proxy.tunnels is not None  # or there would be no such route
        self._tunnels = down.proxy.tunnels
        if visit is not None:
            self._visit = visit
            self._tunnel = visit.tunnel
            self.sent_target = shown.target[len(visit.prefix) :]

    # Who may.

    def start(self) -> None:
        """Go as far as it goes at once."""
        refusal = None
        if self._visit is not None:
            refusal = judge_by_route(self.head, self.live, self.client_is) or self._tunnels.judge(
                self._visit.tunnel, self._shown
            )
        if refusal is not None:
            self.refuse(refusal)
        else:
            super().start()

    def _first(self) -> Member[Place] | None:
        for member in self.live.members:
            if (
                member.health is Health.DEAD
                and member.target.way == TUNNEL
                and not member.held
                and self._tunnels.has_returned(member)
            ):
                # Not before its time was up: what it died of is gone.
                self.live.members.probed_good(member)
        return super()._first()

    def _begin_at(self, member: Member[Place]) -> None:
        self._tunnel = tunnel = self._tunnel_of(member)
        if tunnel is not None:
            refusal = self._tunnels.judge(tunnel, self._shown)
            if refusal is not None:
                self.refuse(refusal)
                return
            self._at = tunnel
            tunnel.meter.streams_open += 1
        super()._begin_at(member)

    def _tunnel_of(self, member: Member[Place]) -> Tunnel | None:
        """None where it is none, or one that nobody has ever offered."""
        place = member.target
        return self._tunnels.registry.tunnels.get(place.host) if place.way == TUNNEL else None

    def _leave_member(self) -> None:
        at, self._at = self._at, None
        if at is not None:
            at.meter.streams_open -= 1
        super()._leave_member()

    def _may_be_the_clients(self, error: DialError) -> bool:
        # A carrier that is lost takes its streams along, whatever the app does. Whether the agent
        # is there shows at the next dial.
        lost = error.error == "connection_terminated" and self.state is not DIALLING
        return super()._may_be_the_clients(error) or (lost and self._at is not None)

    # What goes on, and back.

    def _write_head(self, exchange: ClientExchange) -> bytes:
        visit = self._visit
        if visit is not None and visit.prefix and not self._prefixed:
            self._prefixed = True
            self._added = (*self._added, (_PREFIX, visit.prefix))
        return super()._write_head(exchange)

    def _request_trailers(self, fields: typing.Sequence[Field]) -> typing.Sequence[Field]:
        trailers = super()._request_trailers(fields)
        return [field for field in trailers if hyphened(field[0]) != TOKEN_FIELD]

    def _answer_fields(self, head: ResponseHead) -> typing.Sequence[Field]:
        fields = super()._answer_fields(head)
        at = self._at
        if at is None or head.informational:
            return fields
        kept = [field for field in fields if field[0].lower() != _OURS]
        visit = self._visit
        prefix = b"" if visit is None else visit.prefix
        if prefix:
            kept = [
                rewritten(field, prefix, self.client_is.host or self.authority) for field in kept
            ]
        kept.append((PROXER_REQUEST_ID, self.request_id.encode("ascii")))
        if at.token is not None:
            secure = self.client_is.scheme == b"https"
            tokens = self._tunnels.tokens
            cookie = tokens.cookie_for(at.id, at.token, self._shown, prefix, secure=secure)
            if cookie is not None:
                kept.append((b"Set-Cookie", cookie))
        return kept

    # In its app's place.

    def refuse(self, refusal: Refusal) -> None:
        """Answer it with this; if an answer has begun, by cutting that short."""
        self._answered_here = self.client.exchange.may_respond
        super().refuse(with_id(refusal, self.request_id))

    def fail(self, error: DialError) -> None:
        """Say what went wrong, in words for visitors."""
        super().fail(error if self._tunnel is None else in_words(error))

    def _deny(self, denied: Denied) -> None:
        self._answered_here = True
        if not denied.detail:
            field = (PROXER_REQUEST_ID, self.request_id.encode("ascii"))
            denied = attrs.evolve(denied, fields=(*denied.fields, field))
        super()._deny(denied)

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        client = self.client
        if self.state is ANSWERED or not client.exchange.may_respond:
            super().request_broken(violation)
            return
        self.status = violation.status
        self._answered_here = True
        refusal = Refusal(violation.status, "http_request_error", violation.reason)
        self.let_go()
        self.release(refusal.error)
        send(
            client,
            answer_of(self.head, with_id(refusal, self.request_id), self.request_id),
            close=True,
        )

    # What it moves.

    def request_data(self, data: bytes) -> None:
        """Some of the body, if it is not too much."""
        super().request_data(data)
        self.see_what_moved()

    def response_events(self, events: list[Event]) -> None:
        """Pass the answer on, as long as it may be."""
        super().response_events(events)
        self.see_what_moved()

    def open_relay(self, *arguments: typing.Any) -> None:
        """From here nobody tells us what moves: somebody looks."""
        self._tunnels.watched.add(self)
        super().open_relay(*arguments)

    def see_what_moved(self) -> None:
        """Cut it, where the day's bytes are used up."""
        if self.released or self._charge():
            return
        if self.relay is not None:
            self.cause = "http_request_denied"
            self.relay.abort()
        else:
            assert self._tunnel is not None and self._tunnels.daily is not None
            self.refuse(day_over(self._tunnels.daily.wait(self._tunnel.id)))

    def _charge(self) -> bool:
        """Whether there may be more."""
        daily = self._tunnels.daily
        if daily is None or self._tunnel is None:
            return True
        moved = self.bytes_up + self.bytes_down
        count, self._charged = moved - self._charged, moved
        return daily.take(self._tunnel.id, count)

    def release(self, outcome: str) -> None:
        """Count it, and give back what it has."""
        if self.released:
            return
        self._charge()
        self._tunnels.watched.discard(self)
        super().release(outcome)
        tunnel = self._tunnel
        if tunnel is not None:
            tunnel.meter.record(
                self.status,
                max(0.0, self.first_byte if self.upgraded else self.total),
                self.bytes_up,
                self.bytes_down,
                ok=outcome == "ok" or self._answered_here,
                now=self._tunnels.now(),
            )
