"""
The control plane: what the clients of this gateway follow, and what its operators look at.

============================  ======================================================================
``GET /v1/user``              the account of the token, with an ETag; 304 to whoever has it
``PATCH /v1/user``            change ``rules``, ``session_id`` or ``target_geo``; with ``If-Match``
                              only what was seen; 429 to whoever does it too often
``GET /v1/user/monitor``      as ``GET /v1/user``, but once it has changed, or after ``?wait=``
                              seconds
``/healthz``                  200 while the process answers
``/readyz``                   200 while new requests are taken, otherwise 503
``/metrics``                  Prometheus text, or OpenMetrics for whoever asks for it
============================  ======================================================================

Importing this installs a reactor, since Klein does.
"""

from __future__ import annotations

import json
import math
import re
import typing

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from aluvia.api import etags
from aluvia.api.allowance import Allowance
from aluvia.api.bearer import bearer_token, token_refused
from aluvia.api.bodies import read_object
from aluvia.api.problems import Problem
from aluvia.api.rest import prepare, rest_site, send_problem
from aluvia.api.site import BoundedSite
from aluvia.api.watch import TooManyWaiting, Watch
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.observed import Observed, health, measure, readiness
from aluvia.gateway.user_fields import read_changes, shown
from aluvia.store.accounts import Account
from aluvia.store.errors import NotFoundError, StoreBusyError, StoreError
from aluvia.telemetry.exposition import expose

__all__ = ["ControlAPI"]

log = Logger()

#: How long a monitor is held if it does not say, and at most; seconds.
WAIT_SECONDS = 25
LONGEST_WAIT_SECONDS = 60

#: When to come back to what is full; seconds.
RETRY_AFTER = b"5"

#: How many changes an account may ask for at once, and after how long for one more; seconds. Each
#: is read here, waits for the disk, and is told to all who wait for the account.
CHANGES_AT_ONCE = 10
SECONDS_PER_CHANGE = 1.0

_JSON = b"application/json"
_MONITOR = b'</v1/user/monitor>; rel="monitor"'


class ControlAPI:
    """
    The API.

    :param watch: is told of every account that changes, by its name.
    """

    app = Klein()

    def __init__(
        self,
        accounts: Accounts,
        watch: Watch,
        observed: Observed,
        clock: IReactorTime,
        *,
        log: Logger = log,
    ) -> None:
        self._accounts = accounts
        self._watch = watch
        self._observed = observed
        self._clock = clock
        self._log = log
        self._changes = Allowance(clock, burst=CHANGES_AT_ONCE, seconds=SECONDS_PER_CHANGE)

    def site(self) -> BoundedSite:
        """The factory for its listener."""
        return rest_site(self.app.resource(), self._clock)

    @app.route("/v1/user", methods=["GET"])
    def get_user(self, request: Request) -> bytes:
        """Show it, or say that it has not changed."""
        return self._show(request, self._account(request))

    @app.route("/v1/user/monitor", methods=["GET"])
    async def monitor_user(self, request: Request) -> bytes:
        """Show it when it has changed."""
        account = self._account(request)
        seconds = _wait(request)
        known = etags.given(request.requestHeaders, b"if-none-match")
        if known is None or etags.matches_weakly(known, self._accounts.etag(account)):
            try:
                await self._watch.wait(account.name, seconds)
            except TooManyWaiting:
                raise _busy("Too many wait for a change already.") from None
        # It may be gone by now, or belong to another token.
        return self._show(request, self._account(request))

    @app.route("/v1/user", methods=["PATCH"])
    async def patch_user(self, request: Request) -> bytes:
        """Change it, and show what it is then."""
        asking = self._account(request)
        # Before anything is done for it, and whatever comes of it.
        wait = self._changes.take(asking.name)
        if wait:
            raise _too_often(wait)
        changes = read_changes(read_object(request))
        seen = etags.given(request.requestHeaders, b"if-match")

        def agreed(account: Account) -> typing.Mapping[str, object]:
            if account.token_hash != asking.token_hash:
                # It was removed, and another one made under its name.
                raise token_refused()
            if seen is not None and not etags.matches(seen, self._accounts.etag(account)):
                raise Problem(412, "changed_meanwhile", "It is not as If-Match says any more.")
            return changes

        try:
            account = await self._accounts.change(asking.name, agreed)
        except NotFoundError:
            raise token_refused() from None
        except StoreBusyError:
            raise _busy("Too many changes wait already.") from None
        except StoreError as error:
            self._log.error("An account could not be changed: {error}", error=error)
            retry = [(b"Retry-After", RETRY_AFTER)]
            raise Problem(503, "store_unavailable", "It could not be kept.", fields=retry) from None
        return self._whole(request, account)

    @app.route("/healthz", methods=["GET"])
    def get_health(self, request: Request) -> bytes:
        """Alive."""
        return _json(request, 200, health(self._observed, self._clock.seconds()))

    @app.route("/readyz", methods=["GET"])
    def get_readiness(self, request: Request) -> bytes:
        """Ready."""
        data = readiness(self._observed)
        return _json(request, 200 if data["ready"] else 503, data)

    @app.route("/metrics", methods=["GET"])
    def get_metrics(self, request: Request) -> bytes:
        """The numbers."""
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        body, content_type = expose(measure(self._observed, self._clock.seconds()), accept)
        prepare(request, 200, content_type.encode("ascii"))
        return body

    @app.handle_errors(Problem)
    def problem(self, request: typing.Any, failure: Failure) -> bytes:
        """Whatever of ours refuses."""
        return send_problem(request, typing.cast(Problem, failure.value))

    @app.handle_errors(MethodNotAllowed)
    def wrong_method(self, request: typing.Any, failure: Failure) -> bytes:
        """Say which methods there are."""
        error = typing.cast(MethodNotAllowed, failure.value)
        methods = ", ".join(sorted(error.valid_methods or ()))
        problem = Problem(
            405,
            "method_not_allowed",
            f"Here there is {methods}.",
            fields=[(b"Allow", methods.encode("ascii"))],
        )
        return send_problem(request, problem)

    @app.handle_errors(HTTPException)
    def nothing_there(self, request: typing.Any, failure: Failure) -> bytes:
        """Nothing, or something by another path, which is not followed."""
        return send_problem(request, Problem(404, "not_found", "There is nothing here."))

    @app.handle_errors(Exception)
    def broken(self, request: typing.Any, failure: Failure) -> bytes:
        """A bug of ours: the log has it, the answer has not."""
        self._log.failure("The API could not answer {path}", failure, path=request.path)
        return send_problem(request, Problem(500, "internal_error", "It failed; the log says why."))

    def _account(self, request: Request) -> Account:
        account = self._accounts.of_token(bearer_token(request))
        if account is None:
            raise token_refused()
        return account

    def _show(self, request: Request, account: Account) -> bytes:
        known = etags.given(request.requestHeaders, b"if-none-match")
        etag = self._accounts.etag(account)
        if known is None or not etags.matches_weakly(known, etag):
            return self._whole(request, account)
        prepare(request, 304)
        self._name(request, etag)
        return b""

    def _whole(self, request: Request, account: Account) -> bytes:
        self._name(request, self._accounts.etag(account))
        return _json(request, 200, {"success": True, "data": shown(account)})

    def _name(self, request: Request, etag: bytes) -> None:
        request.setHeader(b"ETag", etag)
        request.setHeader(b"Link", _MONITOR)


def _json(request: Request, status: int, data: object) -> bytes:
    prepare(request, status, _JSON)
    body = json.dumps(data, ensure_ascii=False).encode("utf-8") + b"\n"
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def _wait(request: Request) -> float:
    given = (request.args or {}).get(b"wait", [b"%d" % WAIT_SECONDS])
    if len(given) != 1 or re.fullmatch(rb"[0-9]{1,4}", given[0]) is None:
        raise Problem(400, "bad_wait", f"wait is seconds, up to {LONGEST_WAIT_SECONDS}.")
    return min(int(given[0]), LONGEST_WAIT_SECONDS)


def _too_often(wait: float) -> Problem:
    detail = (
        f"An account may be changed {CHANGES_AT_ONCE} times at once, and then every "
        f"{SECONDS_PER_CHANGE:g} s."
    )
    retry = b"%d" % math.ceil(wait)
    return Problem(429, "too_many_changes", detail, fields=[(b"Retry-After", retry)])


def _busy(detail: str) -> Problem:
    return Problem(503, "busy", detail, fields=[(b"Retry-After", RETRY_AFTER)])
