"""Tests for :mod:`aluvia.agent.health`."""

from __future__ import annotations

import errno

from twisted.logger import capturedLogs, formatEvent

from aluvia.agent.health import EVERY_SECONDS, Health, TargetStatus
from aluvia.agent.test.test_targets import TargetCase
from aluvia.net.errors import DialError

REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
NO_DESCRIPTOR = OSError(errno.EMFILE, "no more")

UP = TargetStatus(True)
DOWN = TargetStatus(False, "nothing listens at the target")


class HealthTests(TargetCase):
    """One target, whose connections a test makes by hand."""

    def setUp(self) -> None:
        """Begin to try."""
        super().setUp()
        self.health = Health(
            self.targets("app=https://127.0.0.1:3000"), self.clock.seconds, self.deadlines
        )
        self.told: list[tuple[str, TargetStatus]] = []
        self.health.told = lambda id, status: self.told.append((id, status))
        self.health.start()

    def next_try(self) -> None:
        """Wait for the next one."""
        self.clock.advance(EVERY_SECONDS)
        self.deadlines.look()

    def test_up(self) -> None:
        """It is tried at once: connected to, and closed. That it is well is no news for the log."""
        with capturedLogs() as events:
            wire = self.connect.attempts[0].connect()
            self.assertTrue(wire.closing)
            self.assertEqual(self.told, [("app", UP)])
            self.next_try()
            self.connect.attempts[1].connect()
        self.assertEqual((self.told, events), ([("app", UP)], []))

    def test_a_change_is_told_once(self) -> None:
        """Down and up again: one line each, and one word to the hub, without the place."""
        with capturedLogs() as events:
            for _ in range(3):
                self.connect.attempts[-1].fail(REFUSED)
                self.next_try()
            for _ in range(3):
                self.connect.attempts[-1].connect()
                self.next_try()
        self.assertEqual(self.told, [("app", DOWN), ("app", UP)])
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["app: nothing listens at 127.0.0.1:3000", "app: 127.0.0.1:3000 answers again."],
        )
        self.assertEqual(self.health.statuses, {"app": UP})

    def test_streams_tell_too(self) -> None:
        """What a stream meets is as good as a try."""
        self.connect.attempts[0].connect()
        with capturedLogs():
            self.health.failed("app", DialError("connection_refused", 502, ""))
            self.assertEqual(self.health.statuses, {"app": DOWN})
            self.health.reached("app")
        self.assertEqual(self.told, [("app", UP), ("app", DOWN), ("app", UP)])

    def test_what_is_not_the_targets_fault(self) -> None:
        """Our own want, and TLS, say nothing of whether it listens."""
        self.connect.attempts[0].fail(NO_DESCRIPTOR)
        for name in ("tls_certificate_error", "connection_limit_reached"):
            self.health.failed("app", DialError(name, 502, ""))
        self.assertEqual((self.told, self.health.statuses), ([], {}))

    def test_slow(self) -> None:
        """While a try is under way no other begins; one that takes too long has failed."""
        self.clock.advance(EVERY_SECONDS / 2)
        self.deadlines.look()
        self.assertEqual(len(self.connect.attempts), 1)
        with capturedLogs():
            self.next_try()
        self.assertEqual(self.told, [("app", TargetStatus(False, "the target does not answer"))])

    def test_stop(self) -> None:
        """Nothing is left."""
        self.health.stop()
        self.assertEqual((self.connect.open(), self.deadlines.watched), ([], set()))
        self.health.start()
        self.connect.attempts[-1].connect()
        self.health.stop()
        self.next_try()
        self.assertEqual(len(self.connect.attempts), 2)
