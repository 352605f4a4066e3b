"""Certificates good and bad, and their keys, made for tests."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import typing

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from aluvia.edge.model import KeyPair

__all__ = ["DAY", "NOW", "Authority", "elliptic", "issue", "key_text", "rsa_key"]

#: When it is, in tests; far from when they are run.
NOW = 2_000_000_000.0

DAY = 86_400.0


def elliptic(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A new key, which is quick."""
    return ec.generate_private_key(curve or ec.SECP256R1())


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key; the same one for all tests, since it takes long to find."""
    return rsa.generate_private_key(65_537, bits)


def key_text(key: typing.Any, password: bytes | None = None) -> str:
    """It in PEM."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return text.decode()


class Authority:
    """Signs whatever it is asked to."""

    def __init__(self, name: str, issuer: Authority | None = None) -> None:
        self.key = elliptic()
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = (issuer or self).sign(
            self.subject,
            self.key.public_key(),
            [x509.BasicConstraints(ca=True, path_length=None)],
        )

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def sign(
        self,
        subject: x509.Name,
        public_key: typing.Any,
        extensions: typing.Iterable[x509.ExtensionType],
        begins: float = NOW - DAY,
        ends: float = NOW + DAY,
    ) -> x509.Certificate:
        """Make a certificate."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime.fromtimestamp(begins, datetime.UTC))
            .not_valid_after(datetime.datetime.fromtimestamp(ends, datetime.UTC))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


@functools.cache
def authority() -> Authority:
    """The one that signs when no other is named; below a root of its own."""
    return Authority("between", Authority("root"))


def issue(
    *names: str,
    key: typing.Any = None,
    begins: float = NOW - DAY,
    ends: float = NOW + DAY,
    common_name: str = "aluvia tests",
    issuer: Authority | None = None,
) -> KeyPair:
    """
    Return a pair.

    :param names: of the subjectAltName, addresses among them; none at all without names.
    """
    key = key or elliptic()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    extensions = [x509.SubjectAlternativeName(list(map(_general, names)))] if names else []
    made = (issuer or authority()).sign(subject, key.public_key(), extensions, begins, ends)
    chain = made.public_bytes(Encoding.PEM).decode() + (issuer or authority()).pem
    return KeyPair(cert=chain, key=key_text(key))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
