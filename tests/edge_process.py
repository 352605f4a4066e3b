"""A child ``twistd -n aluvia-edge``, and a client of its REST API."""

from __future__ import annotations

import json
import os
import tempfile
import typing
from pathlib import Path

import attrs
from twisted.internet.defer import Deferred

from aluvia.testing.connection import FaultConnection
from aluvia.testing.http import Response, read_response
from tests.aluvia_process import TWISTD, AluviaProcess, Child, clean_environment

#: A token that would be found anywhere.
TOKEN = "canary-api-token-3b7f51"

BASE = "/api/v1"

JSON = "application/json"

Dial = typing.Callable[[int], typing.Coroutine[Deferred[typing.Any], object, FaultConnection]]


class EdgeProcess(AluviaProcess):
    """
    An edge in a process of its own.

    :ivar db: its store.
    """

    def __init__(
        self,
        *options: str,
        db: Path | None = None,
        environment: typing.Mapping[str, str] | None = None,
        before: typing.Sequence[str] = (),
    ) -> None:
        """
        Start it; :meth:`ready` waits.

        :param db: of an edge before it.
        :param environment: without one it is told its token there.
        :param before: a command that runs the one behind it.
        """
        self.ports: dict[str, typing.Any] = {}
        self.sockets_at_rest = 0
        folder = Path(tempfile.mkdtemp(dir=os.getcwd()))
        self.port_file = folder / "ports.json"
        self.db = db or folder / "edge.db"
        Child.__init__(
            self,
            *(*before, *TWISTD, "-n", "--pidfile=", "aluvia-edge"),
            *("--http", "127.0.0.1:0", "--https", "none", "--api", "127.0.0.1:0"),
            *("--db", str(self.db), "--port-file", str(self.port_file), "--log-level", "debug"),
            *options,
            environment=clean_environment(ALUVIA_API_TOKEN=TOKEN)
            if environment is None
            else environment,
        )

    @property
    def port(self) -> int:
        """Where it listens in the clear."""
        return int(self.ports["http"])

    @property
    def https(self) -> int:
        """Where it listens inside TLS."""
        return int(self.ports["https"])

    @property
    def api_port(self) -> int:
        """Where its API listens."""
        return int(self.ports["api"])

    @property
    def url(self) -> str:
        """Its URL."""
        return str(self.ports["http_url"])

    @property
    def api_url(self) -> str:
        """The URL that all of the API is below."""
        return str(self.ports["api_url"]) + BASE

    @property
    def token_file(self) -> Path:
        """Where a token is that it made for itself."""
        return self.db.with_name(self.db.name + ".api-token")


@attrs.frozen
class Reply:
    """What the API answered."""

    response: Response

    @property
    def status(self) -> int:
        """Its status."""
        return self.response.status

    @property
    def etag(self) -> str:
        """Its tag, with the quotes."""
        return self.field("etag")

    def field(self, name: str) -> str:
        """A field of its head; empty if it is not there."""
        return (self.response.header(name.encode()) or b"").decode()

    @property
    def text(self) -> str:
        """Its body."""
        return self.response.body.decode()

    def json(self) -> typing.Any:
        """Its body, read."""
        return json.loads(self.response.body)

    @property
    def pointers(self) -> list[str]:
        """To what is wrong with what was sent."""
        return [fault["pointer"] for fault in self.json()["errors"]]


class Api:
    """
    A client of the API. It keeps its connections, and asks one thing at a time on each.

    :param dial: opens a connection to a port of this machine.
    """

    def __init__(self, port: int, dial: Dial, token: str = TOKEN) -> None:
        self._port = port
        self._dial = dial
        self._token = token
        self._kept: list[FaultConnection] = []

    async def __call__(
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        **fields: str,
    ) -> Reply:
        """
        Ask for a path below ``/api/v1``, or for one at the root that begins with ``//``.

        :param document: sent as JSON.
        :param body: sent as it is.
        :param fields: of the head, with ``_`` for ``-``; an empty one is left out.
        """
        if document is not None:
            body = json.dumps(document).encode()
        head = {
            "Host": f"127.0.0.1:{self._port}",
            "Authorization": f"Bearer {self._token}",
            **({} if body is None else {"Content-Type": content_type}),
            **({} if body is None else {"Content-Length": str(len(body))}),
            **{name.replace("_", "-"): value for name, value in fields.items()},
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
        target = path[1:] if path.startswith("//") else BASE + path
        connection = await self._connection()
        await connection.send(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + (body or b""))
        response = await read_response(connection, method.encode())
        if response.header(b"connection") == b"close":
            connection.close()
        else:
            self._kept.append(connection)
        return Reply(response)

    async def get(self, path: str) -> typing.Any:
        """What is there. :raises AssertionError: nothing."""
        reply = await self("GET", path)
        assert reply.status == 200, reply
        return reply.json()

    async def done(self, method: str, path: str, document: object = None, **fields: str) -> Reply:
        """Change something. :raises AssertionError: it was not."""
        reply = await self(method, path, document, body=None, **fields)
        assert reply.status in (200, 201, 204), reply
        return reply

    async def _connection(self) -> FaultConnection:
        while self._kept:
            kept = self._kept.pop()
            if not kept.closed and kept.ended is None:
                return kept
        return await self._dial(self._port)
