"""Tests for certificates and keys in documents: :mod:`aluvia.edge.pem_fields`."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from aluvia.edge import bounds
from aluvia.edge.fields import Judges, certificate_document, read_certificate
from aluvia.edge.model import Certificate, KeyPair
from aluvia.edge.pem_fields import DERIVED
from aluvia.edge.test.fields_case import AUTHORITY_PEM, CANARY, FIRST, SECOND, FieldsCase


def encrypted(form: PrivateFormat) -> str:
    """A key under a passphrase."""
    key = load_pem_private_key(FIRST.key.encode("ascii"), None)
    pem = key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"passphrase"))
    return pem.decode("ascii")


class CertificateTests(FieldsCase):
    """Documents of certificates."""

    def read(self, before: Certificate | None = None, **members: object) -> Certificate:
        """Read a document."""
        return read_certificate(members, before).value

    def refuse(self, *expected: tuple[str, str], **members: object) -> None:
        """A document has these faults, besides a good domain."""
        self.assert_told(self.told(self.read, **({"domain": "a"} | members)), *expected)

    def test_document(self) -> None:
        """The key is not shown, unless it is asked for; what is derived is ignored."""
        certificate = self.read(domain="*.A.example.", cert=FIRST.cert, key=FIRST.key)
        self.assertEqual(certificate, Certificate(domain="*.a.example", pair=FIRST))
        shown = {"domain": "*.a.example", "cert": FIRST.cert}
        self.assertEqual(certificate_document(certificate), shown)
        self.assertEqual(
            certificate_document(certificate, secrets=True), shown | {"key": FIRST.key}
        )
        document = shown | {"key": FIRST.key} | {name: [name] for name in DERIVED}
        read = read_certificate(document)
        self.assertEqual(read.value, certificate)
        self.assertEqual([note.split()[0] for note in read.notes], list(DERIVED))

    def test_missing(self) -> None:
        """All three are needed."""
        told = self.told(read_certificate, {})
        self.assert_told(told, *((f"/{name}", "is missing") for name in ("domain", "cert", "key")))
        self.refuse(("/domain", "for all"), domain="*", cert=FIRST.cert, key=FIRST.key)
        self.refuse(("/cert", "is missing"), key=FIRST.key)

    def test_kept(self) -> None:
        """A key that is not sent is that of before, if its certificate is."""
        before = Certificate(domain="a", pair=FIRST)
        self.assertEqual(self.read(before, domain="a", cert=FIRST.cert), before)
        other = self.told(self.read, before, domain="a", cert=SECOND.cert)
        self.assert_told(other, ("/key", "another certificate has another key"))
        self.assertEqual(
            self.read(before, domain="a", cert=SECOND.cert, key=SECOND.key).pair, SECOND
        )

    def test_judged(self) -> None:
        """Somebody else judges it, for its domain, if it is new."""
        asked: list[tuple[KeyPair, str]] = []

        def judge(pair: KeyPair, name: str) -> list[str]:
            asked.append((pair, name))
            return ["It is for other names."]

        document = {"domain": "A.", "cert": FIRST.cert, "key": FIRST.key}
        told = self.told(read_certificate, document, judges=Judges(pair=judge))
        self.assertEqual(told, [("/cert", "It is for other names.")])
        self.assertEqual(asked, [(FIRST, "a")])
        before = Certificate(domain="a", pair=FIRST)
        self.assertEqual(
            read_certificate(document, before, judges=Judges(pair=judge)).value, before
        )
        renewed = document | {"key": SECOND.key}
        self.assert_told(
            self.told(read_certificate, renewed, before, judges=Judges(pair=judge)),
            ("/cert", "other names"),
        )

    def test_spelling(self) -> None:
        """Line ends, and what stands around the blocks, make no difference."""
        noisy = f"Bag Attributes\n  friendlyName: ä\n{FIRST.cert}\n# end\n".replace("\n", "\r\n")
        parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----"
        self.assertEqual(
            self.read(domain="a", cert=noisy, key=f"{parameters}\n{FIRST.key}").pair, FIRST
        )
        chain = self.read(domain="a", cert=FIRST.cert + AUTHORITY_PEM, key=FIRST.key).pair.cert
        self.assertEqual(chain, FIRST.cert + AUTHORITY_PEM)

    def test_key_among_certificates(self) -> None:
        """It is refused, for a certificate is shown."""
        for cert in (FIRST.cert + FIRST.key, FIRST.key):
            self.refuse(("/cert", "has a private key in it"), cert=cert, key=FIRST.key)

    def test_no_certificate(self) -> None:
        """There is one, in PEM."""
        broken = FIRST.cert.replace("-----END", "----END")
        for cert in (CANARY, AUTHORITY_PEM.replace("CERTIFICATE", "X"), broken, "\ud800"):
            self.refuse(("/cert", "must be a certificate in PEM"), cert=cert, key=FIRST.key)
        for other in (None, 1, ["a"]):
            self.refuse(("/cert", "must be a string"), cert=other, key=FIRST.key)
        long = FIRST.cert + " " * bounds.PEM_CHARS
        self.refuse(("/cert", "1 to 65536"), cert=long, key=FIRST.key)
        self.refuse(("/key", "1 to 65536"), cert=FIRST.cert, key=long)

    def test_no_key(self) -> None:
        """There is one, and it can be used without being asked for anything."""
        for key in (CANARY, FIRST.cert, FIRST.key + SECOND.key, ""):
            part = "1 to 65536" if not key else "one private key in PEM"
            self.refuse(("/key", part), cert=FIRST.cert, key=key)
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            self.refuse(("/key", "is encrypted"), cert=FIRST.cert, key=encrypted(form))

    def test_many_beginnings(self) -> None:
        """A text of beginnings without ends is read once through, and refused."""
        text = ("-----BEGIN CERTIFICATE-----" * 3_000)[: bounds.PEM_CHARS]
        self.refuse(("/cert", "must be a certificate in PEM"), cert=text, key=FIRST.key)
