"""What a route says of who may ask, how often, and for how much."""

from __future__ import annotations

import math

from aluvia.edge.answers import Refusal
from aluvia.edge.live import LiveRoute
from aluvia.edge.request_fields import Client
from aluvia.net.addresses import client_place
from aluvia.wire.head import RequestHead

__all__ = ["judge_by_route"]

_NOT_ADMITTED = Refusal(403, "http_request_denied", "This address may not ask.")
_TOO_LARGE = Refusal(413, "http_request_error", "The request's body is too large.")


def judge_by_route(head: RequestHead, live: LiveRoute, client: Client) -> Refusal | None:
    """Why a request is refused, and counted as one of its client's; None if it is not."""
    terms = live.terms
    if terms.access is not None and not terms.access.admits(client.address):
        return _NOT_ADMITTED
    if live.allowance is not None and (wait := live.allowance.take(client_place(client.address))):
        retry = (b"Retry-After", b"%d" % math.ceil(wait))
        return Refusal(429, "http_request_denied", "Too many requests.", (retry,))
    most = terms.route.max_body_bytes
    if most is not None and head.length > most:
        return _TOO_LARGE
    return None
