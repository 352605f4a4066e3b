"""
What a tunnel and a forwarded request of a forward proxy have in common: a route, which may lead
through a gateway that refuses the credentials.

Such a gateway (407) is asked once more, if there are others by then: :meth:`RoutedFlow.renew`.
"""

from __future__ import annotations

import abc
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.forwarding.flow import Flow
from aluvia.forwarding.route import Route
from aluvia.net.errors import DialError
from aluvia.net.parent import ParentProxy

if typing.TYPE_CHECKING:
    from aluvia.forwarding.proxy import ForwardProxy

__all__ = ["SLOTS", "RoutedFlow", "denied"]

log = Logger()

PROXY_AUTHENTICATION_REQUIRED = 407

#: Of each class that is one. It has none of its own, so that it can stand beside another base.
SLOTS = ("dialled", "flipped", "host", "port", "renewed", "renewing", "route")


_NO_SLOTS: tuple[str, ...] = ()


class RoutedFlow(Flow):
    """
    A flow with a way.

    :ivar host: the canonical host that it is for; ``port`` its port.
    :ivar dialled: when the last dial began; seconds.
    :ivar flipped: when the rules began to say that an open tunnel's host goes the other way;
        seconds; None while they do not.
    """

    __slots__ = _NO_SLOTS

    if typing.TYPE_CHECKING:
        proxy: ForwardProxy
        route: Route
        host: str
        port: int
        dialled: float
        flipped: float | None
        renewed: bool
        renewing: Deferred[typing.Any] | None

    def _take_route(self, route: Route, host: str, port: int) -> None:
        """For the constructor."""
        self.route = route
        self.host = host
        self.port = port
        self.dialled = 0.0
        self.flipped = None
        self.renewed = False
        self.renewing = None

    @abc.abstractmethod
    def start(self) -> None:
        """Go on its way."""

    @abc.abstractmethod
    def _try_again(self) -> None:
        """Ask the gateway once more, with the credentials of :attr:`route`."""

    @abc.abstractmethod
    def _give_up(self, error: DialError) -> None:
        """Answer with this error, and release."""

    def renew(self, refusal: DialError) -> bool:
        """
        Look for other credentials than those that the gateway refused, once.

        :param refusal: what the client is told if there are none.
        :return: whether that is under way; then one of :meth:`_try_again` and :meth:`_give_up`
            follows, unless the flow is let go before.
        """
        if self.renewed or refusal.received_status != PROXY_AUTHENTICATION_REQUIRED:
            return False
        self.renewed = True
        renewing = self.proxy.policy.renew(self.route, self.host)
        if renewing is None:
            return False
        self.renewing = renewing
        renewing.addCallback(self._ask_again, refusal)
        renewing.addErrback(self._not_renewed, refusal)
        return True

    def renew_for_others(self) -> None:
        """Look for them although this request cannot be asked again: those behind it can."""
        renewing = self.proxy.policy.renew(self.route, self.host)
        if renewing is not None:
            renewing.addErrback(lambda failure: failure.trap(CancelledError) and None)

    def stop_renewing(self) -> None:
        """Nobody waits for it any more."""
        renewing, self.renewing = self.renewing, None
        if renewing is not None:
            renewing.cancel()

    def _ask_again(self, route: Route | None, refusal: DialError) -> None:
        self.renewing = None
        if route is None:
            self._give_up(refusal)
            return
        self.route = route
        self.proxy.counters.credentials_renewed += 1
        self._try_again()

    def _not_renewed(self, failure: Failure, refusal: DialError) -> None:
        """Looking for them has failed, or was cancelled: by us, if nobody waits any more."""
        if failure.check(CancelledError) is None:
            log.failure("Asking a gateway again failed.", failure)
        self.renewing = None
        if not self.released:
            self._give_up(refusal)


def denied(gateway: ParentProxy, status: int) -> DialError:
    """What a gateway's refusal comes to."""
    return DialError(
        "http_request_denied",
        502,
        f"The gateway {gateway} answered {status}.",
        received_status=status,
    )
