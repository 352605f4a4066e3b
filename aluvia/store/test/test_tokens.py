"""Tests for :mod:`aluvia.store.tokens`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.store.tokens import HASH_BYTES, hash_of


class HashTests(SynchronousTestCase):
    """Hashes of tokens, and of what is none."""

    def test_hash(self) -> None:
        """It is SHA-256."""
        digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        self.assertEqual(hash_of("abc").hex(), digest)

    def test_strange(self) -> None:
        """What cannot be encoded has a hash too, of its own."""
        hashes = {hash_of(text) for text in ("", "ä", "\udcff", "\ud800", "\0", "x" * 100_000)}
        self.assertEqual({len(each) for each in hashes}, {HASH_BYTES})
        self.assertEqual(len(hashes), 6)
