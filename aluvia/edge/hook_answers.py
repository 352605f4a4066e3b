"""
What a hook answers, and what it means that it does not.

The errors are named as RFC 9209 names them, so that an answer, a log line and a counter can be made
of each.
"""

from __future__ import annotations

import re
import typing
from http import HTTPStatus

from twisted.internet.error import ConnectionClosed
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.iweb import IResponse

from aluvia.edge.auth_fields import copies, is_sane
from aluvia.edge.verdicts import Admitted, Denied, Verdict
from aluvia.net.bounded_body import BodyCutShortError, BodyTooLongError, read_bounded_body
from aluvia.net.errors import DialError
from aluvia.wire.headers import without_hop_by_hop

__all__ = ["BODY_BYTES", "NO_ANSWER", "AnswerError", "cause_of", "read_answer"]

#: The longest body of an answer.
BODY_BYTES = 65_536

_phrase = re.compile(rb"[\t -~\x80-\xff]+").fullmatch


class AnswerError(Exception):
    """
    An answer is none. The text is one sentence that says why.

    :ivar cause: by its name in RFC 9209.
    """

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


async def read_answer(response: IResponse, copy_headers: typing.Iterable[str]) -> Verdict:
    """
    Read an answer to its end, and make a verdict of it.

    :param copy_headers: names of fields that go on to the backend.
    :raises AnswerError: it is too long, or no good HTTP.
    """
    body = await _whole_body(response)
    given = response.headers.getAllRawHeaders()
    fields = [(name, value) for name, values in given for value in values]
    status: int = response.code
    # Twisted's client passes nearly everything.
    if not (200 <= status <= 999 and all(map(is_sane, fields))):
        raise AnswerError("http_protocol_error", "its answer is no good HTTP.")
    fields = without_hop_by_hop(fields)
    if status <= 299:
        return Admitted(tuple(copies(fields, copy_headers)))
    reason: bytes = response.phrase
    if not _phrase(reason):
        reason = _usual_phrase(status)
    return Denied(status, reason, tuple(fields), body, "http_request_denied")


def _usual_phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b"Denied"


#: What a question fails with where there is no answer, or no good one.
NO_ANSWER = (
    DialError,
    AnswerError,
    ResponseFailed,
    RequestTransmissionFailed,
    RequestGenerationFailed,
)


def cause_of(error: BaseException | None) -> tuple[str, str]:
    """
    Why there is no answer: by its name in RFC 9209, and in words, without what was sent.

    :param error: one of :data:`NO_ANSWER`, or what lies behind one of Twisted's.
    """
    if isinstance(error, DialError):
        return error.error, error.detail
    if isinstance(error, AnswerError):
        return error.cause, str(error)
    if isinstance(error, ConnectionClosed):
        return "connection_terminated", "the connection was closed before the whole of its answer."
    if isinstance(error, ResponseFailed | RequestTransmissionFailed | RequestGenerationFailed):
        return cause_of(error.reasons[0].value)
    return "http_protocol_error", f"its answer is no good HTTP ({type(error).__name__})."


async def _whole_body(response: IResponse) -> bytes:
    """
    Read the body of an answer; cancelled, its connection ends.

    :raises AnswerError: it is too long, or ends in its middle.
    """
    try:
        return await read_bounded_body(response, BODY_BYTES, until_close=True)
    except BodyTooLongError:
        why = f"the body of its answer is longer than {BODY_BYTES} bytes."
        raise AnswerError("http_response_body_size", why) from None
    except BodyCutShortError:
        raise AnswerError("http_response_incomplete", "its answer was cut short.") from None
