"""Tests of :mod:`aluvia.net.tls`: certificates and authorities, with real handshakes."""

from __future__ import annotations

from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from aluvia.net import tls
from aluvia.net.test.dialling import Recorder
from aluvia.net.test.handshaking import OTHERS, OURS
from aluvia.net.test.tls_case import TLSCase
from aluvia.net.tls import TLSDialer, client_context


class CertificateErrors(TLSCase):
    """``tls_certificate_error``: whoever answered, it was not proved to be the host."""

    def assert_certificate_error(self, context: SSL.Context, host: str, word: str) -> None:
        """Assert the outcome, the word in its detail, and that the server was told nothing."""
        wire, server = self.meet(context, host)
        self.assertEqual(server.protocol.data, [])
        error = self.assert_failed(wire, "tls_certificate_error")
        self.assertIn(word, error.detail)

    def setUp(self) -> None:
        """Let the protocol send something as soon as it is connected."""
        super().setUp()
        self.patch(Recorder, "connectionMade", lambda self: self.transport.write(b"s3cret"))

    def test_wrong_name(self) -> None:
        """A certificate for another host, whatever its common name."""
        for host, names in (
            ("gw.example", ["other.example"]),
            ("a.b.gw.example", ["*.gw.example"]),
            ("gw.example", ["*.example.gw.example"]),
            ("gw.example", ["192.0.2.1"]),
            ("192.0.2.2", ["192.0.2.1"]),
            ("192.0.2.1", ["gw.example"]),
            ("2001:db8::2", ["2001:db8::1"]),
        ):
            context = OURS.issue(*names, common_name=host)
            self.assert_certificate_error(context, host, "another host")

    def test_no_name(self) -> None:
        """A certificate without a subjectAltName is nobody's, trusted authority or not."""
        for host in ("gw.example", "192.0.2.1"):
            context = OURS.issue(common_name=host)
            self.assert_certificate_error(context, host, "which host")

    def test_expired(self) -> None:
        """A certificate of last year."""
        context = OURS.issue("gw.example", from_days=-400, to_days=-35)
        self.assert_certificate_error(context, "gw.example", "expired")

    def test_not_yet_valid(self) -> None:
        """A certificate of next year."""
        context = OURS.issue("gw.example", from_days=300, to_days=600)
        self.assert_certificate_error(context, "gw.example", "not valid yet")

    def test_self_signed(self) -> None:
        """A certificate that vouches for itself."""
        context = OURS.issue("gw.example", self_signed=True)
        self.assert_certificate_error(context, "gw.example", "self-signed")

    def test_other_authority(self) -> None:
        """A certificate of an authority that we do not trust."""
        self.assert_certificate_error(OTHERS.issue("gw.example"), "gw.example", "not trusted")

    def test_wrong_purpose(self) -> None:
        """A client's certificate."""
        context = OURS.issue("gw.example", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.assert_certificate_error(context, "gw.example", "not for a server")

    def test_reason_without_a_sentence(self) -> None:
        """Other reasons of OpenSSL's are given by their number."""
        self.dial()
        wire = self.tcp.dials[0].connect()
        wire.protocol.bad_chain = 65
        wire.lose()
        self.assertIn("65", self.protocol.errors[0].detail)

    def test_error_while_comparing(self) -> None:
        """Whatever goes wrong while the host is compared, the answer is no."""

        def broken(connection: object, host: str) -> None:
            raise KeyError(host)

        self.patch(tls, "verify_hostname", broken)
        self.assert_certificate_error(OURS.issue("gw.example"), "gw.example", "which host")


class Trust(TLSCase):
    """Which authorities are trusted."""

    def test_platform_alone(self) -> None:
        """Without an extra authority, ours is a stranger."""
        self.dialer = TLSDialer(self.clock, self.tcp, client_context(), self.deadlines)
        wire, _ = self.meet(OURS.issue("gw.example"))
        self.assert_failed(wire, "tls_certificate_error")

    def test_several(self) -> None:
        """A file may hold several."""
        context = client_context(OTHERS.pem + b"\nsome words\n" + OURS.pem)
        self.dialer = TLSDialer(self.clock, self.tcp, context, self.deadlines)
        for authority in (OURS, OTHERS):
            wire, _ = self.meet(authority.issue("gw.example"))
            self.assert_open(wire)

    def test_no_certificates(self) -> None:
        """A file without one is an error, and not less trust than was asked for."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for pem in (b"", b"garbage", broken):
            self.assertRaises(ValueError, client_context, pem)
