"""
Tokens (RFC 6750), in the head alone: what stands in a URL ends up in logs.

.. code-block:: text

    Authorization                         answer
    ------------------------------------  ----------------------------------------------------------
    none, or of another scheme            401, with a challenge and no reason (section 3.1)
    Bearer with what is no token, or two  400, ``invalid_request`` (section 3.1)
    fields
    a token that is nobody's              401, ``invalid_token``
    somebody's                            the request goes on

The field was for us, so the backend does not get it. It gets the token's name, in
``X-Forwarded-User``; a client's own field of that name goes nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re

from twisted.internet.defer import Deferred, succeed

from aluvia.edge.auth_basic import AUTHORIZATION, USER, quoted
from aluvia.edge.auth_fields import is_sane, names_of_ours
from aluvia.edge.model import BearerProvider
from aluvia.edge.verdicts import Admitted, Asked, Denied, Verdict, denied

__all__ = ["BearerAuthenticator"]

#: The longest token.
TOKEN_BYTES = 8_192

_scheme = re.compile(rb"bearer(?:[ \t]|$)", re.IGNORECASE).match
_bearer = re.compile(rb"bearer +([A-Za-z0-9._~+/-]{1,%d}=*)" % TOKEN_BYTES, re.IGNORECASE).fullmatch


class BearerAuthenticator:
    """
    Asks for a token.

    :raises ValueError: a token's name cannot be sent on, or its hash is none; the text names it.
    """

    removed = names_of_ours([AUTHORIZATION, USER])

    def __init__(self, provider: BearerProvider) -> None:
        self._tokens: dict[bytes, tuple[bytes, Admitted | None]] = dict(
            _read_token(*token) for token in provider.tokens
        )
        self._challenge = b"Bearer realm=" + quoted(provider.realm)

    def ask(self, asked: Asked) -> Verdict:
        """Judge the token."""
        values = [value for name, value in asked.head.fields if name.lower() == b"authorization"]
        if not any(_scheme(value) for value in values):
            return self._refused(401, "A bearer token is needed.")
        found = _bearer(values[0].strip(b" \t")) if len(values) == 1 else None
        if found is None:
            return self._refused(400, "That is no bearer token.", b"invalid_request")
        digest = hashlib.sha256(found[1]).digest()
        # A hash of what they do not know tells nobody how near they came. It is compared
        # nevertheless in a time that does not depend on it.
        known, admitted = self._tokens.get(digest, (b"", None))
        if hmac.compare_digest(known, digest) and admitted is not None:
            return admitted
        return self._refused(401, "The token is not valid.", b"invalid_token")

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """Accept no token any more."""
        self._tokens = {}
        return succeed(None)

    def _refused(self, status: int, detail: str, error: bytes = b"") -> Denied:
        challenge = self._challenge + (b', error="%b"' % error if error else b"")
        fields = [(b"WWW-Authenticate", challenge)]
        return denied(status, "http_request_denied", detail, fields)


def _read_token(name: str, digest: str) -> tuple[bytes, tuple[bytes, Admitted]]:
    field = (USER.encode("ascii"), name.encode("utf-8"))
    if not is_sane(field):
        raise ValueError(f"{name!r} is no name of a token.")
    try:
        raw = bytes.fromhex(digest)
    except ValueError:
        raw = b""
    if len(raw) != hashlib.sha256().digest_size:
        raise ValueError(f"The hash of the token {name!r} is no SHA-256 in hexadecimal.")
    return raw, (raw, Admitted((field,)))
