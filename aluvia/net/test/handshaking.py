"""The other end of a TLS connection, in memory: certificates good and bad, and a server."""

from __future__ import annotations

import contextlib
import datetime
import functools
import ipaddress
import typing

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from aluvia.net.test.dialling import FakeWire, Recorder
from aluvia.net.tls import client_context

__all__ = ["OTHERS", "OURS", "Authority", "Peer", "Server", "server_context", "trusting_ours"]


class Authority:
    """One that signs whatever it is asked to."""

    def __init__(self) -> None:
        self._trustme = trustme.CA()
        self.pem: bytes = self._trustme.cert_pem.bytes()
        self._key = serialization.load_pem_private_key(self._trustme.private_key_pem.bytes(), None)
        self._certificate = x509.load_pem_x509_certificate(self.pem)

    def issue(
        self,
        *names: str,
        common_name: str = "aluvia tests",
        from_days: int = -1,
        to_days: int = 1,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        self_signed: bool = False,
    ) -> SSL.Context:
        """
        Return the context of a server with such a certificate.

        :param names: of the subjectAltName; none at all without names.
        :param from_days: when it begins to be valid, in days from now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if self_signed else self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=from_days))
            .not_valid_after(now + datetime.timedelta(days=to_days))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]),
                critical=False,
            )
        signed = builder.sign(
            key if self_signed else typing.cast(ec.EllipticCurvePrivateKey, self._key),
            hashes.SHA256(),
        )
        return server_context(key, signed)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_context(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> SSL.Context:
    """Return a server's context."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_privatekey(key)
    context.use_certificate(certificate)
    return context


#: One that the tests trust, and one that they do not.
OURS = Authority()
OTHERS = Authority()


@functools.cache
def trusting_ours() -> SSL.Context:
    """Return a client's context that trusts :data:`OURS`."""
    return client_context(OURS.pem)


@implementer(IOpenSSLServerConnectionCreator)
class ServerConnections:
    """Makes OpenSSL's connections of a context."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Make one."""
        return SSL.Connection(self._context, None)


class Server:
    """
    A TLS server, connected in memory.

    :ivar protocol: keeps what comes through the TLS.
    :ivar server_name: the name that the client asked for.
    :ivar offered: the protocols that the client offered by ALPN.
    """

    def __init__(self, context: SSL.Context, *, takes: bytes | None = b"http/1.1") -> None:
        self.protocol = Recorder()
        self.server_name: bytes | None = None
        self.offered: list[bytes] = []

        def note_name(connection: SSL.Connection) -> None:
            self.server_name = connection.get_servername()

        def choose(connection: SSL.Connection, offered: list[bytes]) -> bytes:
            self.offered = offered
            return b"" if takes is None or takes not in offered else takes

        context.set_tlsext_servername_callback(note_name)
        if takes is not None:
            context.set_alpn_select_callback(choose)
        factory = TLSMemoryBIOFactory(
            ServerConnections(context), False, ServerFactory(), clock=Clock()
        )
        self.wire = FakeWire()
        self.wire.start(TLSMemoryBIOProtocol(factory, self.protocol))

    def talk(self, client: FakeWire) -> None:
        """Carry bytes between the two until neither has any left."""
        while client.value() or self.wire.value():
            for one, other in ((client, self.wire), (self.wire, client)):
                data = one.value()
                one.clear()
                if data:
                    other.deliver(data)


class Peer:
    """
    The other end of a TLS connection as OpenSSL knows it: it ends when a test says so, and not by
    itself.

    :param wire: the transport below our end.
    :ivar received: what came, in the clear.
    :ivar ended: whether a close_notify came behind it.
    """

    def __init__(self, context: SSL.Context, wire: FakeWire, *, server: bool) -> None:
        self.tls = SSL.Connection(context, None)
        if server:
            self.tls.set_accept_state()
        else:
            self.tls.set_connect_state()
        self.wire = wire
        self.received = b""
        self.ended = False

    def send(self, data: bytes) -> None:
        """Send it, and let both sides talk."""
        self.tls.sendall(data)
        self.talk()

    def finish(self) -> None:
        """Send a close_notify."""
        self.tls.shutdown()
        self.talk()

    def talk(self) -> None:
        """Carry bytes between the two until neither has any left."""
        moved = True
        while moved:
            moved = False
            data = self.wire.value()
            if data:
                moved = True
                self.wire.clear()
                self.tls.bio_write(data)
            self._look()
            with contextlib.suppress(SSL.WantReadError):
                out = self.tls.bio_read(1_000_000)
                moved = True
                self.wire.deliver(out)

    def _look(self) -> None:
        with contextlib.suppress(SSL.WantReadError):
            try:
                self.tls.do_handshake()
                while True:
                    self.received += self.tls.recv(65_536)
            except SSL.ZeroReturnError:
                self.ended = True
