"""Whether credentials are right, and for how long that is known."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.hashing_threads import NoThread
from aluvia.edge.test.auth_case import ByHand
from aluvia.edge.verifications import MOST_OF_ONE_ADDRESS, MOST_REMEMBERED, Verifications


class VerificationsTests(SynchronousTestCase):
    """Asked once, remembered a while, shared."""

    def setUp(self) -> None:
        """Threads that work when they are told to."""
        self.clock = Clock()
        self.threads = ByHand()
        self.verifications = Verifications(self.clock, self.threads)

    def verify(self, key: bytes, right: bool = True, address: str = "192.0.2.1") -> Deferred[bool]:
        """Ask whether they are right."""
        return self.verifications.verify(key, address, lambda: right)

    def test_right(self) -> None:
        """What was right is known for a minute from when that was found out, used or not."""
        self.assertIsNone(self.verifications.known(b"a"))
        asked = self.verify(b"a")
        self.clock.advance(10)
        self.assertNoResult(asked)
        self.threads.work()
        self.assertTrue(self.successResultOf(asked))
        self.clock.advance(59)
        self.assertIs(self.verifications.known(b"a"), True)
        self.clock.advance(1)
        self.assertIsNone(self.verifications.known(b"a"))

    def test_wrong(self) -> None:
        """What was wrong is known for a second."""
        asked = self.verify(b"a", right=False)
        self.threads.work()
        self.assertFalse(self.successResultOf(asked))
        self.clock.advance(0.5)
        self.assertIs(self.verifications.known(b"a"), False)
        self.clock.advance(0.5)
        self.assertIsNone(self.verifications.known(b"a"))

    def test_shared(self) -> None:
        """Those who ask with the same credentials meanwhile share one verification."""
        asked = [self.verify(b"a", address=f"192.0.2.{at}") for at in range(100)]
        other = self.verify(b"b", right=False)
        self.assertEqual(self.threads.work(), 2)
        self.assertEqual([self.successResultOf(each) for each in asked], [True] * 100)
        self.assertFalse(self.successResultOf(other))

    def test_cancelled(self) -> None:
        """One who leaves does not take it from the others; the last one ends it."""
        first, second = self.verify(b"a"), self.verify(b"a")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(self.threads.given_up, 0)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.threads.given_up, 1)
        again = self.verify(b"a")
        self.assertEqual(self.threads.work(), 1)
        self.assertTrue(self.successResultOf(again))

    def test_one_address_has_so_many_places(self) -> None:
        """A guesser leaves room for others; who is done, or has left, makes room for the next."""
        for address, same, other in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"),
            ("::ffff:192.0.2.3", "192.0.2.3", "::ffff:192.0.2.4"),
        ):
            asked = [self.verify(b"%d" % at, False, address) for at in range(MOST_OF_ONE_ADDRESS)]
            self.failureResultOf(self.verify(b"more", address=same), NoThread)
            self.assertNoResult(self.verify(b"other", address=other))
            self.assertNoResult(self.verify(b"0", address=same))
            left = asked.pop()
            left.cancel()
            self.failureResultOf(left, CancelledError)
            self.assertNoResult(self.verify(b"more", address=same))
            self.failureResultOf(self.verify(b"still more", address=same), NoThread)
            self.threads.work()
            self.assertNoResult(self.verify(b"still more", address=same))
            self.threads.work()
            self.clock.advance(60)

    def test_no_thread(self) -> None:
        """Where nobody verifies, nothing is known, and nothing is left behind."""
        self.threads.full = True
        for _ in range(MOST_OF_ONE_ADDRESS + 1):
            failure = self.failureResultOf(self.verify(b"a"), NoThread)
            self.assertEqual(str(failure.value), "full")
        self.assertIsNone(self.verifications.known(b"a"))
        self.threads.full = False
        self.assertNoResult(self.verify(b"a"))

    def test_error(self) -> None:
        """What goes wrong is told to all who wait, and is no answer."""
        asked = [self.verifications.verify(b"a", "192.0.2.1", lambda: 1 // 0 > 0) for _ in "ab"]
        self.threads.work()
        for each in asked:
            self.failureResultOf(each, ZeroDivisionError)
        self.assertIsNone(self.verifications.known(b"a"))

    def test_bounded(self) -> None:
        """So many are remembered of either kind, the latest; the wrong ones push no right one."""
        for right in (True, False):
            for at in range(MOST_REMEMBERED + 1):
                self.verify(b"%d %d" % (right, at), right)
                self.threads.work()
        for right in (True, False):
            known = [
                self.verifications.known(b"%d %d" % (right, at))
                for at in range(MOST_REMEMBERED + 1)
            ]
            self.assertEqual(known, [None] + [right] * MOST_REMEMBERED)

    def test_forget(self) -> None:
        """All of it can be forgotten."""
        self.verify(b"a")
        self.threads.work()
        self.verifications.forget()
        self.assertIsNone(self.verifications.known(b"a"))
