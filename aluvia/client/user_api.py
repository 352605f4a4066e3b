"""
The control plane's HTTP: one question, one answer, within bounds.

.. code-block:: text

    method   address                                       body of the question
    -------  --------------------------------------------  ------------------------------------
    GET      {base}/user, or                               –
             {base}/account/connections/ID
    PATCH    the same                                      one of {"rules": […]},
                                                           {"session_id": …}, {"target_geo": …}
    GET      what an answer's Link names with              –
             rel="monitor", and ?wait=25

What an answer means is not decided here (:mod:`aluvia.client.control` does that), only whether
there was one. Bounds: :data:`TIMEOUT` for the whole of an exchange, from the look-up of the name to
the last byte; :data:`BODY_BYTES`; no redirect is followed, since the token would go along; no
coding is accepted, since a short body may decode into a long one; cookies are forgotten.

Whoever cancels a question gets :class:`~twisted.internet.defer.CancelledError`: that the asker gave
up says nothing about the API, so it is no :class:`~aluvia.errors.ApiError`.
"""

from __future__ import annotations

import json
import typing
from urllib.parse import quote, urlsplit

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aluvia import __version__
from aluvia.client.answer_fields import entity_tag, monitor_address, retry_after
from aluvia.errors import ApiError
from aluvia.net.dial import Dialers
from aluvia.net.endpoint import WebEndpoints
from aluvia.net.errors import DialError
from aluvia.telemetry.redaction import Redactor

#: Seconds for a whole exchange.
TIMEOUT = 10.0

#: The longest body of an answer.
BODY_BYTES = 1_048_576

#: A head, a body and what chunks cost; beyond it the connection is aborted.
INPUT_BYTES = BODY_BYTES + BODY_BYTES // 2

#: What a monitor is asked to wait for at most; seconds.
MONITOR_WAIT = 25

#: Kept connections to the API, and how long an idle one is kept; seconds.
CONNECTIONS = 2
IDLE_SECONDS = 60

_USER_AGENT = f"aluvia/{__version__}".encode("ascii")


@attrs.frozen
class Answer:
    """
    What the API said.

    :ivar body: decoded from JSON; :data:`NO_JSON` where it is none.
    :ivar etag: verbatim.
    :ivar retry_after: seconds; None if it did not say.
    :ivar monitor: an address on the API's own origin that can be long-polled; None without one.
    """

    status: int
    body: object
    etag: str | None = None
    retry_after: float | None = None
    monitor: str | None = None


class _NoJSON:
    """The body of an answer that is no JSON."""

    def __repr__(self) -> str:
        return "NO_JSON"


NO_JSON: typing.Final = _NoJSON()


class UserAPI:
    """
    Asks one control plane about one user.

    :param reactor: the clock of the deadlines, and what Twisted's agent runs on.
    :param dialers: ``tcp`` and ``tls``, to reach it by.
    :param base_url: http or https, with a path; a ``/`` at its end means nothing.
    :param connection: ask ``account/connections/ID`` in place of ``user``.
    """

    def __init__(
        self,
        reactor: typing.Any,
        dialers: Dialers,
        base_url: str,
        token: str,
        connection: str | None = None,
    ) -> None:
        self._reactor = reactor
        path = "user" if connection is None else f"account/connections/{quote(connection, safe='')}"
        self.url = f"{base_url.rstrip('/')}/{path}"
        self._authorization = b"Bearer " + token.encode("utf-8")
        self._redact = Redactor([token])
        self._closed = False
        self._exchanges: set[Deferred[Answer]] = set()
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        self._agent = Identity(
            Agent.usingEndpointFactory(reactor, WebEndpoints(dialers, INPUT_BYTES), pool=self._pool)
        )

    async def get(self, etag: str | None = None) -> Answer:
        """
        Ask for the user's configuration.

        :param etag: of the last answer; a 304 says that nothing has changed since.
        :raises ApiError: with ``status_code=None``, if there was no whole answer in time.
        """
        return await self._ask("GET", self.url, etag, TIMEOUT)

    async def patch(self, fields: typing.Mapping[str, object]) -> Answer:
        """
        Change fields of it.

        :raises ApiError: with ``status_code=None``; then it is not known whether they are changed.
        """
        return await self._ask("PATCH", self.url, None, TIMEOUT, fields)

    async def monitor(self, url: str, etag: str | None) -> Answer:
        """
        Ask to be told when it changes: the answer comes then, or after :data:`MONITOR_WAIT`.

        :param url: what :attr:`Answer.monitor` named.
        :raises ApiError: with ``status_code=None``.
        """
        separator = "&" if urlsplit(url).query else "?"
        address = f"{url}{separator}wait={MONITOR_WAIT}"
        return await self._ask("GET", address, etag, MONITOR_WAIT + TIMEOUT)

    async def close(self) -> None:
        """Give up what is asked, ask no more, and close the connections that are kept."""
        self._closed = True
        for exchange in list(self._exchanges):
            exchange.cancel()
        # A connection whose answer is just being read joins those that are kept when it is read.
        await deferLater(self._reactor, 0)
        await self._pool.closeCachedConnections()

    async def _ask(
        self,
        method: str,
        url: str,
        etag: str | None,
        timeout: float,
        fields: typing.Mapping[str, object] | None = None,
    ) -> Answer:
        if self._closed:
            raise ApiError("The API is not asked any more: the client was stopped.")
        headers = Headers(
            {
                b"Authorization": [self._authorization],
                b"Accept": [b"application/json"],
                b"User-Agent": [_USER_AGENT],
            }
        )
        if etag is not None:
            headers.addRawHeader(b"If-None-Match", etag.encode("utf-8", "surrogateescape"))
        exchange: Deferred[Answer] = Deferred.fromCoroutine(
            self._exchange(method, url, headers, fields)
        )
        late = False

        def end() -> None:
            nonlocal late
            late = True
            exchange.cancel()

        timer = self._reactor.callLater(timeout, end)
        self._exchanges.add(exchange)
        try:
            return await exchange
        except ApiError:
            raise
        except Exception as error:
            # A cancellation does not say whose it is. That at the end of the client and that at the
            # end of the time are ours; any other is the asker's own.
            if self._closed:
                why = "the client was stopped."
            elif late:
                why = f"it did not answer within {timeout:g} seconds."
            elif _is_cancellation(error):
                raise CancelledError from None
            else:
                why = _cause(error)
            raise ApiError(f"The API cannot be reached: {why}") from None
        finally:
            self._exchanges.discard(exchange)
            if timer.active():
                timer.cancel()

    async def _exchange(
        self,
        method: str,
        url: str,
        headers: Headers,
        fields: typing.Mapping[str, object] | None,
    ) -> Answer:
        # A client of its own for each: it would keep cookies.
        client = HTTPClient(self._agent)
        sent: typing.Any = {} if fields is None else {"json": fields}
        response = await client.request(
            method, url, headers=headers, allow_redirects=False, unbuffered=True, **sent
        )
        body = _decoded(await _read(response))
        if not 200 <= response.code <= 299:
            # What an API says of an error is shown to people, and some quote what they were sent.
            body = without_secrets(body, self._redact)
        given = response.headers
        return Answer(
            response.code,
            body,
            entity_tag(_first(given, b"etag")),
            retry_after(_first(given, b"retry-after"), self._reactor.seconds()),
            monitor_address(given.getRawHeaders(b"link") or (), url),
        )


@implementer(IAgent)
class Identity:
    """An agent that asks for bodies as they are, and takes no others (RFC 9110 section 12.5.3)."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """Ask, without treq's own offer to decode."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(_uncoded)


def _uncoded(response: IResponse) -> IResponse:
    if response.headers.hasHeader(b"content-encoding"):
        response.headers.removeHeader(b"content-encoding")
        body = _Body(0, Deferred())
        response.deliverBody(body)
        body.give_up()
        raise ApiError(
            "The API sent a coded body, which was not asked for.", status_code=response.code
        )
    return response


async def _read(response: IResponse) -> bytes:
    reading: Deferred[bytes] = Deferred(lambda _: body.give_up())
    body = _Body(BODY_BYTES, reading)
    response.deliverBody(body)
    return await reading


class _Body(Protocol):
    """Takes a body up to a limit."""

    def __init__(self, limit: int, done: Deferred[bytes]) -> None:
        self._limit = limit
        self._done: Deferred[bytes] | None = done
        self._parts: list[bytes] = []
        self._length = 0

    def dataReceived(self, data: bytes) -> None:
        """Keep it, or give up."""
        self._length += len(data)
        if self._length <= self._limit:
            self._parts.append(data)
        elif self._done is not None:
            done = self._done
            self.give_up()
            done.errback(ApiError(f"The API sent more than {self._limit} bytes."))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The end of the body, or of the connection within it."""
        done, self._done = self._done, None
        if done is None:
            return
        if reason.check(ResponseDone) is not None:
            done.callback(b"".join(self._parts))
        else:
            done.errback(ApiError("The API cannot be reached: its answer was cut short."))

    def give_up(self) -> None:
        """Close the connection: what is still to come is not wanted."""
        self._done = None
        self._parts.clear()
        if self.transport is not None:
            # Nothing of ours is queued, so it closes at once.
            self.transport.loseConnection()


def _is_cancellation(error: BaseException) -> bool:
    """Whether somebody gave up; Twisted's client wraps that, if something was sent by then."""
    return isinstance(error, CancelledError) or any(map(_is_cancellation, _reasons(error)))


def _cause(error: BaseException) -> str:
    """One sentence about why there was no answer, without what was sent."""
    if isinstance(error, DialError):
        return error.detail
    reasons = _reasons(error)
    if reasons:
        return _cause(reasons[0])
    return f"its answer is no good HTTP, or was cut short ({type(error).__name__})."


def _reasons(error: BaseException) -> list[BaseException]:
    if isinstance(error, ResponseFailed | RequestTransmissionFailed | RequestGenerationFailed):
        return [failure.value for failure in error.reasons]
    return []


def _first(headers: Headers, name: bytes) -> bytes | None:
    values = headers.getRawHeaders(name)
    return values[0] if values else None


def _decoded(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return NO_JSON


def without_secrets(body: object, redact: typing.Callable[[str], str]) -> object:
    """A body decoded from JSON with every secret replaced; :data:`NO_JSON` if none is left."""
    if body is NO_JSON:
        return NO_JSON
    try:
        # Written by ourselves, since there are many ways to escape a character.
        return json.loads(redact(json.dumps(body)))
    except (ValueError, RecursionError):
        return NO_JSON
