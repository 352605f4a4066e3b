"""Questions that may never be answered."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.questions import CLOSED, Questions, TooLateError
from aluvia.edge.verdicts import Admitted, Verdict, denied

ADDRESS = "192.0.2.1"


class QuestionsTests(SynchronousTestCase):
    """How a question ends."""

    def setUp(self) -> None:
        """Five seconds for each; an error becomes a verdict that says its name."""
        self.clock = Clock()
        self.questions = Questions(self.clock, 5.0, 8, self.failed)
        self.cancelled = 0

    def failed(self, failure: Failure) -> Verdict:
        """A verdict of an error."""
        return denied(500, "proxy_internal_error", type(failure.value).__name__)

    def begin(self, address: str = ADDRESS) -> tuple[Deferred[Verdict], Deferred[Verdict]]:
        """Somebody who is asked, and what is to be waited for."""
        somebody: Deferred[Verdict] = Deferred(self.give_up)
        return somebody, self.questions.wait(somebody, address)

    def give_up(self, somebody: Deferred[Verdict]) -> None:
        """Somebody is told to stop, and makes an error of their own of it."""
        self.cancelled += 1
        somebody.errback(RuntimeError("I was interrupted"))

    def assert_over(self, cancelled: int = 1) -> None:
        """Nothing is left."""
        self.assertEqual(len(self.questions), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.cancelled, cancelled)

    def test_answer(self) -> None:
        """An answer is handed on, and nothing of the question is left."""
        somebody, verdict = self.begin()
        self.assertEqual(len(self.questions), 1)
        somebody.callback(Admitted())
        self.assertEqual(self.successResultOf(verdict), Admitted())
        self.assert_over(0)

    def test_answer_at_once(self) -> None:
        """So is one that is there already."""
        somebody: Deferred[Verdict] = Deferred()
        somebody.callback(Admitted())
        self.assertEqual(self.successResultOf(self.questions.wait(somebody, ADDRESS)), Admitted())
        self.assert_over(0)

    def test_error(self) -> None:
        """An error becomes a verdict."""
        somebody, verdict = self.begin()
        somebody.errback(KeyError())
        self.assertEqual(getattr(self.successResultOf(verdict), "detail", ""), "KeyError")
        self.assert_over(0)

    def test_a_timeout_denies(self) -> None:
        """At the end of the time it is one of that, whatever the other makes of being told."""
        _, verdict = self.begin()
        self.clock.advance(4.9)
        self.assertNoResult(verdict)
        self.clock.advance(0.1)
        self.assertEqual(
            getattr(self.successResultOf(verdict), "detail", ""), TooLateError.__name__
        )
        self.assert_over()

    def test_client_leaves(self) -> None:
        """Who waits can give up, and so then does the other."""
        _, verdict = self.begin()
        verdict.cancel()
        self.failureResultOf(verdict, CancelledError)
        self.assert_over()

    def test_stop(self) -> None:
        """Those that are open are denied at once."""
        verdicts = [self.begin()[1] for _ in range(3)]
        self.successResultOf(self.questions.stop())
        for each in verdicts:
            self.assertIs(self.successResultOf(each), CLOSED)
        self.assertTrue(self.questions.closed)
        self.assert_over(3)

    def test_stop_while_one_gives_way_to_another(self) -> None:
        """One that is answered because another ends keeps its answer."""
        both: list[Deferred[Verdict]] = []

        def answer_the_other(one: Deferred[Verdict]) -> None:
            (other,) = (each for each in both if each is not one)
            if not other.called:
                other.callback(Admitted())

        both += [Deferred(answer_the_other), Deferred(answer_the_other)]
        verdicts = [self.questions.wait(each, ADDRESS) for each in both]
        self.successResultOf(self.questions.stop())
        kept = [self.successResultOf(verdict) == Admitted() for verdict in verdicts]
        self.assertEqual(sorted(kept), [False, True])
        self.assert_over(0)

    def test_finish(self) -> None:
        """Those that are open may come to their end before."""
        (first, one), (_, two), (_, three) = (self.begin() for _ in range(3))
        stopped = self.questions.stop(finish=True)
        first.callback(Admitted())
        two.cancel()
        self.failureResultOf(two, CancelledError)
        self.assertEqual(self.successResultOf(one), Admitted())
        self.assertNoResult(stopped)
        self.clock.advance(5)
        self.successResultOf(three)
        self.successResultOf(stopped)
        self.assert_over(2)

    def test_finish_is_cut_short(self) -> None:
        """Until there is no time for that any more."""
        _, verdict = self.begin()
        finished = self.questions.stop(finish=True)
        self.successResultOf(self.questions.stop())
        self.successResultOf(finished)
        self.assertIs(self.successResultOf(verdict), CLOSED)
        self.assert_over()

    def test_one_address_leaves_room_for_others(self) -> None:
        """It has a quarter of the line; who has an answer, or leaves, makes room."""
        for address, same, other in (
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"),
        ):
            (somebody, _), (_, verdict) = (self.begin(address) for _ in range(2))
            self.assertFalse(self.questions.has_room_for(same))
            self.assertTrue(self.questions.has_room_for(other))
            somebody.callback(Admitted())
            self.assertTrue(self.questions.has_room_for(same))
            self.begin(address)
            self.assertFalse(self.questions.has_room_for(same))
            verdict.cancel()
            self.failureResultOf(verdict, CancelledError)
            self.assertTrue(self.questions.has_room_for(same))
            self.clock.advance(5)
        self.assert_over(4)

    def test_bounded(self) -> None:
        """However many addresses there are."""
        for number in range(8):
            self.assertTrue(self.questions.has_room_for(f"192.0.2.{number}"))
            self.begin(f"192.0.2.{number}")
        self.assertFalse(self.questions.has_room_for("192.0.2.8"))
        self.clock.advance(5)
        self.assertTrue(self.questions.has_room_for("192.0.2.8"))
        self.assert_over(8)

    def test_late_answer(self) -> None:
        """What the other says afterwards is dropped."""
        somebody: Deferred[Verdict] = Deferred(lambda _: None)
        verdict = self.questions.wait(somebody, ADDRESS)
        self.clock.advance(5)
        self.successResultOf(verdict)
        self.assertTrue(somebody.called)

    def test_giving_up_fails(self) -> None:
        """Somebody who does not even let themselves be interrupted changes nothing."""

        def fail(somebody: Deferred[Verdict]) -> None:
            raise ZeroDivisionError

        somebody: Deferred[Verdict] = Deferred(fail)
        verdict = self.questions.wait(somebody, ADDRESS)
        self.clock.advance(5)
        self.successResultOf(verdict)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_over(0)
