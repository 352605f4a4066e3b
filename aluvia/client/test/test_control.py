"""Following a control plane: what each answer does, in whatever order answers come."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel

from aluvia.client.answer_body import NO_JSON
from aluvia.client.routing import Router
from aluvia.client.state_file import StateFile
from aluvia.client.test.control_case import (
    DOWN,
    INTERVAL,
    ControlCase,
    FakeAPI,
    KeptState,
    good,
    user,
)
from aluvia.client.user_api import Answer
from aluvia.errors import AluviaError, ApiError, InvalidUserTokenError
from aluvia.net.back_off import BACK_OFF_SECONDS


class StartTests(ControlCase):
    """The first answer."""

    def test_good(self) -> None:
        """It is followed, with its credentials, which the redactor was told of before."""
        self.start("*.example.com", etag='"1"', session_id="s", target_geo="us")
        (snapshot,) = self.followed
        assert snapshot.gateway is not None
        self.assertEqual(
            (snapshot.gateway.username, snapshot.gateway.password, str(snapshot.gateway)),
            ("u", "secret", "http://gateway.example:8080"),
        )
        self.assertEqual(
            (snapshot.revision, snapshot.etag, snapshot.session_id, snapshot.target_geo),
            (1, '"1"', "s", "us"),
        )
        self.assertEqual(self.rules, ["*.example.com"])
        self.assertEqual(self.learnt, [("u", "secret")])
        self.assertEqual(self.control.renewed_at, 0.0)
        self.assertNotIn("secret", repr(snapshot))

    def test_refused_token(self) -> None:
        """401 and 403 end the start, strict or not, with no timer left."""
        for status in (401, 403):
            for strict in (True, False):
                starting = self.starting(strict=strict)
                self.answer(Answer(status, NO_JSON))
                self.failureResultOf(starting, InvalidUserTokenError)
                self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.followed, [])

    def test_no_configuration(self) -> None:
        """Anything else that is no good 200 ends a strict start, and says what it was."""
        answers: list[tuple[Answer | ApiError, int | None]] = [
            (DOWN, None),
            (Answer(500, {"error": {"code": "oops", "message": "Broken.", "details": [1]}}), 500),
            (Answer(200, NO_JSON), 200),
            (Answer(304, NO_JSON), 304),
            (Answer(302, NO_JSON), 302),
        ]
        for answer, status in answers:
            starting = self.starting()
            self.answer(answer)
            error = self.failureResultOf(starting, ApiError).value
            self.assertEqual(error.status_code, status)
            if status == 500:
                self.assertEqual((error.code, error.details), ("oops", [1]))
                self.assertIn("Broken.", str(error))
        self.assertEqual((self.followed, self.clock.getDelayedCalls()), ([], []))

    def test_not_strict(self) -> None:
        """Not strict, it goes on asking, and follows what comes."""
        self.control = self.make()
        starting = self.starting(strict=False)
        self.answer(DOWN)
        self.successResultOf(starting)
        self.assertIsNone(self.control.snapshot)
        self.tick(good("a.example"), seconds=10)
        self.assertEqual(self.rules, ["a.example"])
        self.stop()

    def test_state_file(self) -> None:
        """With one, an API that is away or broken is no reason not to start; a refusal is."""
        answers: list[tuple[Answer | ApiError, bool]] = [
            (DOWN, True),
            (Answer(503, NO_JSON), True),
            (Answer(404, NO_JSON), False),
            (Answer(200, NO_JSON), False),
            (Answer(401, NO_JSON), False),
        ]
        for answer, starts in answers:
            self.control = self.make(typing.cast(StateFile, KeptState()))
            self.followed.clear()
            starting = self.starting()
            self.answer(answer)
            if not starts:
                self.failureResultOf(starting, AluviaError)
                continue
            self.successResultOf(starting)
            self.assertEqual(self.rules, ["kept.example"])
            self.assertIsNone(self.control.renewed_at)
            # It keeps trying, with the ETag that was kept.
            self.clock.advance(10)
            self.assertEqual(self.api.last.etag, '"kept"')
            self.answer(Answer(304, NO_JSON))
            self.assertEqual(self.control.renewed_at, self.clock.seconds())
            self.stop()

    def test_cancelled(self) -> None:
        """
        Who cancels a start gets just that, and nothing goes on: without a configuration where none
        is needed as little as with the one of a state file.
        """
        for strict in (True, False):
            for state in (None, typing.cast(StateFile, KeptState())):
                self.api = FakeAPI()
                self.control = self.make(state)
                starting = self.starting(strict=strict)
                # SIGHUP, while it waits.
                self.control.poll_soon()
                starting.cancel()
                self.failureResultOf(starting, CancelledError)
                self.clock.advance(BACK_OFF_SECONDS + INTERVAL)
                self.assertEqual(self.clock.getDelayedCalls(), [])
                self.assertTrue(self.api.closed)
                self.assertEqual(len(self.api.asked), 1)
                self.assertIsNone(self.control.problem)
        self.assertEqual((self.followed, self.logged), ([], []))

    def test_stopped(self) -> None:
        """A start that is stopped does not go on either."""
        for strict in (True, False):
            self.api = FakeAPI()
            self.control = self.make()
            starting = self.starting(strict=strict)
            self.stop()
            self.failureResultOf(starting, ApiError)
            self.assertEqual((self.clock.getDelayedCalls(), self.logged), ([], []))


class PollTests(ControlCase):
    """What later answers do."""

    def test_etag(self) -> None:
        """The last ETag is sent verbatim; without one in a good 200 the next GET has none."""
        self.start("a.example", etag='W/"x y"')
        self.tick(Answer(304, NO_JSON))
        self.assertEqual(self.api.last.etag, 'W/"x y"')
        self.tick(good("b.example"))
        self.assertEqual(self.api.last.etag, 'W/"x y"')
        self.assertEqual(self.rules, ["b.example"])
        self.tick(good("b.example", etag='"2"'))
        self.assertIsNone(self.api.last.etag)

    def test_unchanged(self) -> None:
        """
        The same configuration is no new revision, and nobody who follows hears of it; only what is
        known of the answer is new. A changed one with the same rules does not compile them again.
        """
        self.start("a.example", etag='"1"')
        compiled = self.followed[-1].rules
        self.tick(good("a.example", etag='"2"'))
        self.assertEqual(len(self.followed), 1)
        assert self.control.snapshot is not None
        self.assertEqual((self.control.snapshot.revision, self.control.snapshot.etag), (1, '"2"'))
        self.assertEqual(self.control.snapshot.fetched_at, self.clock.seconds())
        self.assertEqual(self.control.renewed_at, self.clock.seconds())
        self.tick(good("a.example", etag='"3"', password="new"))
        self.assertEqual((self.followed[-1].revision, self.followed[-1].rules.revision), (2, 2))
        self.assertIs(self.followed[-1].rules.rules, compiled.rules)
        self.assertEqual(self.control.polls.outcomes, {"changed": 2, "unchanged": 1})

    def test_unchanged_without_etag(self) -> None:
        """Its ETag is that of the last answer, so after one without any there is none."""
        self.start("a.example", etag='"1"')
        self.tick(good("a.example"))
        self.tick(Answer(200, user("a.example"), '"3"'))
        self.assertIsNone(self.api.last.etag)
        self.tick(Answer(304, NO_JSON))
        self.assertEqual(self.api.last.etag, '"3"')

    def test_unchanged_routes(self) -> None:
        """What was decided by an unchanged configuration is not decided again."""
        router = Router(None)
        self.control = self.make(follow=router.follow)
        starting = self.starting()
        self.answer(good("a.example"))
        self.successResultOf(starting)
        self.addCleanup(self.stop)
        decided = router.route("a.example")
        self.tick(good("a.example"))
        self.assertIs(router.route("a.example"), decided)
        self.tick(good("a.example", password="new"))
        self.assertIsNot(router.route("a.example"), decided)

    def test_unknown_fields(self) -> None:
        """One that is another each time is no other configuration, and nothing is said of it."""
        self.start("a.example", etag='"1"', now=1)
        said = len(self.logged)
        self.tick(good("a.example", etag='"2"', now=2))
        assert self.control.snapshot is not None
        self.assertEqual((self.control.snapshot.revision, self.control.snapshot.etag), (1, '"2"'))
        self.assertEqual(self.control.polls.outcomes, {"changed": 1, "unchanged": 1})
        self.assertEqual(len(self.logged), said)

    def test_last_good_is_kept(self) -> None:
        """Whatever is no good configuration changes nothing but the problem."""
        self.start("a.example", etag='"1"')
        bad: list[Answer | ApiError] = [
            DOWN,
            Answer(500, {"success": False, "error": "text"}),
            Answer(200, NO_JSON),
            Answer(200, None),
            Answer(200, []),
            Answer(200, {"data": None}),
            Answer(200, {"proxy_username": "u"}),
            Answer(200, user() | {"proxy_username": " "}),
            Answer(200, user() | {"proxy_username": "a:b"}),
            Answer(200, user() | {"proxy_username": "a\nb"}),
            Answer(200, user() | {"proxy_password": 1}),
            Answer(200, user() | {"rules": "a.example"}),
            Answer(200, user() | {"rules": {"items": 1}}),
            Answer(200, user() | {"session_id": 7}),
            Answer(200, {"success": False, "data": user("b.example")}),
            Answer(200, user("b.example") | {"success": False}),
            Answer(200, NO_JSON, unread="Its body is too long."),
            Answer(204, NO_JSON),
            Answer(301, NO_JSON),
            Answer(429, NO_JSON),
            Answer(401, NO_JSON),
        ]
        for answer in bad:
            self.tick(answer, seconds=BACK_OFF_SECONDS + INTERVAL)
            self.assertEqual(self.rules, ["a.example"])
            self.assertIsNotNone(self.control.problem)
            self.assertEqual(self.api.last.etag, '"1"')
        self.assertEqual(len(self.followed), 1)
        self.assertTrue(self.control.token_refused)
        self.tick(Answer(304, NO_JSON), seconds=BACK_OFF_SECONDS + INTERVAL)
        self.assertIsNone(self.control.problem)
        self.flushLoggedErrors()

    def test_rules_in_every_shape(self) -> None:
        """A list, an object with items, a text with commas, null and nothing are rules."""
        self.start("a.example")
        shapes: list[tuple[object, list[str]]] = [
            ({"items": ["b.example", None, 3]}, ["b.example"]),
            ({"items": "c.example,d.example"}, ["c.example", "d.example"]),
            (None, []),
            (["e.example", "", 5, " f.example "], ["e.example", "f.example"]),
            ({"items": None}, []),
        ]
        for given, read in shapes:
            self.tick(Answer(200, {"success": True, "data": user() | {"rules": given}}))
            self.assertEqual(self.rules, read)
        body = user()
        del body["rules"]
        self.tick(Answer(200, {"data": body}))
        self.assertEqual(self.rules, [])

    def test_slow_api(self) -> None:
        """A slower API than the interval is asked one question at a time."""
        self.start()
        self.clock.pump([INTERVAL] * 10)
        self.assertEqual(len(self.api.asked), 2)
        self.answer(good("late.example"))
        self.assertEqual(self.rules, ["late.example"])
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.api.asked), 3)

    def test_back_off(self) -> None:
        """It waits twice as long after each failure, up to a bound; after a success no longer."""
        self.start()
        waits = []
        for _ in range(7):
            asked, began = len(self.api.asked), self.clock.seconds()
            while len(self.api.asked) == asked:
                self.clock.advance(1)
            waits.append(self.clock.seconds() - began)
            self.answer(DOWN)
        self.assertEqual(waits, [5, 10, 20, 40, 60, 60, 60])
        self.tick(Answer(304, NO_JSON), seconds=60)
        self.tick(Answer(304, NO_JSON))

    def test_retry_after(self) -> None:
        """It is honoured, by questions out of turn too."""
        self.start()
        self.tick(Answer(429, NO_JSON, retry_after=120.0))
        self.clock.pump([1] * 119)
        self.assertEqual(len(self.api.asked), 2)
        self.successResultOf(self.control.poll_soon())
        self.assertEqual(len(self.api.asked), 2)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.api.asked), 3)

    def test_said_once(self) -> None:
        """A cause is said when it is another one than before, and that it is over."""
        self.start()
        for answer in (DOWN, DOWN, Answer(500, NO_JSON), Answer(500, NO_JSON), DOWN):
            self.tick(answer, seconds=BACK_OFF_SECONDS + INTERVAL)
        self.assertEqual(len(self.said), 3, self.said)
        self.tick(Answer(304, NO_JSON), seconds=BACK_OFF_SECONDS + INTERVAL)
        self.assertEqual(self.logged[-1]["log_format"], "The API answers well again.")

    def test_levels(self) -> None:
        """A token that is refused is an error, since nothing but a person can repair it."""
        self.start()
        for answer, level in (
            (Answer(401, NO_JSON), LogLevel.error),
            (Answer(500, NO_JSON), LogLevel.warn),
            (Answer(403, NO_JSON), LogLevel.error),
            (Answer(200, NO_JSON), LogLevel.warn),
            (DOWN, LogLevel.warn),
        ):
            self.tick(answer, seconds=BACK_OFF_SECONDS + INTERVAL)
            self.assertIs(self.logged[-1]["log_level"], level, answer)
            self.assertIn("stays in use", self.said[-1])

    def test_seconds(self) -> None:
        """How long each answer took is counted, whatever it was."""
        self.start()
        answers: list[Answer | ApiError] = [Answer(304, NO_JSON), DOWN]
        for count, answer in enumerate(answers, start=2):
            self.clock.advance(2 * INTERVAL)
            self.clock.advance(3)
            self.answer(answer)
            self.assertEqual(self.control.polls.seconds.count, count)
        self.assertEqual(self.control.polls.seconds.total, 6)

    def test_stop(self) -> None:
        """No timer is left, what is out is given up, and who waits is told."""
        self.start()
        self.clock.advance(INTERVAL)
        waiting = self.control.poll_soon()
        self.stop()
        self.successResultOf(waiting)
        self.assertTrue(self.api.closed)
