"""
Passwords and tokens as hashes, which is all of them that is ever kept.

A password is hashed with scrypt (RFC 7914), and its hash written as PHC strings are, with the
parameters in it::

    $scrypt$ln=14,r=8,p=1$c2FsdCBzYWx0IHNhbHQgcw$aGFzaCBoYXNoIGhhc2ggaGFzaCBoYXNoIGhhc2ggaGE

``ln`` is the logarithm of the cost to the base of 2; salt and hash are base64 without padding. One
verification takes 16 MiB and 50 to 100 ms with these parameters, so it belongs in a thread
(:mod:`aluvia.edge.hashing_threads`). Whoever configures a hash says what it costs; the bounds below
keep that to eight times as much.

A token is random and long, so that SHA-256 will do.

What a person types can be spelled in Unicode in several ways: passwords are compared in NFC (RFC
7617 section 2.1), and have no control characters, which also finds the line end that a file brought
along.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata

import attrs

__all__ = [
    "PASSWORD_BYTES",
    "PasswordHash",
    "hash_password",
    "hash_token",
    "password_bytes",
    "read_hash",
    "verify",
]

#: The longest password; bytes of UTF-8.
PASSWORD_BYTES = 4_096

#: The parameters of a new hash.
LN = 14
BLOCK_SIZE = 8
PARALLEL = 1
SALT_BYTES = 16
DIGEST_BYTES = 32

# What a hash may ask for. The work is counted in blocks of 128 bytes, all of which are in memory
# where nothing is done in parallel: so it bounds that too, to 128 MiB.
LEAST_LN = 10
MOST_WORK = 2**20
SALT_LENGTHS = range(8, 65)
DIGEST_LENGTHS = range(16, 65)

_phc = re.compile(
    r"\$scrypt\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
).fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


@attrs.frozen
class PasswordHash:
    """
    A hash, taken apart.

    :ivar ln: of the cost; its logarithm to the base of 2.
    """

    ln: int
    block_size: int
    parallel: int
    salt: bytes = attrs.field(repr=False)
    digest: bytes = attrs.field(repr=False)

    def __str__(self) -> str:
        """As it is written."""
        parameters = f"ln={self.ln},r={self.block_size},p={self.parallel}"
        return f"$scrypt${parameters}${_base64(self.salt)}${_base64(self.digest)}"

    def fits(self, password: bytes) -> bool:
        """
        Whether it is that of a password; it takes its time.

        :param password: see :func:`password_bytes`.
        """
        digest = _scrypt(
            password, self.salt, self.ln, self.block_size, self.parallel, len(self.digest)
        )
        return hmac.compare_digest(digest, self.digest)


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """
    Hash a password; it takes its time.

    :param salt: None for a random one, as it should be.
    :raises ValueError: it cannot be one (:func:`password_bytes`).
    """
    raw = password_bytes(password)
    if not raw:
        raise ValueError("A password must not be empty.")
    given = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = _scrypt(raw, given, LN, BLOCK_SIZE, PARALLEL, DIGEST_BYTES)
    return str(PasswordHash(LN, BLOCK_SIZE, PARALLEL, given, digest))


def verify(password: str, password_hash: str) -> bool:
    """
    Whether a hash is that of a password; it takes its time.

    :raises ValueError: the hash is none (:func:`read_hash`).
    """
    read = read_hash(password_hash)
    try:
        return read.fits(password_bytes(password))
    except ValueError:
        return False


def hash_token(token: str) -> str:
    """The SHA-256 of a token, in hexadecimal."""
    return hashlib.sha256(token.encode("utf-8")).hexdigest()


def read_hash(text: str) -> PasswordHash:
    """
    Take a hash apart.

    :raises ValueError: it is none, or asks for too much, or for too little to be one. The text of
        the error says why, without the hash.
    """
    found = _phc(text)
    if found is None:
        raise ValueError("That is no hash like $scrypt$ln=14,r=8,p=1$salt$hash.")
    ln, block_size, parallel = (int(number) for number in found.groups()[:3])
    salt, digest = (_bytes(part) for part in found.groups()[3:])
    if len(salt) not in SALT_LENGTHS or len(digest) not in DIGEST_LENGTHS:
        raise ValueError("The salt has 8 to 64 bytes, and the hash 16 to 64.")
    if ln < LEAST_LN:
        raise ValueError(f"A hash with ln less than {LEAST_LN} protects nothing.")
    if block_size * parallel * 2**ln > MOST_WORK:
        raise ValueError("Verifying it would take too much: 128 MiB, and ln=17,r=8,p=1, at most.")
    return PasswordHash(ln, block_size, parallel, salt, digest)


def password_bytes(password: str) -> bytes:
    """
    What is hashed of a password: UTF-8 in NFC.

    :raises ValueError: it is longer than :data:`PASSWORD_BYTES`, or has a control character, or
        what is no character. The text does not quote it.
    """
    try:
        raw = unicodedata.normalize("NFC", password).encode("utf-8")
    except UnicodeEncodeError:
        # That error would tell what it is about.
        raise ValueError("A password is text, and that has something else in it.") from None
    if len(raw) > PASSWORD_BYTES:
        raise ValueError(f"A password has {PASSWORD_BYTES} bytes at most.")
    if _control(password):
        raise ValueError("A password has no control characters, such as the end of a line.")
    return raw


def _scrypt(
    password: bytes, salt: bytes, ln: int, block_size: int, parallel: int, length: int
) -> bytes:
    # OpenSSL wants to be allowed a little more than it will take.
    memory = 128 * block_size * (2**ln + parallel + 2)
    return hashlib.scrypt(
        password, salt=salt, n=2**ln, r=block_size, p=parallel, maxmem=memory, dklen=length
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    """:raises ValueError: it is not what base64 writes."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raw = b""
    if _base64(raw) != text:
        raise ValueError("The salt or the hash is no base64 without padding.")
    return raw
