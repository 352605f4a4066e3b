"""
What Klein answers where nothing of an API does: problems, like everything else that is no success.

By itself it answers 404 and 405 in HTML, follows what only looks like a path of ours with a
redirect, and shows nothing of a bug but an empty page.
"""

from __future__ import annotations

import typing

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from aluvia.api.answers import send_problem
from aluvia.api.problems import Problem

if typing.TYPE_CHECKING:
    # Importing it installs a reactor: who has an application has done so.
    from klein import Klein

__all__ = ["answer_errors"]

log = Logger()


def answer_errors(app: Klein) -> None:
    """Answer what the routes of an application raise, and what has no route."""
    # Klein's type for them has a fixed number of arguments.
    answer: typing.Any = app.handle_errors
    # The first that fits is asked.
    answer(Problem)(_problem)
    answer(MethodNotAllowed)(_wrong_method)
    answer(HTTPException)(_nothing_there)
    answer(Exception)(_broken)


# An application that belongs to an object gives the object as well, before the other two.


def _problem(*given: typing.Any) -> bytes:
    """Whatever of ours refuses."""
    request, failure = _asked(given)
    return send_problem(request, typing.cast(Problem, failure.value))


def _wrong_method(*given: typing.Any) -> bytes:
    """Say which methods there are."""
    request, failure = _asked(given)
    error = typing.cast(MethodNotAllowed, failure.value)
    methods = ", ".join(sorted(error.valid_methods or ()))
    problem = Problem(
        405,
        "method_not_allowed",
        f"Here there is {methods}.",
        fields=[(b"Allow", methods.encode("ascii"))],
    )
    return send_problem(request, problem)


def _nothing_there(*given: typing.Any) -> bytes:
    """Nothing, or something by another path, which is not followed."""
    request, _ = _asked(given)
    return send_problem(request, Problem(404, "not_found", "There is nothing here."))


def _broken(*given: typing.Any) -> bytes:
    """A bug of ours: the log has it, the answer has not."""
    request, failure = _asked(given)
    log.failure("The API could not answer {path}", failure, path=request.path)
    return send_problem(request, Problem(500, "internal_error", "It failed; the log says why."))


def _asked(given: tuple[typing.Any, ...]) -> tuple[Request, Failure]:
    request, failure = given[-2:]
    return request, failure
