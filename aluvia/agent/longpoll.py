"""
The hub by long-polling: whole requests are pulled, one after the other or several at a time, and
their answers sent back. For networks that break WebSockets; what it says is in
``docs/reference/agent-long-poll.rst``.

.. code-block:: text

    state        leaves on
    -----------  --------------------------------------------------------------------------------
    REGISTERING  200 -> SERVING;  another answer, or none -> ENDING
    SERVING      drain() -> DRAINING, the hub is told;  404 -> ENDING;  no call is answered for
                 :data:`PATIENCE_SECONDS` -> ENDING
    DRAINING     what the hub still hands out is answered;  404, since there is nothing more ->
                 ENDING;  as SERVING
    ENDING       the next turn -> OVER
    OVER         nothing is under way any more, and the owner was told

From every state: end() -> ENDING.

There are always :data:`PULLS` pulls open, and what one brings is answered beside the next, so that
a slow request holds up no other. As long as a pull is open the hub knows that we are there; while
none is, since there is as much under way as may be, heartbeats tell it.
"""

from __future__ import annotations

import collections.abc
import enum
import re
import typing

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.agent.carrier import (
    CarrierOwner,
    Ending,
    Kind,
    Refusal,
    in_the_hubs_words,
    places_of,
)
from aluvia.agent.health import TargetStatus
from aluvia.agent.hub_calls import HubCalls, Said
from aluvia.agent.requests import Document, Requests
from aluvia.net.accept import Sweep
from aluvia.net.back_off import BackOff
from aluvia.net.errors import DialError

__all__ = ["HEARTBEAT_SECONDS", "PATIENCE_SECONDS", "PULLS", "LongPollCarrier"]

log = Logger()

#: Pulls that are open at a time: so many requests can come at once, others a round trip later.
PULLS = 4

#: A session that is not heard of for 90 s is gone; seconds.
HEARTBEAT_SECONDS = 30.0

#: Half of the longest first wait after a call that was not answered, and the longest; seconds.
_FIRST, _LONGEST = 0.25, 4.0

#: When no call was answered for so long, it is over; seconds.
PATIENCE_SECONDS = 10.0

#: How often a response is sent that the hub had no room for, or that it may not have got.
_TRIES = 4

#: Between two looks for room; seconds.
_ROOM_SECONDS = 0.1

#: What the answers to ``register`` mean.
_REFUSALS: dict[int, Refusal] = {
    400: "bad_registration",
    401: "unauthorized",
    403: "forbidden",
    409: "taken",
    503: "full",
}

_session_id = re.compile(r"[A-Za-z0-9_-]{1,128}").fullmatch


class State(enum.Enum):
    """The table is in the module's docstring."""

    REGISTERING = enum.auto()
    SERVING = enum.auto()
    DRAINING = enum.auto()
    ENDING = enum.auto()
    OVER = enum.auto()


class LongPollCarrier:
    """
    One session.

    :param registration: what ``register`` is called with.
    :param requests: has them answered.
    :param jitter: a number from 0 to 1, a new one each time.
    """

    kind: Kind = "longpoll"

    def __init__(
        self,
        owner: CarrierOwner,
        calls: HubCalls,
        registration: typing.Mapping[str, object],
        requests: Requests,
        reactor: typing.Any,
        sweep: Sweep,
        jitter: collections.abc.Callable[[], float],
    ) -> None:
        self.state = State.REGISTERING
        self.deadline = 0.0
        self._owner = owner
        self._calls = calls
        self._registration = registration
        self._requests = requests
        self._reactor = reactor
        self._sweep = sweep
        self._session_id = ""
        self._ending: Ending | None = None
        self._running: set[Deferred[None]] = set()
        self._back_off = BackOff(reactor, _FIRST, jitter, _LONGEST)
        self._failing_since: float | None = None

    def start(self) -> None:
        """Register."""
        self._run(self._register())

    def tell(self, id: str, status: TargetStatus) -> None:
        """There is no call for it."""

    def drain(self) -> None:
        """Be asked nothing more; end when all is answered."""
        if self.state is State.SERVING:
            self.state = State.DRAINING
            self._run(self._heartbeat(leaving=True))
        elif self.state is State.REGISTERING:
            self.end()

    def end(self) -> None:
        """End it, and what is under way, at once."""
        self._end(Ending("It was ended here."))

    def deadline_passed(self, now: float) -> None:
        """It is time for another heartbeat."""
        self.deadline = now + HEARTBEAT_SECONDS
        self._run(self._heartbeat())

    # What is said.

    async def _register(self) -> None:
        try:
            said = await self._calls.register(self._registration)
        except DialError as error:
            self._end(Ending(error.detail))
            return
        id = said.document.get("session_id")
        if said.status != 200:
            self._end(_refused(said))
        elif not (isinstance(id, str) and _session_id(id)):
            self._end(Ending("The hub's answer to the registration is none."))
        elif self.state is State.REGISTERING:
            self._session_id = id
            self.state = State.SERVING
            self.deadline = self._sweep.now + HEARTBEAT_SECONDS
            self._sweep.watch(self)
            for _ in range(PULLS):
                self._run(self._pull())
            self._owner.registered(self, places_of(said.document.get("tunnels")))

    async def _pull(self) -> None:
        """Pull, until it is over."""
        while self._serves:
            if self._requests.full:
                await deferLater(self._reactor, _ROOM_SECONDS)
                continue
            said = await self._answered(self._calls.pull(self._session_id), (200, 204))
            if said is None or said.status != 200:
                continue
            request = said.document.get("request")
            if isinstance(request, dict):
                self._run(self._requests.answer(request, self._respond))

    async def _respond(self, response: Document) -> None:
        """Send it; once more, where that may help. (It may have come: then it is 409.)"""
        for _ in range(_TRIES):
            call = self._calls.respond(self._session_id, response)
            said = await self._answered(call, (202, 400, 409, 413, 503))
            if not self._serves or (said is not None and said.status != 503):
                return
            if said is not None:
                await deferLater(self._reactor, said.retry_after or _FIRST)

    async def _heartbeat(self, **more: object) -> None:
        await self._answered(self._calls.heartbeat(self._session_id, **more), (202,))

    async def _answered(
        self,
        call: collections.abc.Awaitable[Said],
        expected: tuple[int, ...],
    ) -> Said | None:
        """
        What the hub answers to a call, if that is to be expected.

        :return: None if it is not, after a while.
        """
        try:
            said = await call
        except DialError as error:
            await self._failed(error.detail)
            return None
        if said.status == 404:
            left = self.state is State.DRAINING
            self._end(Ending("It was drained." if left else "The hub knows our session no more."))
            return None
        if said.status not in expected:
            await self._failed(f"The hub answered {said.status}.")
            return None
        self._failing_since = None
        self._back_off.over()
        return said

    async def _failed(self, why: str) -> None:
        """A call was not answered: wait for a while, or end."""
        if not self._serves:
            return
        now = self._reactor.seconds()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since >= PATIENCE_SECONDS:
            self._end(Ending(why))
            return
        self._back_off.failed()
        await deferLater(self._reactor, max(0.0, self._back_off.until - now))

    # Inside.

    @property
    def _serves(self) -> bool:
        return self.state is State.SERVING or self.state is State.DRAINING

    def _run(
        self, coroutine: collections.abc.Coroutine[Deferred[typing.Any], object, None]
    ) -> None:
        running = Deferred.fromCoroutine(coroutine)
        self._running.add(running)

        def done(result: object) -> None:
            self._running.discard(running)
            if isinstance(result, Failure) and result.check(CancelledError) is None:
                log.failure("Long-polling has failed.", result)
                self._end(Ending("Long-polling has failed."))

        running.addBoth(done)

    def _end(self, ending: Ending) -> None:
        if self.state in (State.ENDING, State.OVER):
            return
        self.state = State.ENDING
        self._ending = ending
        self._sweep.forget(self)
        self._reactor.callLater(0, self._over)

    def _over(self) -> None:
        self.state = State.OVER
        for running in [*self._running]:
            running.cancel()
        assert self._ending is not None
        self._owner.ended(self, self._ending)


def _refused(said: Said) -> Ending:
    """An answer to ``register`` that is not 200. One without a problem may be a proxy's."""
    if said.document:
        why = in_the_hubs_words(said.document.get("detail"))
        return Ending(why, _REFUSALS.get(said.status), retry_after=said.retry_after)
    refusal = _REFUSALS[said.status] if said.status in (401, 403, 409) else None
    return Ending(f"The hub answered the registration with {said.status}.", refusal)
