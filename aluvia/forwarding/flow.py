"""
What every passage of bytes through a proxy has: a client, an account of bytes, and one end.

A :class:`Flow` is in its proxy's ``live`` from its making until :meth:`Flow.release`, which happens
exactly once and is where everything about it is counted.
"""

from __future__ import annotations

import abc
import typing

from twisted.python.failure import Failure

from aluvia.net.accept import Sweep
from aluvia.net.http_server import ServerConnection
from aluvia.net.relay import Relay, relay
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.limits import Limits

__all__ = ["Flow", "Proxy"]


class Proxy(typing.Protocol):
    """
    Whose flows they are.

    :ivar live: the flows that are under way.
    """

    live: set[typing.Any]
    limits: Limits
    sweep: Sweep

    def reject(
        self, connection: ServerConnection, violation: ProtocolViolation, request_id: str = ""
    ) -> None:
        """Say what is wrong with a request."""

    def relay_opened(self, flow: typing.Any) -> None:
        """From here it is a tunnel."""

    def relay_closed(self, flow: typing.Any) -> None:
        """The tunnel is over."""

    def ended(self, flow: typing.Any, outcome: str) -> None:
        """It is over: ``ok``, ``client_gone``, or an error name of RFC 9209."""


class Flow(abc.ABC):
    """
    One passage of bytes from a client to an upstream and back.

    :ivar client: the client's connection, until it becomes a relay.
    :ivar request_id: what the client calls its request, or we do; empty while nobody wants to know.
    :ivar method: the request's.
    :ivar started: seconds, coarse.
    """

    __slots__ = (
        "_bytes_down",
        "_bytes_up",
        "client",
        "method",
        "proxy",
        "relay",
        "released",
        "request_id",
        "started",
    )

    proxy: Proxy

    def __init__(
        self, proxy: typing.Any, client: ServerConnection, request_id: str, method: bytes
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.request_id = request_id
        self.method = method
        self.started = proxy.sweep.now
        self.relay: Relay | None = None
        self.released = False
        self._bytes_up = 0
        self._bytes_down = 0
        proxy.live.add(self)

    @property
    def bytes_up(self) -> int:
        """Payload bytes from the client to the upstream."""
        return self._bytes_up + (self.relay.bytes_from_left if self.relay is not None else 0)

    @property
    def bytes_down(self) -> int:
        """Payload bytes from the upstream to the client."""
        return self._bytes_down + (self.relay.bytes_from_right if self.relay is not None else 0)

    @abc.abstractmethod
    def let_go(self) -> None:
        """Leave nothing of it upstream."""

    def cut(self) -> None:
        """End it now, on both sides."""
        if self.relay is not None:
            self.relay.abort()
        elif not self.released:
            self.let_go()
            self.release("connection_terminated")
            self.client.abort()

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        client = self.client
        self.let_go()
        self.release("http_request_error")
        if client.exchange.may_respond:
            self.proxy.reject(client, violation, self.request_id)
        else:
            client.abort()

    def open_relay(
        self,
        upstream: typing.Any,
        idle_timeout: float,
        early_up: bytes,
        early_down: bytes = b"",
    ) -> None:
        """Bytes are opaque from here: both transports go to a relay."""
        client = self.client
        proxy = self.proxy
        proxy.relay_opened(self)
        joined = self.relay = relay(
            client.transport,
            upstream,
            ended=self._relay_ended,
            limits=proxy.limits,
            left_eof=client.input_ended,
        )
        # A tunnel lives long, and needs nothing more of HTTP.
        del self.client
        joined.idle_timeout = idle_timeout
        proxy.sweep.watch(joined)
        joined.start(early_up, early_down)

    def _relay_ended(self, ended: Relay, failure: Failure | None) -> None:
        self.proxy.sweep.forget(ended)
        self.proxy.relay_closed(self)
        self.release("ok" if failure is None else "connection_terminated")

    def release(self, outcome: str) -> None:
        """Count it, and let go."""
        if not self.released:
            self.released = True
            self.proxy.live.discard(self)
            self.proxy.ended(self, outcome)
