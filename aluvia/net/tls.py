"""
TLS as a client: what we trust, how we dial, and what a failure means.

The certificate is verified twice over. OpenSSL verifies the chain during the handshake; when
that is done, and before any byte of ours is sent, service-identity compares the host that was
dialled with the certificate (RFC 9525), and whatever goes wrong in that refuses.

This is not :func:`twisted.internet.ssl.optionsForClientTLS`, for two reasons. It compares inside
OpenSSL's callback, and there it lets pass whatever raises anything but a mismatch: a certificate
without a subjectAltName, signed by an authority that we trust, is taken for any host (seen with
Twisted 26.10 and service-identity 26.1). And it loads the authorities anew for every host.

.. code-block:: text

    state      leaves on
    ---------  -----------------------------------------------------------------------------
    TCP        connected -> HANDSHAKE;  failed -> OVER
    HANDSHAKE  done and the host is the right one -> OVER, the protocol is switched;
               the wrong host, a bad chain (tls_certificate_error), an alert or bytes that are
               no TLS (tls_protocol_error), a lost connection (connection_terminated), the
               deadline (connection_timeout) -> OVER, the connection is closed
    OVER       nothing is called any more, nothing is held
"""

from __future__ import annotations

import typing

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import ClientFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from aluvia.net.addresses import literal
from aluvia.net.deadlines import Deadlines
from aluvia.net.dial import Dialer, Dialing, DialReactor
from aluvia.net.errors import DialError, dial_error
from aluvia.net.layered import LayeredDialing
from aluvia.net.resolve import Failed
from aluvia.net.tls_wire import TLSWire

__all__ = ["TLSDialer", "TLSWire", "client_context"]

#: X509_verify_cert_error codes (OpenSSL's x509_vfy.h) that people meet.
_BAD_CHAINS = {
    9: "The certificate is not valid yet.",
    10: "The certificate has expired.",
    18: "The certificate is self-signed.",
    19: "The certificate's chain ends in an authority that is not trusted.",
    20: "The certificate's authority is not trusted.",
    21: "The certificate's authority is not trusted.",
    23: "The certificate has been revoked.",
    26: "The certificate is not for a server.",
}


def client_context(
    extra_authorities: bytes | None = None,
    *,
    only_authorities: bytes | None = None,
    certificate: bytes | None = None,
    key: bytes | None = None,
    verify: bool = True,
) -> SSL.Context:
    """
    Make the context for connections on which we are the client: TLS 1.2 or later, ALPN http/1.1.

    It loads the platform's authorities, which takes some ten milliseconds: one for all hosts.

    :param extra_authorities: certificates in PEM that are trusted besides the platform's.
    :param only_authorities: those that are trusted in place of the platform's.
    :param certificate: our own and its chain (PEM), for a server that asks for one.
    :param key: its key (PEM).
    :param verify: whether the server's chain is verified.
    :raises ValueError: if there is no certificate where there should be one, or a broken one; or
        the key is not our certificate's.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # An idle connection gives its buffers back.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_alpn_protos([b"http/1.1"])
    if certificate is not None and key is not None:
        _use(context, certificate, key)
    if not verify:
        context.set_verify(SSL.VERIFY_NONE)
        return context
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _note_verification)
    if only_authorities is None:
        context.set_default_verify_paths()
    store = context.get_cert_store()
    assert store is not None  # only a context that could not be made has none
    for authorities in (extra_authorities, only_authorities):
        if authorities is not None:
            for authority in x509.load_pem_x509_certificates(authorities):
                store.add_cert(crypto.X509.from_cryptography(authority))
    return context


def _use(context: SSL.Context, certificate: bytes, key: bytes) -> None:
    chain = x509.load_pem_x509_certificates(certificate)
    try:
        context.use_certificate(crypto.X509.from_cryptography(chain[0]))
        for each in chain[1:]:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(each))
        # A key that is encrypted would be asked for on the terminal.
        context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, key, b""))
        context.check_privatekey()
    except (SSL.Error, crypto.Error):
        raise ValueError("the key is no good, or is not the certificate's") from None


def _note_verification(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """Keep OpenSSL's verdict, and tell the connection's wire why it is what it is."""
    if not ok:
        connection.get_app_data().bad_chain = error
    return bool(ok)


@implementer(IOpenSSLClientConnectionCreator)
class _Connections:
    """Makes OpenSSL's connection for a wire."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        wire = typing.cast(TLSWire, tlsProtocol)
        connection = SSL.Connection(self._context, None)
        if literal(wire.host) is None:
            # RFC 6066 §3: names alone.
            connection.set_tlsext_host_name(wire.host.encode("ascii"))
        return connection


class TLSDialer:
    """
    Dials TLS, and verifies that the host that was dialled is the one that answered.

    :param tcp: dials what lies beneath. Its own deadline bounds its part.
    :param context: see :func:`client_context`.
    :param deadlines: ends a handshake at its deadline.
    :param connect_timeout: for the whole of a dial, the TCP part included; seconds.
    :param name: the host that is asked for and verified, whichever is dialled; None for that one.
    :param verify: whether the host is compared with the certificate.
    """

    def __init__(
        self,
        reactor: DialReactor,
        tcp: Dialer,
        context: SSL.Context,
        deadlines: Deadlines,
        *,
        connect_timeout: float = 10.0,
        name: str | None = None,
        verify: bool = True,
    ) -> None:
        self._name = name
        self._verify = verify
        self._reactor = reactor
        self._tcp = tcp
        self._deadlines = deadlines
        self._connect_timeout = connect_timeout
        self._factory = TLSMemoryBIOFactory(
            # The reactor's clock is for stock TLS transports, which aggregate; ours does not.
            _Connections(context),
            True,
            ClientFactory(),
            clock=typing.cast(IReactorTime, reactor),
        )

    def dial(self, host: str, port: int, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect a protocol; see :meth:`aluvia.net.dial.Dialer.dial`."""
        deadline = self._reactor.seconds() + self._connect_timeout
        name = host if self._name is None else self._name
        wanted = name if self._verify else None
        handshake = _Handshake(self._deadlines, wanted, protocol, failed, deadline)
        wire = TLSWire(self._factory, handshake)
        wire.host = name
        handshake.begin(self._tcp, host, port, wire)
        return handshake


@implementer(IProtocol, IHandshakeListener)
class _Handshake(LayeredDialing):
    """One dial; the wire's protocol until the handshake is done."""

    __slots__ = ("__weakref__", "_host")

    def __init__(
        self,
        deadlines: Deadlines,
        host: str | None,
        protocol: IProtocol,
        failed: Failed,
        deadline: float,
    ) -> None:
        super().__init__(deadlines, protocol, failed, deadline)
        self._host = host

    def deadline_passed(self, now: float) -> None:
        """The peer has connected, and then said nothing, or not enough."""
        self._refuse(DialError("connection_timeout", 504, "The TLS handshake took too long."))

    def handshakeCompleted(self) -> None:  # noqa: N802
        """Compare the host, and leave the wire to the protocol."""
        if self._over:
            return
        wrong = None
        if self._host is not None:
            wrong = _identity_error(self._transport.getHandle(), self._host)
        if wrong is not None:
            self._refuse(DialError("tls_certificate_error", 502, wrong))
            return
        self._agreed()

    def dataReceived(self, data: bytes) -> None:
        """Nothing comes before the handshake is done, and then it comes to the protocol."""

    def connectionLost(self, reason: Failure) -> None:
        """The handshake has failed, in one way or another."""
        if not self._over:
            self._fail(_handshake_error(reason, self._transport.bad_chain))


def _identity_error(connection: SSL.Connection, host: str) -> str | None:
    """Say why the certificate is not this host's; None if it is."""
    verify = verify_hostname if literal(host) is None else verify_ip_address
    try:
        verify(connection, host)
    except VerificationError:
        return "The certificate is for another host."
    except Exception:
        # No names in it, names that cannot be read, whatever else: nothing was proved.
        return "The certificate does not say which host it is for."
    return None


def _handshake_error(reason: Failure, bad_chain: int) -> DialError:
    if bad_chain:
        detail = _BAD_CHAINS.get(
            bad_chain, f"The certificate was refused for OpenSSL's reason {bad_chain}."
        )
        return DialError("tls_certificate_error", 502, detail)
    return dial_error(reason.value)
