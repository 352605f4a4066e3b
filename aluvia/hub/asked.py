"""
One request of a visitor's that an agent who polls is asked, and the ways in which it fails.

.. code-block:: text

    state     meaning                              leaves on
    --------  -----------------------------------  ------------------------------------------------
    IN_LINE   no pull has it                       a pull takes it -> OUT;  *
    OUT       a pull has it, or the agent has      its response -> OVER;  the pull is lost before
                                                   it was written whole -> IN_LINE, first;  *
    OVER      it is answered, or given up          a response that comes now is 409

    * its visitor leaves, its time is over, or the session ends -> OVER

So what nobody waits for is not handed out, and what may have been executed is not handed out again.
"""

from __future__ import annotations

import enum
import typing

import attrs

from aluvia.hub.polled import AgentFailed, WholeRequest
from aluvia.hub.polled_transport import PolledTransport
from aluvia.net.errors import DialError

__all__ = [
    "IN_LINE",
    "OUT",
    "OVER",
    "Asked",
    "State",
    "agents_error",
    "bad_answer",
    "full",
    "late",
    "too_large",
]


class State(enum.Enum):
    """Where a request is; the table is in the module's docstring."""

    IN_LINE = enum.auto()
    OUT = enum.auto()
    OVER = enum.auto()


IN_LINE, OUT, OVER = State


@attrs.define(eq=False)
class Asked:
    """
    One request.

    :ivar id: random, so that nobody answers but who was asked.
    :ivar transport: of the visitor's connection.
    :ivar deadline: when there is no use in an answer any more; seconds of the clock.
    :ivar request: as long as it may have to be handed out.
    :param expired: called when the deadline has passed.
    """

    id: str = attrs.field(repr=False)
    transport: PolledTransport
    method: bytes
    deadline: float
    request: WholeRequest | None
    expired: typing.Callable[[Asked], None] = attrs.field(repr=False)
    state: State = IN_LINE

    def deadline_passed(self, now: float) -> None:
        """It has had its time."""
        self.expired(self)


def full() -> DialError:
    """Too many requests."""
    return DialError("connection_limit_reached", 503, "Too many requests wait for the agent.")


def late() -> DialError:
    """No answer."""
    return DialError("http_response_timeout", 504, "The tunnel's agent did not answer in time.")


def too_large() -> DialError:
    """Too much of an answer."""
    return DialError("http_response_body_size", 502, "The response's body is too large.")


def bad_answer() -> DialError:
    """Something else than an answer."""
    return DialError("http_protocol_error", 502, "The agent's response is no response.")


def agents_error(failure: AgentFailed) -> DialError:
    """The agent has no answer. Its own words are for the log alone."""
    if failure.refused:
        return DialError("connection_refused", 502, "The tunnel's target refuses connections.")
    return DialError("destination_unavailable", 502, "The tunnel's target gave no response.")
