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
there was one. The head settles that: a status counts, whatever is wrong with the body behind it
(:mod:`aluvia.client.answer_body`), since a refusal stays one that way. A success alone has to have
its body whole, or in time: without that it is no answer.

Bounds: :data:`TIMEOUT` for the whole of an exchange, from the look-up of the name to the last byte;
:data:`~aluvia.client.answer_body.BODY_BYTES`; no redirect is followed, since the token would go
along; cookies are forgotten.

Whoever cancels a question gets :class:`~twisted.internet.defer.CancelledError`: that the asker gave
up says nothing about the API, so it is no :class:`~aluvia.errors.ApiError`.
"""

from __future__ import annotations

import typing
from urllib.parse import quote, urlsplit

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.client import (
    Agent,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.http_headers import Headers

from aluvia import __version__
from aluvia.client.answer_body import (
    BODY_BYTES,
    NO_JSON,
    Identity,
    UnwantedBodyError,
    decoded,
    read_body,
    without_secrets,
)
from aluvia.client.answer_fields import entity_tag, monitor_address, retry_after
from aluvia.client.config import is_failure
from aluvia.errors import ApiError
from aluvia.net.bounded_body import BodyCutShortError
from aluvia.net.dial import Dialers
from aluvia.net.endpoint import WebEndpoints
from aluvia.net.errors import DialError
from aluvia.telemetry.redaction import Redactor

#: Seconds for a whole exchange.
TIMEOUT = 10.0

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

    :ivar body: decoded from JSON; :data:`~aluvia.client.answer_body.NO_JSON` where it is none, or
        was not read.
    :ivar etag: verbatim.
    :ivar retry_after: seconds; None if it did not say.
    :ivar monitor: an address on the API's own origin that can be long-polled; None without one.
    :ivar unread: why the body was not read, in one sentence; None if it was.
    """

    status: int
    body: object
    etag: str | None = None
    retry_after: float | None = None
    monitor: str | None = None
    unread: str | None = None

    @property
    def success(self) -> bool:
        """Whether its status says that what was asked for was done."""
        return is_success(self.status)


def is_success(status: int) -> bool:
    """Whether it is a 2xx (RFC 9110 section 15.3)."""
    return 200 <= status <= 299


@attrs.define
class _Deadline:
    """
    Of one exchange.

    :ivar passed: whether it has, which ended the exchange.
    """

    passed: bool = False


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
        self._agent = Agent.usingEndpointFactory(
            reactor, WebEndpoints(dialers, INPUT_BYTES), pool=self._pool
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
        deadline = _Deadline()
        exchange: Deferred[Answer] = Deferred.fromCoroutine(
            self._exchange(method, url, headers, fields, deadline)
        )

        def end() -> None:
            deadline.passed = True
            exchange.cancel()

        timer = self._reactor.callLater(timeout, end)
        self._exchanges.add(exchange)
        try:
            return await exchange
        except Exception as error:
            # A cancellation does not say whose it is. That at the end of the client and that at the
            # end of the time are ours; any other is the asker's own.
            if self._closed:
                why = "the client was stopped."
            elif deadline.passed:
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
        deadline: _Deadline,
    ) -> Answer:
        # An agent and a client of its own for each: one knows of one answer, one keeps cookies.
        agent = Identity(self._agent)
        client = HTTPClient(agent)
        sent: typing.Any = {} if fields is None else {"json": fields}
        response = await client.request(
            method, url, headers=headers, allow_redirects=False, unbuffered=True, **sent
        )
        body: object = NO_JSON
        unread = None
        try:
            body = decoded(await read_body(response, coded=agent.coded))
        except UnwantedBodyError as unwanted:
            unread = str(unwanted)
        except (BodyCutShortError, CancelledError) as error:
            given_up = isinstance(error, CancelledError) and not deadline.passed
            if given_up or is_success(response.code):
                raise
            unread = "Its body did not come to its end."
        if not is_success(response.code) or is_failure(body):
            # What an API says of an error is shown to people, and some quote what they were sent.
            body = without_secrets(body, self._redact)
        given = response.headers
        return Answer(
            response.code,
            body,
            entity_tag(_first(given, b"etag")),
            retry_after(_first(given, b"retry-after"), self._reactor.seconds()),
            monitor_address(given.getRawHeaders(b"link") or (), url),
            unread,
        )


def _is_cancellation(error: BaseException) -> bool:
    """Whether somebody gave up; Twisted's client wraps that, if something was sent by then."""
    return isinstance(error, CancelledError) or any(map(_is_cancellation, _reasons(error)))


def _cause(error: BaseException) -> str:
    """One sentence about why there was no answer, without what was sent."""
    if isinstance(error, DialError):
        return error.detail
    if isinstance(error, BodyCutShortError):
        return "its answer was cut short."
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
