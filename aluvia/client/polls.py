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
