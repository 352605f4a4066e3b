"""What asking a control plane comes to; :mod:`aluvia.client.control` has the table."""

from __future__ import annotations

import attrs

from aluvia.errors import ApiError, InvalidUserTokenError
from aluvia.telemetry.metrics import Histogram

CHANGED = "changed"
UNCHANGED = "unchanged"
TOKEN_REFUSED = "token_refused"
BAD_ANSWER = "bad_answer"
API_ERROR = "api_error"
UNREACHABLE = "unreachable"
OVERTAKEN = "overtaken"


class Polls:
    """
    What the asking came to, since the start.

    :ivar outcomes: how many answers, by the outcomes of the table.
    :ivar seconds: how long plain questions took.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.seconds = Histogram()


@attrs.frozen
class PollProblem:
    """
    Why the configuration could not be renewed.

    :ivar sentence: for people; without secrets.
    """

    outcome: str
    sentence: str
    error: ApiError | InvalidUserTokenError
