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

import math
import typing

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.server import Request

from aluvia.api.allowance import Allowance
from aluvia.api.answers import prepare, send_json
from aluvia.api.bearer import bearer_token, token_refused
from aluvia.api.bodies import read_object
from aluvia.api.conditions import (
    Condition,
    Shown,
    known,
    send_shown,
    show,
    until_changed,
    wait_seconds,
)
from aluvia.api.problems import RETRY_AFTER, Problem, busy
from aluvia.api.refusals import answer_errors
from aluvia.api.rest import rest_site
from aluvia.api.site import BoundedSite
from aluvia.api.watch import Watch
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.observed import Observed, health, measure, readiness
from aluvia.gateway.user_fields import read_changes, shown
from aluvia.store.accounts import Account
from aluvia.store.errors import NotFoundError, StoreBusyError, StoreError
from aluvia.telemetry.exposition import expose

__all__ = ["ControlAPI"]

log = Logger()

#: How long a monitor is held if it does not say; seconds.
WAIT_SECONDS = 25

#: How many changes an account may ask for at once, and after how long for one more; seconds. Each
#: is read here, waits for the disk, and is told to all who wait for the account.
CHANGES_AT_ONCE = 10
SECONDS_PER_CHANGE = 1.0

_MONITOR = b'</v1/user/monitor>; rel="monitor"'


class ControlAPI:
    """
    The API.

    :param watch: is told of every account that changes, by its name.
    """

    app = Klein()
    answer_errors(app)

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
        return show(request, self._shown(self._account(request)))

    @app.route("/v1/user/monitor", methods=["GET"])
    async def monitor_user(self, request: Request) -> bytes:
        """Show it when it has changed."""
        account = self._account(request)
        seconds = wait_seconds(request, WAIT_SECONDS)
        now = self._shown(account)
        if known(request, now.tag) is not False:
            # It may be gone then, or belong to another token.
            now = await until_changed(
                lambda: self._shown(self._account(request)),
                self._watch,
                account.name,
                self._clock,
                seconds,
            )
        return show(request, now)

    @app.route("/v1/user", methods=["PATCH"])
    async def patch_user(self, request: Request) -> bytes:
        """Change it, and show what it is then."""
        asking = self._account(request)
        # Before anything is done for it, and whatever comes of it.
        wait = self._changes.take(asking.name)
        if wait:
            raise _too_often(wait)
        changes = read_changes(read_object(request))
        condition = Condition.of(request)

        def agreed(account: Account) -> typing.Mapping[str, object]:
            if account.token_hash != asking.token_hash:
                # It was removed, and another one made under its name.
                raise token_refused()
            condition.judge(self._accounts.etag(account))
            return changes

        try:
            account = await self._accounts.change(asking.name, agreed)
        except NotFoundError:
            raise token_refused() from None
        except StoreBusyError:
            raise busy("Too many changes wait already.") from None
        except StoreError as error:
            self._log.error("An account could not be changed: {error}", error=error)
            retry = [(b"Retry-After", RETRY_AFTER)]
            raise Problem(503, "store_unavailable", "It could not be kept.", fields=retry) from None
        return send_shown(request, 200, self._shown(account))

    @app.route("/healthz", methods=["GET"])
    def get_health(self, request: Request) -> bytes:
        """Alive."""
        return send_json(request, 200, health(self._observed, self._clock.seconds()))

    @app.route("/readyz", methods=["GET"])
    def get_readiness(self, request: Request) -> bytes:
        """Ready."""
        data = readiness(self._observed)
        return send_json(request, 200 if data["ready"] else 503, data)

    @app.route("/metrics", methods=["GET"])
    def get_metrics(self, request: Request) -> bytes:
        """The numbers."""
        accept = (request.getHeader(b"accept") or b"").decode("latin-1")
        body, content_type = expose(measure(self._observed, self._clock.seconds()), accept)
        prepare(request, 200, content_type.encode("ascii"))
        return body

    def _account(self, request: Request) -> Account:
        account = self._accounts.of_token(bearer_token(request))
        if account is None:
            raise token_refused()
        return account

    def _shown(self, account: Account) -> Shown:
        return Shown(
            self._accounts.etag(account),
            lambda: {"success": True, "data": shown(account)},
            ((b"Link", _MONITOR),),
        )


def _too_often(wait: float) -> Problem:
    detail = (
        f"An account may be changed {CHANGES_AT_ONCE} times at once, and then every "
        f"{SECONDS_PER_CHANGE:g} s."
    )
    retry = b"%d" % math.ceil(wait)
    return Problem(429, "too_many_changes", detail, fields=[(b"Retry-After", retry)])
