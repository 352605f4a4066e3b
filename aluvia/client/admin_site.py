"""
A small web site for this machine alone: who may ask, how much, and for how long.

It listens on loopback, which keeps other machines out and not the web pages in a local browser: a
page can send requests to any port, and by DNS rebinding it can make its own name stand for our
address and read the answers. So

* only ``Host: 127.0.0.1`` or ``localhost``, with any port or none, is answered; otherwise 421. A
  rebound page sends its own name. (The port may differ from ours: it may be forwarded.)
* an ``Origin`` that is not that Host is refused (403), and no CORS field is ever sent;
* ``Cross-Origin-Resource-Policy`` keeps answers out of other sites' pages, ``nosniff`` keeps them
  from being taken for scripts, ``no-store`` keeps them out of caches;
* no script runs in an answer, whatever text has got into it: ``Content-Security-Policy`` allows
  style sheets and images of our own and nothing else.

Everything is bounded: heads (twisted.web's own 16 KiB), bodies (:data:`BODY_BYTES`), connections
(:data:`CONNECTIONS`), the time without a byte (:data:`IDLE_SECONDS`) and, since a byte now and
then would renew that for ever, the time a connection may live (:data:`LIFE_SECONDS`).
"""

from __future__ import annotations

import abc
import json
import re
import typing
from http import HTTPStatus

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, datetimeToString
from twisted.web.resource import Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request, Site

log = Logger()

#: The most that the body of a request may have. Nothing here takes one yet; it is read and dropped.
BODY_BYTES = 4_096

#: Connections at once. One more is closed unanswered.
CONNECTIONS = 64

IDLE_SECONDS = 30.0

#: Longer than any scrape interval, so that a scraper's connection is used many times.
LIFE_SECONDS = 600.0

#: What is read of an Accept field.
ACCEPT_ELEMENTS = 32

_TEXT, _HTML, _JSON = "text/plain", "text/html", "application/json"

_LOCAL_HOST = re.compile(rb"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)

_ALWAYS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"Vary", b"Accept"),
)


@attrs.frozen
class Answer:
    """
    What a page says.

    :ivar data: for programs, as JSON.
    :ivar text: for people; ends with a line end.
    :ivar html: for their browsers; None where the text is good enough for them.
    :ivar body: in place of all these, with its content type, where a format is none of them.
    """

    status: int
    data: object = None
    text: str = ""
    html: bytes | None = None
    body: tuple[bytes, str] | None = None


def refusal(status: int, reason: str) -> Answer:
    """An answer that is an error, with one sentence."""
    return Answer(status, {"error": reason}, f"{reason}\n")


class Page(Resource, abc.ABC):
    """
    A page that is read: GET and HEAD. A subclass says what is on it.
    """

    isLeaf = True

    @abc.abstractmethod
    def answer(self, request: Request) -> Answer:
        """What is on the page now."""

    def render(self, request: Request) -> int:
        """Answer, or say which methods there are."""
        if request.postpath:
            # A leaf is given whatever stands behind its name, too.
            answer = _MISSING
        elif request.method in (b"GET", b"HEAD"):
            answer = self.answer(request)
        else:
            request.setHeader(b"Allow", b"GET, HEAD")
            answer = refusal(405, "This page is only read: GET or HEAD.")
        send(request, answer)
        return NOT_DONE_YET


class Missing(Resource):
    """What is where nothing is."""

    isLeaf = True

    def render(self, request: Request) -> int:
        """Say so, whatever the method."""
        send(request, _MISSING)
        return NOT_DONE_YET


_MISSING = refusal(404, "There is no such page.")


class Pages(Resource):
    """
    A root: pages by their path's only segment, which is empty for ``/``.
    """

    def __init__(self, pages: typing.Mapping[str, Page]) -> None:
        super().__init__()
        for name, page in pages.items():
            self.putChild(name.encode("ascii"), page)

    def getChild(self, path: bytes, request: Request) -> Resource:
        """Whatever has no page of its own."""
        return Missing()


class LocalRequest(Request):
    """
    A request that is judged before any page sees it.
    """

    def gotLength(self, length: int | None) -> None:
        """
        The head is read. A body whose length is not said, or is too long, is refused before any
        of it is taken; what comes of it is not read any more.

        :param length: None for a chunked body.
        """
        super().gotLength(length)
        if length is not None and length <= BODY_BYTES:
            return
        # Whoever waits to be asked for the body must not be asked behind the refusal.
        self.requestHeaders.removeHeader(b"expect")
        self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        self.channel.persistent = False
        self.clientproto = b"HTTP/1.1"
        if length is None:
            send(self, refusal(411, "A body must say its length."))
        else:
            send(self, refusal(413, f"A body has at most {BODY_BYTES} bytes here."))

    def process(self) -> None:
        """Judge, and hand over to the page."""
        channel: typing.Any = self.channel
        self.setHeader(b"Date", datetimeToString())
        self.prepath = []
        self.postpath = self.path[1:].split(b"/")
        try:
            refused = _refused(self)
            if refused is not None:
                send(self, refused)
            elif not self.path.startswith(b"/"):
                # "*", an authority, or a URL: its first byte is not the slash that it stands for.
                send(self, _MISSING)
            else:
                getChildForRequest(channel.site.resource, self).render(self)
        except Exception:
            # A bug of ours: the log has it, the answer has not.
            log.failure("The admin port could not answer {path}", path=self.path)
            if not self.startedWriting:
                send(self, refusal(500, "This page could not be made; the log says why."))


def _refused(request: Request) -> Answer | None:
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    if len(hosts) != 1 or _LOCAL_HOST.fullmatch(hosts[0]) is None:
        return refusal(
            421, "This is the admin port of aluvia; it answers to 127.0.0.1 and localhost."
        )
    for origin in request.requestHeaders.getRawHeaders(b"origin", []):
        if origin.lower() != b"http://" + hosts[0].lower():
            return refusal(403, "Pages of other sites are not answered.")
    return None


def send(request: Request, answer: Answer) -> None:
    """Send an answer in the form that was asked for, and end the request."""
    body, content_type = answer.body or _form(answer, request.getHeader(b"accept"))
    request.setResponseCode(answer.status, HTTPStatus(answer.status).phrase.encode("ascii"))
    for name, value in _ALWAYS:
        request.setHeader(name, value)
    request.setHeader(b"Content-Type", content_type.encode("ascii"))
    request.setHeader(b"Content-Length", b"%d" % len(body))
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()


def _form(answer: Answer, accept: bytes | None) -> tuple[bytes, str]:
    offered = [_TEXT, _JSON] if answer.html is None else [_TEXT, _HTML, _JSON]
    kind = liked_best(accept, offered)
    if kind == _JSON:
        return json.dumps(answer.data).encode("ascii") + b"\n", _JSON
    if kind == _HTML and answer.html is not None:
        return answer.html, f"{_HTML}; charset=utf-8"
    return answer.text.encode("utf-8"), f"{_TEXT}; charset=utf-8"


def liked_best(accept: bytes | None, offered: typing.Sequence[str]) -> str:
    """
    Which of these media types is liked best (RFC 9110 section 12.5.1); of those that are liked the
    same, as curl does, the first.
    """
    liking = dict.fromkeys(offered, 0.0)
    exact = dict.fromkeys(offered, -1)
    for element in (accept or b"").decode("latin-1").lower().split(",")[:ACCEPT_ELEMENTS]:
        kind, *parameters = (part.strip() for part in element.split(";"))
        quality = 1.0
        for parameter in parameters:
            if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", parameter):
                quality = float(parameter[2:])
        for name in offered:
            ranges = ("*/*", f"{name.split('/')[0]}/*", name)
            if kind in ranges and ranges.index(kind) > exact[name]:
                exact[name] = ranges.index(kind)
                liking[name] = quality
    return max(offered, key=lambda name: liking[name])


class LocalChannel(HTTPChannel):
    """
    One connection: counted by its site, and not for ever.
    """

    site: LocalSite
    _end: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Begin the life of the connection."""
        super().connectionMade()
        self.site.channels.add(self)
        self._end = self.callLater(LIFE_SECONDS, self.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is over."""
        super().connectionLost(reason)
        self.site.channels.discard(self)
        if self._end is not None and self._end.active():
            self._end.cancel()

    def timeoutConnection(self) -> None:
        """Idle: close. That is nothing to log, and :data:`LIFE_SECONDS` ends who will not go."""
        self.loseConnection()

    def abortConnection(self) -> None:
        """Close without waiting for anything."""
        transport: typing.Any = self.transport
        transport.abortConnection()


class LocalSite(Site):
    """
    The site.

    :param root: its pages.
    :param clock: for the times of connections.
    :ivar channels: the connections that are open.
    """

    # twisted.web's type for this knows only its own choice between HTTP/1.1 and HTTP/2.
    protocol: typing.Any = LocalChannel
    noisy = False

    def __init__(self, root: Resource, clock: IReactorTime) -> None:
        super().__init__(
            root, LocalRequest, timeout=IDLE_SECONDS, reactor=clock, parsePOSTFormSubmission=False
        )
        self.channels: set[LocalChannel] = set()

    def startFactory(self) -> None:
        """No access log: scrapes would drown what matters. Nor the timer that serves it."""

    def stopFactory(self) -> None:
        """There is nothing to be closed."""

    def buildProtocol(self, addr: typing.Any) -> typing.Any:
        """A connection, or None beyond the cap: the listener then closes it."""
        if len(self.channels) >= CONNECTIONS:
            return None
        return super().buildProtocol(addr)

    def close(self) -> None:
        """End every connection, for a client that stops."""
        for channel in list(self.channels):
            channel.abortConnection()
