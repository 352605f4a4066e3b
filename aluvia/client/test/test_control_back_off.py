"""The back-off of :mod:`aluvia.client.control`."""

from __future__ import annotations

import inspect
import random

from aluvia.client.control import ControlPlane
from aluvia.client.test.control_case import DOWN, INTERVAL, ControlCase


class JitterTests(ControlCase):
    """Who follows a control plane."""

    def test_default(self) -> None:
        """Nobody has to think of it: it is random unless a test says otherwise."""
        jitter = inspect.signature(ControlPlane).parameters["jitter"]
        self.assertIs(jitter.default, random.random)

    def test_used(self) -> None:
        """Each failure draws, and the tick waits for as long as that says."""
        for draw, ticks in ((0.0, [1, 1, 1, 1]), (0.5, [1, 2, 4, 6]), (1.0, [2, 4, 8, 12])):
            self.control = self.make(jitter=lambda draw=draw: draw)  # type: ignore[misc]
            self.start()
            self.clock.advance(INTERVAL)
            for count in ticks:
                asked = len(self.api.asked)
                self.answer(DOWN)
                self.clock.pump([INTERVAL] * (count - 1))
                self.assertEqual(len(self.api.asked), asked)
                self.clock.advance(INTERVAL)
                self.assertEqual(len(self.api.asked), asked + 1)
            self.answer(DOWN)
            self.stop()
