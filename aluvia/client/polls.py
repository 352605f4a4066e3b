"""What asking a control plane comes to; :mod:`aluvia.client.control` has the table."""

from __future__ import annotations

import collections.abc

import attrs

from aluvia.client.api_errors import api_error
from aluvia.client.user_api import Answer
from aluvia.errors import ApiError, InvalidUserTokenError
from aluvia.telemetry.metrics import Histogram

CHANGED = "changed"
UNCHANGED = "unchanged"
TOKEN_REFUSED = "token_refused"
BAD_ANSWER = "bad_answer"
API_ERROR = "api_error"
UNREACHABLE = "unreachable"
OVERTAKEN = "overtaken"

_REFUSALS = (401, 403)


class Polls:
    """
    What the asking came to, since the start.

    :ivar outcomes: how many answers, by the outcomes of the table.
    :ivar seconds: how long plain questions took. A monitor's are not among them: it answers when
        something changes.
    """

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.seconds = Histogram()

    def count(self, outcome: str) -> None:
        """One more answer."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


@attrs.frozen
class PollProblem:
    """
    Why the configuration could not be renewed.

    :ivar retry_after: when the server wants to be asked again; seconds, None if it did not say.
    """

    outcome: str
    error: ApiError | InvalidUserTokenError
    retry_after: float | None = None

    @property
    def sentence(self) -> str:
        """For people; without secrets."""
        return str(self.error)


def problem_of(answer: Answer, redact: collections.abc.Callable[[str], str]) -> PollProblem:
    """
    What is wrong with an answer whose status is no 200.

    :param redact: takes out of the API's own words what must not be shown.
    """
    if answer.status in _REFUSALS:
        refusal = InvalidUserTokenError(f"The API refused the token ({answer.status}).")
        return PollProblem(TOKEN_REFUSED, refusal, answer.retry_after)
    return PollProblem(API_ERROR, api_error(answer, redact), answer.retry_after)
