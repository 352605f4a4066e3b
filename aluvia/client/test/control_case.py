"""A control plane over a fake API that a test answers by hand, on a clock that it turns."""

from __future__ import annotations

import collections.abc
import typing

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from aluvia.client.config import Snapshot, User
from aluvia.client.control import ControlPlane
from aluvia.client.state_file import StateFile
from aluvia.client.user_api import Answer, UserAPI
from aluvia.errors import ApiError
from aluvia.net.parent import ParentProxy

PLACE = ParentProxy("gateway.example", 8080)
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
        """Give up what is asked, as the real one does."""
        self.closed = True
        for asked in self.asked:
            if not asked.answer.called:
                asked.answer.errback(ApiError("The client was stopped."))

    async def _ask(self, method: str, what: object, etag: str | None) -> Answer:
        answer: Deferred[Answer] = Deferred()
        self.asked.append(Asked(method, what, etag, answer))
        return await answer


class ControlCase(SynchronousTestCase):
    """A control plane over a fake API, and what it gave."""

    def setUp(self) -> None:
        """Make it; the jitter is the longest there is."""
        self.clock = Clock()
        self.api = FakeAPI()
        self.followed: list[Snapshot] = []
        self.learnt: list[tuple[str, str]] = []
        self.logged: list[LogEvent] = []
        self.control = self.make()

    def make(
        self,
        state: StateFile | None = None,
        follow: collections.abc.Callable[[Snapshot], None] | None = None,
        jitter: collections.abc.Callable[[], float] = lambda: 1.0,
    ) -> ControlPlane:
        """One more."""
        return ControlPlane(
            typing.cast(UserAPI, self.api),
            PLACE,
            self.clock,
            interval=INTERVAL,
            follow=follow or self.followed.append,
            learn=lambda name, password: self.learnt.append((name, password)),
            state=state,
            jitter=jitter,
            log=Logger(observer=typing.cast(ILogObserver, self.logged.append)),
        )

    def starting(self, *, strict: bool = True) -> Deferred[None]:
        """Begin to start."""
        return Deferred.fromCoroutine(self.control.start(strict=strict))

    def start(self, *rules: str, **answer: typing.Any) -> None:
        """Start with a good configuration."""
        starting = self.starting()
        self.answer(good(*rules, **answer))
        self.successResultOf(starting)
        self.addCleanup(self.stop)

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

    def stop(self) -> None:
        """Stop it; nothing is left."""
        self.successResultOf(Deferred.fromCoroutine(self.control.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @property
    def said(self) -> list[str]:
        """The lines of its log that are warnings or errors."""
        return [formatEvent(event) for event in self.logged if event["log_level"] >= LogLevel.warn]

    @property
    def rules(self) -> list[str]:
        """Those that are followed."""
        return [rule.text for rule in self.followed[-1].rules.rules]


class KeptState:
    """A state file with something in it."""

    def read(self) -> tuple[User, str | None]:
        """What is kept."""
        kept = User(proxy_username="u", proxy_password="p", rules=("kept.example",))
        return kept, '"kept"'

    def write(self, user: User, etag: str | None) -> None:
        """Not looked at."""
