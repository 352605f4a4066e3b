"""
HTTP/1.1 over a :class:`~aluvia.testing.connection.FaultConnection`, for the sides of a test.

By h11, and not by :mod:`aluvia.wire`: a test that reads with the code under test agrees with its
mistakes.
"""

from __future__ import annotations

import attrs
import h11

from aluvia.testing.connection import FaultConnection
from aluvia.testing.ended import ConnectionEnded, Ended

Headers = list[tuple[bytes, bytes]]

_INCOMPLETE_BYTES = 2_097_152


@attrs.frozen
class Response:
    """
    One answer, whole.

    :ivar headers: names in lower case, in their order.
    :ivar informational: the statuses of the 1xx answers that came before it.
    """

    status: int
    headers: Headers
    body: bytes
    reason: bytes = b""
    informational: tuple[int, ...] = ()
    trailers: Headers = attrs.Factory(list)

    def header(self, name: bytes) -> bytes | None:
        """The value of the field *name* (lower case), joined where there are several."""
        values = [value for key, value in self.headers if key == name]
        return b", ".join(values) if values else None


class Conversation:
    """
    One connection's h11 codec, awaited.

    :ivar codec: the h11 connection, for what is not wrapped here.
    :param continues: whether a server says ``100`` by itself, once it wants a body.
    """

    def __init__(
        self,
        connection: FaultConnection,
        role: type[h11.CLIENT | h11.SERVER],
        *,
        continues: bool = True,
    ) -> None:
        self.connection = connection
        self.continues = continues
        self.codec = h11.Connection(role, max_incomplete_event_size=_INCOMPLETE_BYTES)

    async def next_event(self) -> h11.Event:
        """
        What the other side says next.

        :raises ConnectionEnded: the other side's FIN came in the middle of its message.
        :raises h11.RemoteProtocolError: it said what HTTP does not allow.
        """
        while True:
            event = self.codec.next_event()
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("a message after the end of this one")
            if event is not h11.NEED_DATA:
                assert isinstance(event, h11.Event)
                return event
            if self.continues and self.codec.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            data = await self.connection.read_some()
            if not data and self._ends_early():
                raise ConnectionEnded(Ended.FIN)
            self.codec.receive_data(data)

    def _ends_early(self) -> bool:
        """
        Whether a FIN now cuts a request short. It is no fault of a server's script: clients leave.

        An answer that is cut short is h11's to judge, since some end with the connection.
        """
        within = self.codec.their_state is h11.SEND_BODY or bool(self.codec.trailing_data[0])
        return self.codec.our_role is h11.SERVER and within

    async def send(self, event: h11.Event) -> None:
        """Say *event*."""
        data = self.codec.send(event)
        if data:
            await self.connection.send(data)

    async def read_body(self) -> tuple[bytes, Headers]:
        """The rest of the message: its body, and its trailers."""
        parts = []
        while True:
            event = await self.next_event()
            if isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(parts), list(event.headers)
            else:
                raise h11.RemoteProtocolError(f"{type(event).__name__} in the middle of a body")

    async def ready_for_next(self) -> bool:
        """
        Read what is left of the message, and begin the next cycle.

        :return: False if there cannot be one; then the connection is to be closed.
        """
        while (
            self.codec.their_state is h11.SEND_BODY
            and not self.codec.they_are_waiting_for_100_continue
        ):
            await self.next_event()
        if self.codec.our_state is not h11.DONE or self.codec.their_state is not h11.DONE:
            return False
        self.codec.start_next_cycle()
        return True

    async def read_response(self) -> Response:
        """The next answer, with its body."""
        informational: list[int] = []
        while isinstance(event := await self.next_event(), h11.InformationalResponse):
            informational.append(event.status_code)
            if event.status_code == 101:
                return Response(101, list(event.headers), b"")
        if not isinstance(event, h11.Response):
            raise h11.RemoteProtocolError(f"{type(event).__name__} in place of an answer")
        status, headers, reason = event.status_code, list(event.headers), bytes(event.reason)
        if self.codec.their_state is h11.SWITCHED_PROTOCOL:
            return Response(status, headers, b"", reason, tuple(informational))
        body, trailers = await self.read_body()
        return Response(status, headers, body, reason, tuple(informational), trailers)


async def read_response(connection: FaultConnection, method: bytes = b"GET") -> Response:
    """
    The answer to a request that was sent on *connection* as bytes.

    What follows the answer stays unread, so that the next answer can be read in the same way.

    :param method: what the request's was, since the framing of its answer depends on it.
    """
    conversation = Conversation(connection, h11.CLIENT)
    target = b"a:1" if method == b"CONNECT" else b"/"
    headers = [(b"host", b"a"), (b"connection", b"upgrade"), (b"upgrade", b"websocket")]
    conversation.codec.send(h11.Request(method=method, target=target, headers=headers))
    conversation.codec.send(h11.EndOfMessage())
    response = await conversation.read_response()
    connection.give_back(conversation.codec.trailing_data[0])
    return response
