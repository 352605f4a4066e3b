"""
What a tunnel and a forwarded request have in common: a route, a client, and an account of bytes.

A :class:`Flow` is in ``ForwardProxy.live`` from its making until :meth:`Flow.release`, which
happens exactly once and is where everything about it is counted.
"""

from __future__ import annotations

import abc
import typing

from twisted.python.failure import Failure

from aluvia.client.answers import reject
from aluvia.net.http_server import ServerConnection
from aluvia.net.relay import Relay, relay
from aluvia.wire.errors import ProtocolViolation

if typing.TYPE_CHECKING:
    from aluvia.client.proxy import ForwardProxy
    from aluvia.client.routing import Route


class Flow(abc.ABC):
    """
    One passage of bytes from a client to an upstream and back.

    :ivar client: the client's connection, until it becomes a relay.

    :ivar host: the canonical host that it is for; ``port`` its port.
    :ivar method: the request's.
    :ivar started: seconds, coarse.
    :ivar dialled: when the last dial began; seconds.
    """

    __slots__ = (
        "_bytes_down",
        "_bytes_up",
        "client",
        "dialled",
        "host",
        "method",
        "port",
        "proxy",
        "relay",
        "released",
        "route",
        "started",
    )

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ServerConnection,
        route: Route,
        method: bytes,
        host: str,
        port: int,
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.route = route
        self.method = method
        self.host = host
        self.port = port
        self.started = proxy.sweep.now
        self.dialled = 0.0
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

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        client = self.client
        self.let_go()
        self.release("http_request_error")
        if client.exchange.may_respond:
            reject(client, violation, self.proxy.next_request_id())
        else:
            client.abort()

    def open_relay(self, upstream: typing.Any, early_up: bytes, early_down: bytes = b"") -> None:
        """Bytes are opaque from here: both transports go to a relay."""
        client = self.client
        proxy = self.proxy
        proxy.counters.tunnels_open += 1
        joined = self.relay = relay(
            client.transport,
            upstream,
            ended=self._relay_ended,
            limits=proxy.limits,
            left_eof=client.input_ended,
        )
        # A tunnel lives long, and needs nothing more of HTTP.
        del self.client
        joined.idle_timeout = proxy.idle_timeout
        proxy.sweep.watch(joined)
        joined.start(early_up, early_down)

    def _relay_ended(self, ended: Relay, failure: Failure | None) -> None:
        self.proxy.sweep.forget(ended)
        self.proxy.counters.tunnels_open -= 1
        self.release("ok" if failure is None else "connection_terminated")

    def release(self, outcome: str) -> None:
        """Count it, and let go."""
        if not self.released:
            self.released = True
            self.proxy.ended(self, outcome)
