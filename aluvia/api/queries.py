"""
What stands behind the ``?`` of a request: the parameters that its resource knows, and no others.

``twisted.web`` drops a parameter without a value. Here ``?dry_run`` is as good as ``?dry_run=1``:
whoever writes it does not mean the opposite.
"""

from __future__ import annotations

import typing
import urllib.parse

from twisted.web.http import Request

from aluvia.api.problems import Problem

__all__ = ["Query", "parameters_in", "read_flag", "read_query"]

#: Of one request.
MOST_PARAMETERS = 32

#: Values by name, in their order.
Query: typing.TypeAlias = typing.Mapping[str, typing.Sequence[str]]

_FLAGS = {"": True, "1": True, "true": True, "0": False, "false": False}


def read_query(request: Request, known: typing.Collection[str]) -> Query:
    """
    The parameters of a request.

    :raises Problem: 400, for what is none of those, or no query at all.
    """
    _, _, query = request.uri.partition(b"?")
    given = parameters_in(query)
    if any(name not in known for name in given):
        names = ", ".join(sorted(known)) or "no parameters"
        raise Problem(400, "unknown_parameter", f"Here there is {names}.")
    return given


def parameters_in(query: bytes) -> Query:
    """
    All parameters that there are.

    :param query: as it was sent, without its ``?``.
    :raises Problem: 400, if it cannot be read.
    """
    try:
        return urllib.parse.parse_qs(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise Problem(400, "bad_query", "The query cannot be read.") from None


def read_flag(query: Query, name: str) -> bool:
    """
    Whether a parameter is set; it is not if it is absent.

    :raises Problem: 400, for what is neither yes nor no.
    """
    given = query.get(name, ["0"])
    if len(given) != 1 or given[0] not in _FLAGS:
        raise Problem(400, "bad_query", f"{name} is 1 or 0.")
    return _FLAGS[given[0]]
