"""
What a tunnel and a forwarded request have in common: a route, a client, and an account of bytes.

A :class:`Flow` is in ``ForwardProxy.live`` from its making until :meth:`Flow.release`, which
happens exactly once and is where everything about it is counted.

A gateway that refuses the credentials (407) is asked once more, if there are others by then:
:meth:`Flow.renew`.
"""

from __future__ import annotations

import abc
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.forwarding.route import Route
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.net.parent import ParentProxy
from aluvia.net.relay import Relay, relay
from aluvia.wire.errors import ProtocolViolation

if typing.TYPE_CHECKING:
    from aluvia.forwarding.proxy import ForwardProxy

log = Logger()

PROXY_AUTHENTICATION_REQUIRED = 407


class Flow(abc.ABC):
    """
    One passage of bytes from a client to an upstream and back.

    :ivar client: the client's connection, until it becomes a relay.

    :ivar request_id: what the client calls its request, or we do; empty while nobody wants to know.
    :ivar host: the canonical host that it is for; ``port`` its port.
    :ivar method: the request's.
    :ivar started: seconds, coarse.
    :ivar dialled: when the last dial began; seconds.
    :ivar flipped: when the rules began to say that an open tunnel's host goes the other way;
        seconds; None while they do not.
    """

    __slots__ = (
        "_bytes_down",
        "_bytes_up",
        "client",
        "dialled",
        "flipped",
        "host",
        "method",
        "port",
        "proxy",
        "relay",
        "released",
        "renewed",
        "renewing",
        "request_id",
        "route",
        "started",
    )

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ServerConnection,
        route: Route,
        request_id: str,
        method: bytes,
        host: str,
        port: int,
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.route = route
        self.request_id = request_id
        self.method = method
        self.host = host
        self.port = port
        self.started = proxy.sweep.now
        self.dialled = 0.0
        self.flipped: float | None = None
        self.relay: Relay | None = None
        self.renewed = False
        self.renewing: Deferred[typing.Any] | None = None
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

    @abc.abstractmethod
    def _try_again(self) -> None:
        """Ask the gateway once more, with the credentials of :attr:`route`."""

    @abc.abstractmethod
    def _give_up(self, error: DialError) -> None:
        """Answer with this error, and release."""

    def cut(self) -> None:
        """End it now, on both sides."""
        if self.relay is not None:
            self.relay.abort()
        elif not self.released:
            self.let_go()
            self.release("connection_terminated")
            self.client.abort()

    def renew(self, refusal: DialError) -> bool:
        """
        Look for other credentials than those that the gateway refused, once.

        :param refusal: what the client is told if there are none.
        :return: whether that is under way; then one of :meth:`_try_again` and :meth:`_give_up`
            follows, unless the flow is let go before.
        """
        if self.renewed or refusal.received_status != PROXY_AUTHENTICATION_REQUIRED:
            return False
        self.renewed = True
        renewing = self.proxy.policy.renew(self.route, self.host)
        if renewing is None:
            return False
        self.renewing = renewing
        renewing.addCallback(self._ask_again, refusal)
        renewing.addErrback(self._not_renewed, refusal)
        return True

    def renew_for_others(self) -> None:
        """Look for them although this request cannot be asked again: those behind it can."""
        renewing = self.proxy.policy.renew(self.route, self.host)
        if renewing is not None:
            renewing.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stop_renewing(self) -> None:
        """Nobody waits for it any more."""
        renewing, self.renewing = self.renewing, None
        if renewing is not None:
            renewing.cancel()

    def _ask_again(self, route: Route | None, refusal: DialError) -> None:
        self.renewing = None
        if route is None:
            self._give_up(refusal)
            return
        self.route = route
        self.proxy.counters.credentials_renewed += 1
        self._try_again()

    def _not_renewed(self, failure: Failure, refusal: DialError) -> None:
        """Looking for them has failed, or was cancelled: by us, if nobody waits any more."""
        if failure.check(CancelledError) is None:
            log.failure("Asking a gateway again failed.", failure)
        self.renewing = None
        if not self.released:
            self._give_up(refusal)

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The client broke the rules, or took too long, in the middle of its request."""
        client = self.client
        self.let_go()
        self.release("http_request_error")
        if client.exchange.may_respond:
            self.proxy.reject(client, violation, self.request_id)
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


def denied(gateway: ParentProxy, status: int) -> DialError:
    """What a gateway's refusal comes to."""
    return DialError(
        "http_request_denied",
        502,
        f"The gateway {gateway} answered {status}.",
        received_status=status,
    )
