"""
The calls of agents that poll: ``register``, ``pull``, ``respond`` and ``heartbeat``.

The page ``docs/reference/agent-long-poll.rst`` has them for those who write agents.

A pull is a responder of its own (:class:`Pull`):

.. code-block:: text

    state    meaning                             leaves on
    -------  ----------------------------------  ---------------------------------------------------
    WAITING  there is no request for it          one -> WRITING;  its time is over -> OVER, 204;
                                                 the session ends -> OVER, 404;  the agent leaves
                                                 -> OVER
    WRITING  a request is being written to it    it is out -> OVER;  the connection is lost, or
                                                 takes nothing for too long -> OVER, and the request
                                                 goes to the next pull
    OVER     answered, or lost
"""

from __future__ import annotations

import contextlib
import enum
import re
import typing

from twisted.internet.interfaces import IDelayedCall

from aluvia.api.bearer import bearer_of, token_refused
from aluvia.api.bodies import object_in
from aluvia.api.problems import Problem, busy
from aluvia.api.queries import parameters_in
from aluvia.hub.call import JSON_FIELDS, Reply, refuse, send
from aluvia.hub.keys import Permit
from aluvia.hub.long_polls import LongPolls
from aluvia.hub.longpoll import AnswerTooLarge, LongPollSession, UnknownRequest
from aluvia.hub.polled import BadAnswer, answer_too_large
from aluvia.hub.registration import BadRegistration, read_registration
from aluvia.hub.registry import HubFull, TunnelTaken
from aluvia.net.accept import Clock
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

if typing.TYPE_CHECKING:
    from aluvia.hub.hub import Hub

__all__ = ["AgentCalls", "Pull"]

#: How often a pull that is being written looks whether it is out; seconds. The first look is in the
#: next turn, when transports have sent what they hold back until then; only what was too much for
#: the kernel, or met a connection that is gone, takes another.
LOOK_SECONDS = 0.1

#: What a registration is not taken for (:data:`aluvia.hub.wss.REFUSALS`), by its status.
_REFUSALS = {
    400: "bad_registration",
    401: "unauthorized",
    403: "forbidden",
    409: "taken",
    503: "full",
}

_ACCEPTED = Reply(202, {"status": "accepted"})
_seconds = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?").fullmatch


class _State(enum.Enum):
    WAITING = enum.auto()
    WRITING = enum.auto()
    OVER = enum.auto()


_WAITING, _WRITING, _OVER = _State


class AgentCalls:
    """What agents call."""

    def __init__(self, hub: Hub, polls: LongPolls) -> None:
        self._hub = hub
        self._polls = polls

    @property
    def response_bytes(self) -> int:
        """The most that a call of ``respond`` may have: a body in base64, and the rest."""
        return self._hub.limits.poll_body_out_bytes * 4 // 3 + 16 * self._hub.limits.call_bytes

    def register(self, connection: ServerConnection, head: RequestHead, body: bytes) -> Reply:
        """``POST /api/agent/register``."""
        with self._counting():
            return self._register(connection, head, body)

    def permit_to_upgrade(self, head: RequestHead) -> Permit | None:
        """
        What the key in the head of a request for a WebSocket is good for.

        :return: None if there is no key in it.
        :raises Problem: 401, for a key that is none.
        """
        with self._counting():
            return self._permit(head)

    def _register(self, connection: ServerConnection, head: RequestHead, body: bytes) -> Reply:
        document = _object(body)
        permit = self._permit(head)
        key = document.get("token")
        if permit is None and isinstance(key, str):
            permit = self._hub.keys.permit(key)
        if permit is None:
            raise token_refused()
        try:
            registration = read_registration(document, self._hub.limits.tunnels_per_session)
        except BadRegistration as error:
            raise Problem(400, "bad_registration", f"{error}.") from None
        if registration.exit:
            raise Problem(403, "forbidden", "Exits are not available here.")
        for wanted in registration.tunnels:
            if not permit.may_publish(wanted.id):
                detail = f"The key may not publish the id {wanted.id}."
                raise Problem(403, "forbidden", detail)
            if wanted.kind != "http":
                detail = f"The id {wanted.id} is for TCP, which is not carried by long-polling."
                raise Problem(400, "bad_registration", detail)
        address = getattr(connection.transport.getPeer(), "host", "")
        try:
            session = self._polls.register(registration, permit, address)
        except TunnelTaken as error:
            for holder in error.holders:
                holder.probe()
            raise Problem(409, "taken", f"{error}.") from None
        except HubFull as error:
            raise busy(f"{error}.") from None
        tunnels = [self._hub.where(each.id) for each in registration.tunnels]
        return Reply(200, {"session_id": session.id, "tunnels": tunnels})

    def pull(self, connection: ServerConnection, query: bytes) -> Pull:
        """
        ``GET /api/agent/pull``.

        :raises Problem: 400 or 404.
        """
        given = parameters_in(query)
        limits = self._hub.limits
        waits = given.get("wait", [])
        wait = limits.poll_wait_seconds
        if waits:
            if len(waits) > 1 or _seconds(waits[0]) is None:
                raise Problem(400, "bad_query", "wait is a number of seconds.")
            least, most = limits.poll_least_wait_seconds, limits.poll_most_wait_seconds
            wait = min(most, max(least, float(waits[0])))
        session = self._session(given.get("session_id", [""])[0])
        return Pull(connection, session, wait, limits.poll_request_seconds, self._hub.reactor)

    def respond(self, body: bytes) -> Reply:
        """``POST /api/agent/respond``."""
        document = _object(body)
        session = self._session(document.get("session_id"))
        response = document.get("response")
        if not isinstance(response, dict):
            raise Problem(400, "bad_response", "response: an object.")
        try:
            session.respond(response)
        except UnknownRequest:
            detail = "No such request of this tunnel waits for a response."
            raise Problem(409, "unknown_request", detail) from None
        except AnswerTooLarge:
            detail = f"A body has at most {self._hub.limits.poll_body_out_bytes} bytes."
            raise Problem(413, "body_too_long", detail) from None
        except BadAnswer as error:
            raise Problem(400, "bad_response", f"{error}.") from None
        return _ACCEPTED

    def response_too_long(self, beginning: bytes) -> None:
        """A response is longer than is taken: its visitor need not wait for it."""
        ids = answer_too_large(beginning)
        session = self._polls.sessions.get(ids[0]) if ids else None
        if ids is not None and session is not None:
            session.response_too_large(ids[1])

    def heartbeat(self, body: bytes) -> Reply:
        """``POST /api/agent/heartbeat``."""
        document = _object(body)
        session = self._session(document.get("session_id"))
        session.heard()
        if document.get("leaving") is True:
            session.drain()
        return _ACCEPTED

    @contextlib.contextmanager
    def _counting(self) -> typing.Iterator[None]:
        """Count an agent that is refused."""
        try:
            yield
        except Problem as problem:
            self._hub.refusals[_REFUSALS[problem.status]] += 1
            raise

    def _permit(self, head: RequestHead) -> Permit | None:
        given = [value for name, value in head.fields if name.lower() == b"authorization"]
        if not given:
            return None
        permit = self._hub.keys.permit(bearer_of(given))
        if permit is None:
            raise token_refused()
        return permit

    def _session(self, id: object) -> LongPollSession:
        session = self._polls.sessions.get(id) if isinstance(id, str) else None
        if session is None:
            raise _no_session()
        return session


class Pull:
    """
    One pull; the table is in the module's docstring.

    :param wait: how long it waits for a request; seconds.
    :param patience: how long a request may take to be written; seconds.
    """

    def __init__(
        self,
        connection: ServerConnection,
        session: LongPollSession,
        wait: float,
        patience: float,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._session = session
        self._wait = wait
        self._patience = patience
        self._clock = clock
        self._state = _WAITING
        self._out: typing.Callable[[bool], None] | None = None
        self._look: IDelayedCall | None = None

    # What the session calls.

    def deliver(self, message: bytes, out: typing.Callable[[bool], None]) -> None:
        """See :meth:`aluvia.hub.longpoll.Poll.deliver`."""
        self._state = _WRITING
        self._out = out
        connection = self._connection
        head = connection.respond(200, b"OK", JSON_FIELDS, len(message))
        connection.write(head + connection.exchange.data(message) + connection.exchange.end())
        connection.quiet_for(self._patience, self._clock.seconds())
        self._look = self._clock.callLater(0, self._perhaps_out)

    def session_over(self) -> None:
        """See :meth:`aluvia.hub.longpoll.Poll.session_over`."""
        if self._leave(lost=False):
            refuse(self._connection, _no_session())

    # What the connection calls.

    def request_data(self, data: bytes) -> None:
        """There is none: the site sees to that."""

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """Nor of these."""

    def request_end(self) -> None:
        """Wait."""
        if self._session.over:
            self._state = _OVER
            refuse(self._connection, _no_session())
            return
        self._connection.quiet_for(self._wait, self._clock.seconds())
        self._session.pull(self)

    def client_ended(self) -> None:
        """
        The agent's FIN. Nobody who only half-closes can be told from one who has left, and a
        request that is handed to nobody is lost.
        """
        if self._state is _WAITING:
            self._leave(lost=True)
            self._connection.close_now()

    def client_lost(self) -> None:
        """The agent has left."""
        self._leave(lost=True)

    def request_broken(self, violation: ProtocolViolation) -> None:
        """It has no body, so nothing is broken; whatever came, it is not answered."""
        self._leave(lost=True)
        self._connection.abort()

    def pause_response(self) -> None:
        """The agent reads slowly: it is not out yet."""

    def resume_response(self) -> None:
        """It has read on."""
        self._perhaps_out()

    def timed_out(self) -> None:
        """Its time is over."""
        if self._state is _WAITING:
            self._leave(lost=False)
            send(self._connection, Reply(204))
        else:
            self._leave(lost=True)
            self._connection.abort()

    # Inside.

    def _perhaps_out(self) -> None:
        """Whether the request has left our hands."""
        if self._state is not _WRITING:
            return
        if not getattr(self._connection.transport, "queued", False):
            self._leave(lost=False)
            self._connection.answered()
        else:
            self._stop_looking()
            self._look = self._clock.callLater(LOOK_SECONDS, self._perhaps_out)

    def _stop_looking(self) -> None:
        if self._look is not None and self._look.active():
            self._look.cancel()

    def _leave(self, *, lost: bool) -> bool:
        """Be over; whether it was not."""
        if self._state is _OVER:
            return False
        self._state = _OVER
        self._stop_looking()
        self._session.pull_over(self, lost=lost)
        out, self._out = self._out, None
        if out is not None:
            out(not lost)
        return True


def _no_session() -> Problem:
    return Problem(404, "unknown_session", "There is no such session: register again.")


def _object(body: bytes) -> dict[str, typing.Any]:
    try:
        return object_in(body)
    except Problem as problem:
        # The contract knows one status for it.
        raise Problem(400, problem.code, problem.detail) from None
