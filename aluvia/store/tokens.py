"""
Tokens: random secrets that somebody is given once, and of which a hash is kept.

A token has 256 random bits. What is kept is its SHA-256, with no salt and no slow hash: there is
nothing to guess at a random number.
"""

from __future__ import annotations

import hashlib
import typing

__all__ = ["HASH_BYTES", "TOKEN_BYTES", "MakeSecret", "hash_of"]

#: How many of them are random.
TOKEN_BYTES = 32

HASH_BYTES = hashlib.sha256().digest_size

#: Makes a secret of so many random bytes.
MakeSecret = typing.Callable[[int], str]


def hash_of(token: str) -> bytes:
    """What is kept of a token. Whatever a stranger shows in place of one has a hash as well."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
