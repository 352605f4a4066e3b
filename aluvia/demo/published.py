"""The site that the agent's demo publishes: a page that tells of itself, and a stream of events."""

from __future__ import annotations

import typing

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from aluvia.demo.backend import Page
from aluvia.demo.quiet_site import QuietSite

__all__ = ["EVENTS", "EVENT_SECONDS", "PublishedSite"]

#: How many there are before the stream ends, and how far apart; seconds.
EVENTS = 3
EVENT_SECONDS = 1.0


class PublishedSite(QuietSite):
    """
    ``/events``, and one page for every other path.

    :param clock: of the events.
    """

    def __init__(self, reactor: typing.Any, clock: IReactorTime) -> None:
        super().__init__(_Root(clock), reactor)


class _Root(Resource):
    """Finds them."""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._page = Page(b"site")
        self.putChild(b"events", _Events(clock))

    def getChild(self, path: bytes, request: Request) -> Resource:
        """The page, which is what there is for a path that has no other."""
        return self._page


class _Events(Resource):
    """An event, another one a second later, and so on."""

    isLeaf = True

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock

    def render_GET(self, request: Request) -> int:
        """Begin."""
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        _Stream(request, self._clock).send(1)
        return NOT_DONE_YET


class _Stream:
    """What one visitor is sent."""

    def __init__(self, request: Request, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock
        self._timer: IDelayedCall | None = None
        request.notifyFinish().addErrback(self._gone)

    def send(self, number: int) -> None:
        """Send one, and see to the next."""
        self._timer = None
        self._request.write(b"data: event %d of %d\n\n" % (number, EVENTS))
        if number == EVENTS:
            self._request.finish()
        else:
            self._timer = self._clock.callLater(EVENT_SECONDS, self.send, number + 1)

    def _gone(self, reason: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
