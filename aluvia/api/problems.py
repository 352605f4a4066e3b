"""
Errors: problem details (RFC 9457), which are the seeds' error envelope too.

.. code-block:: json

    {"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
     "detail": "Some fields cannot be changed like that.",
     "errors": [{"pointer": "/rules/0", "detail": "must be a string"}],
     "success": false,
     "error": {"code": "invalid_fields", "message": "Some", "details": []}}
"""

from __future__ import annotations

import json
import typing
from http import HTTPStatus

import attrs

from aluvia.wire.headers import Field

__all__ = ["CONTENT_TYPE", "RETRY_AFTER", "Fault", "Problem", "busy"]

CONTENT_TYPE = b"application/problem+json"

#: When to come back to what is full; seconds.
RETRY_AFTER = b"5"


@attrs.frozen
class Fault:
    """
    One thing that is wrong with a body.

    :ivar pointer: to it, as RFC 6901 writes it; empty for the whole.
    """

    pointer: str
    detail: str


class Problem(Exception):
    """
    A request is answered with an error.

    :param code: a name for programs, which stays.
    :param detail: one sentence for people, without secrets.
    :param faults: what is wrong with the body, everything of it.
    :param fields: for the head of the answer.
    :param more: members of the body besides (RFC 9457 section 3.2), whose names are none of those
        above.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        faults: typing.Sequence[Fault] = (),
        fields: typing.Sequence[Field] = (),
        more: typing.Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.faults = tuple(faults)
        self.fields = tuple(fields)
        self.more = dict(more or {})

    def body(self) -> bytes:
        """What is sent."""
        faults = [attrs.asdict(fault) for fault in self.faults]
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "success": False,
            "error": {"code": self.code, "message": self.detail, "details": faults or None},
        }
        if faults:
            problem["errors"] = faults
        problem |= self.more
        return json.dumps(problem).encode("ascii") + b"\n"


def busy(detail: str) -> Problem:
    """What to raise where as many wait as may; it may be tried again soon."""
    return Problem(503, "busy", detail, fields=[(b"Retry-After", RETRY_AFTER)])
