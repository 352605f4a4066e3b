"""
What the agent does for each whole request that a hub hands out.

.. code-block:: text

    state     leaves on
    --------  ----------------------------------------------------------------------------------
    ASKED     it is for a published web server, and can be sent -> CALLING;  not, or too much is
              held -> ANSWERED, an ``error``
    CALLING   the whole answer -> ANSWERED;  the target is not reached, breaks off, is silent for
              :data:`SILENCE_SECONDS`, answers too much -> ANSWERED, an ``error``;  cancelled ->
              OVER
    ANSWERED  its owner has taken the response -> OVER

What the hub may reach is said here, as it is for streams (:mod:`aluvia.agent.streams`): it names a
tunnel's id and never an address. A redirect or a compressed answer is the visitor's to deal with.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing

import attrs
from twisted.internet.interfaces import IReactorTime

from aluvia.agent.health import Health
from aluvia.agent.journal import Journal
from aluvia.agent.observed_http import ObservedRequest
from aluvia.agent.targets import Targets
from aluvia.agent.tunnels import Published
from aluvia.agent.whole_call import WholeAnswer, WholeRequest, call
from aluvia.net.accept import Sweep
from aluvia.net.dial import Dialing
from aluvia.net.errors import DialError
from aluvia.net.held import Held
from aluvia.net.http_client import ClientConnection
from aluvia.net.resolve import Failed
from aluvia.wire.errors import LocalProtocolError
from aluvia.wire.headers import Field, connection_options, is_token, pick, without_hop_by_hop
from aluvia.wire.json_fields import fields_from_json, fields_to_json
from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = ["MOST_ANSWER_BYTES", "MOST_HELD_BYTES", "SILENCE_SECONDS", "Document", "Requests"]

#: The most that an answer's body has: more is not taken by the hub.
MOST_ANSWER_BYTES = 20 * 1024 * 1024

#: Bodies of requests and of answers, together.
MOST_HELD_BYTES = 256 * 1024 * 1024

#: For a target to answer, and to go on; seconds. A hub has given up by then.
SILENCE_SECONDS = 60.0

Document: typing.TypeAlias = dict[str, typing.Any]

_NOT_SENT = frozenset([b"expect", b"trailer", b"host"])
_OF_CONNECTION = frozenset([b"connection"])
_LENGTH = frozenset([b"content-length"])

_path = re.compile(r"(?:/[!-\"$->@-~]*|\*)").fullmatch
_query = re.compile(r"[!-\"$-~]*").fullmatch


class _NotSent(Exception):
    """It cannot be sent; the text is for the visitor's hub."""


@attrs.define
class _Taken:
    """
    What is held for one request.

    :ivar count: bytes of :data:`MOST_HELD_BYTES`.
    """

    held: Held
    count: int = 0

    def take(self, count: int) -> None:
        """
        Hold so many more.

        :raises _NotSent: there is no room.
        """
        if not self.held.take(count):
            raise _NotSent("the agent holds as much as it may")
        self.count += count


class Requests:
    """
    All of them, over whichever sessions.

    :param most: at once: then nothing more is to be pulled (:attr:`full`). What pulls that are open
        bring is answered all the same.
    """

    def __init__(
        self,
        targets: Targets,
        health: Health,
        journal: Journal,
        clock: IReactorTime,
        sweep: Sweep,
        *,
        most: int,
    ) -> None:
        self._targets = targets
        self._health = health
        self._journal = journal
        self._clock = clock
        self._sweep = sweep
        self._most = most
        self._held = Held(MOST_HELD_BYTES)
        self._count = 0

    def __len__(self) -> int:
        """How many are under way."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return self._count >= self._most

    async def answer(
        self, given: Document, respond: typing.Callable[[Document], typing.Awaitable[None]]
    ) -> None:
        """
        Have one answered, and its response taken.

        :param given: as a pull brought it.
        :param respond: takes the response; what it holds is held until then.
        """
        taken = _Taken(self._held)
        self._count += 1
        began = self._clock.seconds()
        try:
            response = await self._response(given, began, taken)
            spent = round((self._clock.seconds() - began) * 1000)
            ids = {name: given.get(name) for name in ("request_id", "tunnel_id")}
            await respond({**ids, "latency_ms": spent, **response})
        finally:
            self._count -= 1
            self._held.give_back(taken.count)

    async def _response(self, given: Document, began: float, taken: _Taken) -> Document:
        id = given.get("tunnel_id")
        published = self._targets.get(id) if isinstance(id, str) else None
        if published is None or published.kind != "http":
            why = "it is not published here, or is not HTTP"
            self._journal.refused(str(id)[:64], why)
            return _error(why)
        try:
            request = _read(given, published, taken)
        except _NotSent as error:
            self._journal.refused(published.id, str(error))
            return _error(str(error))
        seen = ObservedRequest(request.method, request.target, began, bytes_in=len(request.body))
        try:
            answer = await self._ask(published, request)
            taken.take(len(answer.body))
        except DialError as error:
            return _error(_words(error))
        except LocalProtocolError:
            return _error("the request cannot be sent")
        except _NotSent as error:
            return _error(str(error))
        else:
            seen.status = answer.head.status
            seen.bytes_out = len(answer.body)
            seen.whole = True
            return _written(request.method, answer)
        finally:
            self._journal.request(published.id, seen)

    async def _ask(self, published: Published, request: WholeRequest) -> WholeAnswer:
        def dial(protocol: typing.Any, failed: Failed) -> Dialing:
            def not_connected(error: DialError) -> None:
                if not self._health.failed(published.id, error):
                    self._journal.not_connected(published.id, error.detail)
                failed(error)

            return self._targets.dial(published.id, protocol, not_connected)

        answer = await call(
            ClientConnection(None, DEFAULT_LIMITS, self._clock.seconds(), lambda _: None),
            request,
            self._sweep,
            most=MOST_ANSWER_BYTES,
            silence=SILENCE_SECONDS,
            dial=dial,
        )
        self._health.reached(published.id)
        return answer


def _read(given: Document, published: Published, taken: _Taken) -> WholeRequest:
    """
    :raises _NotSent: it is no request, or there is no room for it.
    """
    method, path, query, body = (given.get(name) for name in ("method", "path", "query", "body"))
    no_request = _NotSent("the hub's request is none")
    if not (isinstance(method, str) and method.isascii() and is_token(method.encode("ascii"))):
        raise no_request
    if method == "CONNECT" or not (isinstance(path, str) and _path(path)):
        raise no_request
    if not (query is None or (isinstance(query, str) and _query(query))):
        raise no_request
    try:
        fields = fields_from_json(given.get("headers"))
        data = b"" if body is None else base64.b64decode(body, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise no_request from None
    taken.take(len(data))
    hosts = [value for name, value in fields if name.lower() == b"host"]
    if len(hosts) > 1:
        raise no_request
    host = hosts[0] if hosts else published.place.encode("ascii")
    options = connection_options(pick(fields, _OF_CONNECTION).get(b"connection"))
    kept = without_hop_by_hop(fields, options, also=_NOT_SENT)
    target = f"{path}?{query}" if query else path
    return WholeRequest(
        method.encode("ascii"), target.encode("ascii"), [(b"Host", host), *kept], data
    )


def _written(method: bytes, answer: WholeAnswer) -> Document:
    """A response, as JSON has it. To a HEAD, and with 304, it has the length that a GET has."""
    head = answer.head
    options = connection_options(pick(head.fields, _OF_CONNECTION).get(b"connection"))
    kept: list[Field] = without_hop_by_hop(head.fields, options)
    if method == b"HEAD" or head.status == 304:
        kept = [*kept, *pick(head.fields, _LENGTH).items()]
    return {
        "status": head.status,
        "headers": fields_to_json(kept),
        "body": base64.b64encode(answer.body).decode("ascii"),
    }


def _error(words: str) -> Document:
    return {"status": 502, "headers": {}, "body": "", "error": words}


def _words(error: DialError) -> str:
    """For the hub's log. By the word ``refused`` a hub knows a target that refuses connections."""
    if error.error != "connection_refused" and "refused" in error.detail:
        return error.error
    return error.detail
