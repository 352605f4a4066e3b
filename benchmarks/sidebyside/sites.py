"""What an edge serves in a case: hosts, the backends behind them, perhaps a certificate.

Backends are ports of the one origin (``c/origin.c`` with ``--more``), so that they cost the same
however many there are. A certificate is ECDSA P-256, made for the run: which of them it is decides
most of what a handshake costs.
"""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .processes import LOOPBACK

HOST = "bench.test"
VALID = datetime.timedelta(days=2)


@attrs.frozen
class KeyPairFiles:
    """A certificate and its key, each in a PEM file."""

    certificate: Path
    key: Path


@attrs.frozen
class Site:
    """Routes that all lead to the same backends; with a certificate it is served over TLS alone."""

    backends: tuple[int, ...] = ()
    routes: int = 1
    pair: KeyPairFiles | None = None

    @property
    def hosts(self) -> list[str]:
        """A host for each route; of several, numbered as the load's ``--hosts`` does."""
        if self.routes == 1:
            return [HOST]
        return [f"{number:04}.{HOST}" for number in range(self.routes)]


def self_signed(folder: Path) -> KeyPairFiles:
    """Make a key and a certificate for :data:`HOST` and loopback, as files of ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - VALID)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = KeyPairFiles(folder / "certificate.pem", folder / "key.pem")
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pair
