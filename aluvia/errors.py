"""
Every error that a caller of the Python API can catch.

No message holds a secret: neither the token nor the gateway's credentials.
"""

from __future__ import annotations

__all__ = [
    "AluviaError",
    "ApiError",
    "InvalidUserTokenError",
    "MissingUserTokenError",
    "ProxyStartError",
]


class AluviaError(Exception):
    """Something that aluvia was asked to do did not come about. The others are kinds of it."""


class MissingUserTokenError(AluviaError):
    """There is no user API token, or a blank one. Give ``token``."""


class InvalidUserTokenError(AluviaError):
    """The API refused the token at start (401 or 403). Give one that is valid."""


class ApiError(AluviaError):
    """
    The API could not be reached, or answered something else than what was asked for.

    At start nothing runs then; try again later. While the client runs, only calls that change the
    configuration raise it; the configuration stays as it was.

    :ivar status_code: of the answer; None where there was none (a network failure, a timeout).
    :ivar code: the API's own name for the error, if it gave one.
    :ivar details: what the API said besides, decoded from JSON; None if that was nothing, or more
        than 16384 characters. Its texts are the API's own: escape them before they are shown.
    """

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        code: str | None = None,
        details: object = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.details = details


class ProxyStartError(AluviaError):
    """The local port could not be bound. Choose another, or none for any that is free."""
