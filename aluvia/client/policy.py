"""
The client's policy: local users, the rules of the moment, and new credentials from the control
plane.
"""

from __future__ import annotations

import base64
import hmac
import typing

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from aluvia.client.routing import Router
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.policy import AuthenticationRequired
from aluvia.forwarding.route import Route
from aluvia.forwarding.routed import RoutedFlow
from aluvia.forwarding.upstream import OURS, REQUEST_ID
from aluvia.net.errors import DialError
from aluvia.telemetry.ledger import Ledger
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import FORWARDING, Field, FieldNames

log = Logger()

# RFC 9209 section 2.3.22 recommends 500; but the next request may well be answered.
_UNCONFIGURED = (
    "proxy_configuration_error",
    503,
    "There is no configuration yet: the control plane has not answered.",
)

_REQUEST_ID = FieldNames(frozenset([REQUEST_ID.lower()]))


class ClientPolicy:
    """
    Decides by the canonical host alone.

    :param users: passwords by user name, one of which every client must give; None where no client
        needs any.
    :param refuse_unconfigured: refuse requests while there is no configuration; otherwise they go
        direct, which is counted and logged.
    :ivar poll_soon: asks the control plane, out of turn; fires when it has answered. None where
        there is no control plane.
    :ivar ledger: what each host has cost.
    """

    hop = "aluvia"
    realm = "aluvia"
    usage = (
        "This is aluvia, a forward proxy, not a web site. Give this address to your program as "
        "its\nHTTP proxy, for example: curl -x http://127.0.0.1:PORT http://example.com/\n"
    )
    # What would tell an origin of a proxy on the way, whoever wrote it, and what is for a gateway.
    gone: typing.Container[bytes] = FORWARDING | OURS
    gone_through: typing.Container[bytes] = FORWARDING | _REQUEST_ID
    # What a gateway says of a request is for whoever asked, and an origin may be a proxy.
    own: typing.Container[bytes] = ()
    own_407 = False

    def __init__(
        self,
        router: Router,
        counters: Counters,
        users: typing.Mapping[str, str] | None = None,
        *,
        refuse_unconfigured: bool = False,
        log: Logger = log,
    ) -> None:
        self.router = router
        self.poll_soon: typing.Callable[[], Deferred[None]] | None = None
        self.ledger = Ledger()
        self._counters = counters
        self._log = log
        self._accepted = None if users is None else [*map(_token, users.items())]
        self._refuse_unconfigured = refuse_unconfigured
        self._fail_open_logged = False

    def request_id(self, head: RequestHead) -> str:
        """It has no name but ours."""
        return ""

    def admit(self, head: RequestHead, request_id: str) -> None:
        """Ask for a local user's credentials, where there are local users."""
        if self._accepted is not None and not self._authenticated(head, self._accepted):
            raise AuthenticationRequired("this proxy wants a user name and a password.")

    def route(self, visitor: None, host: str, port: int) -> Route:
        """Ask the rules."""
        if self.router.snapshot is None:
            self._unconfigured()
        return self.router.route(host)

    def renew(self, route: Route, host: str) -> Deferred[Route | None] | None:
        """Take those of the moment, if they are others by now; else ask the control plane."""
        if self.poll_soon is None:
            return None
        found = self._renewed(route, host)
        if found is not None:
            return succeed(found)
        return self.poll_soon().addCallback(lambda _: self._renewed(route, host))

    def error_fields(self, error: str) -> list[Field]:
        """None besides ``Proxy-Status``."""
        return []

    def ended(self, flow: RoutedFlow, outcome: str) -> None:
        """Enter it into the ledger; the counters have it already."""
        route = flow.route
        self.ledger.count(flow.host, route.way, route.rule, flow.bytes_up, flow.bytes_down)

    def _renewed(self, route: Route, host: str) -> Route | None:
        found = self.router.route(host)
        old, new = route.gateway, found.gateway
        if old is None or new is None or new.authorization == old.authorization:
            return None
        return found

    def _unconfigured(self) -> None:
        if self._refuse_unconfigured:
            # A new one each time: an exception keeps the frames of every place where it was raised.
            raise DialError(*_UNCONFIGURED)
        self._counters.fail_opens += 1
        if not self._fail_open_logged:
            self._fail_open_logged = True
            self._log.warn(
                "There is no configuration: requests go direct, and show this machine's own "
                "address. (--on-no-config=refuse prevents that.)"
            )

    @staticmethod
    def _authenticated(head: RequestHead, accepted: typing.Iterable[bytes]) -> bool:
        given = [value for name, value in head.fields if name.lower() == b"proxy-authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        # All are compared, so that time does not tell which one came near.
        matches = [hmac.compare_digest(token.strip(), good) for good in accepted]
        return scheme.lower() == b"basic" and any(matches)


def _token(user: tuple[str, str]) -> bytes:
    return base64.b64encode(":".join(user).encode())
