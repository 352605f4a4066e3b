"""
A site that says by which way a request came: ``direct``, or ``gateway``.

It cannot see that in the request: the point of the gateway is not to be seen. But the demo's
gateway is in this process, so the ports of its connections are known (:class:`Line`).
"""

from __future__ import annotations

import typing

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Request

from aluvia.demo.quiet_site import QuietChannel, QuietSite
from aluvia.net.connecting import ClientWire, Connecting

DIRECT = b"direct"
GATEWAY = b"gateway"


class Line:
    """
    The gateway's way out, which remembers the ports that its connections to the site come from.

    :ivar site: the site's address and port. What goes elsewhere is not remembered, since nobody
        would say when its port is anybody's again.
    :ivar ports: of those that the site has not seen the end of.
    """

    def __init__(self) -> None:
        self.site: tuple[str, int] | None = None
        self.ports: set[int] = set()

    def connect(
        self,
        reactor: typing.Any,
        family: int,
        sockaddr: tuple[typing.Any, ...],
        connected: typing.Callable[[ClientWire], None],
        failed: typing.Callable[[OSError], None],
    ) -> Connecting:
        """See :class:`aluvia.net.dial.Connect`."""

        def remember(wire: ClientWire) -> None:
            if sockaddr[:2] == self.site:
                self.ports.add(wire.socket.getsockname()[1])
            connected(wire)

        return ClientWire.connect(reactor, family, sockaddr, remember, failed)


class _Channel(QuietChannel):
    """One connection."""

    site: DemoSite
    _port = 0

    def connectionMade(self) -> None:
        """See where it comes from."""
        super().connectionMade()
        self._port = typing.cast(typing.Any, self.transport).getPeer().port

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Its port may be anybody's now."""
        self.site.line.ports.discard(self._port)
        super().connectionLost(reason)


class DemoSite(QuietSite):
    """The site."""

    protocol: typing.Any = _Channel

    def __init__(self, line: Line, reactor: typing.Any) -> None:
        super().__init__(_Page(line), reactor)
        self.line = line


class _Page(Resource):
    """Every page."""

    isLeaf = True

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def render_GET(self, request: Request) -> bytes:
        """Say which way."""
        address = typing.cast(typing.Any, request.getClientAddress())
        way = GATEWAY if address.port in self._line.ports else DIRECT
        host = request.getRequestHostname()
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        return b"%b: %b was reached this way\n" % (way, host)
