"""Questions out of turn."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS, OutOfTurn
from aluvia.client.test.control_case import DOWN, ControlCase, good


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
