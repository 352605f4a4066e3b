"""Changing the user at a control plane."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from aluvia.client.answer_body import NO_JSON
from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS
from aluvia.client.test.control_case import DOWN, INTERVAL, ControlCase, good, user
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError
from aluvia.net.back_off import BACK_OFF_SECONDS


class PatchTests(ControlCase):
    """Changing the user."""

    def patching(self) -> Deferred[None]:
        """Begin one."""
        return Deferred.fromCoroutine(self.control.patch({"rules": ["new.example"]}))

    def test_applied(self) -> None:
        """An answer that is a whole configuration is used at once, with its ETag."""
        self.start("old.example")
        patching = self.patching()
        self.assertEqual(
            (self.api.last.method, self.api.last.what), ("PATCH", {"rules": ["new.example"]})
        )
        self.answer(good("new.example", etag='"2"'))
        self.successResultOf(patching)
        self.assertEqual(self.rules, ["new.example"])
        self.tick(Answer(304, NO_JSON))
        self.assertEqual(self.api.last.etag, '"2"')

    def test_followed_by_a_get(self) -> None:
        """Any other success is followed by a GET at once, which is waited for."""
        self.start("old.example")
        for answer in (
            Answer(204, NO_JSON),
            Answer(200, {"success": True, "data": None}),
            Answer(200, NO_JSON, unread="Its body is too long."),
        ):
            patching = self.patching()
            self.answer(answer)
            self.assertNoResult(patching)
            self.clock.advance(OUT_OF_TURN_SECONDS)
            self.assertEqual(self.api.last.method, "GET")
            self.answer(good("new.example"))
            self.successResultOf(patching)
        self.assertEqual(self.rules, ["new.example"])

    def test_get_that_fails(self) -> None:
        """
        The change came about: that its GET fails is no error of the caller's, but a problem; and
        the next tick asks again, before a back-off would be over.
        """
        self.start("old.example")
        self.tick(DOWN)
        patching = self.patching()
        self.answer(Answer(204, NO_JSON))
        self.clock.advance(0)
        self.assertEqual(self.api.last.method, "GET")
        self.answer(Answer(503, NO_JSON))
        self.successResultOf(patching)
        assert self.control.problem is not None
        self.assertEqual(self.control.problem.outcome, "api_error")
        self.assertEqual(self.rules, ["old.example"])
        self.tick(Answer(503, NO_JSON))
        # From then on it backs off as ever.
        asked = len(self.api.asked)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.api.asked), asked)
        self.tick(good("new.example"), seconds=BACK_OFF_SECONDS)
        self.assertEqual(self.rules, ["new.example"])
        self.assertIsNone(self.control.problem)

    def test_renews(self) -> None:
        """An answer that is a whole configuration ends a problem, and the back-off with it."""
        for rule in ("new.example", "old.example"):
            self.control = self.make()
            self.start("old.example")
            self.tick(DOWN)
            self.clock.advance(1)
            patching = self.patching()
            self.answer(good(rule))
            self.successResultOf(patching)
            self.assertIsNone(self.control.problem)
            self.assertEqual(self.control.renewed_at, self.clock.seconds())
            self.tick(Answer(304, NO_JSON), seconds=INTERVAL - 1)
            self.stop()

    def test_does_not_end_a_retry_after(self) -> None:
        """Who asked to be left alone is, also after a change."""
        self.start("old.example")
        self.tick(Answer(429, NO_JSON, retry_after=120.0))
        for answer in (good("new.example"), Answer(204, NO_JSON)):
            patching = self.patching()
            self.answer(answer)
            self.successResultOf(patching)
        asked = len(self.api.asked)
        self.clock.pump([1] * 119)
        self.assertEqual(len(self.api.asked), asked)
        self.tick(Answer(304, NO_JSON))

    def test_cancelled(self) -> None:
        """Who cancels one gets just that, and the next one can be made."""
        self.start("old.example")
        patching = self.patching()
        patching.cancel()
        self.failureResultOf(patching, CancelledError)
        again = self.patching()
        self.answer(good("new.example"))
        self.successResultOf(again)

    def test_refused(self) -> None:
        """A failure is the caller's to handle, and changes nothing."""
        self.start("old.example")
        answers: list[Answer | ApiError] = [
            DOWN,
            Answer(422, {"title": "No.", "code": "bad"}),
            Answer(401, NO_JSON),
            Answer(200, {"success": False, "error": {"code": "bad", "message": "No."}}),
            Answer(200, {"success": False, "data": user("new.example")}),
        ]
        asked = len(self.api.asked)
        for answer in answers:
            patching = self.patching()
            self.answer(answer)
            self.failureResultOf(patching, ApiError)
        self.assertEqual(self.rules, ["old.example"])
        self.clock.advance(OUT_OF_TURN_SECONDS)
        self.assertEqual(len(self.api.asked), asked + len(answers))

    def test_refused_by_its_body(self) -> None:
        """A 200 that says of itself that it is an error is raised with the API's own words."""
        self.start("old.example")
        patching = self.patching()
        told = {"code": "bad", "message": "No. (secret)", "details": [1]}
        self.answer(Answer(200, {"success": False, "error": told}))
        error = self.failureResultOf(patching, ApiError).value
        self.assertEqual((error.status_code, error.code, error.details), (200, "bad", [1]))
        self.assertIn("No. ([redacted])", str(error))

    def test_older_get_does_not_roll_back(self) -> None:
        """A poll that was out when the PATCH was answered is dropped, and asked again."""
        self.start("old.example")
        self.clock.advance(INTERVAL)
        poll = self.api.last
        patching = self.patching()
        self.answer(good("new.example"))
        self.successResultOf(patching)
        poll.answer.callback(good("old.example"))
        self.assertEqual(self.rules, ["new.example"])
        self.assertEqual(self.control.polls.outcomes["overtaken"], 1)

    def test_one_after_the_other(self) -> None:
        """A second one waits for the first one's answer."""
        self.start()
        first, second = self.patching(), self.patching()
        self.assertEqual(len(self.api.asked), 2)
        self.answer(good("a.example"))
        self.successResultOf(first)
        self.assertEqual(len(self.api.asked), 3)
        self.answer(good("b.example"))
        self.successResultOf(second)
        self.assertEqual(self.rules, ["b.example"])

    def test_stop_while_one_waits(self) -> None:
        """A change that waits for another is not made once the client is stopped."""
        self.start()
        first, second = self.patching(), self.patching()
        asked = len(self.api.asked)
        self.stop()
        for each in (first, second):
            self.failureResultOf(each, ApiError)
        self.assertEqual(len(self.api.asked), asked)
