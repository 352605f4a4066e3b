"""What the tests of the edge have in common: edges, their routes, and clients of all kinds."""

from __future__ import annotations

import json
import os
import ssl
import typing
from pathlib import Path

import attrs
import trustme

from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import Echo
from aluvia.testing.http import Response, read_response
from aluvia.testing.origin import FakeOrigin, Visit
from tests.aluvia_process import pause, reactor
from tests.edge_process import BASE, TOKEN, Api, EdgeProcess
from tests.support import Certificates, ProxyCase

#: How long something may take that happens by itself: generous, for a busy machine.
SECONDS = 20.0

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")


def backend(origin: typing.Any, id: str = "", **more: object) -> dict[str, typing.Any]:
    """The document of a backend that is an origin or a peer of this test."""
    known = {"id": id} if id else {}
    return {**known, "hostname": "127.0.0.1", "port": origin.port, **more}


@attrs.frozen
class Pair:
    """A certificate with its chain, and its key, as the API takes them."""

    cert: str
    key: str

    @property
    def secrets(self) -> list[str]:
        """The lines of its key."""
        return [line for line in self.key.splitlines() if line and "-----" not in line]


def issue(certificates: Certificates, *names: str) -> Pair:
    """A pair for *names*."""
    issued = certificates.authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
    chain = "".join(blob.bytes().decode() for blob in issued.cert_chain_pems)
    return Pair(chain, issued.private_key_pem.bytes().decode())


async def websocket(visit: Visit) -> None:
    """Upgrade, and say back what is said."""
    await visit.begin(101, [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")])
    connection = visit.conversation.connection
    connection.give_back(visit.conversation.codec.trailing_data[0])
    await Echo().play(connection)


class EdgeCase(ProxyCase):
    """
    Starts edges, and asks them. After each test every edge ends in order, and has written no
    secret.
    """

    timeout = 120

    def setUp(self) -> None:
        """Nothing runs yet."""
        super().setUp()
        self.secrets = [TOKEN]
        self.certificates = Certificates()

    def assert_no_secret(self, text: str | bytes) -> None:
        """No secret of ours is in *text*."""
        super().assert_no_secret(text)
        text = text.decode("latin-1") if isinstance(text, bytes) else text
        for secret in self.secrets:
            self.assertNotIn(secret, text)

    # What is started.

    def spawn_edge(self, *options: str, **more: typing.Any) -> EdgeProcess:
        """Start an edge, and do not wait for it."""
        edge = EdgeProcess(*options, **more)
        self._processes.append(edge)
        return edge

    async def edge(self, *options: str, **more: typing.Any) -> EdgeProcess:
        """Start an edge, and wait until it is ready."""
        edge = self.spawn_edge(*options, **more)
        await edge.ready()
        return edge

    def api(self, edge: EdgeProcess, token: str = TOKEN) -> Api:
        """A client of its API."""
        return Api(edge.api_port, self.dial, token)

    def origin(self, **options: typing.Any) -> FakeOrigin:
        """Start a site, which has a WebSocket at ``/ws``."""
        origin = super().origin(**options)
        origin.routes["/ws"] = websocket
        return origin

    def pair(self, *names: str) -> Pair:
        """A certificate for *names*, whose key is to be seen nowhere."""
        pair = issue(self.certificates, *names)
        self.secrets += pair.secrets
        return pair

    def file(self, name: str, text: str) -> Path:
        """Write a file of this test."""
        path = Path(f"{self._testMethodName}-{name}").absolute()
        path.write_text(text)
        return path

    async def start(
        self, *options: str, v_host: str = "a.example", **fields: object
    ) -> tuple[EdgeProcess, Api, FakeOrigin]:
        """Start an edge with a route to one backend."""
        edge = await self.edge(*options)
        api, origin = self.api(edge), self.origin()
        await self.route(api, v_host, backend(origin, "one"), **fields)
        return edge, api, origin

    async def route(
        self, api: Api, v_host: str, *backends: dict[str, typing.Any], **fields: object
    ) -> None:
        """Make a route, whose id is *v_host* without its domain."""
        id = v_host.partition(".")[0]
        document = {"id": id, "vHost": v_host, "backends": [*backends], **fields}
        await api.done("POST", "/routes", document)

    # What is asked.

    async def secure(
        self, edge: EdgeProcess, name: str | None, certificates: Certificates | None = None
    ) -> FaultConnection:
        """A connection inside TLS, to a name that must be the certificate's; None for no name."""
        return await self.secure_dial(edge.https, name, certificates)

    async def secure_dial(
        self, port: int, name: str | None, certificates: Certificates | None = None
    ) -> FaultConnection:
        """As :meth:`secure`, to a port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if name is None:
            context.check_hostname = False
        (certificates or self.certificates).authority.configure_trust(context)
        connection = await self.dial(port)
        await connection.start_tls(context, server_side=False, server_hostname=name)
        return connection

    async def say(
        self,
        connection: FaultConnection,
        host: str,
        path: str = "/",
        *fields: str,
        method: str = "GET",
        body: bytes = b"",
    ) -> Response:
        """Ask on a connection that is open, and read the answer."""
        await connection.send(request(host, path, *fields, method=method, body=body))
        return await read_response(connection, method.encode())

    async def visit(
        self, edge: EdgeProcess, host: str, path: str = "/", *fields: str, **more: typing.Any
    ) -> Response:
        """Ask on a new connection."""
        connection = await self.connect(edge)
        try:
            return await self.say(connection, host, path, *fields, **more)
        finally:
            connection.close()

    async def seen(self, edge: EdgeProcess, host: str, *args: str, **more: typing.Any) -> Seen:
        """What a backend saw of a request."""
        answer = await self.visit(edge, host, *args, **more)
        self.assertEqual(answer.status, 200, answer)
        return Seen(json.loads(answer.body))

    async def upgrade(
        self, connection: FaultConnection, host: str, *fields: str, path: str = "/ws"
    ) -> Response:
        """Ask for a WebSocket on a connection that is open."""
        return await self.say(connection, host, path, *UPGRADE, *fields)

    async def listen(self, edge: EdgeProcess, query: str = "") -> FaultConnection:
        """Listen to events; the connection, behind the head of the answer."""
        connection = await self.dial(edge.api_port)
        head = f"GET {BASE}/events{query} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}"
        await connection.send(f"{head}\r\n\r\n".encode())
        head = (await connection.read_until(b"\r\n\r\n")).decode()
        self.assertIn(" 200 OK", head)
        self.assertIn("text/event-stream", head)
        await connection.read_until(b"retry: 5000\n\n")
        return connection

    async def until_true(
        self,
        condition: typing.Callable[[], typing.Coroutine[typing.Any, typing.Any, object]],
        what: str,
    ) -> None:
        """Wait until a condition that is awaited holds."""
        began = reactor.seconds()
        while not await condition():
            self.assertLess(reactor.seconds() - began, SECONDS, what)
            await pause(0.02)

    async def until_dead(self, api: Api, route: str, id: str, dead: bool = True) -> None:
        """Wait until a backend is known to be dead; or alive."""

        async def is_so() -> bool:
            shown = await api.get(f"/routes/{route}/backends/{id}")
            return shown["isDead"] is dead

        await self.until_true(is_so, f"{id} of {route}: isDead is {dead}")

    async def refuses(self, edge: EdgeProcess, status: int, *said: str) -> str:
        """The start fails with this status, and says so in few words; those."""
        self.assertEqual(await edge.wait(), status, edge.output)
        edge.assert_quiet()
        self.assertFalse(edge.port_file.exists())
        errors = edge.stderr.decode()
        self.assertRegex(errors, r"^aluvia: .+\n")
        for part in said:
            self.assertIn(part, errors)
        return errors


class Seen:
    """What the echo of an origin says that it was asked."""

    def __init__(self, echo: dict[str, typing.Any]) -> None:
        self.method: str = echo["method"]
        self.target: str = echo["target"]
        self.body: str = echo["body"]
        self.headers: list[tuple[str, str]] = [(name, value) for name, value in echo["headers"]]

    def __getitem__(self, name: str) -> str | None:
        """A field; None if it is not there, all of them with commas if it came more than once."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None


def request(
    host: str, path: str = "/", *fields: str, method: str = "GET", body: bytes = b""
) -> bytes:
    """A request, as bytes."""
    if body or method in ("POST", "PUT", "PATCH"):
        fields = (*fields, f"Content-Length: {len(body)}")
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


def is_root() -> bool:
    """Whether we may do everything."""
    return os.geteuid() == 0
