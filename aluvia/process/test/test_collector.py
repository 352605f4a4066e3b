"""The garbage collector of a door's own process."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from aluvia.process import collector


class SettleTests(SynchronousTestCase):
    """:func:`aluvia.process.collector.settle`."""

    def test_settle(self) -> None:
        """What is there is out of the collector's sight, and it looks less often."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        collector.settle()
        self.assertGreater(gc.get_freeze_count(), 0)
        self.assertEqual(gc.get_threshold(), collector.THRESHOLDS)

    def test_cycles_are_still_collected(self) -> None:
        """Less often is not never."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        collector.settle()
        before = gc.get_stats()[0]["collections"]
        kept: list[list[int]] = [[] for _ in range(2 * collector.THRESHOLDS[0])]
        self.assertGreater(gc.get_stats()[0]["collections"], before)
        del kept
