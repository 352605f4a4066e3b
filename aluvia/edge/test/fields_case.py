"""What the tests of documents share: pairs of certificate and key, and what a fault looks like."""

from __future__ import annotations

import itertools
import typing

import trustme
from twisted.trial.unittest import SynchronousTestCase

from aluvia.api.problems import Problem
from aluvia.edge.model import KeyPair

AUTHORITY = trustme.CA()
AUTHORITY_PEM = AUTHORITY.cert_pem.bytes().decode("ascii")


def issued(*names: str) -> KeyPair:
    """A certificate for these names, with its chain, and its key."""
    leaf = AUTHORITY.issue_cert(*names)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return KeyPair(cert=chain.decode("ascii"), key=leaf.private_key_pem.bytes().decode("ascii"))


FIRST = issued("a.example")
SECOND = issued("b.example")

#: What must not be told; it stands in keys and hashes.
#: Behind it any sixteen bytes or more in base64 make a hash of a password.
SCRYPT = "$scrypt$ln=14,r=8,p=1$c2FsdCBzYWx0IHNhbHQgcw$"

CANARY = "canary5ecret"


def ids() -> typing.Callable[[], str]:
    """Makes id-1, id-2 and so on."""
    numbers = itertools.count(1)
    return lambda: f"id-{next(numbers)}"


class FieldsCase(SynchronousTestCase):
    """A test of what is read."""

    def told(
        self, read: typing.Callable[..., object], *arguments: object, **named: object
    ) -> list[tuple[str, str]]:
        """The faults of a document, as pairs of pointer and detail; they have no canary."""
        problem = self.assertRaises(Problem, read, *arguments, **named)
        self.assertEqual((problem.status, problem.code), (422, "invalid_fields"))
        self.assertNotIn(CANARY.encode("ascii"), problem.body())
        return [(fault.pointer, fault.detail) for fault in problem.faults]

    def assert_told(
        self, told: typing.Sequence[tuple[str, str]], *expected: tuple[str, str]
    ) -> None:
        """These faults, in any order, each with this in its detail."""
        self.assertEqual(
            sorted(pointer for pointer, _ in told), sorted(pointer for pointer, _ in expected)
        )
        for pointer, part in expected:
            details = [detail for place, detail in told if place == pointer]
            self.assertTrue(any(part in detail for detail in details), (pointer, part, details))
