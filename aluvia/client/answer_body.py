"""
The body of an API's answer: read within a bound, and decoded from JSON.

.. code-block:: text

    body                               comes to
    ---------------------------------  -----------------------------------------------------
    JSON                               what it says
    in a coding, or too long           UnwantedBodyError: what is still to come of it is not
                                       waited for, and its connection ends
    cut short                          BodyCutShortError
    anything else                      NO_JSON

What is wrong with a body says nothing of the head before it: what becomes of the answer is for
whoever knows its status (:mod:`aluvia.client.user_api`).

No coding is asked for, since a short body may decode into a long one. ``identity`` is none.
"""

from __future__ import annotations

import json
import typing

from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from aluvia.net.bounded_body import BodyTooLongError, drop_body, read_bounded_body

#: The longest body of an answer.
BODY_BYTES = 1_048_576


class _NoJSON:
    """The body of an answer that is no JSON."""

    def __repr__(self) -> str:
        return "NO_JSON"


NO_JSON: typing.Final = _NoJSON()


class UnwantedBodyError(Exception):
    """A body is not read, or not to its end. The text is one sentence that says why."""


@implementer(IAgent)
class Identity:
    """
    One exchange's agent: it asks for a body as it is (RFC 9110 section 12.5.3).

    :ivar coded: whether the body that came is in a coding nevertheless.
    """

    def __init__(self, agent: IAgent) -> None:
        self.coded = False
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """Ask, without treq's own offer to decode."""
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._answered)

    def _answered(self, response: IResponse) -> IResponse:
        values = response.headers.getRawHeaders(b"content-encoding") or ()
        codings = {each.strip().lower() for each in b",".join(values).split(b",")}
        self.coded = not codings <= {b"", b"identity"}
        # What treq does not see it does not decode.
        response.headers.removeHeader(b"content-encoding")
        return response


async def read_body(response: IResponse, *, coded: bool) -> bytes:
    """
    Read the body of an answer; cancelled, its connection ends.

    :param coded: whether it is in a coding.
    :raises UnwantedBodyError: it is, or it is longer than :data:`BODY_BYTES`.
    :raises BodyCutShortError: the connection ended before it did.
    """
    if coded:
        drop_body(response)
        raise UnwantedBodyError("Its body is in a coding, which was not asked for.")
    try:
        return await read_bounded_body(response, BODY_BYTES)
    except BodyTooLongError:
        raise UnwantedBodyError(f"Its body is longer than {BODY_BYTES} bytes.") from None


def decoded(content: bytes) -> object:
    """What it says; :data:`NO_JSON` if it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return NO_JSON


def without_secrets(body: object, redact: typing.Callable[[str], str]) -> object:
    """A body decoded from JSON with every secret replaced; :data:`NO_JSON` if none is left."""
    if body is NO_JSON:
        return NO_JSON
    try:
        # Written by ourselves, since there are many ways to escape a character.
        return json.loads(redact(json.dumps(body)))
    except (ValueError, RecursionError):
        return NO_JSON
