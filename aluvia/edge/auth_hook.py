"""
A URL that is asked about each request.

It is asked with GET, whatever the client's method is, and shown the client's fields, but those that
are about the request's body, its preconditions and its range: they are about what the client asks
for, and would make the hook answer something else than a plain yes or no. (Fields that are named
in ``requestHeaders`` are shown whatever they are about.) Its own Host is asked for. Besides it gets

.. code-block:: text

    X-Forwarded-Method   the client's
    X-Forwarded-Uri      path and query, as they came
    X-Forwarded-Host     the host, canonical, with the port that the client named
    X-Forwarded-Proto    http or https
    X-Forwarded-For      the client's address, and no other

and nothing that a client may have said by one of these names, or by one like them.

.. code-block:: text

    its answer                                  the request
    ------------------------------------------  ---------------------------------------------------
    2xx                                         goes on, with the fields of ``copyHeaders``
    300–999, redirects among them               is answered with it: status, fields, body
    none in time, the wait for its turn among   is denied: 504
    that
    none: no connection, no HTTP, half of it    is denied: 503
    a body over 64 KiB                          is denied: 503
    too many are asked already, or of one       is denied: 503, with Retry-After
    address a quarter of that

A 2xx counts once its body has come to its end, too. What is asked goes over Twisted's Agent, as all
of treq does; what treq adds to it (redirects, cookies, decoding) would all be wrong here.
"""

from __future__ import annotations

import re
import typing
import weakref

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    HTTPConnectionPool,
)
from twisted.web.http_headers import Headers

from aluvia.edge.auth_fields import names_of_ours
from aluvia.edge.hook_answers import BODY_BYTES, NO_ANSWER, cause_of, read_answer
from aluvia.edge.model import HookProvider
from aluvia.edge.questions import CLOSED, SHARE, Questions, TooLateError
from aluvia.edge.verdicts import RETRY_SOON, Asked, Denied, Verdict, denied
from aluvia.net.addresses import client_place
from aluvia.net.dial import Dialers
from aluvia.net.endpoint import WebEndpoints
from aluvia.net.errors import DialError
from aluvia.telemetry.told_once import ToldOnce
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.headers import FORWARDING, FieldNames, without_hop_by_hop
from aluvia.wire.target import Authority, InvalidHost, canonical_host, parse_authority

__all__ = ["HookAuthenticator"]

_log = Logger()

#: What may come in for one question: a body, what chunks cost, and a head. Over it the connection
#: is aborted.
INPUT_BYTES = 4 * BODY_BYTES

#: Questions at once, and such as wait for their turn.
MOST_ASKED = 64
MOST_WAITING = 256

#: Kept connections, and how long an idle one is kept; seconds.
CONNECTIONS = 16
IDLE_SECONDS = 60

# Said by us, or about the way of the client's request. A question is a request of our own, and may
# well be answered by way of an edge that the client's came by.
_NEVER_SHOWN = FORWARDING | FieldNames(frozenset([b"cdn-loop", b"host", b"expect", b"trailer"]))
# About what the client asks for.
_OF_THE_REQUEST = FieldNames(frozenset([b"range"]), (b"content-", b"if-"))

_visible = re.compile(rb"[!-~]+").fullmatch


class HookAuthenticator:
    """
    Asks a URL.

    :param reactor: the clock of the timeout, and what Twisted's Agent runs on.
    :param dialers: ``tcp`` and ``tls``, to reach it by.
    :raises ValueError: the URL is none that can be asked, or a name of a field is none.
    :ivar removed: the fields that the backend gets from the hook alone.
    """

    def __init__(
        self, provider: HookProvider, reactor: typing.Any, dialers: Dialers, *, log: Logger = _log
    ) -> None:
        self.removed = names_of_ours(provider.copy_headers)
        self._provider = provider
        self._url = _judged_url(provider.url)
        self._shown = frozenset(name.lower().encode("ascii") for name in provider.request_headers)
        self._reactor = reactor
        self._turns = DeferredSemaphore(MOST_ASKED)
        # By client, of those who are there.
        self._shares: weakref.WeakValueDictionary[bytes, DeferredSemaphore] = (
            weakref.WeakValueDictionary()
        )
        most = MOST_ASKED + MOST_WAITING
        self._questions = Questions(reactor, provider.timeout, most, self._failed, log=log)
        self._told = ToldOnce(reactor)
        self._log = log
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONNECTIONS
        self._pool.cachedConnectionTimeout = IDLE_SECONDS
        self._agent = Agent.usingEndpointFactory(
            reactor, WebEndpoints(dialers, INPUT_BYTES), pool=self._pool
        )

    def ask(self, asked: Asked) -> Verdict | Deferred[Verdict]:
        """Ask the hook."""
        if self._questions.closed:
            return CLOSED
        if not self._questions.has_room_for(asked.client_address):
            return self._too_many()
        exchange = Deferred.fromCoroutine(
            self._exchange(self._headers(asked), self._share_of(asked.client_address))
        )
        return self._questions.wait(exchange, asked.client_address)

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """Ask no more, and close every connection."""
        return Deferred.fromCoroutine(self._stop(finish))

    async def _stop(self, finish: bool) -> None:
        await self._questions.stop(finish=finish)
        # A connection whose answer is just being read joins those that are kept when it is read.
        await deferLater(self._reactor, 0)
        await self._pool.closeCachedConnections()

    def _headers(self, asked: Asked) -> Headers:
        head = asked.head
        headers = Headers()
        for name, value in without_hop_by_hop(head.fields, head.connection):
            lowered = name.lower()
            shown = lowered in self._shown if self._shown else lowered not in _OF_THE_REQUEST
            if shown and lowered not in _NEVER_SHOWN:
                headers.addRawHeader(name, value)
        for name, value in (
            (b"X-Forwarded-Method", head.method),
            (b"X-Forwarded-Uri", asked.target),
            (b"X-Forwarded-Host", _host(asked)),
            (b"X-Forwarded-Proto", asked.scheme.encode("ascii")),
            (b"X-Forwarded-For", asked.client_address.encode("ascii")),
        ):
            headers.setRawHeaders(name, [value])
        return headers

    def _share_of(self, address: str) -> DeferredSemaphore:
        """What one client may have of the turns."""
        place = client_place(address)
        share = self._shares.get(place)
        if share is None:
            share = self._shares[place] = DeferredSemaphore(max(1, int(MOST_ASKED * SHARE)))
        return share

    async def _exchange(self, headers: Headers, share: DeferredSemaphore) -> Verdict:
        # Its share first: who waits for that is in nobody else's way.
        async with share, self._turns:
            response = await self._agent.request(b"GET", self._url, headers)
            return await read_answer(response, self._provider.copy_headers)

    def _too_many(self) -> Denied:
        if self._told.is_new("too many"):
            self._log.warn(
                "The hook of the provider {provider} is asked too much, in all or for one address:"
                " {waiting} requests wait",
                provider=self._provider.id,
                waiting=len(self._questions),
            )
        cause = "connection_limit_reached"
        return denied(503, cause, "Too many requests are being authenticated.", RETRY_SOON)

    def _failed(self, failure: Failure) -> Verdict:
        error = failure.value
        status = 503
        if isinstance(error, TooLateError):
            status, cause, why = 504, "http_response_timeout", "it did not answer in time."
        elif isinstance(error, NO_ANSWER):
            cause, why = cause_of(error)
            if isinstance(error, DialError) and error.status == 504:
                status = 504
        else:
            return self._failed_of_ours(failure)
        if self._told.is_new(cause):
            self._log.warn(
                "The hook of the provider {provider} lets nobody through: {why}",
                provider=self._provider.id,
                why=why,
            )
        return denied(status, cause, "The authentication service has not answered as it should.")

    def _failed_of_ours(self, failure: Failure) -> Verdict:
        if self._told.is_new(str(failure.type)):
            self._log.failure(
                "Asking the hook of the provider {provider} failed",
                failure=failure,
                provider=self._provider.id,
            )
        return denied(500, "proxy_internal_error", "The request could not be authenticated.")


def _judged_url(url: str) -> bytes:
    """:raises ValueError: it is none that can be asked. The text does not quote it."""
    wrong = ValueError("The URL of the hook is no http or https URL without user information.")
    try:
        raw = url.encode("ascii")
        uri = URI.fromBytes(raw)
        canonical_host(uri.host.decode("ascii").strip("[]"))
    except (ValueError, InvalidHost):
        raise wrong from None
    web = uri.scheme in (b"http", b"https") and 0 < uri.port < 65536
    if not web or b"@" in uri.netloc or not _visible(raw):
        raise wrong
    return raw


def _host(asked: Asked) -> bytes:
    """The host with the port that the client named, if it named the same host."""
    try:
        named = parse_authority(asked.head.host or b"")
    except ProtocolViolation:
        named = None
    if named is not None and named.host == asked.host:
        return named.raw
    return Authority(asked.host).raw
