"""A certificate that signs itself, for as long as a demo runs."""

from __future__ import annotations

import datetime
import typing

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aluvia.edge.model import KeyPair

__all__ = ["self_signed"]

#: For a clock that is behind ours: that of another machine, or of a browser in a sandbox.
BEFORE = datetime.timedelta(days=1)

#: More than a demo runs, and less than what any client finds too long.
AFTER = datetime.timedelta(days=90)


def self_signed(names: typing.Sequence[str], now: float) -> KeyPair:
    """
    Make a key, and a certificate of it that is good for these hosts.

    It is no authority: whoever trusts it trusts these hosts, and nothing that its key might sign.

    :param now: seconds since 1970.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aluvia demo")])
    at = datetime.datetime.fromtimestamp(now, datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - BEFORE)
        .not_valid_after(at + AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, names)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
    )
    made = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(cert=made.public_bytes(Encoding.PEM).decode(), key=private.decode())
