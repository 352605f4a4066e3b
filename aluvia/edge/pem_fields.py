"""
Certificates and keys in PEM (RFC 7468).

What is kept is the blocks alone, each spelled the one way; what stands between them (comments, the
attributes that ``openssl pkcs12`` writes) is dropped. A certificate is shown to whoever may read
the configuration and a key is not, so a key among the certificates is a fault.
"""

from __future__ import annotations

import re
import typing

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from aluvia.edge.bounds import PEM_CHARS
from aluvia.edge.model import ANY_HOST, BackendTLS, Certificate, KeyPair
from aluvia.edge.name_fields import domain, host_name
from aluvia.edge.plain_fields import FLAG, Plain, limited
from aluvia.edge.reading import Place, Wrong
from aluvia.edge.shapes import Attributes, Member, Nullable, ObjectOf

__all__ = ["BACKEND_TLS", "CERTIFICATE", "KEY_PAIR", "judge_new_pair"]

#: What is shown of a certificate besides.
DERIVED: typing.Final = ("names", "notAfter", "issuer", "serial", "fingerprint")

_CERTIFICATE: typing.Final = "CERTIFICATE"
_KEY: typing.Final = "PRIVATE KEY"

# No "-" is in what base64 is made of, so that nothing is read twice. An encrypted key of the old
# kind has fields in front, with "-" in them, and is refused anyway.
_block = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----", re.ASCII
)


def _blocks(text: str) -> list[tuple[str, str]]:
    """The label of each block, and the block."""
    return [
        (label, "\n".join([f"-----BEGIN {label}-----", *body.split(), f"-----END {label}-----\n"]))
        for label, body in _block.findall(text)
    ]


def _certificates(value: object) -> str:
    text = limited(value, PEM_CHARS)
    if f"{_KEY}-----" in text:
        raise Wrong("has a private key in it, which would be shown: certificates alone belong here")
    blocks = [block for label, block in _blocks(text) if label == _CERTIFICATE]
    if not blocks:
        raise Wrong("must be a certificate in PEM")
    return "".join(blocks)


def _good_certificates(value: object) -> str:
    text = _certificates(value)
    try:
        x509.load_pem_x509_certificates(text.encode("ascii"))
    except ValueError:
        raise Wrong("must be certificates in PEM, and one of them cannot be read") from None
    return text


def _key(value: object) -> str:
    text = limited(value, PEM_CHARS)
    if "BEGIN ENCRYPTED" in text or "4,ENCRYPTED" in text:
        raise Wrong("is encrypted: it must be without a passphrase")
    blocks = [block for label, block in _blocks(text) if label.endswith(_KEY)]
    if len(blocks) != 1:
        raise Wrong("must be one private key in PEM")
    return blocks[0]


_CERTIFICATES: typing.Final = Plain(_certificates)
_GOOD_CERTIFICATES: typing.Final = Plain(_good_certificates)
_PRIVATE_KEY: typing.Final = Plain(_key)


def _why_unfit(certificates: str, key: str) -> str | None:
    """Say why a key is not the first certificate's; None if it is. They hold certificates."""
    try:
        private = load_pem_private_key(key.encode("ascii"), password=None)
        ours = private.public_key()
        theirs = x509.load_pem_x509_certificates(certificates.encode("ascii"))[0].public_key()
        spelled = [
            each.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for each in (ours, theirs)
        ]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "cannot be read, or is of a kind that is not supported"
    return None if spelled[0] == spelled[1] else "is not the key of this certificate"


def _keep_key(place: Place, attributes: Attributes) -> None:
    """The key of before stays with its certificate."""
    if "key" in place.value:
        return
    before = place.before.pair if isinstance(place.before, Certificate) else place.before
    if before is None or "cert" not in attributes:
        place.below("key").fault("is missing")
    elif before.cert != attributes["cert"]:
        place.below("key").fault("is missing; another certificate has another key")
    else:
        attributes["key"] = before.key


#: A route's own certificate. Whether the two fit is for :func:`judge_new_pair` to ask.
KEY_PAIR: typing.Final = ObjectOf(
    KeyPair,
    [Member("key", _PRIVATE_KEY, secret=True), Member("cert", _CERTIFICATES, needed=True)],
    finish=_keep_key,
    measured=DERIVED,
)


def judge_new_pair(place: Place, pair: KeyPair, name: str, known: bool) -> None:
    """
    Tell what is wrong with a certificate for a name.

    :param name: :data:`~aluvia.edge.model.ANY_HOST` where nobody knows which.
    :param place: of the object in which the two stand.
    :param known: it was there before, for that name. It is not judged again: one that has expired
        meanwhile must not keep its route from being changed.
    """
    judge = place.reading.judges.pair
    if judge is not None and not known:
        for sentence in judge(pair, name):
            member = "key" if sentence.lower().startswith("the key") else "cert"
            place.below(member).fault(sentence)


def _finish_certificate(place: Place, attributes: Attributes) -> None:
    _keep_key(place, attributes)
    if attributes.keys() >= {"cert", "key"}:
        # Where its domain is wrong, what is wrong whatever that may be.
        new = _certificate(**{"domain": ANY_HOST, **attributes})
        judge_new_pair(place, new.pair, new.domain, new == place.before)


def _certificate(domain: str, cert: str, key: str) -> Certificate:
    return Certificate(domain=domain, pair=KeyPair(cert=cert, key=key))


CERTIFICATE: typing.Final = ObjectOf(
    Certificate,
    [
        Member("domain", Plain(domain), needed=True),
        Member("key", _PRIVATE_KEY, secret=True, source="pair.key"),
        Member("cert", _CERTIFICATES, needed=True, source="pair.cert"),
    ],
    make=_certificate,
    finish=_finish_certificate,
    measured=DERIVED,
)


def _finish_tls(place: Place, attributes: Attributes) -> None:
    """A client's certificate has its key, the right one."""
    certificate, before = attributes.get("client_cert"), place.before
    same = before is not None and before.client_cert == certificate
    if "clientKey" not in place.value and certificate is not None and same:
        attributes["client_key"] = before.client_key
    key = attributes.get("client_key")
    if certificate is None:
        if key is not None and place.value.get("clientCert") is None:
            place.below("clientCert").fault("is missing: there is a key for it")
    elif key is not None:
        unfit = _why_unfit(certificate, key)
        if unfit is not None:
            place.below("clientKey").fault(unfit)
    elif place.value.get("clientKey") is None:
        place.below("clientKey").fault("is missing: there is a certificate for it")


BACKEND_TLS: typing.Final = ObjectOf(
    BackendTLS,
    [
        Member("sni", Nullable(Plain(host_name))),
        Member("ca", Nullable(_GOOD_CERTIFICATES)),
        Member("clientCert", Nullable(_GOOD_CERTIFICATES)),
        Member("clientKey", Nullable(_PRIVATE_KEY), secret=True),
        Member("verify", FLAG),
    ],
    finish=_finish_tls,
)
