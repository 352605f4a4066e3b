"""Questions out of turn."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.answer_body import NO_JSON
from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS, OutOfTurn
from aluvia.client.test.control_case import DOWN, INTERVAL, ControlCase, good
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError


class ArrangingTests(SynchronousTestCase):
    """By itself, with questions that a test answers."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.asked: list[Deferred[None]] = []
        self.questions = OutOfTurn(self.clock, self.poll)

    async def poll(self) -> None:
        """Wait for the test."""
        answer: Deferred[None] = Deferred()
        self.asked.append(answer)
        await answer

    def ask(self) -> Deferred[None]:
        """Ask."""
        return self.questions.ask(0.0)

    def ask_again(self, result: None) -> None:
        """Ask, from where it was told, and do not wait for it."""
        self.ask()

    def test_asked_again_when_told(self) -> None:
        """Who asks again as soon as it is told shares one with those who wait, and one timer."""
        first = self.ask()
        first.addCallback(self.ask_again)
        self.clock.advance(0)
        late = self.ask()
        self.asked[0].callback(None)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(OUT_OF_TURN_SECONDS)
        self.clock.advance(OUT_OF_TURN_SECONDS)
        self.assertEqual(len(self.asked), 2)
        self.asked[1].callback(None)
        self.successResultOf(late)

    def test_stopped_when_told(self) -> None:
        """Stopped then, it leaves no timer."""
        first = self.ask()
        first.addCallback(self.ask_again)
        self.clock.advance(0)
        late = self.ask()
        self.asked[0].callback(None)
        self.questions.stop()
        self.successResultOf(late)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OutOfTurnTests(ControlCase):
    """Questions that somebody wants asked now."""

    def test_shared(self) -> None:
        """All who want one get one; who comes while it is out gets another, a second later."""
        self.start()
        first = [self.control.poll_soon() for _ in range(3)]
        self.clock.advance(0)
        self.assertEqual(len(self.api.asked), 2)
        late = self.control.poll_soon()
        self.answer(good("a.example"))
        for each in first:
            self.successResultOf(each)
        self.assertNoResult(late)
        self.clock.advance(OUT_OF_TURN_SECONDS - 0.1)
        self.assertEqual(len(self.api.asked), 2)
        self.clock.advance(0.2)
        self.answer(DOWN)
        self.successResultOf(late)

    def test_does_not_wait_for_back_off(self) -> None:
        """A back-off is for the tick alone."""
        self.start()
        self.tick(DOWN)
        self.control.poll_soon()
        self.clock.advance(0)
        self.assertEqual(len(self.api.asked), 3)

    def test_tick_while_one_is_out(self) -> None:
        """A tick asks nothing while one is out, or arranged; the next one does."""
        self.start()
        self.clock.advance(INTERVAL - 0.5)
        self.control.poll_soon()
        self.clock.advance(0)
        self.clock.advance(0.5)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.api.asked), 2)
        self.answer(Answer(304, NO_JSON))
        self.clock.advance(INTERVAL - 0.5)
        self.control.poll_soon()
        self.clock.advance(0)
        self.answer(Answer(304, NO_JSON))
        self.control.poll_soon()
        self.clock.advance(0.5)
        self.assertEqual(len(self.api.asked), 3)
        self.clock.advance(0.5)
        self.assertEqual(len(self.api.asked), 4)
        self.answer(Answer(304, NO_JSON))
        self.tick(Answer(304, NO_JSON), seconds=INTERVAL - 0.5)

    def test_retry_after_of_one_of_two(self) -> None:
        """
        Of two that are out at once, by the tick and out of turn, the later failure does not take
        back what the server said to the earlier one.
        """
        for first, second in (
            (Answer(429, NO_JSON, retry_after=120.0), DOWN),
            (DOWN, Answer(429, NO_JSON, retry_after=120.0)),
            (Answer(429, NO_JSON, retry_after=120.0), Answer(503, NO_JSON, retry_after=7.0)),
        ):
            self.control = self.make()
            self.start()
            self.clock.advance(INTERVAL)
            by_tick = self.api.last
            self.control.poll_soon()
            self.clock.advance(0)
            self.assertIsNot(self.api.last, by_tick)
            self.answer(first)
            if isinstance(second, ApiError):
                by_tick.answer.errback(second)
            else:
                by_tick.answer.callback(second)
            asked = len(self.api.asked)
            self.clock.pump([1] * 119)
            self.successResultOf(self.control.poll_soon())
            self.assertEqual(len(self.api.asked), asked)
            self.tick(Answer(304, NO_JSON), seconds=1)
            self.stop()

    def test_cancelled(self) -> None:
        """Who does not wait any more is not told, and harms nobody."""
        self.start()
        gone, stays = self.control.poll_soon(), self.control.poll_soon()
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.clock.advance(0)
        self.answer(DOWN)
        self.successResultOf(stays)

    def test_stop_while_one_waits(self) -> None:
        """Who waits behind the one that is out is told too, and nothing is asked for them."""
        self.start()
        self.control.poll_soon()
        self.clock.advance(0)
        late = self.control.poll_soon()
        asked = len(self.api.asked)
        self.stop()
        self.successResultOf(late)
        self.successResultOf(self.control.poll_soon())
        self.clock.advance(10)
        self.assertEqual(len(self.api.asked), asked)
