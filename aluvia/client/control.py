"""
The control plane: the configuration, fetched again and again, and changed.

.. code-block:: text

    state      meaning                             leaves on
    ---------  ----------------------------------  -------------------------------------------
    STARTING   the first question is out           a good answer -> FOLLOWING; another ends the
                                                   start, or with ``strict=False`` -> FOLLOWING
    FOLLOWING  a tick every interval asks, unless  stop -> STOPPED
               a question is out already (a
               monitor's, one out of turn), or
               the back-off is not over
    STOPPED    nothing is out, no timer is left

What an answer does:

=======================  ==================  ==================================================
answer                   outcome             then
=======================  ==================  ==================================================
200, a configuration     ``changed``,        replaces the last one; the back-off ends
                         ``unchanged``
304                      ``unchanged``       the last one stays; the back-off ends
401, 403                 ``token_refused``   the last one stays, an error is logged, back-off
200, anything else       ``bad_answer``      the last one stays, a warning, back-off
any other status         ``api_error``       the last one stays, a warning, back-off
none                     ``unreachable``     the last one stays, a warning, back-off
any, but too late        ``overtaken``       dropped, and asked again
=======================  ==================  ==================================================

A 200 that changes nothing renews what is known of the answer (its ETag, its time), and nobody who
follows hears of it: what was worked out by the rules holds.

An answer is too late if since its question another one's configuration was taken, a PATCH's among
them: two that were out at once may come back in either order, and the older must not replace the
newer. Back-off is :mod:`aluvia.net.back_off`'s.

Out of turn, a question may be asked for by :meth:`ControlPlane.poll_soon`: SIGHUP, a gateway that
refuses the credentials, and a PATCH whose answer was no configuration do. Any number of callers
share one, and there is at most one in a second (:mod:`aluvia.client.out_of_turn`). It does not wait
for a back-off, but for a ``Retry-After``.

Where the server names a monitor, that is asked in place of the tick: its answer comes when
something changes. One that answers sooner than it was asked to is asked no more than once in
:data:`~aluvia.client.out_of_turn.OUT_OF_TURN_SECONDS`, whatever it answers, and with the next tick
if nothing has changed. One that fails is given up for plain polling
(:mod:`aluvia.client.monitor`).
"""

from __future__ import annotations

import collections.abc
import random
import typing

import attrs
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.client.api_errors import api_error
from aluvia.client.config import BadConfigurationError, Snapshot, User, is_failure, read_user
from aluvia.client.monitor import Monitor
from aluvia.client.never_matching import never_matching
from aluvia.client.out_of_turn import OUT_OF_TURN_SECONDS, OutOfTurn, report
from aluvia.client.polls import (
    BAD_ANSWER,
    CHANGED,
    OVERTAKEN,
    TOKEN_REFUSED,
    UNCHANGED,
    UNREACHABLE,
    PollProblem,
    Polls,
    problem_of,
)
from aluvia.client.state_file import StateFile
from aluvia.client.user_api import Answer, UserAPI
from aluvia.errors import ApiError, InvalidUserTokenError
from aluvia.net.back_off import BackOff
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet
from aluvia.telemetry.redaction import Redactor

log = Logger()

_NOT_MODIFIED = 304


class ControlPlane:
    """
    Follows one user of one API.

    :param api: asks.
    :param place: the gateway that the credentials are for, without any.
    :param interval: between two ticks; seconds.
    :param follow: called with each new configuration, once it is to be used.
    :param learn: called with a user name and a password before anything is done with them.
    :param state: where the last good configuration is kept.
    :param jitter: a number from 0 to 1, a new one each time.
    :param log: where it says what it does.
    :ivar snapshot: the last good one, with the latest ETag; None before there is any.
    :ivar problem: why it could not be renewed the last time; None if it was.
    :ivar renewed_at: when it last was fetched, or said to be unchanged; the reactor's seconds.
    :ivar polls: what was counted.
    """

    def __init__(
        self,
        api: UserAPI,
        place: ParentProxy,
        reactor: typing.Any,
        *,
        interval: float,
        follow: collections.abc.Callable[[Snapshot], None],
        learn: collections.abc.Callable[[str, str], None] = lambda name, password: None,
        state: StateFile | None = None,
        jitter: collections.abc.Callable[[], float] = random.random,
        log: Logger = log,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.problem: PollProblem | None = None
        self.renewed_at: float | None = None
        self.polls = Polls()
        self._api = api
        self._place = place
        self._reactor = reactor
        self._interval = interval
        self._follow = follow
        self._learn = learn
        self._state = state
        self._log = log
        #: For what the API says of errors. The token is out of that already.
        self._redact = Redactor()
        self._user: User | None = None
        self._etag: str | None = None
        #: How many configurations were taken.
        self._taken = 0
        self._back_off = BackOff(reactor, interval, jitter)
        self._monitor = Monitor(reactor, log)
        #: The question that the tick asked, and the one out of turn.
        self._turn: Deferred[None] | None = None
        self._extra = OutOfTurn(reactor, self._poll)
        self._patching = DeferredLock()
        self._ticking: LoopingCall | None = None
        self._stopped = False

    @property
    def token_refused(self) -> bool:
        """Whether the last answer was a refusal of the token."""
        return self.problem is not None and self.problem.outcome == TOKEN_REFUSED

    async def start(self, *, strict: bool = True) -> None:
        """
        Fetch the first configuration, and follow it from then on.

        With a state file, an API that cannot be reached, or answers 5xx, is no reason not to start:
        the configuration that is kept there is used.

        Cancelled, it does not start, and is stopped.

        :param strict: False to start without a configuration too, if there is none to be had.
        :raises InvalidUserTokenError: the token was refused.
        :raises ApiError: anything else that is no configuration.
        """
        try:
            await self._poll()
        except CancelledError:
            await self.stop()
            raise
        if self._stopped:
            raise ApiError("The client was stopped before there was a configuration.")
        problem = self.problem
        if problem is not None and self.snapshot is None:
            error = problem.error
            if isinstance(error, InvalidUserTokenError):
                raise error
            away = error.status_code is None or error.status_code >= 500
            if not (away and self._start_from_state()) and strict:
                raise error
        ticking = LoopingCall(self._tick)
        ticking.clock = self._reactor
        self._ticking = ticking
        # A monitor waits by itself, and need not wait for that.
        ticking.start(self._interval, now=self._monitor.address is not None)

    async def stop(self) -> None:
        """Leave nothing."""
        self._stopped = True
        ticking, self._ticking = self._ticking, None
        if ticking is not None:
            ticking.stop()
        self._extra.stop()
        if self._turn is not None:
            self._turn.cancel()
        await self._api.close()

    def poll_soon(self) -> Deferred[None]:
        """
        Ask out of turn.

        :return: fires when a question that was asked after this call has its answer, whatever it
            is, or at once if none may be asked now.
        """
        return self._extra.ask(self._back_off.asked_to_wait_until)

    async def patch(self, fields: collections.abc.Mapping[str, object]) -> None:
        """
        Change the user at the control plane, and here.

        :raises ApiError: if that was refused, or if there was no answer; then it is not known
            whether it came about, and the next poll will tell. Where it came about, but what the
            configuration is by now could not be asked, that is a :attr:`problem`, and no error.
        """
        # One after the other: their answers are configurations, and could overtake each other.
        await self._patching.acquire()
        try:
            if self._stopped:
                raise ApiError("The client was stopped before the change was asked for.")
            answer = await self._api.patch(fields)
            if not answer.success or is_failure(answer.body):
                raise api_error(answer, self._redact)
            # Whatever was asked before is older than this answer.
            self._taken += 1
            try:
                self._take(read_user(answer.body), answer.etag)
            except BadConfigurationError:
                await self.poll_soon()
                # If that failed: what is used here is known to be another one than is there.
                self._back_off.skip()
            else:
                self._renewed()
        finally:
            self._patching.release()

    # Asking.

    def _tick(self) -> None:
        if self._turn is not None or self._extra.pending:
            return
        if self._reactor.seconds() >= self._back_off.until:
            turn = self._turn = Deferred.fromCoroutine(self._take_turn())
            turn.addBoth(self._turn_over)

    async def _take_turn(self) -> None:
        if self._monitor.address is None:
            await self._poll()
        else:
            await self._watch(self._monitor.address)

    def _turn_over(self, result: Failure | None) -> None:
        self._turn = None
        report(result)

    async def _poll(self) -> None:
        """Ask once, and do what the answer says; what goes wrong is kept as :attr:`problem`."""
        began = self._reactor.seconds()
        came_to = await self._question(self._api.get(self._etag))
        if isinstance(came_to, PollProblem):
            self._failed(came_to)
        self.polls.seconds.observe(self._reactor.seconds() - began)

    async def _watch(self, address: str) -> None:
        """Ask a monitor, again and again, as long as that goes well."""
        while self._monitor.address == address:
            next_at = self._reactor.seconds() + OUT_OF_TURN_SECONDS
            came_to = await self._question(self._api.monitor(address, self._etag))
            if isinstance(came_to, PollProblem):
                self._monitor.failed(came_to)
                return
            self._monitor.works()
            early = next_at - self._reactor.seconds()
            if early > 0:
                # It does not wait as it was asked to; that must not become a flood.
                await deferLater(self._reactor, early)
                if came_to == UNCHANGED:
                    return

    async def _question(
        self, asking: collections.abc.Coroutine[typing.Any, typing.Any, Answer]
    ) -> str | PollProblem:
        """Ask, and use what is good: what that came to, or what is wrong with it."""
        taken = self._taken
        came_to: str | PollProblem
        try:
            answer = await asking
        except ApiError as error:
            came_to = PollProblem(UNREACHABLE, error)
        else:
            came_to = OVERTAKEN if taken != self._taken else self._answered(answer)
        self.polls.count(came_to.outcome if isinstance(came_to, PollProblem) else came_to)
        return came_to

    # What an answer does.

    def _answered(self, answer: Answer) -> str | PollProblem:
        if answer.status == _NOT_MODIFIED and self.snapshot is not None:
            if answer.monitor is not None:
                self._monitor.named(answer.monitor)
            self._renewed()
            return UNCHANGED
        if answer.status != 200:
            return problem_of(answer, self._redact)
        try:
            changed = self._take(read_user(answer.body), answer.etag)
        except BadConfigurationError as bad:
            why = answer.unread or bad
            error = ApiError(
                f"The API answered 200 without a good configuration. {why}", status_code=200
            )
            return PollProblem(BAD_ANSWER, error, answer.retry_after)
        self._monitor.named(answer.monitor)
        self._renewed()
        return CHANGED if changed else UNCHANGED

    def _take(self, user: User, etag: str | None) -> bool:
        """
        Use this user's configuration from now on.

        :return: whether it is another one than before.
        :raises BadConfigurationError: if it cannot be used; nothing has changed then.
        """
        try:
            gateway = self._place.with_credentials(user.proxy_username, user.proxy_password)
        except ValueError as error:
            raise BadConfigurationError(str(error)) from None
        last, now = self.snapshot, self._reactor.seconds()
        self._etag = etag
        if last is not None and user == self._user:
            self.snapshot = attrs.evolve(last, etag=etag, fetched_at=now)
            return False
        revision = 1 if last is None else last.revision + 1
        same_rules = self._user is not None and user.rules == self._user.rules
        if last is not None and same_rules:
            rules = attrs.evolve(last.rules, revision=revision)
        else:
            rules = RuleSet.compile(user.rules, revision=revision)
        self._learn(user.proxy_username, user.proxy_password)
        self._redact.add_credentials(user.proxy_username, user.proxy_password)
        self._user = user
        self._taken += 1
        self.snapshot = Snapshot(
            gateway=gateway,
            rules=rules,
            session_id=user.session_id,
            target_geo=user.target_geo,
            etag=etag,
            revision=revision,
            fetched_at=now,
        )
        self._follow(self.snapshot)
        if self._state is not None:
            self._state.write(user, etag)
        self._log.info(
            "Configuration {revision}: {count} rules.", revision=revision, count=len(rules.rules)
        )
        if not same_rules:
            for line in never_matching(user.rules, rules, self._redact):
                self._log.warn("{line}", line=line)
        return True

    def _renewed(self) -> None:
        """What is configured is known to be right."""
        if self.problem is not None:
            self._log.info("The API answers well again.")
        self.problem = None
        self.renewed_at = self._reactor.seconds()
        self._back_off.over()

    def _failed(self, problem: PollProblem) -> None:
        if self._stopped:
            # A question that is given up because we stop says nothing about the API.
            return
        self._back_off.failed(problem.retry_after)
        last, self.problem = self.problem, problem
        if last is None or (last.outcome, last.sentence) != (problem.outcome, problem.sentence):
            why = problem.sentence
            if self.snapshot is not None:
                why += " What is configured stays in use."
            if problem.outcome == TOKEN_REFUSED:
                self._log.error("{why}", why=why)
            else:
                self._log.warn("{why}", why=why)

    def _start_from_state(self) -> bool:
        kept = None if self._state is None else self._state.read()
        if kept is None:
            return False
        user, etag = kept
        try:
            self._take(user, etag)
        except BadConfigurationError:
            return False
        self._log.warn("It starts with the configuration that was kept in the state file.")
        return True
