"""
An agent over a WebSocket: its registration, its mux, and what it says besides.

.. code-block:: text

    state       leaves on
    ----------  ----------------------------------------------------------------------------------
    OPENING     the handshake's answer is written -> WAITING
    WAITING     ``register``, and the key is good, and the ids are free -> REGISTERED;  refused, or
                nothing within ``HubLimits.register_seconds`` -> OVER, with an ``error_response``
    REGISTERED  drain(), no stream left -> OVER;  the carrier's end, a violation, a revoked key,
                another session of the same instance -> OVER, and every stream is lost
    OVER        it is forgotten

Text messages are JSON objects with a ``type``; those that are not known are left alone. The agent
sends ``register`` and ``target_status``, the hub ``registered`` and ``error_response``.
"""

from __future__ import annotations

import enum
import json
import math
import typing

from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger

from aluvia.hub.keys import Permit
from aluvia.hub.registration import BadRegistration, read_registration
from aluvia.hub.registry import HubFull, TunnelTaken
from aluvia.net.dial import Dialing
from aluvia.net.mux import Mux
from aluvia.net.mux_opening import AtOnce, Incoming, lost_carrier
from aluvia.net.resolve import Failed
from aluvia.net.websocket import Close, WebSocket
from aluvia.wire.frames import Capability, Code

if typing.TYPE_CHECKING:
    from aluvia.hub.hub import Hub

__all__ = ["REFUSALS", "Refused", "WebSocketSession"]

log = Logger()

#: Of what agents say of their targets.
WHY_CHARS = 200


#: Why an agent is not registered.
REFUSALS = ("unauthorized", "forbidden", "bad_registration", "taken", "full")


class Refused(Exception):
    """
    An agent is not registered.

    :ivar code: one of :data:`REFUSALS`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class State(enum.Enum):
    """The table is in the module's docstring."""

    OPENING = enum.auto()
    WAITING = enum.auto()
    REGISTERED = enum.auto()
    OVER = enum.auto()


class WebSocketSession:
    """
    A :class:`~aluvia.hub.registry.Session`, the owner of a WebSocket and of a mux over it.

    :param permit: what its key is good for, if it has shown that already.
    :ivar websocket: the protocol of the connection.
    """

    carrier = "wss"

    def __init__(self, hub: Hub, address: str, permit: Permit | None) -> None:
        self.agent_id = ""
        self.instance = ""
        self.group: str | None = None
        self.address = address
        self.since = 0.0
        self.draining = False
        self._permit = permit
        self.state = State.OPENING
        self.deadline = math.inf
        self.websocket = WebSocket(self, hub.sweep)
        self._hub = hub
        self._mux: Mux | None = None
        self._heard = 0.0

    def __repr__(self) -> str:
        """Name the agent."""
        return f"<WebSocketSession {self.agent_id!r} {self.state.name}>"

    # A session.

    @property
    def permit(self) -> Permit:
        """What its key is good for; it has shown it when it is registered."""
        assert self._permit is not None
        return self._permit

    @property
    def last_seen(self) -> float:
        """When it was last heard of; seconds since 1970."""
        mux = self._mux
        if mux is None:
            return self._heard
        # The mux counts by the sweep's looks, up to a second too much.
        return max(self.since, self._hub.now() - mux.silent_for)

    @property
    def streams_open(self) -> int:
        """Over all its tunnels."""
        return 0 if self._mux is None else len(self._mux.streams)

    @property
    def round_trip(self) -> float | None:
        """Of the last ping; seconds."""
        return None if self._mux is None else self._mux.presence.round_trip

    def open(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect a protocol to a tunnel's target."""
        if self._mux is None:
            failed(lost_carrier())
            return AtOnce()
        return self._mux.open(Capability.PUBLISH, tunnel_id, protocol, failed)

    def drain(self) -> None:
        """Open no more streams; end when the last one has."""
        self.draining = True
        if self._mux is not None:
            self._mux.drain("The hub goes away.")
        else:
            self.websocket.close(Close.GOING_AWAY, "The hub goes away.")

    def probe(self) -> None:
        """Somebody wants its place: see soon whether it is still there."""
        if self._mux is not None:
            self._mux.probe()

    def end(self, code: Code, reason: str) -> None:
        """End it at once."""
        self._leave()
        if self._mux is not None:
            self._mux.end(code, reason)
        wrong = code is Code.PROTOCOL_ERROR
        self.websocket.close(Close.PROTOCOL_ERROR if wrong else Close.GOING_AWAY, reason)

    # What the WebSocket tells.

    def websocket_open(self) -> None:
        """It has so long to register."""
        self.state = State.WAITING
        self.deadline = self._hub.sweep.now + self._hub.limits.register_seconds
        self._hub.sweep.watch(self)

    def data_received(self, data: bytes) -> None:
        """Frames."""
        if self._mux is not None:
            self._mux.received(data)
        elif self.state is State.WAITING:
            self._refuse(Refused("bad_registration", "the first message is register, as text"))

    def text_received(self, text: str) -> None:
        """A message."""
        self._heard = self._hub.now()
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.end(Code.PROTOCOL_ERROR, "A text message is a JSON object.")
        elif self.state is State.WAITING:
            try:
                self._register(message)
            except Refused as refused:
                self._refuse(refused)
        elif self.state is State.REGISTERED and message.get("type") == "target_status":
            self._target_status(message)

    def websocket_ended(self, why: BaseException) -> None:
        """The carrier is gone."""
        if self.state is State.REGISTERED:
            log.info("Agent {agent} has gone: {why}", agent=self.agent_id, why=str(why))
        self._leave()
        if self._mux is not None:
            self._mux.ended()
        self._hub.session_ended(self)

    def deadline_passed(self, now: float) -> None:
        """It has not registered."""
        if self.state is State.WAITING:
            self._refuse(Refused("bad_registration", "register was not sent in time"))

    # What the mux tells.

    def incoming(self, incoming: Incoming) -> None:
        """Not called: it is the hub that opens streams."""

    def going_away(self, code: int, reason: str) -> None:
        """The agent takes no more streams."""
        self.draining = True

    def drained(self) -> None:
        """The last stream is over."""
        self._leave()
        self.websocket.close(Close.GOING_AWAY, "The hub goes away.")

    def broken(self, code: Code, reason: str) -> None:
        """The agent broke the rules, or is silent."""
        log.warn(
            "Agent {agent} at {address} is cut off: {why}",
            agent=self.agent_id,
            address=self.address,
            why=reason,
        )
        self._leave()
        if code in (Code.NO_ERROR, Code.LIMIT):
            # Nobody is there to hear why, or to read it.
            self.websocket.abort()
        else:
            self.websocket.close(Close.PROTOCOL_ERROR, reason)

    # Inside.

    def _register(self, message: dict[str, typing.Any]) -> None:
        if message.get("type") != "register":
            raise Refused("bad_registration", "the first message is register")
        hub = self._hub
        try:
            registration = read_registration(message, hub.limits.tunnels_per_session)
        except BadRegistration as error:
            raise Refused("bad_registration", str(error)) from None
        permit = self._permit
        if permit is None and registration.token is not None:
            permit = hub.keys.permit(registration.token)
        if permit is None or not hub.keys.still_good(permit):
            raise Refused("unauthorized", "the key is not known, was revoked or has expired")
        if registration.exit:
            raise Refused("forbidden", "exits are not available here")
        for each in registration.tunnels:
            if not permit.may_publish(each.id):
                raise Refused("forbidden", f"the key may not publish {each.id}")
        self._permit = permit
        self.agent_id = registration.agent_id
        self.instance = registration.instance or hub.make_id()
        self.group = registration.group
        self.since = hub.now()
        ids = [each.id for each in registration.tunnels]
        try:
            hub.registry.register(self, registration.tunnels, lambda: self._registered(ids))
        except TunnelTaken as error:
            for holder in error.holders:
                holder.probe()
            raise Refused("taken", str(error)) from None
        except HubFull as error:
            raise Refused("full", str(error)) from None

    def _registered(self, ids: list[str]) -> None:
        hub = self._hub
        limits = hub.limits
        self.state = State.REGISTERED
        self.deadline = math.inf
        hub.sweep.forget(self)
        self._mux = Mux(
            self.websocket,
            self,
            hub.reactor,
            hub.sweep,
            opens=True,
            ping_seconds=limits.ping_seconds,
            silence_seconds=limits.silence_seconds,
            open_seconds=limits.open_seconds,
            most_streams=limits.streams_per_session,
        )
        self.websocket.use_producer(self._mux.writer)
        tunnels = [hub.where(id) for id in ids]
        self.websocket.send_text(json.dumps({"type": "registered", "tunnels": tunnels}))
        log.info(
            "Agent {agent} at {address} publishes {ids}.",
            agent=self.agent_id,
            address=self.address,
            ids=", ".join(ids),
        )

    def _refuse(self, refused: Refused) -> None:
        self._hub.refusals[refused.code] += 1
        if self._hub.told.is_new(f"{self.address} {refused.code}"):
            log.info(
                "An agent at {address} was refused: {why}",
                address=self.address,
                why=refused.message,
            )
        message = {"type": "error_response", "code": refused.code, "message": refused.message}
        self._leave()
        self.websocket.send_text(json.dumps(message))
        self.websocket.close(Close.NORMAL, refused.code)

    def _target_status(self, message: dict[str, typing.Any]) -> None:
        id, up, why = message.get("tunnel_id"), message.get("up"), message.get("reason")
        offer = self._hub.registry.offer(self, id) if isinstance(id, str) else None
        if offer is not None and isinstance(up, bool):
            offer.up = up
            text = why if isinstance(why, str) and not up else ""
            offer.why_down = "".join(char for char in text[:WHY_CHARS] if char.isprintable())

    def _leave(self) -> None:
        """Take no more streams."""
        self.state = State.OVER
        self._hub.sweep.forget(self)
        self._hub.registry.withdraw(self)
