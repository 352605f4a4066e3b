"""
A site of ``twisted.web`` with bounds: how much a client may send, how long it may take, and how
many there may be. What they are is the site's own (:class:`Bounds`).

=============  ===================================================================================
a head         twisted.web answers a longer one with 400, and one of more than 500 fields
a body         refused by its length, before any of it is taken: 413; one that does not say its
               length: 411
a request      whole in time; whatever drips in meanwhile moves nothing
an idle time   closed when it is over
a connection   closed unanswered where there are as many as there may be
=============  ===================================================================================

A site is also given a :data:`Judge`, which sees a request before any resource does, a
:data:`Tell`, which writes its errors, and maybe another :data:`Judge`, which sees the head of a
request that has a body before any of it is taken: so that who may not ask cannot fill the memory.
"""

from __future__ import annotations

import io
import typing

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import IResource, getChildForRequest
from twisted.web.server import Request, Site

from aluvia.api.problems import Problem

__all__ = ["BoundedChannel", "BoundedRequest", "BoundedSite", "Bounds", "Judge", "Tell", "anybody"]

log = Logger()

#: Looks at a request. Raises :class:`~aluvia.api.problems.Problem` if no resource is to see it.
Judge: typing.TypeAlias = typing.Callable[[Request], None]

#: Answers a request with an error, and ends it.
Tell: typing.TypeAlias = typing.Callable[[Request, Problem], None]


def anybody(request: Request) -> None:
    """The judge of a site whose resources look for themselves who asks."""


@attrs.frozen
class Bounds:
    """
    What one site takes.

    :ivar connections: at once.
    :ivar head_bytes: of a request line and its fields together.
    :ivar body_bytes: of a body; it is held in memory.
    :ivar longer_bodies: the same for paths that have another bound, as they are sent.
    :ivar bodies_of_anybody: the same for paths whose bodies are taken before it is known who asks.
    :ivar request_seconds: in which a request is whole, from its first byte on.
    :ivar idle_seconds: from the connection, or the last answer, to the first byte of a request.
    """

    connections: int
    head_bytes: int
    body_bytes: int
    request_seconds: float
    idle_seconds: float
    longer_bodies: typing.Mapping[bytes, int] = attrs.field(factory=dict)
    bodies_of_anybody: typing.Mapping[bytes, int] = attrs.field(factory=dict)


class BoundedRequest(Request):
    """
    A request that is judged before it is routed.

    Its path is not decoded: the segments that resources are looked up by are those that were sent.
    """

    def gotLength(self, length: int | None) -> None:
        """
        The head is read. A body that is too long, or does not say how long it is, is refused
        before any of it is taken; what comes of it is not read any more.

        :param length: None for a chunked body.
        """
        super().gotLength(length)
        self.setHeader(b"Date", datetimeToString())
        channel = self._bounded_channel
        most = channel.most_of_a_body()
        if length is None:
            self._refuse_body(Problem(411, "length_required", "A body must say its length."))
        elif length > most:
            detail = f"A body has at most {most} bytes here."
            self._refuse_body(Problem(413, "body_too_long", detail))
        elif length and not channel.takes_of_anybody():
            try:
                channel.site.admit(self)
            except Problem as problem:
                self._refuse_body(problem)

    def process(self) -> None:
        """Judge, and hand over to the resource."""
        channel = self._bounded_channel
        channel.request_is_whole()
        site = channel.site
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        try:
            site.judge(self)
            getChildForRequest(site.resource, self).render(self)
        except Problem as problem:
            self._refuse(problem)
        except Exception:
            # A bug of ours: the log has it, the answer has not.
            log.failure("A request for {path} could not be answered", path=self.path)
            self._refuse(Problem(500, "internal_error", "It failed; the log says why."))

    @property
    def _bounded_channel(self) -> BoundedChannel:
        # twisted.web's type for it is that of any channel.
        return typing.cast(BoundedChannel, self.channel)

    def _refuse_body(self, problem: Problem) -> None:
        # Whoever waits to be asked for the body must not be asked behind the refusal.
        self.requestHeaders.removeHeader(b"expect")
        self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        self.channel.persistent = False
        self.clientproto = b"HTTP/1.1"
        self._refuse(problem)

    def _refuse(self, problem: Problem) -> None:
        channel = self._bounded_channel
        if self.startedWriting:
            # The half of an answer is not to be waited for, nor taken for a whole one.
            channel.abortConnection()
        else:
            channel.site.tell(self, problem)


class BoundedChannel(HTTPChannel):
    """
    One connection: counted by its site, and held to its times.

    .. code-block:: text

        it is       until                          or, when its time is over
        ----------  -----------------------------  ---------------------------------------
        idle        the first byte of a request    it is closed, and if it does not go, cut
        receiving   the request is whole           it is cut
        answering   the answer is written          it has no time of its own: resources do
    """

    site: BoundedSite
    _idle = False
    _timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Its first request may come."""
        super().connectionMade()
        self.totalHeadersSize = self.MAX_LENGTH = self.site.bounds.head_bytes
        self.site.channels[self] = None
        self._expect_request()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        super().connectionLost(reason)
        self._stop_timer()
        self.site.channels.pop(self, None)

    @property
    def silent(self) -> bool:
        """Whether it is between two requests, or before the first."""
        return self._idle

    def most_of_a_body(self) -> int:
        """How many bytes the body may have of the request whose head is read."""
        bounds, path = self.site.bounds, self._path_alone
        more = bounds.longer_bodies.get(path, bounds.body_bytes)
        return bounds.bodies_of_anybody.get(path, more)

    def takes_of_anybody(self) -> bool:
        """Whether that body is taken before it is known who asks."""
        return self._path_alone in self.site.bounds.bodies_of_anybody

    @property
    def _path_alone(self) -> bytes:
        path: bytes = self._path
        return path.partition(b"?")[0]

    def dataReceived(self, data: bytes) -> None:
        """Bytes of the client; also those that waited behind an answer."""
        if self._idle:
            self._idle = False
            self._start_timer(self.site.bounds.request_seconds, self.abortConnection)
        super().dataReceived(data)

    def request_is_whole(self) -> None:
        """The client has done its part."""
        self._stop_timer()

    def requestDone(self, request: typing.Any) -> None:  # noqa: N802
        """The answer is written; the next request may come."""
        # Also while it closes: a client may neither read nor leave.
        self._expect_request()
        super().requestDone(request)

    def abortConnection(self) -> None:
        """Close without waiting for anything."""
        transport: typing.Any = self.transport
        transport.abortConnection()

    def _expect_request(self) -> None:
        self._idle = True
        self._start_timer(self.site.bounds.idle_seconds, self._close)

    def _close(self) -> None:
        self._start_timer(self.site.bounds.request_seconds, self.abortConnection)
        self.loseConnection()

    def _start_timer(self, seconds: float, then: typing.Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.callLater(seconds, then)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class BoundedSite(Site):
    """
    The site.

    :param root: where resources are looked up; they answer by themselves, and raise
        :class:`~aluvia.api.problems.Problem` or whatever is a bug.
    :param clock: for the times of connections.
    :param judge: sees each request that is whole.
    :param admit: sees the head of one with a body; it knows neither method nor path.
    :ivar channels: the connections that are open.
    """

    # twisted.web's type for this knows only its own choice between HTTP/1.1 and HTTP/2.
    protocol: typing.Any = BoundedChannel
    noisy = False

    def __init__(
        self,
        root: IResource,
        clock: IReactorTime,
        bounds: Bounds,
        judge: Judge,
        tell: Tell,
        admit: Judge = anybody,
    ) -> None:
        super().__init__(
            root, BoundedRequest, timeout=None, reactor=clock, parsePOSTFormSubmission=False
        )
        self.bounds = bounds
        self.judge = judge
        self.tell = tell
        self.admit = admit
        # In the order in which they came.
        self.channels: dict[BoundedChannel, None] = {}

    def startFactory(self) -> None:
        """No access log: scrapes would drown what matters. Nor the timer that serves it."""

    def stopFactory(self) -> None:
        """There is nothing to be closed."""

    def getContentFile(self, length: int | None) -> typing.IO[bytes]:  # noqa: N802
        """Where a body is put: no file, since it is bounded, or refused and not put anywhere."""
        return io.BytesIO()

    def buildProtocol(self, addr: typing.Any) -> typing.Any:
        """
        A connection. Beyond the cap in the place of the oldest one that says nothing; None if there
        is none: the listener then closes it.
        """
        if len(self.channels) >= self.bounds.connections:
            # Who says nothing gives way to who may.
            silent = next((each for each in self.channels if each.silent), None)
            if silent is None:
                return None
            silent.abortConnection()
            # It is gone in the next turn only, and more may come in this one.
            del self.channels[silent]
        return super().buildProtocol(addr)

    def close(self) -> None:
        """End every connection."""
        for channel in list(self.channels):
            channel.abortConnection()
