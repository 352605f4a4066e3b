"""Tests for :mod:`aluvia.wire.limits` and :mod:`aluvia.wire.errors`."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from aluvia.wire.errors import LocalProtocolError, ProtocolViolation
from aluvia.wire.limits import DEFAULT_LIMITS, Limits


class LimitsTests(SynchronousTestCase):
    """Bounds are values: checked once, and never changed."""

    def test_defaults(self) -> None:
        """The defaults are the design's, and stand together."""
        self.assertEqual(DEFAULT_LIMITS, Limits())
        self.assertEqual((DEFAULT_LIMITS.head_bytes, DEFAULT_LIMITS.field_count), (65_536, 200))
        reached = DEFAULT_LIMITS.pipelined_bytes
        self.assertGreater(DEFAULT_LIMITS.held_bytes, 2 * reached)

    def test_checked(self) -> None:
        """A bound below nothing, or of nothing where something must fit, is refused."""
        for field in attrs.fields(Limits):
            self.assertRaises(ValueError, Limits, **{field.name: -1})
        self.assertRaises(ValueError, Limits, head_bytes=0)

    def test_frozen(self) -> None:
        """Nobody changes a bound under somebody else."""
        self.assertRaises(attrs.exceptions.FrozenInstanceError, setattr, Limits(), "pipes", 1)


class ErrorsTests(SynchronousTestCase):
    """What a violation carries."""

    def test_violation(self) -> None:
        """A status, a sentence that is its text, and the name of RFC 9209."""
        violation = ProtocolViolation(400, "No.")
        self.assertEqual(
            (violation.status, violation.reason, violation.error, str(violation)),
            (400, "No.", "http_protocol_error", "No."),
        )

    def test_local(self) -> None:
        """A mistake of ours is a RuntimeError, and no violation."""
        self.assertTrue(issubclass(LocalProtocolError, RuntimeError))
        self.assertFalse(issubclass(LocalProtocolError, ProtocolViolation))
