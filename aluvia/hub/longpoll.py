"""
Agents that poll: a session that hands out whole requests and takes whole answers.

The contract is in ``docs/reference/agent-long-poll.rst``, its calls in
:mod:`aluvia.hub.poll_calls`, and what becomes of a visitor's request is the
table in :mod:`aluvia.hub.asked`.

Whether a session is *live* matters to agents that name no instance. Their key and agent_id are all
that tells them apart, and an agent that was restarted is to have its ids back at once, while two
that run must not take them from each other in turn.
"""

from __future__ import annotations

import collections
import functools
import typing

from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger

from aluvia.hub.asked import (
    IN_LINE,
    OUT,
    OVER,
    Asked,
    agents_error,
    bad_answer,
    full,
    late,
    too_large,
)
from aluvia.hub.keys import Permit
from aluvia.hub.polled import AgentFailed, BadAnswer, WholeRequest, read_answer
from aluvia.hub.polled_transport import PolledTransport
from aluvia.hub.registration import Registration
from aluvia.hub.registry import Session
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.mux_opening import AtOnce, lost_carrier
from aluvia.net.resolve import Failed
from aluvia.wire.frames import Code

if typing.TYPE_CHECKING:
    from aluvia.hub.long_polls import LongPolls

__all__ = ["AnswerTooLarge", "LongPollSession", "Poll", "UnknownRequest"]

log = Logger()


class Poll(typing.Protocol):
    """One pull that waits for a request."""

    def deliver(self, message: bytes, out: typing.Callable[[bool], None]) -> None:
        """
        Answer it with a request.

        :param out: told once: whether it was written whole, or the agent went away before.
        """

    def session_over(self) -> None:
        """There is no such session any more."""


class UnknownRequest(Exception):
    """No such request of this session, and this tunnel, waits for a response."""


class AnswerTooLarge(Exception):
    """A response's body is too long."""


class LongPollSession:
    """
    One agent that polls; see :class:`aluvia.hub.registry.Session`.

    :ivar id: what the agent shows at each call: a secret.
    :ivar permit: what its key was good for when it registered.
    :ivar deadline: when it is gone unless it is heard of.
    """

    carrier = "longpoll"

    def __init__(
        self, polls: LongPolls, registration: Registration, permit: Permit, address: str
    ) -> None:
        self.id = polls.hub.make_id()
        self.agent_id = registration.agent_id
        self.permit = permit
        # No instance that an agent names has a colon.
        self.instance = registration.instance or f":{registration.agent_id}"
        self.group = registration.group
        self.address = address
        self.draining = False
        self.over = False
        self._polls = polls
        self._hub = polls.hub
        self._limits = polls.hub.limits
        self.since = self._last_seen = self._hub.now()
        self._heard = self._hub.reactor.seconds()
        self.deadline = self._heard + self._limits.poll_session_seconds
        self._poll_lost = False
        # Dicts: in their order, and leaving takes no search.
        self._open: dict[Poll, None] = {}
        self._idle_polls: dict[Poll, None] = {}
        self._line: collections.deque[Asked] = collections.deque()
        self._asked: dict[str, Asked] = {}
        self._transports: dict[PolledTransport, Asked | None] = {}

    # What the registry's users see.

    @property
    def last_seen(self) -> float:
        """When it was last heard of; seconds since 1970. Now, while a pull is open."""
        return self._hub.now() if self._open else self._last_seen

    @property
    def streams_open(self) -> int:
        """Connections of visitors' requests, idle ones too."""
        return len(self._transports)

    def open(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect a protocol; see :meth:`aluvia.hub.registry.Session.open`."""
        if self.over or self.draining:
            failed(lost_carrier())
        elif self._is_full or len(self._transports) >= self._limits.streams_per_session:
            failed(full())
        else:
            transport = PolledTransport(
                self,
                tunnel_id,
                protocol,
                self._hub.reactor,
                self._limits.poll_body_in_bytes,
                self._polls.held,
            )
            self._transports[transport] = None
            protocol.makeConnection(transport)
        return AtOnce()

    def end(self, code: Code, reason: str) -> None:
        """End it at once; see :meth:`aluvia.hub.registry.Session.end`."""
        if self.over:
            return
        self.over = True
        log.info("Agent {agent} has gone: {why}", agent=self.agent_id, why=reason)
        self._hub.sweep.forget(self)
        self._polls.sessions.pop(self.id, None)
        self._hub.registry.withdraw(self)
        for asked in list(self._asked.values()):
            self.failed(asked, lost_carrier())
        for transport in list(self._transports):
            transport.agent_gone(lost_carrier())
        idle, self._idle_polls = self._idle_polls, {}
        for poll in idle:
            poll.session_over()

    def drain(self) -> None:
        """
        Take no more requests but those that are coming in already, which are handed out and
        answered; see :meth:`aluvia.hub.registry.Session.drain`.
        """
        self.draining = True
        for transport in list(self._transports):
            if transport.idle:
                transport.agent_gone(lost_carrier())
        self._perhaps_drained()

    def probe(self) -> None:
        """Whether it polls is known already."""

    def deadline_passed(self, now: float) -> None:
        """It was not heard of."""
        if self._open:
            # To be silent is what a pull is for.
            self.deadline = now + self._limits.poll_session_seconds
            return
        self.end(Code.NO_ERROR, "The agent was not heard of.")

    # What an agent calls.

    @property
    def live(self) -> bool:
        """Whether there is an agent behind it, as far as can be told at once."""
        if self._open:
            return True
        quiet = self._hub.reactor.seconds() - self._heard
        return not self._poll_lost and quiet < self._limits.poll_absent_seconds

    def is_same(self, other: Session) -> bool:
        """Whether another one is of the same instance."""
        return (self.permit.name, self.instance) == (other.permit.name, other.instance)

    def heard(self) -> None:
        """It has called."""
        self._poll_lost = False
        self._heard = self._hub.reactor.seconds()
        self._last_seen = self._hub.now()
        self.deadline = self._heard + self._limits.poll_session_seconds

    def pull(self, poll: Poll) -> None:
        """A pull is open, and is given a request when there is one."""
        self.heard()
        self._open[poll] = None
        self._idle_polls[poll] = None
        self._hand_out()

    def pull_over(self, poll: Poll, *, lost: bool) -> None:
        """
        A pull is answered, or not open any more.

        :param lost: its agent went away.
        """
        self._open.pop(poll, None)
        self._idle_polls.pop(poll, None)
        if lost:
            self._poll_lost = True
        else:
            self.heard()

    def respond(self, response: typing.Mapping[str, typing.Any]) -> None:
        """
        An agent has a response.

        :raises UnknownRequest: to nothing that it was asked.
        :raises AnswerTooLarge: its body is too long; the visitor is told.
        :raises BadAnswer: it is no good; the visitor is told.
        """
        self.heard()
        request_id = response.get("request_id")
        asked = self._asked.get(request_id) if isinstance(request_id, str) else None
        if (
            asked is None
            or asked.state is not OUT
            or response.get("tunnel_id") != asked.transport.tunnel_id
        ):
            raise UnknownRequest
        try:
            answer = read_answer(response, asked.method)
        except AgentFailed as failure:
            log.info(
                "Agent {agent} has no response of {tunnel}: {words}",
                agent=self.agent_id,
                tunnel=asked.transport.tunnel_id,
                words=failure.words,
            )
            self.failed(asked, agents_error(failure))
            return
        except BadAnswer:
            self.failed(asked, bad_answer())
            raise
        if len(answer.body) > self._limits.poll_body_out_bytes:
            self.failed(asked, too_large())
            raise AnswerTooLarge
        transport = asked.transport
        self._over(asked)
        transport.answer(answer)
        if self.draining:
            # Behind the answer, so that nobody asks for more on the same connection.
            transport.agent_gone(lost_carrier())
        self._perhaps_drained()

    def response_too_large(self, request_id: str) -> None:
        """A response is not taken, since it is too long."""
        self.heard()
        asked = self._asked.get(request_id)
        if asked is not None and asked.state is OUT:
            self.failed(asked, too_large())

    # What its transports call.

    def ask(self, transport: PolledTransport, request: WholeRequest) -> None:
        """See :meth:`aluvia.hub.polled_transport.Asks.ask`."""
        if self.over:
            raise lost_carrier()
        if self._is_full:
            raise full()
        deadline = self._hub.reactor.seconds() + self._limits.poll_request_seconds
        id = self._hub.make_id()
        asked = Asked(id, transport, request.method, deadline, request, self._expired)
        self._asked[id] = asked
        self._transports[transport] = asked
        self._polls.waiting += 1
        self._hub.sweep.watch(asked)
        self._line.append(asked)
        self._hand_out()

    def give_up(self, transport: PolledTransport) -> None:
        """See :meth:`aluvia.hub.polled_transport.Asks.give_up`."""
        asked = self._transports.get(transport)
        if asked is not None:
            self._over(asked)
            self._perhaps_drained()

    def left(self, transport: PolledTransport) -> None:
        """See :meth:`aluvia.hub.polled_transport.Asks.left`."""
        del self._transports[transport]
        self._perhaps_drained()

    def failed(self, asked: Asked, error: DialError) -> None:
        """A request has no answer; its visitor is told."""
        self._over(asked)
        asked.transport.fail(error)
        self._perhaps_drained()

    # Inside.

    @property
    def _is_full(self) -> bool:
        limits = self._limits
        return (
            len(self._asked) >= limits.poll_waiting_per_session
            or self._polls.waiting >= limits.poll_waiting
        )

    def _hand_out(self) -> None:
        """Give pulls what is in line, the first to the first."""
        while self._line and self._idle_polls:
            asked = self._line.popleft()
            poll = next(iter(self._idle_polls))
            del self._idle_polls[poll]
            assert asked.request is not None
            asked.state = OUT
            message = asked.request.message(asked.id, asked.transport.tunnel_id)
            poll.deliver(message, functools.partial(self._was_out, asked))

    def _was_out(self, asked: Asked, whole: bool) -> None:
        if asked.state is not OUT:
            return
        if whole:
            asked.request = None
            asked.transport.was_handed_out()
        else:
            asked.state = IN_LINE
            self._line.appendleft(asked)
            self._hand_out()

    def _over(self, asked: Asked) -> None:
        """Nobody waits for it any more, and no response to it is taken."""
        if asked.state is OVER:
            return
        if asked.state is IN_LINE:
            self._line.remove(asked)
        asked.state = OVER
        asked.request = None
        del self._asked[asked.id]
        self._transports[asked.transport] = None
        self._polls.waiting -= 1
        self._hub.sweep.forget(asked)

    def _expired(self, asked: Asked) -> None:
        self.failed(asked, late())

    def _perhaps_drained(self) -> None:
        if not self.draining or self._asked:
            return
        if not any(each.in_request for each in self._transports):
            self.end(Code.NO_ERROR, "It has answered all that it was asked.")
