"""A hub in memory, agents that poll it, and visitors of their tunnels; for tests."""

from __future__ import annotations

import base64
import json
import typing

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from aluvia.hub.hub import Hub
from aluvia.hub.keys import AnyID, Permit
from aluvia.hub.limits import HubLimits
from aluvia.hub.site import HubConnections, HubSite
from aluvia.net.accept import Sweep
from aluvia.net.errors import DialError
from aluvia.net.http_client import ClientConnection
from aluvia.net.test.serving import HalfClosingTransport
from aluvia.wire.exchange import CHUNKED, END, Event
from aluvia.wire.head import ResponseHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS

KEY = "a-key-of-an-agent"
API_TOKEN = "the-token-of-the-operator"

Document = dict[str, typing.Any]


class FakeKeys:
    """Keys by their text."""

    def __init__(self) -> None:
        self.permits = {
            KEY: Permit(name="laptop"),
            "another-key": Permit(name="another"),
            "key-for-one": Permit(name="one", publish=frozenset(["one"])),
        }

    def permit(self, key: str) -> Permit | None:
        """What it is good for."""
        return self.permits.get(key)

    def still_good(self, permit: Permit) -> bool:
        """Whether it still stands."""
        return permit in self.permits.values()

    def may_be_published(self, id: str) -> bool:
        """Whether some key names this id."""
        return any(id in each.publish - {AnyID} for each in self.permits.values())

    def on_change(self, changed: typing.Callable[[], object]) -> None:
        """Nothing changes."""


class SlowTransport(HalfClosingTransport):
    """One whose client takes bytes when a test says so."""

    queued = False
    protocol: object = None

    def switch_protocol(self, protocol: object) -> None:
        """Remember whose it is now."""
        self.protocol = protocol


@attrs.define
class Answered:
    """One answer of the hub's port."""

    status: int
    fields: dict[bytes, bytes]
    body: bytes

    @property
    def document(self) -> Document:
        """Its JSON."""
        read: Document = json.loads(self.body)
        return read


class Caller:
    """A connection to the hub's port."""

    def __init__(self, hub: Hub, site: HubSite) -> None:
        self.transport = SlowTransport()
        self.connection = HubConnections(site, hub.sweep).buildProtocol(None)
        self.connection.makeConnection(self.transport)

    def send(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        fields: typing.Sequence[Field] = (),
    ) -> None:
        """Send a request."""
        lines = [f"{method} {target} HTTP/1.1".encode(), b"Host: hub.test"]
        lines += [b": ".join(field) for field in fields]
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        self.connection.dataReceived(b"\r\n".join([*lines, b"", body]))

    def answers(self) -> list[Answered]:
        """What came since the last look."""
        data = self.transport.value()
        self.transport.clear()
        found = []
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            line, *lines = head.split(b"\r\n")
            fields = {name.lower(): value for name, _, value in (x.partition(b": ") for x in lines)}
            length = int(fields.get(b"content-length", b"0"))
            status = int(line.split(b" ")[1])
            found.append(Answered(status, fields, data[:length]))
            data = data[length:]
        return found

    def answer(self) -> Answered:
        """The one that came."""
        (answered,) = self.answers()
        return answered

    def lose(self) -> None:
        """The connection is gone."""
        self.connection.connectionLost(Failure(ConnectionDone()))


class Visitor:
    """Who asks a tunnel's target, over the edge's own connection to it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.connection = ClientConnection("tunnel", DEFAULT_LIMITS, 0.0, self._gone)
        self.connection.requester = self
        self.connected = self.done = self.stale = False
        self.continued = 0
        self.head: ResponseHead | None = None
        self.body = b""
        self.errors: list[DialError] = []
        self.pieces: list[int] = []

    def dial(self, id: str = "app") -> Visitor:
        """Connect to a tunnel."""
        self.hub.dialer.dial(id, 0, self.connection, self.errors.append)
        return self

    def ask(
        self,
        target: bytes = b"/",
        method: bytes = b"GET",
        fields: typing.Sequence[Field] = (),
        body: bytes | None = None,
        length: int | None = None,
    ) -> Visitor:
        """Ask for something; a ``length`` of its own leaves the request unfinished."""
        exchange = self.connection.exchange
        size = len(body or b"") if length is None else length
        given = [(b"Host", b"app.test"), *fields]
        data = exchange.request(method, target, given, size)
        if body:
            data += exchange.data(body)
        if length is None or length == CHUNKED:
            data += exchange.end()
        self.connection.transport.write(data)
        return self

    def again(self) -> Visitor:
        """Be ready for another request on the same connection."""
        self.connection.exchange.next_cycle()
        self.head, self.body, self.done = None, b"", False
        return self

    def leave(self) -> None:
        """Wait no more."""
        self.connection.abort()

    @property
    def status(self) -> int:
        """Of the answer."""
        assert self.head is not None
        return self.head.status

    @property
    def error(self) -> DialError:
        """The failure there was."""
        (error,) = self.errors
        return error

    def upstream_connected(self) -> None:
        """It is connected."""
        self.connected = True

    def response_events(self, events: list[Event]) -> None:
        """Some of the answer."""
        for event in events:
            if isinstance(event, ResponseHead) and event.informational:
                self.continued += 1
            elif isinstance(event, ResponseHead):
                self.head = event
            elif isinstance(event, bytes):
                self.body += event
                self.pieces.append(len(event))
            elif event is END:
                self.done = True

    def upstream_failed(self, error: DialError) -> None:
        """There is none."""
        self.errors.append(error)

    def pause_request(self) -> None:
        """Not asked for."""

    def resume_request(self) -> None:
        """Not asked for."""

    def _gone(self, connection: ClientConnection) -> None:
        self.stale = True


class PollCase(SynchronousTestCase):
    """A hub, and what calls it."""

    limits = HubLimits()

    def setUp(self) -> None:
        """Open it."""
        self.clock = Clock()
        self.clock.advance(1_000)
        self.sweep = Sweep(self.clock)
        self.addCleanup(self.sweep.stop)
        self.hub = Hub(
            FakeKeys(),
            self.clock,
            self.sweep,
            limits=self.limits,
            now=lambda: 1_000_000.0 + self.clock.seconds(),
        )
        self.site = HubSite(self.hub, API_TOKEN)
        self.polls = self.site.polls

    def listen(self) -> list[str]:
        """What the log says from now on, in its lines."""
        told: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            told.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return told

    def pass_time(self, seconds: int) -> None:
        """Let the sweep look once a second."""
        for _ in range(seconds):
            self.clock.advance(1.0)

    def turn(self) -> None:
        """Let happen what is to happen at once."""
        self.clock.advance(0)

    def caller(self) -> Caller:
        """A connection to the hub's port."""
        return Caller(self.hub, self.site)

    def post(self, path: str, document: object) -> Answered:
        """Call with a document, on a connection of its own."""
        caller = self.caller()
        caller.send("POST", f"/api/agent/{path}", json.dumps(document).encode())
        return caller.answer()

    def registration(self, *ids: str, agent_id: str = "home", **more: typing.Any) -> Document:
        """What an agent registers with."""
        tunnels = [{"id": id, "target": "http://127.0.0.1:3000"} for id in ids or ("app",)]
        return {"agent_id": agent_id, "token": KEY, "tunnels": tunnels, **more}

    def register(self, *ids: str, **more: typing.Any) -> str:
        """Register, and return the session's id."""
        answered = self.post("register", self.registration(*ids, **more))
        self.assertEqual(answered.status, 200, answered.body)
        session_id: str = answered.document["session_id"]
        return session_id

    def pull(self, session_id: str, wait: float | None = None) -> Caller:
        """Begin a pull."""
        caller = self.caller()
        self.pull_on(caller, session_id, wait)
        return caller

    def pull_on(self, caller: Caller, session_id: str, wait: float | None = None) -> None:
        """Begin a pull on this connection."""
        more = "" if wait is None else f"&wait={wait}"
        caller.send("GET", f"/api/agent/pull?session_id={session_id}{more}")

    def pulled(self, caller: Caller) -> Document:
        """The request that a pull was answered with."""
        answered = caller.answer()
        self.assertEqual(answered.status, 200)
        request: Document = answered.document["request"]
        return request

    def respond(self, session_id: str, request: Document, **more: typing.Any) -> int:
        """Answer a request; return the status of the call."""
        response = {
            "request_id": request["request_id"],
            "tunnel_id": request["tunnel_id"],
            "status": 200,
            "headers": {},
            "body": "",
        }
        response |= more
        if isinstance(response["body"], bytes):
            response["body"] = base64.b64encode(response["body"]).decode()
        answered = self.post("respond", {"session_id": session_id, "response": response})
        self.turn()
        return answered.status

    def visitor(self, id: str = "app") -> Visitor:
        """A visitor who is connected."""
        return Visitor(self.hub).dial(id)
