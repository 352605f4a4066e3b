"""
A site for an API: how much a client may send, how long it may take, and how many there may be.

============================================  ====================================================
a head                                        16 KiB, and 500 fields (twisted.web's own bounds)
a body (:data:`BODY_BYTES`)                   refused by its length, before any of it is taken: 413;
                                              one that does not say its length: 411
a request (:data:`REQUEST_SECONDS`)           whole, that long after the connection or the last
                                              answer; whatever drips in meanwhile moves nothing
connections (:data:`CONNECTIONS`)             one more is closed unanswered
============================================  ====================================================

A path has no percent-encoding and no empty segment in it, and a request names one host; what is
otherwise is answered here, since what routes requests would stumble over it.
"""

from __future__ import annotations

import typing
from http import HTTPStatus

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from aluvia.api import problems
from aluvia.api.problems import Problem
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import parse_authority

__all__ = ["BoundedChannel", "BoundedRequest", "BoundedSite", "prepare", "send_problem"]

log = Logger()

#: Half of what a client of the API takes, which JSON may make twice as long.
BODY_BYTES = 524_288

CONNECTIONS = 2048

REQUEST_SECONDS = 30.0

_ALWAYS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)


def prepare(request: Request, status: int, content_type: bytes | None = None) -> None:
    """Set what every answer has."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    for name, value in _ALWAYS:
        request.setHeader(name, value)
    if content_type is None:
        request.responseHeaders.removeHeader(b"content-type")
    else:
        request.setHeader(b"Content-Type", content_type)


def send_problem(request: Request, problem: Problem) -> bytes:
    """
    Make the head of an answer that is an error.

    :return: its body.
    """
    body = problem.body()
    prepare(request, problem.status, problems.CONTENT_TYPE)
    for name, value in problem.fields:
        request.setHeader(name, value)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


class BoundedRequest(Request):
    """A request that is judged before it is routed."""

    def gotLength(self, length: int | None) -> None:
        """
        The head is read. A body that is too long, or does not say how long it is, is refused
        before any of it is taken; what comes of it is not read any more.

        :param length: None for a chunked body.
        """
        super().gotLength(length)
        if length is None:
            self._refuse_body(Problem(411, "length_required", "A body must say its length."))
        elif length > BODY_BYTES:
            detail = f"A body has at most {BODY_BYTES} bytes here."
            self._refuse_body(Problem(413, "body_too_long", detail))

    def process(self) -> None:
        """Judge, and hand over to the resource."""
        channel: typing.Any = self.channel
        channel.request_is_whole()
        self.setHeader(b"Date", datetimeToString())
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        try:
            _judge(self)
            channel.site.resource.render(self)
        except Problem as problem:
            self._answer(problem)
        except Exception:
            # A bug of ours: the log has it, the answer has not.
            log.failure("The API could not answer {path}", path=self.path)
            if not self.startedWriting:
                self._answer(Problem(500, "internal_error", "It failed; the log says why."))

    def _answer(self, problem: Problem) -> None:
        body = send_problem(self, problem)
        self.write(b"" if self.method == b"HEAD" else body)
        self.finish()

    def _refuse_body(self, problem: Problem) -> None:
        # Whoever waits to be asked for the body must not be asked behind the refusal.
        self.requestHeaders.removeHeader(b"expect")
        self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        self.channel.persistent = False
        self.clientproto = b"HTTP/1.1"
        self._answer(problem)


def _judge(request: Request) -> None:
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    try:
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            raise Problem(400, "bad_host", "A request names one host.")
        for host in hosts:
            parse_authority(host)
    except ProtocolViolation as violation:
        raise Problem(400, "bad_host", violation.reason) from None
    path = request.path
    if not path.startswith(b"/") or b"//" in path or b"%" in path or not path.isascii():
        raise Problem(404, "not_found", "There is nothing here.")


class BoundedChannel(HTTPChannel):
    """One connection: counted by its site, and held to its time."""

    site: BoundedSite
    _late: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Its first request may come."""
        super().connectionMade()
        self.site.channels.add(self)
        self._expect_request()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        self.request_is_whole()
        super().connectionLost(reason)
        self.site.channels.discard(self)

    def request_is_whole(self) -> None:
        """The client has done its part."""
        late, self._late = self._late, None
        if late is not None and late.active():
            late.cancel()

    def requestDone(self, request: typing.Any) -> None:  # noqa: N802
        """The answer is written; the next request may come."""
        if self.site.draining:
            self.persistent = False
        self.request_is_whole()
        self._expect_request()
        super().requestDone(request)

    def abortConnection(self) -> None:
        """Close without waiting for anything."""
        transport: typing.Any = self.transport
        transport.abortConnection()

    def _expect_request(self) -> None:
        # Also while it closes: a client may neither read nor leave.
        self._late = self.callLater(REQUEST_SECONDS, self.abortConnection)


class BoundedSite(Site):
    """
    The site.

    :param root: what answers, for every path.
    :ivar channels: the connections that are open.
    :ivar draining: whether each connection ends with its next answer.
    """

    # twisted.web's type for this knows only its own choice between HTTP/1.1 and HTTP/2.
    protocol: typing.Any = BoundedChannel
    noisy = False

    def __init__(self, root: IResource, clock: IReactorTime) -> None:
        super().__init__(
            root, BoundedRequest, timeout=None, reactor=clock, parsePOSTFormSubmission=False
        )
        self.channels: set[BoundedChannel] = set()
        self.draining = False

    def startFactory(self) -> None:
        """No access log, nor the timer that serves it."""

    def stopFactory(self) -> None:
        """There is nothing to be closed."""

    def buildProtocol(self, addr: typing.Any) -> typing.Any:
        """A connection, or None beyond the cap: the listener then closes it."""
        if len(self.channels) >= CONNECTIONS:
            return None
        return super().buildProtocol(addr)

    def drain(self) -> None:
        """Close what is idle, and the others behind their answers."""
        self.draining = True
        for channel in list(self.channels):
            if not channel.requests:
                channel.loseConnection()

    def close(self) -> None:
        """End every connection."""
        for channel in list(self.channels):
            channel.abortConnection()
