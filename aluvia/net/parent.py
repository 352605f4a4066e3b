"""
Through a parent proxy: which one, with whose credentials, and the CONNECT that opens a tunnel.

.. code-block:: text

    state    leaves on
    -------  --------------------------------------------------------------------------------
    DIALLING the parent is connected -> ASKING;  failed -> OVER
    ASKING   a 2xx -> OVER, the transport's protocol is switched, and what came behind the 2xx
             goes to it;  any other final answer (http_request_denied, with its status), one that
             breaks a gate of ``wire``, EOF, a reset, the deadline -> OVER, the connection closes
    OVER     nothing is called any more, nothing is held

The name that is asked for is resolved by the parent, never here. Of a refusal only the status is
kept: its body and its challenge are between the parent and us.
"""

from __future__ import annotations

import base64
import typing
import urllib.parse

import attrs
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Dialers, Dialing, DialReactor
from aluvia.net.errors import DialError, dial_error
from aluvia.net.layered import LayeredDialing
from aluvia.net.resolve import Failed
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.exchange import ClientExchange
from aluvia.wire.head import ResponseHead
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS, Limits
from aluvia.wire.target import Authority, parse_authority

__all__ = ["ParentProxy", "ParentProxyDialer", "Through"]

_DEFAULT_PORTS = {"http": 8080, "https": 8443}


@attrs.frozen
class ParentProxy:
    """
    An HTTP proxy to go through. Its ``repr`` and its ``str`` show neither name nor password.

    :ivar host: canonical (see :mod:`aluvia.wire.target`).
    :ivar username: None if it wants no credentials. Without ``:`` (RFC 7617 §2).
    :ivar tls: whether the connection to it is TLS.
    :ivar authorization: the value of Proxy-Authorization: ``Basic`` over raw UTF-8.
    :raises ValueError: if the credentials cannot be sent; the message does not show them.
    """

    host: str
    port: int
    username: str | None = attrs.field(default=None, repr=False)
    password: str = attrs.field(default="", repr=False)
    tls: bool = False
    authorization: bytes | None = attrs.field(init=False, repr=False, eq=False)

    @authorization.default
    def _authorization(self) -> bytes | None:
        name = self.username
        if name is None:
            return None
        if ":" in name:
            raise ValueError("A proxy user name cannot hold a colon.")
        credentials = f"{name}:{self.password}"
        # Control characters are what RFC 7617 forbids, and lone surrogates have no UTF-8.
        if any(
            each < " " or each == "\x7f" or "\ud800" <= each <= "\udfff" for each in credentials
        ):
            raise ValueError("The proxy credentials hold a character that cannot be sent.")
        return b"Basic " + base64.b64encode(credentials.encode("utf-8"))

    def with_credentials(self, username: str, password: str) -> ParentProxy:
        """
        Return the same proxy as somebody with these goes through it.

        :raises ValueError: if they cannot be sent; the message does not show them.
        """
        return attrs.evolve(self, username=username, password=password)

    def __str__(self) -> str:
        """Return its URL without the credentials."""
        return f"{'https' if self.tls else 'http'}://{Authority(self.host, self.port)}"

    @classmethod
    def from_url(cls, url: str) -> ParentProxy:
        """
        Read ``http[s]://[user[:password]@]host[:port][/]``.

        User and password are percent-decoded. The ports are 8080 and, with TLS, 8443 if none is
        given.

        :raises ValueError: if it is not such a URL; the message does not show it.
        """
        # By hand: what the standard library says about a bad URL quotes from it.
        scheme, separator, rest = url.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in _DEFAULT_PORTS:
            raise ValueError("A proxy URL begins with http:// or https://.")
        authority = rest.removesuffix("/")
        if any(each in authority for each in "/?#"):
            raise ValueError(
                "A proxy URL ends with its host and port; a /, ? or # of the password is written "
                "%2F, %3F or %23."
            )
        userinfo, at, place = authority.rpartition("@")
        found, problem = None, ""
        try:
            found = parse_authority(place.encode("utf-8", "replace"))
        except ProtocolViolation as violation:
            problem = violation.reason
        if found is None:
            raise ValueError(f"The proxy URL has no usable host and port: {problem}")
        username, password = None, ""
        if at:
            name, _, secret = userinfo.partition(":")
            username, password = _decoded(name), _decoded(secret)
        return cls(
            host=found.host,
            port=found.port or _DEFAULT_PORTS[scheme],
            username=username,
            password=password,
            tls=scheme == "https",
        )


def _decoded(text: str) -> str:
    # Lone surrogates stand for bytes that are no UTF-8, and are refused with the rest.
    return urllib.parse.unquote(text, errors="surrogateescape")


class ParentProxyDialer:
    """
    Dials through a parent proxy, with a CONNECT and a connection of its own each time.

    :param dialers: the table; ``tcp`` or ``tls`` connects to the parent.
    :param deadlines: ends a dial at its deadline.
    :param connect_timeout: for the whole, from the look-up of the parent to its 2xx; seconds.
    """

    def __init__(
        self,
        reactor: DialReactor,
        dialers: Dialers,
        deadlines: Deadlines,
        *,
        connect_timeout: float = 10.0,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._reactor = reactor
        self._dialers = dialers
        self._deadlines = deadlines
        self._connect_timeout = connect_timeout
        self._limits = limits

    def dial(
        self,
        parent: ParentProxy,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: Failed,
        fields: typing.Iterable[Field] = (),
    ) -> Dialing:
        """
        Connect a protocol through this parent.

        :param fields: go out with the CONNECT, behind our own.
        """
        deadline = self._reactor.seconds() + self._connect_timeout
        target = str(Authority(host, port)).encode("ascii")
        head = [(b"Host", target)]
        if parent.authorization is not None:
            head.append((b"Proxy-Authorization", parent.authorization))
        head.extend(fields)
        exchange = ClientExchange(self._limits)
        request = exchange.request(b"CONNECT", target, head, 0)
        asking = _Asking(self._deadlines, parent, exchange, request, protocol, failed, deadline)
        dialer = self._dialers["tls" if parent.tls else "tcp"]
        asking.begin(dialer, parent.host, parent.port, asking)
        return asking


@attrs.frozen
class Through:
    """A :class:`~aluvia.net.dial.Dialer` that goes through one parent proxy."""

    dialer: ParentProxyDialer
    parent: ParentProxy

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """See :class:`aluvia.net.dial.Dialer`."""
        return self.dialer.dial(self.parent, host, port, protocol, failed)


@implementer(IProtocol)
class _Asking(LayeredDialing):
    """One dial; the protocol of the connection to the parent until its 2xx."""

    __slots__ = ("_exchange", "_parent", "_request")

    def __init__(
        self,
        deadlines: Deadlines,
        parent: ParentProxy,
        exchange: ClientExchange,
        request: bytes,
        protocol: IProtocol,
        failed: Failed,
        deadline: float,
    ) -> None:
        super().__init__(deadlines, protocol, failed, deadline)
        self._parent = parent
        self._exchange = exchange
        self._request = request

    def deadline_passed(self, now: float) -> None:
        """The parent has connected, and then said nothing, or not enough."""
        self._refuse(DialError("connection_timeout", 504, "The parent proxy answered too late."))

    def connectionMade(self) -> None:
        """Ask."""
        super().connectionMade()
        self._transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """Read the answer; informational ones before it are skipped."""
        if self._over:
            return
        try:
            events = self._exchange.receive(data)
        except ProtocolViolation as violation:
            self._refuse(DialError(violation.error, 502, violation.reason))
            return
        for event in events:
            if isinstance(event, ResponseHead) and not event.informational:
                self._answered(event.status)
                return

    def connectionLost(self, reason: Failure) -> None:
        """The parent went away before it answered."""
        if self._over:
            return
        error = dial_error(reason.value)
        if reason.check(ConnectionDone) is not None:
            try:
                self._exchange.receive_eof()
            except ProtocolViolation as violation:
                error = DialError(violation.error, 502, violation.reason)
        self._fail(error)

    def _answered(self, status: int) -> None:
        if not 200 <= status <= 299:
            self._refuse(
                DialError(
                    "http_request_denied",
                    502,
                    f"The parent proxy {self._parent} answered {status}.",
                    received_status=status,
                )
            )
            return
        early = self._exchange.switch()
        self._agreed()
        if early:
            self._protocol.dataReceived(early)
