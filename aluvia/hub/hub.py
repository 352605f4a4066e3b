"""
The hub, whole: agents that connect, what they offer, and a dialer to it.

It is mounted in a door, which gives it a port (:class:`HubConnections` makes its protocols), and
takes from it the dialer.
"""

from __future__ import annotations

import secrets
import time
import typing

from twisted.logger import Logger

from aluvia.hub.dialer import TunnelDialer
from aluvia.hub.keys import Keys, Permit
from aluvia.hub.limits import DEFAULT_HUB_LIMITS, HubLimits
from aluvia.hub.registry import Registry, Session
from aluvia.hub.wss import REFUSALS, WebSocketSession
from aluvia.net.accept import Sweep
from aluvia.net.http_server import ServerConnection
from aluvia.telemetry.told_once import ToldOnce
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.frames import Code
from aluvia.wire.head import RequestHead

__all__ = ["Hub"]

log = Logger()


class Hub:
    """
    One hub.

    :param keys: who may connect.
    :param public_url: where visitors reach a tunnel, by its id, as an absolute URL or a path.
    :param now: gives the time; seconds since 1970.
    :param make_id: makes what cannot be guessed.
    :ivar registry: what is offered.
    :ivar dialer: dials tunnels.
    :ivar closed: whether no more agents are taken.
    :ivar told: what was said already of those who are refused.
    :ivar refusals: how many agents were not registered, by :data:`aluvia.hub.wss.REFUSALS`.
    """

    def __init__(
        self,
        keys: Keys,
        reactor: typing.Any,
        sweep: Sweep,
        *,
        limits: HubLimits = DEFAULT_HUB_LIMITS,
        public_url: typing.Callable[[str], str | None] = lambda id: None,
        now: typing.Callable[[], float] = time.time,
        make_id: typing.Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self.keys = keys
        self.reactor = reactor
        self.sweep = sweep
        self.limits = limits
        self.now = now
        self.make_id = make_id
        self.registry = Registry(limits, now)
        self.dialer = TunnelDialer(self.registry)
        self.refusals = dict.fromkeys(REFUSALS, 0)
        self._public_url = public_url
        self._connected: set[WebSocketSession] = set()
        self.closed = False
        self.told = ToldOnce(reactor)
        keys.on_change(self._look_at_keys)

    def where(self, id: str) -> dict[str, str]:
        """How visitors reach a tunnel that is registered, as its agent is told."""
        url = self._public_url(id)
        # A path is of a web page; TCP has a port of its own, or none.
        web = self.registry.tunnels[id].kind == "http"
        path = {"path": f"/t/{id}/"} if web else {}
        return {"id": id, **path, **({} if url is None else {"url": url})}

    def close(self) -> None:
        """Take no more agents. Those who are there go on."""
        self.closed = True

    def drain(self) -> None:
        """Take no more agents; sessions end when their last stream has."""
        self.close()
        for session in [*self._sessions()]:
            session.drain()

    def stop(self) -> None:
        """End every session now."""
        self.close()
        for session in [*self._sessions()]:
            session.end(Code.NO_ERROR, "The hub goes away.")

    def session_ended(self, session: WebSocketSession) -> None:
        """Its connection is gone."""
        self._connected.discard(session)

    def _sessions(self) -> set[Session]:
        return {*self.registry.sessions, *self._connected}

    def _look_at_keys(self) -> None:
        for session in [*self.registry.sessions]:
            if not self.keys.still_good(session.permit):
                log.info("The key of agent {agent} is good no more.", agent=session.agent_id)
                session.end(Code.REVOKED, "The key was revoked, was changed, or has expired.")

    # WebSockets.

    def upgrade(
        self, connection: ServerConnection, head: RequestHead, permit: Permit | None
    ) -> None:
        """
        Make a WebSocket of a request that is whole.

        :param permit: of the key in its Authorization field; None where there is none.
        :raises ProtocolViolation: it is no good request for one. It is still to be answered.
        """
        address = connection.transport.getPeer().host
        session = WebSocketSession(self, address, permit)
        fields = session.websocket.agree(head.target, head.fields)
        if fields is None:
            raise ProtocolViolation(400, "That is no request for a WebSocket.")
        connection.write(connection.respond(101, b"Switching Protocols", fields, 0))
        early = connection.leave()
        transport = connection.transport
        transport.switch_protocol(session.websocket)
        self._connected.add(session)
        session.websocket.makeConnection(transport)
        session.websocket.opened()
        transport.resumeProducing()
        if self.closed:
            session.drain()
        elif early:
            session.websocket.dataReceived(early)
