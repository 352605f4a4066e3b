"""Following a control plane: what each answer does, in whatever order answers come."""

from __future__ import annotations

import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import Snapshot, User
from aluvia.client.control import BACK_OFF_SECONDS, ControlPlane
from aluvia.client.gateway_place import GatewayPlace
from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS
from aluvia.client.state_file import StateFile
from aluvia.client.user_api import NO_JSON, Answer, UserAPI
from aluvia.errors import AluviaError, ApiError, InvalidUserTokenError

PLACE = GatewayPlace("gateway.example", 8080, tls=False)
INTERVAL = 5.0
DOWN = ApiError("The API cannot be reached: nobody is there.")


def user(*rules: str, password: str = "secret", **other: object) -> dict[str, object]:
    """A good body."""
    return {"proxy_username": "u", "proxy_password": password, "rules": list(rules), **other}


def good(
    *rules: str, etag: str | None = None, monitor: str | None = None, **other: typing.Any
) -> Answer:
    """A good answer."""
    return Answer(200, user(*rules, **other), etag, None, monitor)


class Asked(typing.NamedTuple):
    """One question, and what will be its answer."""

    method: str
    what: object
    etag: str | None
    answer: Deferred[Answer]


class FakeAPI:
    """Keeps questions until the test answers them."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.closed = False

    @property
    def last(self) -> Asked:
        """The latest question."""
        return self.asked[-1]

    async def get(self, etag: str | None = None) -> Answer:
        """Ask."""
        return await self._ask("GET", None, etag)

    async def monitor(self, url: str, etag: str | None) -> Answer:
        """Ask a monitor."""
        return await self._ask("MONITOR", url, etag)

    async def patch(self, fields: typing.Mapping[str, object]) -> Answer:
        """Change."""
        return await self._ask("PATCH", dict(fields), None)

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    async def _ask(self, method: str, what: object, etag: str | None) -> Answer:
        answer: Deferred[Answer] = Deferred()
        self.asked.append(Asked(method, what, etag, answer))
        try:
            return await answer
        except CancelledError:
            raise ApiError("The API cannot be reached: cancelled.") from None


class ControlCase(SynchronousTestCase):
    """A control plane over a fake API, and what it gave."""

    def setUp(self) -> None:
        """Make it; the jitter is the longest there is."""
        self.clock = Clock()
        self.api = FakeAPI()
        self.followed: list[Snapshot] = []
        self.learnt: list[tuple[str, str]] = []
        self.control = self.make()

    def make(self, state: StateFile | None = None) -> ControlPlane:
        """One more."""
        return ControlPlane(
            typing.cast(UserAPI, self.api),
            PLACE,
            self.clock,
            interval=INTERVAL,
            follow=self.followed.append,
            learn=lambda name, password: self.learnt.append((name, password)),
            state=state,
            jitter=lambda: 1.0,
        )

    def starting(self, *, strict: bool = True) -> Deferred[None]:
        """Begin to start."""
        return Deferred.fromCoroutine(self.control.start(strict=strict))

    def start(self, *rules: str, **answer: typing.Any) -> None:
        """Start with a good configuration."""
        starting = self.starting()
        self.answer(good(*rules, **answer))
        self.successResultOf(starting)
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(self.control.stop())))

    def answer(self, answer: Answer | ApiError) -> None:
        """Answer the latest question."""
        if isinstance(answer, ApiError):
            self.api.last.answer.errback(answer)
        else:
            self.api.last.answer.callback(answer)

    def tick(self, answer: Answer | ApiError, seconds: float = INTERVAL) -> None:
        """Let an interval pass, and answer what is asked then."""
        before = len(self.api.asked)
        self.clock.advance(seconds)
        self.assertEqual(len(self.api.asked), before + 1)
        self.answer(answer)

    @property
    def rules(self) -> list[str]:
        """Those that are followed."""
        return [rule.text for rule in self.followed[-1].rules.rules]


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
        self.successResultOf(Deferred.fromCoroutine(self.control.stop()))

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
            self.successResultOf(Deferred.fromCoroutine(self.control.stop()))


class KeptState:
    """A state file with something in it."""

    def read(self) -> tuple[User, str | None]:
        """What is kept."""
        kept = User(proxy_username="u", proxy_password="p", rules=("kept.example",))
        return kept, '"kept"'

    def write(self, user: User, etag: str | None) -> None:
        """Not looked at."""


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
        """The same configuration is no new revision, and its rules are not compiled again."""
        self.start("a.example", etag='"1"')
        compiled = self.followed[-1].rules
        self.tick(good("a.example", etag='"2"'))
        self.assertEqual((self.followed[-1].revision, self.followed[-1].etag), (1, '"2"'))
        self.tick(good("a.example", etag='"3"', password="new"))
        self.assertEqual((self.followed[-1].revision, self.followed[-1].rules.revision), (2, 2))
        self.assertIs(self.followed[-1].rules.rules, compiled.rules)
        self.assertEqual(self.control.polls.outcomes, {"changed": 2, "unchanged": 1})

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

    def test_stop(self) -> None:
        """No timer is left, what is out is given up, and who waits is told."""
        self.start()
        self.clock.advance(INTERVAL)
        waiting = self.control.poll_soon()
        self.successResultOf(Deferred.fromCoroutine(self.control.stop()))
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.api.closed)


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
        self.successResultOf(Deferred.fromCoroutine(self.control.stop()))
        self.successResultOf(late)
        self.successResultOf(self.control.poll_soon())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(len(self.api.asked), asked)


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
        for answer in (Answer(204, NO_JSON), Answer(200, {"success": True, "data": None})):
            patching = self.patching()
            self.answer(answer)
            self.assertNoResult(patching)
            self.clock.advance(OUT_OF_TURN_SECONDS)
            self.assertEqual(self.api.last.method, "GET")
            self.answer(good("new.example"))
            self.successResultOf(patching)
        self.assertEqual(self.rules, ["new.example"])

    def test_refused(self) -> None:
        """A failure is the caller's to handle, and changes nothing."""
        self.start("old.example")
        answers: list[Answer | ApiError] = [
            DOWN,
            Answer(422, {"title": "No.", "code": "bad"}),
            Answer(401, NO_JSON),
        ]
        for answer in answers:
            patching = self.patching()
            self.answer(answer)
            self.failureResultOf(patching, ApiError)
        self.assertEqual(self.rules, ["old.example"])

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
        self.successResultOf(Deferred.fromCoroutine(self.control.stop()))
        self.answer(DOWN)
        for each in (first, second):
            self.failureResultOf(each, ApiError)
        self.assertEqual(len(self.api.asked), asked)


class MonitorTests(ControlCase):
    """Being told."""

    def test_followed(self) -> None:
        """It is asked at once, and again as soon as it has answered with a change."""
        self.start("a.example", etag='"1"', monitor="http://api/m")
        self.assertEqual(self.api.last[:3], ("MONITOR", "http://api/m", '"1"'))
        self.clock.pump([INTERVAL] * 4)
        self.assertEqual(len(self.api.asked), 2)
        self.answer(good("b.example", etag='"2"', monitor="http://api/m"))
        self.assertEqual(self.rules, ["b.example"])
        self.assertEqual(self.api.last[:3], ("MONITOR", "http://api/m", '"2"'))
        self.clock.advance(25)
        self.answer(Answer(304, NO_JSON))
        self.assertEqual(len(self.api.asked), 4)

    def test_does_not_flood(self) -> None:
        """One that answers at once, with nothing, is asked no more often than a tick asks."""
        self.start(monitor="http://api/m")
        self.answer(Answer(304, NO_JSON))
        for _ in range(3):
            self.tick(Answer(304, NO_JSON))
        self.assertEqual(len(self.api.asked), 5)

    def test_given_up(self) -> None:
        """When it fails, plain polling goes on; a plain answer that names it brings it back."""
        self.start(monitor="http://api/m")
        self.answer(Answer(404, NO_JSON))
        self.tick(good("a.example", monitor="http://api/m"), seconds=10)
        self.assertEqual(self.api.last.method, "GET")
        self.clock.advance(INTERVAL)
        self.assertEqual(self.api.last.method, "MONITOR")

    def test_named_no_more(self) -> None:
        """Where an answer does not name it any more it is not asked."""
        self.start(monitor="http://api/m")
        self.answer(good("b.example"))
        self.clock.advance(INTERVAL)
        self.assertEqual(self.api.last.method, "GET")

    def test_overtaken(self) -> None:
        """What it says of a time before a question out of turn was answered is dropped."""
        self.start("a.example", monitor="http://api/m")
        monitor = self.api.last
        self.control.poll_soon()
        self.clock.advance(0)
        self.answer(good("c.example", monitor="http://api/m"))
        monitor.answer.callback(good("b.example", monitor="http://api/m"))
        self.assertEqual(self.rules, ["c.example"])
