"""
The hub over a WebSocket: the dial, the handshake, the registration, and the mux.

.. code-block:: text

    state        leaves on
    -----------  --------------------------------------------------------------------------------
    OPENING      connected, and the hub agrees to a WebSocket -> REGISTERING;  not -> OVER
    REGISTERING  ``registered`` -> SERVING;  ``error_response``, or nothing for
                 :data:`REGISTER_SECONDS` -> CLOSING
    SERVING      GOAWAY: the owner is told, streams go on;  a violation, silence -> CLOSING
    CLOSING      the WebSocket is over -> OVER
    OVER         every stream was lost, and the owner was told

From every state: the connection is lost, end() -> OVER; and drain(), when the last stream is over.

The key goes in the ``Authorization`` of the handshake, which is inside TLS or stays on this
machine, and is nowhere else.
"""

from __future__ import annotations

import enum
import json
import math
import typing

import attrs

from aluvia.agent.carrier import (
    CarrierOwner,
    Ending,
    Kind,
    Refusal,
    in_the_hubs_words,
    places_of,
)
from aluvia.agent.health import TargetStatus
from aluvia.agent.hub_url import HubURL
from aluvia.agent.streams import Streams
from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError, dial_error
from aluvia.net.mux import Mux
from aluvia.net.mux_opening import Incoming
from aluvia.net.websocket import Asked, Close, HandshakeRefused, WebSocket, WebSocketClosed
from aluvia.wire.frames import Code

__all__ = ["REGISTER_SECONDS", "WSSCarrier"]

#: For the hub to answer ``register``; seconds.
REGISTER_SECONDS = 15.0

_REFUSALS: tuple[Refusal, ...] = typing.get_args(Refusal)

#: What an answer to the handshake means that is no 101.
_STATUSES: dict[int, Refusal] = {401: "unauthorized", 403: "forbidden", 409: "taken"}


class State(enum.Enum):
    """The table is in the module's docstring."""

    OPENING = enum.auto()
    REGISTERING = enum.auto()
    SERVING = enum.auto()
    CLOSING = enum.auto()
    OVER = enum.auto()


class WSSCarrier:
    """
    One WebSocket; the owner of it, and of a mux over it.

    :param dialer: ``tcp``, or ``tls`` over it, as the URL wants.
    :param registration: the message without its ``type``.
    :param streams: takes what the hub opens.
    """

    kind: Kind = "wss"

    def __init__(
        self,
        owner: CarrierOwner,
        hub: HubURL,
        key: str,
        registration: typing.Mapping[str, object],
        dialer: Dialer,
        streams: Streams,
        reactor: typing.Any,
        sweep: Sweep,
        *,
        most_streams: int,
    ) -> None:
        self.state = State.OPENING
        self.deadline = math.inf
        self._owner = owner
        self._hub = hub
        self._registration = registration
        self._dialer = dialer
        self._streams = streams
        self._reactor = reactor
        self._sweep = sweep
        self._most_streams = most_streams
        self._dialing: Dialing | None = None
        self._mux: Mux | None = None
        self._ending: Ending | None = None
        asked = Asked(str(hub), [("Authorization", f"Bearer {key}")])
        self._websocket = WebSocket(self, sweep, asked)

    def start(self) -> None:
        """Dial."""
        dialing = self._dialer.dial(self._hub.host, self._hub.port, self._websocket, self._failed)
        # It may be over already.
        if self.state is State.OPENING and self._websocket.transport is None:
            self._dialing = dialing

    def tell(self, id: str, status: TargetStatus) -> None:
        """Tell the hub how a target is."""
        if self.state is State.SERVING:
            message = {"type": "target_status", "tunnel_id": id, "up": status.up}
            self._say({**message, "reason": status.reason} if status.reason else message)

    def drain(self) -> None:
        """Take no more streams; end when the last one has."""
        if self._mux is not None and self.state is State.SERVING:
            self._mux.drain("The agent goes away.")
        else:
            self.end()

    def end(self) -> None:
        """End it, and its streams, at once."""
        self._ending = self._ending or Ending("It was ended here.")
        if self._websocket.transport is None:
            dialing, self._dialing = self._dialing, None
            if dialing is not None:
                dialing.cancel()
                self._reactor.callLater(0, self._over)
            return
        self._close(Code.NO_ERROR, "The agent goes away.", Close.GOING_AWAY)

    # What the dialer and the WebSocket tell.

    def websocket_open(self) -> None:
        """Register."""
        self.state = State.REGISTERING
        self.deadline = self._sweep.now + REGISTER_SECONDS
        self._sweep.watch(self)
        self._say({"type": "register", **self._registration})

    def data_received(self, data: bytes) -> None:
        """Frames."""
        if self.state is State.SERVING and self._mux is not None:
            self._mux.received(data)
        elif self.state is State.REGISTERING:
            self._wrong("The hub sent frames before it has registered us.")

    def text_received(self, text: str) -> None:
        """A message."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._wrong("The hub sent a message that is no JSON object.")
        elif self.state is State.REGISTERING and message.get("type") == "registered":
            self._serve()
            self._owner.registered(self, places_of(message.get("tunnels")))
        elif message.get("type") == "error_response":
            self._refused(message)

    def websocket_ended(self, why: BaseException) -> None:
        """The connection is gone."""
        if self._ending is None:
            registering = self.state is State.REGISTERING
            self._ending = _ending(why, self._hub)
            if registering and self._ending.refusal is None:
                # What lets a handshake through, and nothing behind it.
                self._ending = attrs.evolve(self._ending, no_websocket=True)
        self._over()

    def deadline_passed(self, now: float) -> None:
        """The hub has not answered."""
        why = "The hub did not answer the registration in time."
        self._ending = self._ending or Ending(why, no_websocket=True)
        self._wrong(why)

    def _failed(self, error: DialError) -> None:
        why = error.detail
        if self._hub.tls and error.error == "tls_protocol_error":
            why = f"{why} If the hub has no TLS its URL begins with ws://."
        elif error.error == "tls_certificate_error":
            why = f"{why} (--cafile FILE says what to trust besides.)"
        self._ending = self._ending or Ending(why)
        self._over()

    # What the mux tells.

    def incoming(self, incoming: Incoming) -> None:
        """The hub opens a stream."""
        self._streams.incoming(incoming)

    def going_away(self, code: int, reason: str) -> None:
        """The hub opens no more."""
        if code == Code.REVOKED:
            self._ending = Ending(reason, "revoked")
        elif code == Code.NO_ERROR:
            self._owner.leaving(self, reason)
        else:
            self._ending = Ending(f"The hub ended it: {reason}")

    def drained(self) -> None:
        """The last stream is over."""
        self._ending = Ending("It was drained.")
        self._close(Code.NO_ERROR, "", Close.GOING_AWAY)

    def broken(self, code: Code, reason: str) -> None:
        """The hub broke the rules, or is silent."""
        self._ending = self._ending or Ending(f"The connection was given up: {reason}")
        if code in (Code.NO_ERROR, Code.LIMIT):
            # Nobody is there to hear why, or to read it.
            self._websocket.abort()
        else:
            self._close(code, reason, Close.PROTOCOL_ERROR)

    # Inside.

    def _say(self, message: typing.Mapping[str, object]) -> None:
        self._websocket.send_text(json.dumps(message))

    def _serve(self) -> None:
        self.state = State.SERVING
        self._rest()
        self._mux = Mux(
            self._websocket,
            self,
            self._reactor,
            self._sweep,
            opens=False,
            most_streams=self._most_streams,
        )
        self._websocket.use_producer(self._mux.writer)

    def _refused(self, message: dict[str, typing.Any]) -> None:
        code = message.get("code")
        refusal = code if code in _REFUSALS else None
        self._ending = Ending(in_the_hubs_words(message.get("message")), refusal)
        self._close(Code.NO_ERROR, "", Close.NORMAL)

    def _wrong(self, why: str) -> None:
        self._ending = self._ending or Ending(why)
        self._close(Code.PROTOCOL_ERROR, why, Close.PROTOCOL_ERROR)

    def _close(self, code: Code, reason: str, close: Close) -> None:
        if self.state in (State.CLOSING, State.OVER):
            return
        self.state = State.CLOSING
        self._rest()
        if self._mux is not None:
            self._mux.end(code, reason)
        self._websocket.close(close, reason)

    def _over(self) -> None:
        if self.state is State.OVER:
            return
        self.state = State.OVER
        self._rest()
        if self._mux is not None:
            self._mux.ended()
        assert self._ending is not None
        self._owner.ended(self, self._ending)

    def _rest(self) -> None:
        self.deadline = math.inf
        self._sweep.forget(self)


def _answered(why: HandshakeRefused, hub: HubURL) -> str:
    """What an answer that is no WebSocket means."""
    if why.status == 401:
        return "The hub does not know the key (401)."
    if why.status == 0 and not hub.tls:
        return f"{why.detail} If the hub has TLS its URL begins with wss://."
    if why.status in _STATUSES or why.status >= 500:
        return why.detail
    return f"{why.detail} That is no hub, or what stands before it lets no WebSocket pass."


def _ending(why: BaseException, hub: HubURL) -> Ending:
    if isinstance(why, HandshakeRefused):
        refusal = _STATUSES.get(why.status)
        return Ending(_answered(why, hub), refusal, no_websocket=refusal is None)
    if isinstance(why, WebSocketClosed):
        return Ending(f"The hub closed the connection: {why.detail}")
    return Ending(dial_error(why).detail)
