"""
What an API says of an error, in words for people.

Some APIs quote what they were sent, and what they say is shown: in the log, on the admin port, on
standard error. So the token is taken out of it where it comes in (:mod:`aluvia.client.user_api`),
and the gateway's credentials here.
"""

from __future__ import annotations

import collections.abc

from aluvia.client.user_api import Answer, without_secrets
from aluvia.errors import ApiError

#: More of a message is not shown.
MESSAGE_CHARACTERS = 300


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
    said = f": {message[:MESSAGE_CHARACTERS]}" if isinstance(message, str) else "."
    return ApiError(
        f"The API answered {answer.status}{said}",
        status_code=answer.status,
        code=code if isinstance(code, str) else None,
        details=details,
    )
