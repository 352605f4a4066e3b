"""
Certificates and their keys as they are handed in: read, judged, described, and made a context.

What is judged is what would fail in a handshake, or at a client behind it: whether there is a
certificate and a key, whether they belong together, whether OpenSSL takes them; and, where somebody
says what they are for, whether they are, at this time. Who signed it is the clients' affair.

No text here holds anything of a key.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing

import attrs
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from OpenSSL import SSL, crypto

from aluvia.edge.model import ANY_HOST, KeyPair
from aluvia.net.addresses import literal
from aluvia.net.tls_server import server_context
from aluvia.wire.target import InvalidHost, canonical_host

__all__ = [
    "BadPair",
    "ReadPair",
    "above",
    "covers",
    "judge_pair",
    "read_pair",
    "untimely",
]

#: The most bytes of a certificate and its chain, in DER. The server's first flight has to fit in
#: what Twisted takes from OpenSSL at once, which is 32 KiB; what does not would never be sent.
MOST_CHAIN_BYTES = 24_576

#: The least bits of an RSA key; with fewer, OpenSSL and browsers refuse it.
LEAST_RSA_BITS = 2048

#: How many names are told of a certificate that is for others.
NAMES_TOLD = 5

#: Those that clients take in a handshake (RFC 8446 section 4.2.3), and authorities sign.
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)

_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)


class BadPair(ValueError):
    """
    A pair cannot be used.

    :ivar faults: all that is wrong with it, a sentence each.
    """

    def __init__(self, faults: typing.Sequence[str]) -> None:
        super().__init__(" ".join(faults))
        self.faults = tuple(faults)


@attrs.frozen(kw_only=True, eq=False)
class ReadPair:
    """
    A pair that can be used.

    :ivar leaf: the certificate of the key.
    :ivar chain: what is sent behind it, each one followed by that of its issuer as far as they are
        there.
    :ivar names: what it is for, canonical, wildcards (``*.example.com``) and addresses among them.
    :ivar not_before: seconds since 1970, and so is ``not_after``.
    """

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    names: tuple[str, ...]
    not_before: float
    not_after: float
    _key: _Key = attrs.field(repr=False)

    def context(self) -> SSL.Context:
        """
        Make a context that presents it. It takes some 25 KB, and a fifth of a millisecond; with an
        RSA key a whole one.

        :raises BadPair: the key is broken, or OpenSSL has something against the certificate.
        """
        if not self._key_works():
            raise BadPair(["The key is broken: the certificate does not verify what it signs."])
        context = server_context()
        try:
            context.use_certificate(self.leaf)
            for each in self.chain:
                context.add_extra_chain_cert(each)
            context.use_privatekey(self._key)
            context.check_privatekey()
        except (SSL.Error, crypto.Error) as error:
            reason = error.args[0][-1][2] if error.args and error.args[0] else "for no reason"
            raise BadPair([f"The certificate is refused by OpenSSL: {reason}."]) from None
        return context

    def describe(self) -> dict[str, object]:
        """
        Say what may be told of it.

        .. code-block:: json

            {"names": ["api.example.com"], "notAfter": "2026-12-31T23:59:59Z",
             "issuer": "CN=R3,O=…", "serial": "4a…", "fingerprint": "9f…"}

        ``serial`` and ``fingerprint`` (the SHA-256 of the certificate) are in hexadecimal.
        """
        return {
            "names": list(self.names),
            "notAfter": _time(self.not_after).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "issuer": self.leaf.issuer.rfc4514_string(),
            "serial": f"{self.leaf.serial_number:x}",
            "fingerprint": self.leaf.fingerprint(hashes.SHA256()).hex(),
        }

    def _key_works(self) -> bool:
        """
        Whether the certificate verifies what the key signs.

        It is what is left to ask of an RSA key whose numbers were not checked when it was read:
        that takes 40 ms, and a restart reads a thousand of them.
        """
        key, public = self._key, typing.cast(typing.Any, self.leaf.public_key())
        try:
            if isinstance(key, rsa.RSAPrivateKey):
                signature = key.sign(b"", padding.PKCS1v15(), hashes.SHA256())
                public.verify(signature, b"", padding.PKCS1v15(), hashes.SHA256())
            elif isinstance(key, ec.EllipticCurvePrivateKey):
                algorithm = ec.ECDSA(hashes.SHA256())
                public.verify(key.sign(b"", algorithm), b"", algorithm)
            else:
                public.verify(key.sign(b""), b"")
        except (InvalidSignature, ValueError):
            return False
        return True


def read_pair(pair: KeyPair) -> ReadPair:
    """
    Read a pair.

    A chain in another order is put in order. Expired ones are read too.

    :raises BadPair: with all that is wrong.
    """
    faults: list[str] = []
    certificates = _certificates(pair.cert, faults)
    key = _key(pair.key, faults)
    if not certificates or key is None:
        raise BadPair(faults)
    try:
        # Where it is in no order, the key knows which one is its own.
        public = key.public_key()
        leaf = next((each for each in certificates if each.public_key() == public), None)
        if leaf is None:
            leaf = certificates[0]
            faults.append("The key is not the certificate's.")
        names = _names(leaf)
        read = ReadPair(
            leaf=leaf,
            chain=_in_order(leaf, certificates),
            names=names,
            not_before=leaf.not_valid_before_utc.timestamp(),
            not_after=leaf.not_valid_after_utc.timestamp(),
            key=key,
        )
    except Exception:
        # It is read as far as it is asked, strangers wrote it, and there is no end of what
        # cryptography raises for what has no business in a certificate.
        raise BadPair([*faults, "The certificate cannot be read."]) from None
    if not names:
        faults.append("The certificate names no host in its subjectAltName.")
    if faults:
        raise BadPair(faults)
    return read


def judge_pair(pair: KeyPair, domain: str, now: float) -> list[str]:
    """
    Say what is wrong with a pair for this domain; an empty list if nothing is.

    :param domain: canonical; a name, ``*.example.com`` for one label below it, or ``*`` for no
        matter which.
    :param now: seconds since 1970.
    """
    try:
        read = read_pair(pair)
    except BadPair as bad:
        return list(bad.faults)
    faults = untimely(read, now)
    if not covers(read.names, domain):
        told = ", ".join(read.names[:NAMES_TOLD])
        more = len(read.names) - NAMES_TOLD
        rest = f" and {more} more" if more > 0 else ""
        faults.append(f"The certificate is not for {domain}; it is for {told}{rest}.")
    if not faults:
        try:
            read.context()
        except BadPair as bad:
            return list(bad.faults)
    return faults


class Dated(typing.Protocol):
    """What is valid for a time; seconds since 1970."""

    @property
    def not_before(self) -> float:
        """From when on."""

    @property
    def not_after(self) -> float:
        """Until when."""


def untimely(dated: Dated, now: float) -> list[str]:
    """Say what is wrong with a certificate at this time; an empty list if nothing is."""
    if now < dated.not_before:
        return [f"The certificate is not valid before {_day(dated.not_before)}."]
    if now >= dated.not_after:
        return [f"The certificate expired on {_day(dated.not_after)}."]
    return []


def covers(names: typing.Collection[str], domain: str) -> bool:
    """
    Whether a certificate with these names is for a domain (RFC 9525 section 6).

    A wildcard stands for one label. The subject's common name is no name.
    """
    return domain == ANY_HOST or domain in names or above(domain) in names


def above(name: str) -> str:
    """Return the wildcard that a name is under, ``*.example.com`` for ``api.example.com``."""
    return f"*.{name.partition('.')[2]}"


def _certificates(text: str, faults: list[str]) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except _UNREADABLE:
        faults.append("The certificate is none in PEM, or a broken one.")
        return []
    if sum(len(each.public_bytes(Encoding.DER)) for each in found) > MOST_CHAIN_BYTES:
        faults.append(f"The certificate and its chain have more than {MOST_CHAIN_BYTES} bytes.")
        return []
    return found


def _key(text: str, faults: list[str]) -> _Key | None:
    try:
        key = load_pem_private_key(text.encode(), None, unsafe_skip_rsa_key_validation=True)
    except TypeError:
        faults.append("The key is encrypted; it is wanted without a password.")
        return None
    except _UNREADABLE:
        faults.append("The key is none in PEM, or a broken one.")
        return None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size >= LEAST_RSA_BITS:
            return key
        faults.append(f"The key has {key.key_size} bits; RSA wants {LEAST_RSA_BITS} or more.")
    elif isinstance(key, ed25519.Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES)
    ):
        return key
    else:
        faults.append("The key is neither RSA nor P-256, P-384, P-521 or Ed25519.")
    return None


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return what it is for, canonical. What is no host name is left out."""
    extensions = certificate.extensions
    try:
        alternative = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [_host(name) for name in alternative.get_values_for_type(x509.DNSName)]
    names += [
        canonical_host(str(address))
        for address in alternative.get_values_for_type(x509.IPAddress)
        if isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address)
    ]
    return tuple(dict.fromkeys(name for name in names if name))


def _host(name: str) -> str:
    """Return the canonical form of a dNSName; empty for what cannot be one."""
    wildcard = name.startswith("*.")
    try:
        host = canonical_host(name[2:] if wildcard else name)
    except InvalidHost:
        return ""
    if literal(host) is not None:
        # An address is an iPAddress (RFC 9525 section 6.2).
        return ""
    return f"*.{host}" if wildcard else host


def _in_order(
    leaf: x509.Certificate, certificates: list[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """Return what belongs behind a certificate; what is not in its line comes last."""
    rest = [each for each in dict.fromkeys(certificates) if each != leaf]
    chain: list[x509.Certificate] = []
    issuer = leaf.issuer
    while (found := next((each for each in rest if each.subject == issuer), None)) is not None:
        rest.remove(found)
        chain.append(found)
        issuer = found.issuer
    return (*chain, *rest)


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _day(seconds: float) -> str:
    return f"{_time(seconds):%Y-%m-%d %H:%M} UTC"
