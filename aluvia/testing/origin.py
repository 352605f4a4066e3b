"""
A small site on loopback, for tests.

Routes are coroutine functions by path; what a test needs beyond ``/echo`` it adds itself::

    origin = FakeOrigin(reactor)

    async def teapot(visit):
        await visit.answer(418, [(b"Content-Type", b"text/plain")], b"short and stout")

    origin.routes["/teapot"] = teapot
"""

from __future__ import annotations

import collections
import collections.abc
import http
import json
import ssl

import attrs
import h11

from aluvia.testing.connection import FaultConnection
from aluvia.testing.faults import FaultPeer
from aluvia.testing.http import Conversation, Headers
from aluvia.testing.reactors import DescriptorReactor
from aluvia.testing.steps import Script, StartTLS

_STATUSES = frozenset(http.HTTPStatus)


@attrs.define(eq=False)
class Visit:
    """
    One request, as the origin sees it.

    :ivar headers: as they were sent, in their order and with their case.
    """

    conversation: Conversation
    method: bytes
    target: bytes
    http_version: bytes
    headers: Headers

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition(b"?")[0].decode("ascii", "replace")

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field *name* (lower case)."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None

    async def body(self) -> bytes:
        """The rest of the request."""
        return (await self.conversation.read_body())[0]

    async def answer(
        self, status: int, headers: Headers, body: bytes = b"", *, trailers: Headers | None = None
    ) -> None:
        """Answer whole; without a ``Content-Length`` or ``Transfer-Encoding`` one is added."""
        names = {name.lower() for name, _ in headers}
        if not names & {b"content-length", b"transfer-encoding"}:
            headers = [*headers, (b"Content-Length", b"%d" % len(body))]
        await self.begin(status, headers)
        if body and self.method != b"HEAD":
            await self.send(body)
        await self.conversation.send(h11.EndOfMessage(headers=trailers or []))

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head alone; :meth:`send` and :meth:`end` follow."""
        kind = h11.InformationalResponse if status < 200 else h11.Response
        reason = http.HTTPStatus(status).phrase if status in _STATUSES else ""
        await self.conversation.send(kind(status_code=status, headers=headers, reason=reason))

    async def send(self, data: bytes) -> None:
        """Some of the body, now."""
        await self.conversation.send(h11.Data(data=data))

    async def end(self) -> None:
        """The body is whole."""
        await self.conversation.send(h11.EndOfMessage())


Route = collections.abc.Callable[[Visit], collections.abc.Awaitable[None]]


async def echo(visit: Visit) -> None:
    """Answer with what was asked, as JSON: method, target, version, headers, body, connection."""
    body = await visit.body()
    seen = {
        "method": visit.method.decode(),
        "target": visit.target.decode("latin-1"),
        "version": visit.http_version.decode(),
        "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in visit.headers],
        "body": body.decode("latin-1"),
        "connection": visit.conversation.connection.number,
    }
    text = json.dumps(seen).encode() + b"\n"
    await visit.answer(200, [(b"Content-Type", b"application/json")], text)


class FakeOrigin:
    """
    An origin server: every path answers with ``/echo``, until a route says otherwise.

    :ivar visits: the latest 1024 requests.
    :ivar peer: the listening side, with its counts.
    """

    def __init__(
        self,
        reactor: DescriptorReactor,
        *,
        context: ssl.SSLContext | None = None,
        address: str = "127.0.0.1",
        fallback: Route = echo,
        port: int = 0,
    ) -> None:
        """
        :param context: for https, with its certificate loaded.
        :param fallback: what answers where there is no route.
        :param port: 0 for any free one.
        """
        self.fallback = fallback
        self.routes: dict[str, Route] = {}
        self.visits: collections.deque[Visit] = collections.deque(maxlen=1024)
        script: Script = [_Serve(self)] if context is None else [StartTLS(context), _Serve(self)]
        self.peer = FaultPeer(reactor, script, address=address, port=port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.peer.port

    async def stop(self) -> None:
        """Close everything."""
        await self.peer.stop()


@attrs.frozen
class _Serve:
    """The script of an origin's connection: requests until either side has enough."""

    origin: FakeOrigin

    async def play(self, connection: FaultConnection) -> None:
        conversation = Conversation(connection, h11.SERVER)
        while not connection.closed:
            request = await conversation.next_event()
            if not isinstance(request, h11.Request):
                return
            visit = Visit(
                conversation,
                bytes(request.method),
                bytes(request.target),
                bytes(request.http_version),
                list(request.headers.raw_items()),
            )
            self.origin.visits.append(visit)
            await self.origin.routes.get(visit.path, self.origin.fallback)(visit)
            if not await conversation.ready_for_next():
                connection.close()
