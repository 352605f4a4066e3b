"""
A connection on which we are the client: one request at a time, kept for the next.

:class:`ClientConnection` is the adapter between a transport and
:class:`~aluvia.wire.exchange.ClientExchange`. It is given to a dialer as the protocol, so it may
stand before its transport does. Whoever sends a request with it is its :class:`Requester`.

A connection that is idle in a pool has no requester. Bytes or a FIN that come then end it, and
:attr:`ClientConnection.closed` tells the pool.
"""

from __future__ import annotations

import typing

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.errors import DialError
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ClientExchange, Event
from aluvia.wire.limits import Limits


class Requester(typing.Protocol):
    """Who waits for a response."""

    def upstream_connected(self) -> None:
        """The dialled connection is up: send the request."""

    def response_events(self, events: list[Event]) -> None:
        """Parts of the response, in order."""

    def upstream_failed(self, error: DialError) -> None:
        """The response will not come, or not to its end. The connection is closed."""

    def pause_request(self) -> None:
        """The upstream reads slowly: stop sending the body."""

    def resume_request(self) -> None:
        """The upstream has caught up."""


@implementer(IProtocol, IPushProducer)
class ClientConnection:
    """
    One connection to an origin or a parent proxy.

    :param gone_stale: told when it was lost, or was sent something, while it was idle.

    :ivar exchange: the codec; the requester writes its request with it.
    :ivar requester: who waits for the response, or None while the connection is idle.
    :ivar key: what a pool files it under.
    :ivar opened: when it was dialled; seconds.
    :ivar paused: whether it is not read, for a client that reads slowly.
    :ivar reused: whether a request was answered on it before.
    """

    __slots__ = (
        "__weakref__",
        "_gone_stale",
        "closed",
        "exchange",
        "factory",
        "key",
        "opened",
        "paused",
        "requester",
        "reused",
        "transport",
    )

    def __init__(
        self,
        key: typing.Hashable,
        limits: Limits,
        opened: float,
        gone_stale: typing.Callable[[ClientConnection], None],
    ) -> None:
        self.key = key
        self.opened = opened
        self._gone_stale = gone_stale
        self.exchange = ClientExchange(limits)
        self.requester: Requester | None = None
        self.transport: typing.Any = None
        self.factory: typing.Any = None
        self.closed = False
        self.paused = False
        self.reused = False

    def makeConnection(self, transport: typing.Any) -> None:
        """The dialer's connection is up."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Be told when the upstream reads slowly, and let the request go."""
        self.transport.registerProducer(self, True)
        if self.requester is not None:
            self.requester.upstream_connected()

    def dataReceived(self, data: bytes) -> None:
        """Feed the codec, and hand on what it read."""
        requester = self.requester
        if requester is None:
            # An answer that nobody asked for: never mistaken for the next one's.
            self.abort()
            self._gone_stale(self)
            return
        try:
            events = self.exchange.receive(data)
        except ProtocolViolation as violation:
            self._fail(DialError(violation.error, 502, violation.reason))
            return
        if events:
            requester.response_events(events)

    def connectionLost(self, reason: Failure) -> None:
        """
        The end of an until-close body, or a failure.

        :param reason: a transport of ours may know better than a socket why there is no answer: its
            value is a :class:`DialError` then.
        """
        self.closed = True
        requester = self.requester
        if requester is None:
            self._gone_stale(self)
            return
        if isinstance(reason.value, DialError):
            self._fail(reason.value)
            return
        if reason.check(ConnectionDone) is None:
            self._fail(DialError("connection_terminated", 502, "The connection was reset."))
            return
        try:
            events = self.exchange.receive_eof()
        except ProtocolViolation as violation:
            received = self.exchange.any_bytes_received
            name = violation.error if received else "connection_terminated"
            self._fail(DialError(name, 502, violation.reason))
            return
        if events:
            requester.response_events(events)
        else:
            # The response is through; the request was not.
            self._fail(DialError("connection_terminated", 502, "The connection was closed."))

    def pauseProducing(self) -> None:
        """The upstream reads slowly."""
        if self.requester is not None:
            self.requester.pause_request()

    def resumeProducing(self) -> None:
        """The upstream has read what was queued."""
        if self.requester is not None:
            self.requester.resume_request()

    def stopProducing(self) -> None:
        """Connection loss is told by :meth:`connectionLost`."""

    def pause(self) -> None:
        """Read no more for now: who waits for the response cannot take it."""
        self.paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read again."""
        if self.paused:
            self.paused = False
            self.transport.resumeProducing()

    def leave(self) -> bytes:
        """
        Give up the transport after a 101: bytes are opaque from here.

        :return: the bytes that came behind the response head.
        """
        early = self.exchange.switch()
        self.transport.unregisterProducer()
        self.requester = None
        return early

    def close(self) -> None:
        """
        Close an idle connection: in order, or with a reset if its peer has not read all that it was
        sent. It has answered, so nothing depends on that; and nobody would see to its end.
        """
        self.requester = None
        if getattr(self.transport, "queued", False):
            self.abort()
        elif not self.closed:
            self.closed = True
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once, whatever is on its way."""
        self.requester = None
        if not self.closed:
            self.closed = True
            self.transport.abortConnection()

    def _fail(self, error: DialError) -> None:
        requester = self.requester
        self.abort()
        if requester is not None:
            requester.upstream_failed(error)
