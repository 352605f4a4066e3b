"""
Why a connection did not come about: one error, and one map to it.

The names are those of RFC 9209 §2.3, the statuses those that it recommends. Whoever dials gets
a :class:`DialError` whatever went wrong below, so that an answer, a log line and a counter can
be made from it without looking at exceptions of the operating system, of Twisted or of OpenSSL.
"""

from __future__ import annotations

import errno
import os
import socket

from OpenSSL import SSL
from twisted.internet.error import ConnectError, ConnectionClosed, ConnectionDone

__all__ = ["DialError", "dial_error"]


class DialError(Exception):
    """
    A connection did not come about.

    :ivar error: the name of RFC 9209 §2.3.
    :ivar status: what a proxy answers: 403, 502, 503 or 504; 413 for a request that is too large
        for where it goes.
    :ivar detail: one plain sentence for people. It holds no secret and no bytes of a peer.
    :ivar received_status: for ``http_request_denied``, the status of the parent proxy.
    :ivar rcode: for ``dns_error``, the DNS response code if it is known (RFC 9209 §2.3.2).
    """

    def __init__(
        self,
        error: str,
        status: int,
        detail: str,
        *,
        received_status: int | None = None,
        rcode: str | None = None,
    ) -> None:
        super().__init__(error, status, detail)
        self.error = error
        self.status = status
        self.detail = detail
        self.received_status = received_status
        self.rcode = rcode

    def __str__(self) -> str:
        """Return the name and the sentence, so that a log line reads well."""
        return f"{self.error}: {self.detail}"


_UNROUTABLE = (
    "destination_ip_unroutable",
    502,
    "No route leads to the address.",
)
_NO_DESCRIPTOR = (
    "connection_limit_reached",
    503,
    "No descriptor is left for another connection.",
)
_NO_MEMORY = ("connection_limit_reached", 503, "No memory is left for another connection.")
_FORBIDDEN = (
    "destination_ip_prohibited",
    403,
    "The operating system does not permit connections to the address.",
)
_TERMINATED = ("connection_terminated", 502, "The connection was reset.")
_TIMEOUT = ("connection_timeout", 504, "The address did not answer in time.")

_BY_ERRNO = {
    errno.ECONNREFUSED: ("connection_refused", 502, "The address refused the connection."),
    errno.ECONNRESET: _TERMINATED,
    errno.ECONNABORTED: _TERMINATED,
    errno.EPIPE: _TERMINATED,
    errno.ETIMEDOUT: _TIMEOUT,
    errno.EHOSTUNREACH: _UNROUTABLE,
    errno.EHOSTDOWN: _UNROUTABLE,
    errno.ENETUNREACH: _UNROUTABLE,
    errno.ENETDOWN: _UNROUTABLE,
    # No such family in this kernel; an IPv6 link-local address without its zone.
    errno.EAFNOSUPPORT: _UNROUTABLE,
    errno.EINVAL: _UNROUTABLE,
    errno.EADDRNOTAVAIL: (
        "connection_limit_reached",
        503,
        "No local port is left for a connection to the address.",
    ),
    errno.EMFILE: _NO_DESCRIPTOR,
    errno.ENFILE: _NO_DESCRIPTOR,
    errno.ENOBUFS: _NO_MEMORY,
    errno.ENOMEM: _NO_MEMORY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
}

# What connectionLost is given. The first that fits.
_BY_CLASS = (
    (ConnectionDone, ("connection_terminated", 502, "The connection was closed.")),
    (ConnectionClosed, _TERMINATED),
    (SSL.Error, ("tls_protocol_error", 502, "The other side's TLS broke the protocol.")),
)

_BY_RESOLVER_ERROR = {
    # Not every system tells a name without addresses from one that does not exist.
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "The name has no address.",
    socket.EAI_NONAME: "The name does not exist.",
    socket.EAI_AGAIN: "No name server gave an answer.",
    socket.EAI_FAIL: "A name server refused to answer.",
    socket.EAI_MEMORY: "No memory is left to resolve the name.",
}


def dial_error(cause: BaseException | None, family: int = socket.AF_INET) -> DialError:
    """
    Say what a failure means.

    :param cause: an :class:`OSError` of ``connect``, a :class:`socket.gaierror`, or what Twisted
        gives to ``connectionLost`` and to ``clientConnectionFailed``.
    :param family: of the address that was dialled. It matters once: where IPv6 is turned off,
        every IPv6 address is answered with EADDRNOTAVAIL, which for IPv4 means that no port is
        left.
    """
    if isinstance(cause, socket.gaierror):
        return _resolver_error(cause)
    for kind, meaning in _BY_CLASS:
        if isinstance(cause, kind):
            return DialError(*meaning)
    number = None
    if isinstance(cause, ConnectError):
        number = cause.osError
    elif isinstance(cause, OSError):
        number = cause.errno
    if number == errno.EADDRNOTAVAIL and family == socket.AF_INET6:
        return DialError(*_UNROUTABLE)
    if number in _BY_ERRNO:
        return DialError(*_BY_ERRNO[number])
    why = "for a reason unknown" if number is None else os.strerror(number)
    return DialError("destination_unavailable", 503, f"Connecting failed: {why}.")


def _resolver_error(cause: socket.gaierror) -> DialError:
    detail = _BY_RESOLVER_ERROR.get(cause.errno or 0, "The name could not be resolved.")
    rcode = "NXDOMAIN" if cause.errno == socket.EAI_NONAME else None
    return DialError("dns_error", 502, detail, rcode=rcode)
