"""
What an API says of an error, in words for people.

Some APIs quote what they were sent, and what they say is shown: in the log, on the admin port, on
standard error. So the token is taken out of it where it comes in (:mod:`aluvia.client.user_api`),
and the gateway's credentials here; and it is shown on one line, without what a terminal would act
on. What it says under ``details`` is for programs: it stays as the API wrote it, so that whoever
shows it escapes it first; and where it is longer than :data:`DETAILS_CHARACTERS` it is left out.
"""

from __future__ import annotations

import collections.abc
import json

from aluvia.client.answer_body import without_secrets
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError
from aluvia.telemetry.logs import escape

#: More of a message, or of a code, is not shown.
MESSAGE_CHARACTERS = 300

#: Longer details, as JSON, are left out: a part of them may say something else than the whole.
DETAILS_CHARACTERS = 16_384


def api_error(answer: Answer, redact: collections.abc.Callable[[str], str]) -> ApiError:
    """
    What an answer that is no success says, with the API's own words where it gives some.

    :param redact: takes out of them what must not be shown.
    """
    code, message, details = None, None, None
    body = without_secrets(answer.body, redact)
    if isinstance(body, dict):
        error = body.get("error")
        told = error if isinstance(error, dict) else body
        code = told.get("code")
        message = told.get("message") or told.get("detail") or told.get("title")
        details = told.get("details") or told.get("errors")
    said = f": {_shown(message)}" if isinstance(message, str) else "."
    return ApiError(
        f"The API answered {answer.status}{said}",
        status_code=answer.status,
        code=_shown(code) if isinstance(code, str) else None,
        details=details if len(json.dumps(details)) <= DETAILS_CHARACTERS else None,
    )


def _shown(text: str) -> str:
    # Cut first: of a text without end no more is looked at than is shown.
    return escape(text[:MESSAGE_CHARACTERS])[:MESSAGE_CHARACTERS]
