"""The pace of a connection: what counts as movement, and how much is enough."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.net.pace import Pace
from aluvia.wire.limits import Limits

#: 100 bytes are the least that a window must bring.
LIMITS = Limits(body_least_rate=10, body_window_seconds=10.0)


class WindowTests(SynchronousTestCase):
    """How fast a body comes."""

    def setUp(self) -> None:
        """Begin a window at 1000 seconds."""
        self.pace = Pace(LIMITS, idle_seconds=600.0)
        self.ends = self.pace.begin_window(1000.0)

    def test_end(self) -> None:
        """A window says when it ends."""
        self.assertEqual(self.ends, 1010.0)

    def test_least(self) -> None:
        """One byte less than the least rate brings is too slow; the least is not."""
        self.pace.read += 99
        self.assertTrue(self.pace.too_slow)
        self.pace.read += 1
        self.assertFalse(self.pace.too_slow)
        self.assertEqual(self.pace.in_window, 100)

    def test_windows_do_not_help_each_other(self) -> None:
        """What came in one is not counted in the next."""
        self.pace.read += 1_000_000
        self.assertEqual(self.pace.begin_window(1010.0), 1020.0)
        self.assertEqual(self.pace.in_window, 0)
        self.assertTrue(self.pace.too_slow)

    def test_answer_does_not_count(self) -> None:
        """What we send makes no body faster."""
        self.pace.written += 1_000_000
        self.assertTrue(self.pace.too_slow)


class QuietTests(SynchronousTestCase):
    """How long nothing moves."""

    def setUp(self) -> None:
        """Begin a request at 1000 seconds, on a connection that had others before."""
        self.pace = Pace(LIMITS, idle_seconds=600.0)
        self.pace.read += 7
        self.pace.written += 70
        self.until = self.pace.begin(1000.0)

    def test_from_the_beginning(self) -> None:
        """Quiet counts from the beginning of the request: what was before it is no movement."""
        self.assertEqual(self.until, 1600.0)
        self.assertFalse(self.pace.fell_quiet(1599.0))
        self.assertEqual(self.pace.quiet_until, 1600.0)
        self.assertTrue(self.pace.fell_quiet(1600.0))

    def test_looks_are_no_movement(self) -> None:
        """However often it is looked at, the end stays where it is."""
        looks = [self.pace.fell_quiet(1000.0 + second) for second in range(1, 601)]
        self.assertEqual(looks, [False] * 599 + [True])

    def test_either_way(self) -> None:
        """A byte that came and a byte that went move the end, to as long after the next look."""
        self.pace.read += 1
        self.assertFalse(self.pace.fell_quiet(1600.0))
        self.assertEqual(self.pace.quiet_until, 2200.0)
        self.pace.written += 1
        self.assertFalse(self.pace.fell_quiet(2200.0))
        self.assertEqual(self.pace.quiet_until, 2800.0)
        self.assertTrue(self.pace.fell_quiet(2800.0))

    def test_said_once(self) -> None:
        """When it was said, quiet counts anew."""
        self.assertTrue(self.pace.fell_quiet(1600.0))
        self.assertFalse(self.pace.fell_quiet(1601.0))
        self.assertEqual(self.pace.quiet_until, 2200.0)
        self.assertTrue(self.pace.fell_quiet(2200.0))
