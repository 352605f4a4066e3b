"""What makes the forward proxy of one door different from that of another."""

from __future__ import annotations

import typing

from twisted.internet.defer import Deferred

from aluvia.forwarding.route import Route
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

if typing.TYPE_CHECKING:
    from aluvia.forwarding.routed import RoutedFlow


class AuthenticationRequired(Exception):
    """
    The request is answered with 407. The text is one sentence for whoever sent it.
    """


class Policy(typing.Protocol):
    """
    Asked for every request, in this order: :meth:`request_id`, :meth:`admit`, :meth:`route`, and at
    its end :meth:`ended`.

    :ivar hop: the name by which this hop calls itself in ``Proxy-Status``.
    :ivar realm: of its challenge.
    :ivar usage: what is said to whoever takes it for a web site.
    :ivar gone: lower-case names of fields that do not go to an origin, besides those of this hop.
    :ivar gone_through: those that do not go to a parent proxy.
    :ivar own: those that nobody but this hop may say in an answer.
    :ivar own_407: whether nobody but this hop may answer 407.
    """

    hop: str
    realm: str
    usage: str
    gone: typing.Container[bytes]
    gone_through: typing.Container[bytes]
    own: typing.Container[bytes]
    own_407: bool

    def request_id(self, head: RequestHead) -> str:
        """Say what the client calls its request; empty if it does not say, or may not."""

    def admit(self, head: RequestHead, request_id: str) -> typing.Any:
        """
        Say who asks.

        :return: whatever :meth:`route` wants to know.
        :raises AuthenticationRequired: for credentials that are not good, or not there.
        :raises aluvia.net.errors.DialError: the request is refused with that.
        """

    def route(self, visitor: typing.Any, host: str, port: int) -> Route:
        """
        Say which way the request goes.

        :param host: canonical.
        :raises aluvia.net.errors.DialError: the request is refused with that.
        """

    def renew(self, route: Route, host: str) -> Deferred[Route | None] | None:
        """
        Look for other credentials than those of this route, which its gateway has refused.

        :return: fires with a route to try in its place, or with None if there are no others; None
            if it makes no sense to wait for any.
        """

    def error_fields(self, error: str) -> list[Field]:
        """Fields for an answer of our own, besides ``Proxy-Status``, by its error name."""

    def ended(self, flow: RoutedFlow, outcome: str) -> None:
        """A request is over: ``ok``, ``client_gone``, or an error name of RFC 9209."""
