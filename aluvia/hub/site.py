"""
The hub's own port: where agents connect, and where an operator looks at the tunnels.

.. code-block:: text

    path                     methods    what it is
    -----------------------  ---------  -----------------------------------------------------------
    /agent                   GET        an agent's WebSocket; 426 for what is none
    /api/agent/register      POST       the long-poll contract: see aluvia.hub.poll_calls
    /api/agent/pull          GET
    /api/agent/respond       POST
    /api/agent/heartbeat     POST
    /api/health              GET, HEAD  {"status": "ok"}, for anybody
    /api/tunnels             GET, HEAD  what aluvia.hub.tunnel_documents says; with the API token

Everything else is 404, another method 405, and every error a problem (RFC 9457). Paths are compared
as they come: nothing is decoded. Nothing is logged of a request, whose query may be a secret.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import typing

import attrs

from aluvia.api.bearer import bearer_of, token_refused
from aluvia.api.problems import Problem
from aluvia.hub.call import Call, Collecting, Reply, refuse
from aluvia.hub.long_polls import LongPolls
from aluvia.hub.poll_calls import AgentCalls
from aluvia.hub.tunnel_documents import tunnel_documents
from aluvia.net.accept import Sweep
from aluvia.net.held import Held
from aluvia.net.http_application import Responder
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.target import parse_absolute_target

if typing.TYPE_CHECKING:
    from aluvia.hub.hub import Hub

__all__ = ["HubConnections", "HubSite"]

#: How long a connection may be quiet whose request is not answered. A pull says for itself.
IDLE_SECONDS = 30.0

_VERSION = b"sec-websocket-version"

_Answer: typing.TypeAlias = typing.Callable[
    [ServerConnection, RequestHead, bytes], Responder | None
]


@attrs.frozen
class _Path:
    """:ivar answer: given the connection, the head and the query."""

    methods: tuple[bytes, ...]
    answer: _Answer


class HubSite:
    """
    What stands behind the connections of the hub's port.

    :param api_token: that ``/api/tunnels`` asks for; None for one that nobody has.
    :ivar polls: the sessions of those who poll.
    """

    def __init__(self, hub: Hub, api_token: str | None = None) -> None:
        self._hub = hub
        self.polls = LongPolls(hub)
        self._calls = calls = AgentCalls(hub, self.polls)
        self._token = None if api_token is None else _digest(api_token)
        self._held = Held(hub.limits.calls_held_bytes)
        self._paths: dict[bytes, _Path] = {
            b"/agent": _Path((b"GET",), self._agent),
            b"/api/agent/register": _Path((b"POST",), self._register),
            b"/api/agent/pull": _Path((b"GET",), self._pull),
            b"/api/agent/respond": _Path((b"POST",), self._respond),
            b"/api/agent/heartbeat": _Path((b"POST",), self._collecting(calls.heartbeat)),
            b"/api/health": _Path((b"GET", b"HEAD"), self._collecting(_health)),
            b"/api/tunnels": _Path((b"GET", b"HEAD"), self._tunnels),
        }

    # Application.

    def request(self, connection: ServerConnection, head: RequestHead) -> Responder | None:
        """Answer a request; see :class:`aluvia.net.http_application.Application`."""
        # A pull on the same connection has left its own.
        connection.quiet_for(IDLE_SECONDS, self._hub.reactor.seconds())
        try:
            path, _, query = _target(head).partition(b"?")
            found = self._paths.get(path)
            if found is None:
                raise Problem(404, "not_found", "There is nothing here.")
            if head.method not in found.methods:
                raise _wrong_method(found.methods)
            return found.answer(connection, head, query)
        except Problem as problem:
            refuse(connection, problem)
        return None

    def bad_request(self, connection: ServerConnection, violation: ProtocolViolation) -> None:
        """Say what is wrong; see :class:`aluvia.net.http_application.Application`."""
        refuse(connection, Problem(violation.status, "bad_request", violation.reason), close=True)

    # The paths.

    def _agent(
        self, connection: ServerConnection, head: RequestHead, query: bytes
    ) -> Responder | None:
        if head.upgrade != b"websocket":
            fields = [(b"Upgrade", b"websocket")]
            raise Problem(426, "upgrade_required", "Here there is a WebSocket.", fields=fields)
        versions = [value for name, value in head.fields if name.lower() == _VERSION]
        if versions != [b"13"]:
            # RFC 6455 section 4.2.2.
            fields = [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", b"13")]
            raise Problem(426, "upgrade_required", "Here it is version 13.", fields=fields)
        if head.length:
            raise Problem(400, "bad_request", "A request for a WebSocket has no body.")
        permit = self._calls.permit_to_upgrade(head)
        try:
            self._hub.upgrade(connection, head, permit)
        except ProtocolViolation as violation:
            raise Problem(violation.status, "bad_request", violation.reason) from None
        return None

    def _register(self, connection: ServerConnection, head: RequestHead, query: bytes) -> Responder:
        call = functools.partial(self._calls.register, connection, head)
        return self._collecting(call)(connection, head, query)

    def _pull(self, connection: ServerConnection, head: RequestHead, query: bytes) -> Responder:
        if head.length:
            raise Problem(413, "body_too_long", "A pull has no body.")
        return self._calls.pull(connection, query)

    def _respond(self, connection: ServerConnection, head: RequestHead, query: bytes) -> Responder:
        calls = self._calls
        return Collecting(
            connection,
            head,
            calls.respond,
            calls.response_bytes,
            self._hub.limits.call_bytes,
            self._held,
            calls.response_too_long,
        )

    def _tunnels(self, connection: ServerConnection, head: RequestHead, query: bytes) -> Responder:
        given = [value for name, value in head.fields if name.lower() == b"authorization"]
        digest = _digest(bearer_of(given))
        if self._token is None or not hmac.compare_digest(digest, self._token):
            raise token_refused()
        return self._collecting(self._list)(connection, head, query)

    def _list(self, body: bytes) -> Reply:
        return Reply(200, {"tunnels": tunnel_documents(self._hub.registry)})

    def _collecting(
        self, call: Call
    ) -> typing.Callable[[ServerConnection, RequestHead, bytes], Collecting]:
        def begin(connection: ServerConnection, head: RequestHead, query: bytes) -> Collecting:
            most = self._hub.limits.call_bytes
            if head.length > most:
                raise Problem(413, "body_too_long", f"A body has at most {most} bytes here.")
            return Collecting(connection, head, call, most, most, self._held)

        return begin


class HubConnections:
    """Makes the connections of the hub's port."""

    def __init__(self, site: HubSite, sweep: Sweep, limits: Limits = DEFAULT_LIMITS) -> None:
        self._site = site
        self._sweep = sweep
        self._limits = limits

    def buildProtocol(self, address: object) -> ServerConnection:
        """One of them."""
        return ServerConnection(self._site, self._sweep, self._limits, IDLE_SECONDS)

    def doStart(self) -> None:
        """Nothing to prepare."""

    def doStop(self) -> None:
        """Nothing to undo."""


def _target(head: RequestHead) -> bytes:
    """Path and query; nothing for what has neither."""
    if head.target.startswith(b"/"):
        return head.target
    try:
        return parse_absolute_target(head.target, head.method).origin_form
    except ProtocolViolation:
        return b""


def _health(body: bytes) -> Reply:
    return Reply(200, {"status": "ok"})


def _wrong_method(methods: tuple[bytes, ...]) -> Problem:
    allow = b", ".join(methods)
    return Problem(
        405,
        "method_not_allowed",
        f"Here there is {allow.decode('ascii')}.",
        fields=[(b"Allow", allow)],
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8")).digest()
