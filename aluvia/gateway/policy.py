"""
The gateway's policy: who may, what they wish of their exit, and what nobody may.

.. code-block:: text

    no good credentials                        407
    a wish that cannot be read                 407, with the reason
    a wish that no exit of ours fulfils        502, "pool; no_exit"
    anything else                              direct, from this machine's own line

The address that it leads to is the guard's to judge (:mod:`aluvia.net.guard`).
"""

from __future__ import annotations

import base64
import binascii
import re
import typing

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from aluvia.forwarding.policy import AuthenticationRequired
from aluvia.forwarding.route import Route
from aluvia.forwarding.routed import RoutedFlow
from aluvia.forwarding.upstream import OURS, REQUEST_ID
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.wish import BadWish, Wish, read_fields, read_username
from aluvia.net.errors import DialError
from aluvia.store.accounts import Account
from aluvia.wire.forwarded import proxy_status
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import FORWARDING, Field

__all__ = ["GatewayPolicy", "Visitor"]

log = Logger()

#: By which this hop is known in Proxy-Status.
HOP = "aluvia-gateway"

#: The name of our own line, as an exit.
DIRECT_EXIT = b"direct"

#: No exit fulfils a wish. RFC 9209 section 2.3.3: the next hop cannot be determined.
NO_EXIT = "destination_not_found"

# Who failed, by the error's name in Proxy-Status; the target if it is not here.
_WHO = {
    "http_request_error": b"client",
    "http_request_denied": b"client",
    "destination_ip_prohibited": b"policy",
    "proxy_loop_detected": b"policy",
    NO_EXIT: b"pool",
    "connection_limit_reached": b"pool",
    "proxy_internal_error": b"pool",
}
# What it is called in X-Aluvia-Error, where that is not its name in Proxy-Status.
_NAMES = {NO_EXIT: b"no_exit"}

_REQUEST_ID = REQUEST_ID.lower()
_sane_id = re.compile(rb"[!-~]{1,64}").fullmatch
_basic = re.compile(rb"basic +([A-Za-z0-9+/=]+)", re.IGNORECASE).fullmatch


@attrs.frozen
class Visitor:
    """
    Who asks, and for what exit.

    :ivar request_id: what they call their request; empty if they do not say.
    """

    account: Account
    wish: Wish
    request_id: str = ""


class GatewayPolicy:
    """
    Decides by credentials and wishes.
    """

    hop = HOP
    realm = HOP
    usage = (
        "This is aluvia-gateway, a forward proxy, not a web site. Give this address to your\n"
        "program as its HTTP proxy, with the user name and the password of your account.\n"
    )
    # What is said to us, and what would tell of who is behind us.
    gone: typing.Container[bytes] = FORWARDING | OURS
    gone_through = gone
    # What a client can believe, because no origin says it.
    own: typing.Container[bytes] = OURS
    own_407 = True

    def __init__(self, accounts: Accounts, *, log: Logger = log, log_requests: bool) -> None:
        """:param log_requests: whether each flow leaves a line at debug level."""
        self._accounts = accounts
        self._log = log
        self._log_requests = log_requests

    def request_id(self, head: RequestHead) -> str:
        """What can be kept of what the client calls its request."""
        given = [value for name, value in head.fields if name.lower() == _REQUEST_ID]
        if len(given) != 1 or _sane_id(given[0]) is None:
            return ""
        return given[0].decode("ascii")

    def admit(self, head: RequestHead, request_id: str) -> Visitor:
        """
        Ask for an account's credentials, and read the wish.

        A password that is not right is all that a stranger is told of; what else is wrong is for
        those who have it.
        """
        username, password = _credentials(head)
        account = self._accounts.authenticated(username.partition("-")[0], password)
        if account is None:
            raise AuthenticationRequired("the user name or the password is not right.")
        try:
            _, named = read_username(username)
            wished = _of_account(account) | named | read_fields(head.fields)
        except BadWish as error:
            raise AuthenticationRequired(str(error)) from None
        return Visitor(account, Wish(**wished), request_id)  # type: ignore[arg-type]

    def route(self, visitor: Visitor, host: str, port: int) -> Route:
        """Out by our own line, unless another one is wished for."""
        filters = visitor.wish.filters
        if filters:
            raise DialError(
                NO_EXIT,
                502,
                f"There is no exit to be chosen by {', '.join(filters)}: this gateway has its own "
                "line alone.",
            )
        request_id = visitor.request_id
        told: list[Field] = []
        if request_id:
            told.append((REQUEST_ID, request_id.encode("ascii")))
        if visitor.wish.debug:
            told.append((b"Proxy-Status", proxy_status(HOP, details=_details(visitor))))
            told.append((b"X-Aluvia-Exit", DIRECT_EXIT))
        return Route(None, None, visitor.account.name, tuple(told))

    def renew(self, route: Route, host: str) -> Deferred[Route | None] | None:
        """There is no gateway behind this one that could refuse."""
        return None

    def error_fields(self, error: str) -> list[Field]:
        """Who failed, and how that is called."""
        who = _WHO.get(error, b"target")
        return [(b"X-Aluvia-Error", b"%b; %b" % (who, _NAMES.get(error) or error.encode("ascii")))]

    def ended(self, flow: RoutedFlow, outcome: str) -> None:
        """Say so with the request's own name, by which its other hops know it."""
        if self._log_requests and flow.request_id:
            self._log.debug(
                "Request {request_id} of {account}: {outcome}",
                request_id=flow.request_id,
                account=flow.route.account,
                outcome=outcome,
            )


def _credentials(head: RequestHead) -> tuple[str, bytes]:
    given = [value for name, value in head.fields if name.lower() == b"proxy-authorization"]
    if not given:
        raise AuthenticationRequired("this gateway wants a user name and a password.")
    found = _basic(given[0].strip()) if len(given) == 1 else None
    try:
        if found is None:
            raise ValueError
        username, colon, password = base64.b64decode(found[1], validate=True).partition(b":")
        if not colon:
            raise ValueError
        return username.decode("utf-8"), password
    except (ValueError, binascii.Error):
        raise AuthenticationRequired("those are no Basic credentials in UTF-8.") from None


def _of_account(account: Account) -> dict[str, object]:
    """What an account wishes for requests that do not say otherwise; blanks are no wish."""
    wished: dict[str, object] = {}
    if account.session_id:
        wished["session"] = account.session_id
    if account.target_geo:
        wished["country"] = account.target_geo
    return wished


def _details(visitor: Visitor) -> str:
    details = f"exit={DIRECT_EXIT.decode('ascii')}"
    if visitor.wish.session is not None:
        details += f"; session={visitor.wish.session}"
    return details
