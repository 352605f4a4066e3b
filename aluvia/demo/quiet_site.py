"""A site of ``twisted.web`` that is a part of a demo: on loopback, quiet, and gone when it ends."""

from __future__ import annotations

import typing

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Site

from aluvia.net.door import bind, listen_stock, port_of

__all__ = ["ADDRESS", "QuietChannel", "QuietSite"]

#: Where everything in a demo is, unless somebody asked for another place.
ADDRESS = "127.0.0.1"


class QuietChannel(HTTPChannel):
    """One connection, which its site knows of."""

    site: QuietSite

    def connectionMade(self) -> None:
        """It is open."""
        super().connectionMade()
        self.site.channels.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.site.channels.discard(self)
        super().connectionLost(reason)


class QuietSite(Site):
    """
    The site.

    :ivar channels: the connections that are open.
    """

    # twisted.web's type for this knows only its own choice between HTTP/1.1 and HTTP/2.
    protocol: typing.Any = QuietChannel
    noisy = False

    def __init__(self, root: IResource, reactor: typing.Any) -> None:
        super().__init__(root, reactor=reactor, parsePOSTFormSubmission=False)
        self.channels: set[QuietChannel] = set()
        self._reactor = reactor
        self._port: IListeningPort | None = None

    def listen(self) -> int:
        """
        Listen on a free port.

        :return: its number.
        :raises OSError: there is none.
        """
        bind("demo", 0, self._listen)
        assert self._port is not None
        return port_of(self._port)

    async def stop(self) -> None:
        """Take no more connections, and end those that are open."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        for channel in [*self.channels]:
            typing.cast(typing.Any, channel.transport).abortConnection()
        # They are lost in the next turn.
        await deferLater(self._reactor, 0)

    def _listen(self, port: int) -> None:
        self._port = listen_stock(self._reactor, ADDRESS, port, self)

    def startFactory(self) -> None:
        """No access log, and no timer for one."""

    def stopFactory(self) -> None:
        """There is nothing to be closed."""
