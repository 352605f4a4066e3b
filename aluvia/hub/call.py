"""
One call to the hub's port: its body collected, within bounds, and its answer, in JSON.

.. code-block:: text

    state       meaning                       leaves on
    ----------  ----------------------------  ------------------------------------------------------
    COLLECTING  its body comes                its end -> DONE, answered by what was called;  too
                                              long -> DONE (413);  no room -> DONE (503)
    DONE        answered, or its caller left  (nothing is held)
"""

from __future__ import annotations

import json
import typing
from http import HTTPStatus

import attrs

from aluvia.api import problems
from aluvia.api.problems import Problem, busy
from aluvia.net.held import Held
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

__all__ = ["Call", "Collecting", "Reply", "refuse", "send"]

_ALWAYS: tuple[Field, ...] = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)

#: What every answer in JSON has in its head.
JSON_FIELDS: tuple[Field, ...] = ((b"Content-Type", b"application/json"), *_ALWAYS)


@attrs.frozen
class Reply:
    """
    What a call is answered with.

    :ivar document: for JSON; None for no body.
    """

    status: int
    document: object = attrs.field(default=None, repr=False)


#: Answers a call, given its body. Raises :class:`~aluvia.api.problems.Problem`.
Call: typing.TypeAlias = typing.Callable[[bytes], Reply]


def send(connection: ServerConnection, reply: Reply) -> None:
    """Answer a call."""
    phrase = HTTPStatus(reply.status).phrase.encode("ascii")
    if reply.document is None:
        connection.answer(reply.status, phrase, _ALWAYS)
    else:
        body = json.dumps(reply.document).encode("ascii") + b"\n"
        connection.answer(reply.status, phrase, JSON_FIELDS, body)


def refuse(connection: ServerConnection, problem: Problem, *, close: bool = False) -> None:
    """Answer a call with a problem."""
    fields = [(b"Content-Type", problems.CONTENT_TYPE), *_ALWAYS, *problem.fields]
    phrase = HTTPStatus(problem.status).phrase.encode("ascii")
    connection.answer(problem.status, phrase, fields, problem.body(), close=close)


class Collecting:
    """
    The responder of a call.

    :param most: of its body; bytes.
    :param small: so much of it is held whatever others hold; bytes.
    :param held: counts what is more than that.
    :param too_long: told the beginning of a body that is not taken, ``small`` bytes or more of it.
    """

    def __init__(
        self,
        connection: ServerConnection,
        head: RequestHead,
        call: Call,
        most: int,
        small: int,
        held: Held,
        too_long: typing.Callable[[bytes], None] = lambda beginning: None,
    ) -> None:
        self._connection = connection
        self._call = call
        self._most = most
        self._small = small
        self._held = held
        self._too_long = too_long
        self._body = bytearray()
        self._taken = 0
        self._announced_too_long = head.length > most
        if head.expect_continue:
            connection.write(connection.exchange.informational(100))

    def request_data(self, data: bytes) -> None:
        """Some of the body."""
        self._body += data
        size = len(self._body)
        if size > self._most or (self._announced_too_long and size >= self._small):
            self._too_long(bytes(self._body[: self._small]))
            detail = f"A body has at most {self._most} bytes here."
            self._refuse(Problem(413, "body_too_long", detail))
        elif size > self._small:
            if self._held.take(size - self._taken):
                self._taken = size
            else:
                self._refuse(busy("As many responses are on their way as may be."))

    def request_trailers(self, fields: typing.Sequence[Field]) -> None:
        """Nobody asks for them."""

    def request_end(self) -> None:
        """The body is whole."""
        body = bytes(self._body)
        self._leave()
        try:
            reply = self._call(body)
        except Problem as problem:
            refuse(self._connection, problem)
        else:
            send(self._connection, reply)

    def client_ended(self) -> None:
        """It still reads; and was answered at the end of its body."""

    def client_lost(self) -> None:
        """It is gone, before its body was whole."""
        self._leave()

    def request_broken(self, violation: ProtocolViolation) -> None:
        """The rest of the body is no good, or did not come in time."""
        self._refuse(Problem(violation.status, "bad_request", violation.reason))

    def pause_response(self) -> None:
        """Answers are short."""

    def resume_response(self) -> None:
        """See above."""

    def timed_out(self) -> None:
        """Not while a body comes, which has a rate of its own; its caller does not send at all."""
        self._refuse(Problem(408, "request_timeout", "The body did not come in time."))

    def _refuse(self, problem: Problem) -> None:
        self._leave()
        refuse(self._connection, problem, close=True)

    def _leave(self) -> None:
        taken, self._taken = self._taken, 0
        self._held.give_back(taken)
        self._body.clear()
