"""Tests for :mod:`aluvia.client.policy`."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.policy import ClientPolicy
from aluvia.client.routing import Router
from aluvia.forwarding.counters import Counters
from aluvia.net.errors import DialError


class Held:
    """Something that a frame holds."""


class UnconfiguredTests(SynchronousTestCase):
    """Before there is a configuration, where requests are refused meanwhile."""

    def setUp(self) -> None:
        """Make the policy."""
        self.counters = Counters()
        self.policy = ClientPolicy(Router(None), self.counters, refuse_unconfigured=True)

    def refused(self) -> tuple[weakref.ref[Held], int]:
        """What the request held, and how long the traceback of its refusal was."""
        held = Held()
        try:
            self.policy.route(None, "a.example", 443)
        except DialError as error:
            self.assertEqual((error.error, error.status), ("proxy_configuration_error", 503))
            length, trace = 0, error.__traceback__
            while trace is not None:
                length, trace = length + 1, trace.tb_next
            return weakref.ref(held), length
        self.fail("DialError not raised")

    def test_refused(self) -> None:
        """Each is refused, and none goes direct."""
        self.refused()
        self.assertEqual(self.counters.fail_opens, 0)

    def test_refusals_hold_nothing(self) -> None:
        """A refused request is gone with its answer, however many there are."""
        seen = [self.refused() for _ in range(50)]
        gc.collect()
        self.assertEqual([held() for held, _ in seen], [None] * len(seen))
        self.assertEqual(len({length for _, length in seen}), 1)
