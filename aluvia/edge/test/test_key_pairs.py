"""What is said of a certificate and its key before they are used."""

from __future__ import annotations

import base64
import re
import typing

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge import key_pairs
from aluvia.edge.key_pairs import covers, judge_pair, read_pair
from aluvia.edge.model import KeyPair
from aluvia.edge.test.issuing import (
    DAY,
    NOW,
    Authority,
    authority,
    elliptic,
    issue,
    key_text,
    rsa_key,
)
from aluvia.testing.properties import settings_for_tests

NO_CERTIFICATE = "The certificate is none in PEM, or a broken one."
NO_KEY = "The key is none in PEM, or a broken one."
NOT_ITS_KEY = "The key is not the certificate's."

ANY = issue("a.example", "*.b.example", "127.0.0.1")


def certificates(text: str) -> list[str]:
    """Each of a chain."""
    return re.findall("-----BEGIN.*?END CERTIFICATE-----\n", text, re.DOTALL)


class JudgeTests(SynchronousTestCase):
    """Each fault by its name."""

    def judge(self, pair: KeyPair, domain: str = "a.example", now: float = NOW) -> list[str]:
        """What is wrong with it; and nothing of the key is in what is said."""
        faults = judge_pair(pair, domain, now)
        said = " ".join(faults)
        for line in pair.key.splitlines()[1:-1]:
            self.assertNotIn(line, said)
        return faults

    def test_good(self) -> None:
        """RSA, the three curves, Ed25519."""
        for key in (
            rsa_key(),
            elliptic(),
            elliptic(ec.SECP384R1()),
            elliptic(ec.SECP521R1()),
            ed25519.Ed25519PrivateKey.generate(),
        ):
            self.assertEqual(self.judge(issue("a.example", key=key)), [])

    def test_no_pem(self) -> None:
        """Both are said at once; a key where the certificate belongs is none, and the reverse."""
        good = issue("a.example")
        broken = good.cert.replace("MII", "MIJ", 1)
        for cert in ("", "x", "\u2603", good.key, broken, good.cert[:200]):
            self.assertEqual(self.judge(KeyPair(cert=cert, key=good.key)), [NO_CERTIFICATE])
        for key in ("", "x", "\u2603", good.cert, good.key[:-50]):
            self.assertEqual(self.judge(KeyPair(cert=good.cert, key=key)), [NO_KEY])
        self.assertEqual(self.judge(KeyPair(cert="", key="")), [NO_CERTIFICATE, NO_KEY])

    def test_encrypted_key(self) -> None:
        """Nobody is asked for a password."""
        key = elliptic()
        cert = issue("a.example", key=key).cert
        encrypted = KeyPair(cert=cert, key=key_text(key, b"password"))
        self.assertEqual(
            self.judge(encrypted), ["The key is encrypted; it is wanted without a password."]
        )

    def test_keys_that_nobody_takes(self) -> None:
        """A short RSA key, and kinds that browsers do not know."""
        other = "The key is neither RSA nor P-256, P-384, P-521 or Ed25519."
        for key, fault in (
            (rsa_key(1024), "The key has 1024 bits; RSA wants 2048 or more."),
            (elliptic(ec.SECP256K1()), other),
            (ed448.Ed448PrivateKey.generate(), other),
        ):
            self.assertEqual(self.judge(issue("a.example", key=key)), [fault])

    def test_another_key(self) -> None:
        """Of the same kind, of another kind."""
        pair = issue("a.example")
        for key in (elliptic(), rsa_key()):
            other = KeyPair(cert=pair.cert, key=key_text(key))
            self.assertEqual(self.judge(other), [NOT_ITS_KEY])

    def test_broken_key(self) -> None:
        """An RSA key whose numbers do not belong together is found out by what it signs."""
        numbers = rsa_key().private_numbers()
        broken = rsa.RSAPrivateNumbers(
            numbers.p,
            numbers.q,
            numbers.d + 2,
            numbers.dmp1 + 2,
            numbers.dmq1 + 2,
            numbers.iqmp,
            numbers.public_numbers,
        ).private_key(unsafe_skip_rsa_key_validation=True)
        pair = KeyPair(cert=issue("a.example", key=rsa_key()).cert, key=key_text(broken))
        self.assertEqual(
            self.judge(pair),
            ["The key is broken: the certificate does not verify what it signs."],
        )

    def test_names(self) -> None:
        """The names have to cover the domain; the common name is none."""
        names = [f"{at}.example" for at in range(7)]
        told = "0.example, 1.example, 2.example, 3.example, 4.example and 2 more"
        self.assertEqual(
            self.judge(issue(*names)), [f"The certificate is not for a.example; it is for {told}."]
        )
        self.assertEqual(
            self.judge(issue(common_name="a.example")),
            ["The certificate names no host in its subjectAltName."],
        )
        self.assertEqual(self.judge(issue("b.example"), "*"), [])

    def test_time(self) -> None:
        """From its first moment on, until before its last."""
        pair = issue("a.example", begins=NOW, ends=NOW + DAY)
        self.assertEqual(self.judge(pair), [])
        self.assertEqual(self.judge(pair, now=NOW + DAY - 1), [])
        self.assertEqual(
            self.judge(pair, now=NOW - 1),
            ["The certificate is not valid before 2033-05-18 03:33 UTC."],
        )
        self.assertEqual(
            self.judge(pair, now=NOW + DAY), ["The certificate expired on 2033-05-19 03:33 UTC."]
        )

    def test_all_at_once(self) -> None:
        """Time and names are both said."""
        self.assertEqual(len(self.judge(issue("b.example"), now=NOW + 2 * DAY)), 2)

    def test_long_chain(self) -> None:
        """A chain is bounded."""
        pair = issue("a.example")
        leaf = certificates(pair.cert)[0]
        each = len(authority().certificate.public_bytes(Encoding.DER))
        room = key_pairs.MOST_CHAIN_BYTES - len(base64.b64decode("".join(leaf.split("\n")[1:-2])))
        for count, faults in (
            (room // each, []),
            (room // each + 1, ["The certificate and its chain have more than 24576 bytes."]),
        ):
            long = KeyPair(cert=leaf + authority().pem * count, key=pair.key)
            self.assertEqual(self.judge(long), faults)

    def test_refused_by_openssl(self) -> None:
        """What it has against a pair is said in its words."""

        class Refusing:
            """A context that takes nothing."""

            def use_certificate(self, certificate: x509.Certificate) -> None:
                """Refuse."""
                raise SSL.Error([("SSL routines", "", "ca md too weak")])

        self.patch(key_pairs, "server_context", Refusing)
        self.assertEqual(
            self.judge(issue("a.example")),
            ["The certificate is refused by OpenSSL: ca md too weak."],
        )

    @settings_for_tests
    @given(st.data(), st.booleans())
    def test_damaged(self, data: st.DataObject, in_key: bool) -> None:
        """Whatever is in the PEM, it is judged, and nothing is raised."""
        text = ANY.key if in_key else certificates(ANY.cert)[0]
        head, *lines, tail = text.splitlines()
        content = bytearray(base64.b64decode("".join(lines)))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        damaged = "\n".join([head, base64.b64encode(content).decode(), tail, ""])
        judged = KeyPair(cert=ANY.cert if in_key else damaged, key=damaged if in_key else ANY.key)
        for fault in judge_pair(judged, "a.example", NOW):
            self.assertTrue(fault.startswith("The "), fault)


class ReadTests(SynchronousTestCase):
    """What is read of a pair."""

    def test_names(self) -> None:
        """They are canonical; what is no host name is left out."""
        pair = issue(
            *("A.Example", "xn--bcher-kva.example", "*.B.example.", "*", "w*.example", "a b"),
            *("*.*.example", "", "a.example", "10.0.0.1", "::ffff:10.0.0.2", "2001:db8:0::1"),
        )
        self.assertEqual(
            read_pair(pair).names,
            (
                *("a.example", "xn--bcher-kva.example", "*.b.example"),
                *("10.0.0.1", "10.0.0.2", "2001:db8::1"),
            ),
        )

    def test_addresses_are_no_names(self) -> None:
        """A dNSName that looks like an address is for nobody."""
        key = elliptic()
        signed = authority().sign(
            authority().subject,
            key.public_key(),
            [x509.SubjectAlternativeName([x509.DNSName("10.0.0.1"), x509.DNSName("a.example")])],
        )
        pem = signed.public_bytes(Encoding.PEM)
        pair = KeyPair(cert=pem.decode(), key=key_text(key))
        self.assertEqual(read_pair(pair).names, ("a.example",))

    def test_order(self) -> None:
        """A chain in any order is sent in the right one, and once each; strangers come last."""
        root = Authority("far root")
        middle = Authority("middle", root)
        low = Authority("low", middle)
        pair = issue("a.example", issuer=low)
        leaf = certificates(pair.cert)[0]
        stranger = Authority("stranger").pem
        for order in (
            [leaf, low.pem, middle.pem, root.pem, stranger],
            [stranger, root.pem, middle.pem, low.pem, leaf],
            [middle.pem, leaf, stranger, low.pem, leaf, root.pem, low.pem],
        ):
            read = read_pair(KeyPair(cert="".join(order), key=pair.key))
            self.assertEqual(read.leaf, x509.load_pem_x509_certificate(leaf.encode()))
            self.assertEqual(
                [each.subject.rfc4514_string() for each in read.chain],
                ["CN=low", "CN=middle", "CN=far root", "CN=stranger"],
            )

    def test_repr(self) -> None:
        """A key is not shown."""
        self.assertNotIn("PrivateKey", repr(read_pair(ANY)))

    def test_describe(self) -> None:
        """What may be told, and no more."""
        read = read_pair(ANY).leaf
        told = read_pair(ANY).describe()
        self.assertEqual(
            told,
            {
                "names": ["a.example", "*.b.example", "127.0.0.1"],
                "notAfter": "2033-05-19T03:33:20Z",
                "issuer": "CN=between",
                "serial": f"{read.serial_number:x}",
                "fingerprint": told["fingerprint"],
            },
        )
        self.assertRegex(typing.cast(str, told["fingerprint"]), "^[0-9a-f]{64}$")


class CoverTests(SynchronousTestCase):
    """Which names are for which hosts (RFC 9525 section 6)."""

    def test_wildcards(self) -> None:
        """One label, the first, whole."""
        for name, domain, covered in (
            ("a.example", "a.example", True),
            ("*.example", "a.example", True),
            ("*.example", "*.example", True),
            ("*.example", "*", True),
            ("*.example", "example", False),
            ("*.example", "a.b.example", False),
            ("*.example", "*.b.example", False),
            ("a.example", "*.example", False),
            ("a.example", "xa.example", False),
            ("*.b.example", "a.example", False),
            ("10.0.0.1", "10.0.0.1", True),
        ):
            self.assertIs(covers([name], domain), covered, (name, domain))
