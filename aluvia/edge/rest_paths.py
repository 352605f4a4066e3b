"""The paths of the API: what there is, and what answers."""

from __future__ import annotations

import collections.abc
import re
import typing
import urllib.parse

import attrs
from twisted.internet.defer import Deferred
from twisted.web.http import Request

from aluvia.api.queries import Query, read_query

__all__ = ["BASE", "Answer", "Path", "location"]

#: All that is about the configuration is below it.
BASE = "/api/v1"

#: The body of an answer, whose head is made; now or later.
Answer: typing.TypeAlias = (
    bytes | collections.abc.Coroutine[Deferred[typing.Any], typing.Any, bytes] | Deferred[bytes]
)

_variable = re.compile(r"<(\w+)>")


@attrs.frozen
class Path:
    """
    One method of one path.

    :ivar rule: the path, with its variables as Klein writes them: ``/api/v1/routes/<vHost>``.
    :ivar answer: is given the request, its query, and the variables in their order.
    :ivar query: the parameters that it knows.
    :ivar public: whether it is answered without a token.
    """

    method: str
    rule: str
    answer: typing.Callable[..., Answer]
    query: frozenset[str] = frozenset()
    public: bool = False

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of its variables."""
        return tuple(_variable.findall(self.rule))

    def __call__(self, request: Request, **variables: str) -> Answer:
        """Answer a request."""
        query: Query = read_query(request, self.query)
        return self.answer(request, query, *(variables[name] for name in self.variables))


def location(*segments: str) -> str:
    """The path of a resource, below :data:`BASE`."""
    return "/".join([BASE, *(urllib.parse.quote(segment, safe="") for segment in segments)])
