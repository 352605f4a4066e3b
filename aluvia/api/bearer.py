"""Bearer tokens (RFC 6750), in the one place where they do not end up in logs: the head."""

from __future__ import annotations

import re
import typing

from twisted.web.http import Request

from aluvia.api.problems import Problem

__all__ = ["bearer_of", "bearer_token", "token_refused"]

REALM = b"aluvia"

_credentials = re.compile(rb"bearer +([A-Za-z0-9._~+/=-]{1,1024})", re.IGNORECASE)


def bearer_token(request: Request) -> str:
    """
    The token that a request brings.

    :raises Problem: 401, if it brings none, or something else.
    """
    return bearer_of(request.requestHeaders.getRawHeaders(b"authorization", []))


def bearer_of(given: typing.Sequence[bytes]) -> str:
    """
    The token in an ``Authorization`` field.

    :param given: its values, one for each time it is there.
    :raises Problem: 401, if there is none, or something else.
    """
    if not given:
        raise _unauthorized("token_missing", "A bearer token is needed.", b"")
    found = _credentials.fullmatch(given[0].strip()) if len(given) == 1 else None
    if found is None:
        raise _unauthorized("token_malformed", "That is no bearer token.", b"invalid_request")
    return found[1].decode("ascii")


def token_refused() -> Problem:
    """What to raise for a token that is nobody's."""
    return _unauthorized("token_invalid", "The token is not valid.", b"invalid_token")


def _unauthorized(code: str, detail: str, error: bytes) -> Problem:
    challenge = b'Bearer realm="%b"' % REALM
    if error:
        challenge += b', error="%b"' % error
    return Problem(401, code, detail, fields=[(b"WWW-Authenticate", challenge)])
