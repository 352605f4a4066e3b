"""
A parent proxy with one account, for tests: what the client's gateway is, on loopback.

Every name is this machine: ``CONNECT www.example.com:8080`` reaches port 8080 of 127.0.0.1, so
that a test can use any name in its rules and needs no DNS.
"""

from __future__ import annotations

import base64
import collections
import ssl
import urllib.parse

import attrs
import h11
from twisted.internet.defer import CancelledError, Deferred

from aluvia.testing.connection import FaultConnection
from aluvia.testing.dialling import dial
from aluvia.testing.ended import ConnectionEnded, Ended
from aluvia.testing.faults import FaultPeer
from aluvia.testing.http import Conversation, Headers
from aluvia.testing.reactors import DescriptorReactor
from aluvia.testing.steps import Script, StartTLS

#: Added to every answer that came through, so that a client can see the way it took.
MARK = (b"X-Fake-Gateway", b"1")

_HOP_BY_HOP = {b"proxy-authorization", b"proxy-connection", b"connection", b"keep-alive"}
_SWITCHING = 101


@attrs.frozen
class Asked:
    """One request, as the gateway sees it; headers as they were sent."""

    method: bytes
    target: bytes
    headers: Headers
    authorized: bool
    connection: int

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field *name* (lower case)."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return None


class FakeGateway:
    """
    A forward proxy: CONNECT and absolute-form, keep-alive, Basic authentication.

    :ivar asked: the latest 1024 requests.
    :ivar username: may be changed while it runs, and :attr:`password` too.
    :ivar peer: the listening side, with its counts.
    """

    def __init__(
        self,
        reactor: DescriptorReactor,
        username: str = "user",
        password: str = "pass",
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """:param context: for an https gateway, with its certificate loaded."""
        self.username = username
        self.password = password
        self.reactor = reactor
        self.asked: collections.deque[Asked] = collections.deque(maxlen=1024)
        script: Script = [_Serve(self)] if context is None else [StartTLS(context), _Serve(self)]
        self.peer = FaultPeer(reactor, script)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.peer.port

    async def stop(self) -> None:
        """Close everything."""
        await self.peer.stop()

    def authorizes(self, value: bytes | None) -> bool:
        """Whether *value* of Proxy-Authorization is our account's."""
        expected = base64.b64encode(f"{self.username}:{self.password}".encode())
        return value == b"Basic " + expected


@attrs.frozen
class _Serve:
    """The script of a client's connection."""

    gateway: FakeGateway

    async def play(self, connection: FaultConnection) -> None:
        conversation = Conversation(connection, h11.SERVER, continues=False)
        while not connection.closed:
            request = await conversation.next_event()
            if not isinstance(request, h11.Request):
                return
            headers = list(request.headers.raw_items())
            credentials = dict(request.headers).get(b"proxy-authorization")
            asked = Asked(
                bytes(request.method),
                bytes(request.target),
                headers,
                self.gateway.authorizes(credentials),
                connection.number,
            )
            self.gateway.asked.append(asked)
            if not asked.authorized:
                challenge = (b"Proxy-Authenticate", b'Basic realm="fake gateway"')
                await _refuse(conversation, 407, [challenge])
            elif asked.method == b"CONNECT":
                await self._connect(conversation, asked.target)
            else:
                await self._forward(conversation, asked)
            if not await conversation.ready_for_next():
                connection.close()

    async def _connect(self, conversation: Conversation, target: bytes) -> None:
        port = int(target.rpartition(b":")[2])
        try:
            upstream = await dial(self.gateway.reactor, "127.0.0.1", port)
        except OSError:
            await _refuse(conversation, 503, [])
            return
        try:
            await conversation.send(h11.Response(status_code=200, headers=[]))
            conversation.connection.give_back(conversation.codec.trailing_data[0])
            await relay(conversation.connection, upstream)
        finally:
            # Also when the client did not wait for its answer.
            upstream.close()

    async def _forward(self, conversation: Conversation, asked: Asked) -> None:
        url = urllib.parse.urlsplit(asked.target.decode("ascii"))
        try:
            connection = await dial(self.gateway.reactor, "127.0.0.1", url.port or 80)
        except OSError:
            await _refuse(conversation, 503, [])
            return
        try:
            await self._exchange(conversation, asked, Conversation(connection, h11.CLIENT))
        except (ConnectionEnded, h11.RemoteProtocolError):
            # Either side has failed; what was passed on must not look whole.
            conversation.connection.reset()
        finally:
            connection.close()

    async def _exchange(
        self, conversation: Conversation, asked: Asked, upstream: Conversation
    ) -> None:
        url = urllib.parse.urlsplit(asked.target.decode("ascii"))
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        headers = [(k, v) for k, v in asked.headers if k.lower() not in _HOP_BY_HOP]
        upgrade = asked.header(b"upgrade") is not None
        headers.append((b"Connection", b"upgrade" if upgrade else b"close"))
        await upstream.send(h11.Request(method=asked.method, target=path, headers=headers))
        # The body goes up while the answer may come down already, and need not be read to its end.
        uploading = Deferred.fromCoroutine(_upload(conversation, upstream))
        uploading.addErrback(lambda failure: failure.trap(CancelledError, ConnectionEnded) and None)
        try:
            await self._answer(conversation, upstream)
        finally:
            uploading.cancel()

    async def _answer(self, conversation: Conversation, upstream: Conversation) -> None:
        while not isinstance(event := await upstream.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                fields = [
                    (k, v) for k, v in event.headers.raw_items() if k.lower() != b"connection"
                ]
                event = h11.Response(
                    status_code=event.status_code, headers=[*fields, MARK], reason=event.reason
                )
            await conversation.send(event)
            if isinstance(event, h11.InformationalResponse) and event.status_code == _SWITCHING:
                upstream.connection.give_back(upstream.codec.trailing_data[0])
                conversation.connection.give_back(conversation.codec.trailing_data[0])
                await relay(conversation.connection, upstream.connection)
                return
        await conversation.send(event)


async def _upload(conversation: Conversation, upstream: Conversation) -> None:
    while not isinstance(event := await conversation.next_event(), h11.EndOfMessage):
        await upstream.send(event)
    await upstream.send(event)


async def _refuse(conversation: Conversation, status: int, headers: Headers) -> None:
    body = b"the gateway says %d\n" % status
    headers = [*headers, (b"Content-Length", b"%d" % len(body))]
    await conversation.send(h11.Response(status_code=status, headers=headers))
    await conversation.send(h11.Data(data=body))
    await conversation.send(h11.EndOfMessage())


async def relay(left: FaultConnection, right: FaultConnection) -> None:
    """Pass bytes, FINs and RSTs both ways until both sides are done; then both are closed."""
    there = Deferred.fromCoroutine(_pump(left, right))
    there.addErrback(lambda failure: failure.trap(CancelledError) and None)
    try:
        await _pump(right, left)
        await there
    finally:
        there.cancel()
        left.close()
        right.close()


async def _pump(source: FaultConnection, sink: FaultConnection) -> None:
    try:
        while data := await source.read_some():
            await sink.send(data)
        sink.finish()
    except ConnectionEnded:
        (sink if source.ended is Ended.RESET else source).reset()
