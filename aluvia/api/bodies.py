"""What a client sends: an object in JSON, and nothing that only looks like one."""

from __future__ import annotations

import json
import typing

from twisted.web.http import Request

from aluvia.api.problems import Fault, Problem

__all__ = ["CHANGES", "JSON", "MERGE_PATCH", "object_in", "read_object"]

JSON = "application/json"

#: RFC 7396.
MERGE_PATCH = "application/merge-patch+json"

#: What a PATCH takes.
CHANGES = (JSON, MERGE_PATCH)


def read_object(request: Request, types: typing.Sequence[str] = CHANGES) -> dict[str, typing.Any]:
    """
    The object in a body, whose length the site has bounded.

    :param types: the media types that are taken.
    :raises Problem: 415, 400 or 422.
    """
    given = (request.getHeader(b"content-type") or b"").decode("latin-1")
    if given.partition(";")[0].strip().lower() not in types:
        # RFC 5789 section 2.2, and RFC 9110 section 15.5.16 for what is no patch.
        name = b"Accept-Patch" if MERGE_PATCH in types else b"Accept"
        raise Problem(
            415,
            "unsupported_media_type",
            f"A body is {' or '.join(types)}.",
            fields=[(name, ", ".join(types).encode("ascii"))],
        )
    assert request.content is not None
    return object_in(request.content.read())


def object_in(body: bytes) -> dict[str, typing.Any]:
    """
    The object that JSON says.

    :raises Problem: 400 or 422.
    """
    try:
        text = body.decode("utf-8")
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(400, "invalid_json", f"The body is no JSON, at {where}.") from None
    except _Twice:
        detail = "The body has a member twice in one object."
        raise Problem(400, "invalid_json", detail) from None
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_json", "The body is no JSON.") from None
    if not isinstance(document, dict):
        fault = Fault("", "must be an object")
        raise Problem(422, "invalid_fields", "The body must be an object.", [fault])
    return document


class _Twice(ValueError):
    """Which of the two is meant nobody knows (RFC 8259 section 4)."""


def _once(members: list[tuple[str, typing.Any]]) -> dict[str, typing.Any]:
    document = dict(members)
    if len(document) < len(members):
        raise _Twice
    return document


def _no_constant(name: str) -> typing.NoReturn:
    # Python reads NaN and Infinity, which JSON has not.
    raise ValueError(name)
