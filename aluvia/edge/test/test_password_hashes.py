"""Hashes of passwords and tokens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import unicodedata

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.password_hashes import (
    PASSWORD_BYTES,
    PasswordHash,
    hash_password,
    hash_token,
    password_bytes,
    read_hash,
    verify,
)
from aluvia.edge.test.auth_case import cheap_hash
from aluvia.testing.properties import settings_for_tests

SALT = b"0123456789abcdef"


class HashTests(SynchronousTestCase):
    """Made, written and compared."""

    def test_scrypt(self) -> None:
        """The hash is scrypt's with the parameters that are written in it, in base64 unpadded."""
        digest = hashlib.scrypt("pä:ss".encode(), salt=SALT, n=2**14, r=8, p=1, dklen=32)
        written = [base64.b64encode(raw).decode().rstrip("=") for raw in (SALT, digest)]
        expected = f"$scrypt$ln=14,r=8,p=1${written[0]}${written[1]}"
        self.assertEqual(hash_password("pä:ss", salt=SALT), expected)
        self.assertTrue(verify("pä:ss", expected))
        self.assertFalse(verify("pä:s", expected))

    def test_salt(self) -> None:
        """Without a salt each hash has one of its own."""
        self.assertNotEqual(hash_password("a"), hash_password("a"))

    def test_colons(self) -> None:
        """A password is all of it, colons and blanks too."""
        hashed = cheap_hash(" a:b:c ")
        self.assertTrue(verify(" a:b:c ", hashed))
        for other in ("a:b:c", " a:b:c", " a", " a:b", ""):
            self.assertFalse(verify(other, hashed))

    def test_unicode(self) -> None:
        """However its characters are composed, a password is the same one."""
        composed = unicodedata.normalize("NFC", "Ünïcödé")
        apart = unicodedata.normalize("NFD", composed)
        self.assertNotEqual(composed, apart)
        self.assertTrue(verify(apart, cheap_hash(composed)))
        self.assertTrue(verify(composed, cheap_hash(apart)))

    def test_no_password(self) -> None:
        """What can be no password has no hash, and the error does not quote it."""
        for text in ("", "canary\n", "canary\0", "a" * (PASSWORD_BYTES + 1), "canary\udc80"):
            with self.assertRaises(ValueError) as caught:
                hash_password(text)
            self.assertNotIn("canary", str(caught.exception))
            self.assertIs(type(caught.exception), ValueError)
            self.assertFalse(verify(text, cheap_hash("canary")))

    def test_long(self) -> None:
        """The longest password counts to its last byte."""
        longest = "a" * PASSWORD_BYTES
        hashed = cheap_hash(longest)
        self.assertTrue(verify(longest, hashed))
        self.assertFalse(verify(longest[:-1], hashed))

    def test_secret(self) -> None:
        """A hash that is taken apart does not show itself."""
        self.assertNotIn("digest", repr(read_hash(cheap_hash("a"))))

    def test_token(self) -> None:
        """A token's is its SHA-256."""
        self.assertEqual(hash_token("t"), hashlib.sha256(b"t").hexdigest())


def written(ln: object, r: object, p: object, salt: bytes = SALT, digest: bytes = SALT) -> str:
    """A hash with these parameters."""
    parts = [base64.b64encode(raw).decode().rstrip("=") for raw in (salt, digest)]
    return f"$scrypt$ln={ln},r={r},p={p}${parts[0]}${parts[1]}"


class ReadTests(SynchronousTestCase):
    """Read from a configuration."""

    def test_parameters(self) -> None:
        """Those that cost up to eight times what ours do are taken."""
        for ln, r, p in ((10, 1, 1), (14, 8, 1), (16, 8, 2), (17, 8, 1), (14, 8, 8), (14, 32, 2)):
            read = read_hash(written(ln, r, p))
            self.assertEqual((read.ln, read.block_size, read.parallel), (ln, r, p))

    def test_a_configured_hash_cannot_eat_the_machine(self) -> None:
        """Whatever takes more memory or more work is refused, and so is what is no work at all."""
        for ln, r, p in (
            *((18, 8, 1), (17, 9, 1), (17, 8, 2), (14, 8, 9), (99, 1, 1), (10, 99, 99), (20, 2, 1)),
            *((9, 8, 1), (1, 1, 1), (0, 8, 1), (14, 0, 1), (14, 8, 0), (100, 8, 1), (14, 8, 100)),
            *((-14, 8, 1), ("0x0e", 8, 1), ("014", 8, 1), ("1_4", 8, 1), ("", 8, 1), ("١٤", 8, 1)),
        ):
            self.assertRaises(ValueError, read_hash, written(ln, r, p))

    def test_lengths(self) -> None:
        """Salt and hash are neither short nor long."""
        for salt, digest in ((7, 16), (65, 16), (8, 15), (8, 65), (0, 32)):
            text = written(14, 8, 1, bytes(salt), bytes(digest))
            self.assertRaises(ValueError, read_hash, text)
        for salt, digest in ((8, 16), (64, 64)):
            read_hash(written(14, 8, 1, bytes(salt), bytes(digest)))

    def test_malformed(self) -> None:
        """What is no such hash is refused, and not quoted."""
        good = written(14, 8, 1)
        for text in (
            *("", "canary", good[1:], good + "=", good + "\n", " " + good, good + "$canary"),
            good.replace("scrypt", "argon2"),
            good.replace("ln=14,r=8", "r=8,ln=14"),
            good[:-1],
            good[:-1] + "x",
        ):
            with self.assertRaises(ValueError) as caught:
                read_hash(text)
            self.assertNotIn("canary", str(caught.exception))

    @settings_for_tests
    @given(
        some.integers(10, 14),
        some.integers(1, 8),
        some.integers(1, 8),
        some.binary(min_size=8, max_size=64),
        some.binary(min_size=16, max_size=64),
    )
    def test_round_trip(self, ln: int, r: int, p: int, salt: bytes, digest: bytes) -> None:
        """What is written is read again."""
        made = PasswordHash(ln, r, p, salt, digest)
        self.assertEqual(read_hash(str(made)), made)

    @settings_for_tests
    @given(some.text())
    def test_anything(self, text: str) -> None:
        """Any text is a hash, or a ValueError; any is a password, or one."""
        for read in (read_hash, password_bytes):
            with contextlib.suppress(ValueError):
                read(text)
