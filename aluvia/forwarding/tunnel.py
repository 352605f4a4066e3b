"""
A CONNECT: dial, answer 200, and leave HTTP.

.. code-block:: text

    state      leaves on
    ---------  -----------------------------------------------------------------
    DIALLING   dialled -> 200, RELAYING;  failed -> an answer with its cause;
               407 from the gateway -> RENEWING, once;
               the client gone -> the dial is cancelled
    RENEWING   there are other credentials -> DIALLING;  there are none -> an answer;
               the client gone -> released
    RELAYING   both directions ended, a reset, or the idle timeout -> released

What the client sends while we dial waits in the codec, at most ``Limits.pipelined_bytes``; its FIN
waits too and is passed on after the 200.
"""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.forwarding.route import Route
from aluvia.forwarding.routed import SLOTS, RoutedFlow
from aluvia.forwarding.upstream import OURS
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field
from aluvia.wire.target import Authority

if typing.TYPE_CHECKING:
    from aluvia.forwarding.proxy import ForwardProxy


@implementer(IProtocol)
class Tunnel(RoutedFlow):
    """
    One tunnel. It is the responder of its CONNECT, and the protocol that the dialer connects;
    the relay replaces it there at once.
    """

    __slots__ = (*SLOTS, "dialing", "downstream", "factory", "transport", "wishes")

    def __init__(
        self,
        proxy: ForwardProxy,
        client: ServerConnection,
        head: RequestHead,
        route: Route,
        request_id: str,
        authority: Authority,
    ) -> None:
        assert authority.port is not None
        super().__init__(proxy, client, request_id, b"CONNECT")
        self._take_route(route, authority.host, authority.port)
        self.wishes: list[Field] = []
        if route.gateway is not None:
            # Only a gateway is told of it; else an answer of ours makes one when it is needed.
            self.request_id = request_id or proxy.next_request_id()
            gone = proxy.policy.gone_through
            self.wishes = [
                field
                for field in head.fields
                if (name := field[0].lower()) in OURS and name not in gone
            ]
        self.dialing: Dialing | None = None
        self.transport: typing.Any = None
        self.downstream: typing.Any = None
        self.factory: typing.Any = None

    def start(self) -> None:
        """Dial."""
        self.dialled = self.proxy.clock()
        dialing = self.proxy.upstreams.dial_tunnel(
            self.route, self.host, self.port, self, self._failed, self.request_id, self.wishes
        )
        # Either end of it may have come already.
        if self.relay is None and not self.released:
            self.dialing = dialing

    # The protocol that is dialled.

    def makeConnection(self, transport: typing.Any) -> None:
        """The way is open."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """Answer 200, and join the two."""
        self.dialing = None
        self.proxy.connected(self)
        client = self.client
        self.downstream = client.transport
        client.write(client.respond(200, b"Connection established", self.route.told, 0))
        self.open_relay(self.transport, self.proxy.idle_timeout, client.leave())

    def dataReceived(self, data: bytes) -> None:
        """Bytes that came right behind a parent's 2xx, in the same read."""
        self._bytes_down += len(data)
        self.downstream.write(data)

    def connectionLost(self, reason: Failure) -> None:
        """Told to the relay, which stands in our place."""

    def _failed(self, error: DialError) -> None:
        self.dialing = None
        if not self.renew(error):
            self._give_up(error)

    def _try_again(self) -> None:
        self.start()

    def _give_up(self, error: DialError) -> None:
        self.release(error.error)
        self.proxy.refuse(self.client, error, self.request_id)

    # The responder.

    def request_data(self, data: bytes) -> None:
        """A CONNECT has no body: what comes early is held by the codec."""

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """A CONNECT has no body."""

    def request_end(self) -> None:
        """A CONNECT has no body."""

    def client_ended(self) -> None:
        """Kept by the connection, and passed on by the relay."""

    def client_lost(self) -> None:
        """Nobody waits for this tunnel any more."""
        self.let_go()
        self.release("client_gone")

    def let_go(self) -> None:
        """Cancel the dial."""
        self.stop_renewing()
        dialing, self.dialing = self.dialing, None
        if dialing is not None:
            dialing.cancel()

    def pause_response(self) -> None:
        """Nothing is sent before the relay."""

    def resume_response(self) -> None:
        """Nothing is sent before the relay."""

    def timed_out(self) -> None:
        """The dialer has a deadline of its own, and it is shorter or the user's wish."""
