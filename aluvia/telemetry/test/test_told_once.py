"""What is told once in a while."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.told_once import MOST_KINDS, TELL_EVERY, ToldOnce


class ToldOnceTests(SynchronousTestCase):
    """When something is to be told."""

    def test_kinds(self) -> None:
        """Each kind is, once a minute."""
        clock = Clock()
        told = ToldOnce(clock)
        self.assertEqual([told.is_new(kind) for kind in "aabab"], [True, False, True, False, False])
        clock.advance(TELL_EVERY - 1)
        self.assertFalse(told.is_new("a"))
        clock.advance(1)
        self.assertEqual([told.is_new(kind) for kind in "aab"], [True, False, True])

    def test_bounded(self) -> None:
        """Beyond so many kinds all others are one."""
        told = ToldOnce(Clock())
        self.assertTrue(all(told.is_new(str(kind)) for kind in range(MOST_KINDS)))
        self.assertEqual([told.is_new(kind) for kind in ("x", "y", "x")], [True, False, False])
