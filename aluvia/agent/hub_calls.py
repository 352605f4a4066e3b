"""
The calls of the long-poll contract, as an agent makes them; ``docs/reference/agent-long-poll.rst``.

Each is one request to the hub and its answer, over a connection that is kept for the next. One that
turns out to be gone when it is used again is tried once more, on a fresh one: no call does harm
when it comes twice. A session's id is in the query of its pulls, since the contract has it so; the
key is in the ``Authorization`` of ``register``, and nowhere else.
"""

from __future__ import annotations

import json
import typing

import attrs

from aluvia.agent.hub_url import HubURL
from aluvia.agent.whole_call import WholeAnswer, WholeRequest, call
from aluvia.net.accept import Clock, Sweep
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.idle import IdleConnections
from aluvia.net.resolve import Failed
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = ["WAIT_SECONDS", "HubCalls", "Said"]

#: How long a pull waits at the hub for a request; seconds.
WAIT_SECONDS = 25

#: For an answer to move, besides that; seconds.
SILENCE_SECONDS = 10.0

#: The most that a pull is answered with: 20 MiB of a body, in base64, and the rest.
MOST_BYTES = 28 * 1024 * 1024

#: The most that a ``Retry-After`` is believed; seconds.
MOST_RETRY_SECONDS = 60.0


@attrs.frozen
class Said:
    """
    What the hub answers.

    :ivar document: its JSON; empty if that is none, or no object.
    :ivar retry_after: seconds; None if it does not say.
    """

    status: int
    document: typing.Mapping[str, typing.Any] = attrs.field(repr=False)
    retry_after: float | None = None


class HubCalls:
    """
    One hub's.

    :param dialer: ``tcp``, or ``tls`` over it, as the URL wants.
    """

    def __init__(self, hub: HubURL, key: str, dialer: Dialer, clock: Clock, sweep: Sweep) -> None:
        self._hub = hub
        self._dialer = dialer
        self._clock = clock
        self._sweep = sweep
        self._idle: IdleConnections[ClientConnection] = IdleConnections(clock, sweep)
        self._host: Field = (b"Host", hub.authority.encode("ascii"))
        self._key: Field = (b"Authorization", f"Bearer {key}".encode("ascii"))

    async def register(self, registration: typing.Mapping[str, object]) -> Said:
        """
        Begin a session.

        :raises DialError: there was no answer; also of all others.
        """
        return await self._post("register", registration, [self._key])

    async def pull(self, session_id: str) -> Said:
        """Wait for a request."""
        path = f"pull?session_id={session_id}&wait={WAIT_SECONDS}"
        return await self._call(b"GET", path, [], b"", WAIT_SECONDS + SILENCE_SECONDS)

    async def respond(self, session_id: str, response: typing.Mapping[str, object]) -> Said:
        """Answer one. (The ids stand before what is long.)"""
        return await self._post("respond", {"session_id": session_id, "response": response})

    async def heartbeat(self, session_id: str, **more: object) -> Said:
        """
        Say that we are there.

        :param more: ``leaving``, to be asked nothing more.
        """
        return await self._post("heartbeat", {"session_id": session_id, **more})

    def close(self) -> None:
        """Close the connections that are kept."""
        self._idle.close_all()

    # Inside.

    async def _post(
        self, name: str, document: typing.Mapping[str, object], more: typing.Sequence[Field] = ()
    ) -> Said:
        fields = [(b"Content-Type", b"application/json"), *more]
        body = json.dumps(document).encode("ascii")
        return await self._call(b"POST", name, fields, body, SILENCE_SECONDS)

    async def _call(
        self,
        method: bytes,
        name: str,
        fields: typing.Sequence[Field],
        body: bytes,
        silence: float,
    ) -> Said:
        target = f"{self._hub.calls}/{name}".encode("ascii")
        request = WholeRequest(method, target, [self._host, *fields], body)
        kept = self._idle.take(self._hub)
        if kept is not None:
            try:
                return _said(await self._on(kept, request, silence))
            except DialError:
                if kept.exchange.any_bytes_received:
                    raise
        now = self._clock.seconds()
        fresh = ClientConnection(self._hub, DEFAULT_LIMITS, now, self._idle.discard)
        return _said(await self._on(fresh, request, silence))

    async def _on(
        self, connection: ClientConnection, request: WholeRequest, silence: float
    ) -> WholeAnswer:
        return await call(
            connection,
            request,
            self._sweep,
            most=MOST_BYTES,
            silence=silence,
            dial=None if connection.reused else self._dial,
            keep=self._keep,
        )

    def _dial(self, protocol: typing.Any, failed: Failed) -> Dialing:
        return self._dialer.dial(self._hub.host, self._hub.port, protocol, failed)

    def _keep(self, connection: ClientConnection) -> None:
        self._idle.put(self._hub, connection)


def _said(answer: WholeAnswer) -> Said:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    after = next(
        (value for name, value in answer.head.fields if name.lower() == b"retry-after"), b""
    )
    return Said(
        answer.head.status,
        document if isinstance(document, dict) else {},
        min(float(after), MOST_RETRY_SECONDS) if after.isdigit() else None,
    )
