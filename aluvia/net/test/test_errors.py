"""Tests of :mod:`aluvia.net.errors`."""

from __future__ import annotations

import errno
import socket

from OpenSSL import SSL
from twisted.internet.error import (
    ConnectBindError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TCPTimedOutError,
)
from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.errors import DialError, dial_error


class Map(SynchronousTestCase):
    """What failures mean."""

    def assert_means(self, cause: BaseException, name: str, status: int) -> DialError:
        """Assert the name and the status, and that there is one sentence about it."""
        error = dial_error(cause)
        self.assertEqual((error.error, error.status), (name, status))
        self.assertTrue(error.detail.endswith("."))
        self.assertEqual(str(error), f"{name}: {error.detail}")
        return error

    def test_connection_refused(self) -> None:
        """ECONNREFUSED is 502."""
        self.assert_means(OSError(errno.ECONNREFUSED, "x"), "connection_refused", 502)

    def test_connection_timeout(self) -> None:
        """The kernel's time-out is 504."""
        self.assert_means(OSError(errno.ETIMEDOUT, "x"), "connection_timeout", 504)

    def test_unroutable(self) -> None:
        """No route, no network, no such family, a link-local address without its zone: 502."""
        for number in (
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.ENETDOWN,
            errno.EHOSTDOWN,
            errno.EAFNOSUPPORT,
            errno.EINVAL,
        ):
            self.assert_means(OSError(number, "x"), "destination_ip_unroutable", 502)

    def test_terminated(self) -> None:
        """A reset is 502, whoever reports it."""
        for cause in (
            OSError(errno.ECONNRESET, "x"),
            OSError(errno.ECONNABORTED, "x"),
            OSError(errno.EPIPE, "x"),
            ConnectionLost(),
            ConnectionAborted(),
            ConnectionDone(),
        ):
            self.assert_means(cause, "connection_terminated", 502)

    def test_nothing_left(self) -> None:
        """No descriptor, no memory, no local port: 503."""
        for number in (
            errno.EMFILE,
            errno.ENFILE,
            errno.ENOBUFS,
            errno.ENOMEM,
            errno.EADDRNOTAVAIL,
        ):
            self.assert_means(OSError(number, "x"), "connection_limit_reached", 503)

    def test_no_ipv6(self) -> None:
        """EADDRNOTAVAIL for an IPv6 address means that IPv6 is off, not that ports are out."""
        error = dial_error(OSError(errno.EADDRNOTAVAIL, "x"), socket.AF_INET6)
        self.assertEqual((error.error, error.status), ("destination_ip_unroutable", 502))

    def test_firewall(self) -> None:
        """What the operating system forbids is 403."""
        for number in (errno.EACCES, errno.EPERM):
            self.assert_means(OSError(number, "x"), "destination_ip_prohibited", 403)

    def test_other_errors(self) -> None:
        """An error that is in no table is 503, with the system's word for it and nothing else."""
        error = self.assert_means(OSError(errno.ENOTSOCK, "s3cret"), "destination_unavailable", 503)
        self.assertNotIn("s3cret", str(error))
        self.assert_means(OSError("s3cret"), "destination_unavailable", 503)
        self.assert_means(ValueError("s3cret"), "destination_unavailable", 503)

    def test_twisted(self) -> None:
        """Twisted's errors of a connect mean what their number does."""
        self.assert_means(
            ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection_refused", 502
        )
        self.assert_means(TCPTimedOutError(errno.ETIMEDOUT, "x"), "connection_timeout", 504)
        self.assert_means(ConnectBindError(errno.EMFILE, "x"), "connection_limit_reached", 503)

    def test_tls(self) -> None:
        """OpenSSL's errors are 502."""
        self.assert_means(SSL.Error([("", "", "wrong version number")]), "tls_protocol_error", 502)

    def test_names(self) -> None:
        """A name that does not exist is told from a name server that does not answer."""
        error = self.assert_means(socket.gaierror(socket.EAI_NONAME, "x"), "dns_error", 502)
        self.assertEqual(error.rcode, "NXDOMAIN")
        for number in (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_FAMILY):
            other = self.assert_means(socket.gaierror(number, "x"), "dns_error", 502)
            self.assertIsNone(other.rcode)
            self.assertNotEqual(other.detail, error.detail)
