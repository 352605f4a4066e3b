"""What visitors of a tunnel are told in its app's place: words for who knows of no hub."""

from __future__ import annotations

import attrs

from aluvia.edge.answers import Refusal
from aluvia.net.errors import DialError
from aluvia.wire.headers import Field

__all__ = [
    "NOT_HTTP",
    "NO_PROVIDER",
    "NO_SUCH_TUNNEL",
    "OFFLINE",
    "PROXER_REQUEST_ID",
    "WRONG_TOKEN",
    "day_over",
    "in_words",
    "to_slash",
    "with_id",
]

#: By which an answer of a tunnel is known again; the same as ``X-Request-ID``.
PROXER_REQUEST_ID = b"X-Proxer-Request-ID"

_OFFLINE = "This is offline at the moment: the agent that publishes it is not connected."

#: By the error's name; others speak for themselves.
_WORDS = {
    "destination_not_found": "There is no such tunnel.",
    "destination_unavailable": _OFFLINE,
    "connection_refused": "The agent that publishes this is connected, but what it publishes does "
    "not run: its port refuses connections.",
    "connection_timeout": "What is published here did not take the connection in time.",
    "connection_limit_reached": "The agent that publishes this has as many connections as it may.",
    "http_response_timeout": "What is published here did not answer in time.",
    "connection_terminated": "What is published here went away before it had answered.",
}

NO_SUCH_TUNNEL = Refusal(404, "destination_not_found", "There is no such tunnel.")
NOT_HTTP = Refusal(
    404, "destination_not_found", "This tunnel is for TCP: a browser has no way into it."
)
OFFLINE = Refusal(502, "destination_unavailable", _OFFLINE)
WRONG_TOKEN = Refusal(
    403, "http_request_denied", "This is for those who have its token: open the link that has it."
)
NO_PROVIDER = Refusal(
    503, "proxy_configuration_error", "Who may visit is not configured yet; its operator knows why."
)


def day_over(wait: int) -> Refusal:
    """
    The bytes of this day are used up.

    :param wait: until the next one; seconds.
    """
    retry = (b"Retry-After", b"%d" % max(1, wait))
    words = "This has moved as much as it may today; it goes on at midnight (UTC)."
    return Refusal(429, "http_request_denied", words, (retry,))


def to_slash(location: bytes) -> Refusal:
    """Relative links of the app count from its root, whose path ends in a slash."""
    return Refusal(308, "http_request_denied", "It is below.", ((b"Location", location),))


def in_words(error: DialError) -> DialError:
    """The same error, for a visitor."""
    words = _WORDS.get(error.error)
    if words is None:
        return error
    return DialError(error.error, error.status, words, received_status=error.received_status)


def with_id(refusal: Refusal, request_id: str) -> Refusal:
    """With the request's id under the name that a tunnel's visitors know."""
    field: Field = (PROXER_REQUEST_ID, request_id.encode("ascii"))
    return attrs.evolve(refusal, fields=(*refusal.fields, field))
