"""
Asking a Python callable that was found as an entry point; :mod:`aluvia.edge.auth_request` says what
it gets, and what its answers mean.
"""

from __future__ import annotations

import collections.abc
import importlib.metadata
import inspect
import typing

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.auth_fields import copies, names_of_ours
from aluvia.edge.auth_request import AuthRequest
from aluvia.edge.model import EntryPointProvider
from aluvia.edge.questions import CLOSED, Questions, TooLateError
from aluvia.edge.verdicts import RETRY_SOON, Admitted, Asked, Denied, Verdict, denied
from aluvia.telemetry.told_once import ToldOnce
from aluvia.wire.headers import FORWARDING, without_hop_by_hop

__all__ = ["EntryPointAuthenticator", "FindEntryPoints"]

_log = Logger()

GROUP = "aluvia.auth"

#: Requests that wait for the callable's answers; of one address, a quarter of them.
MOST_ASKED = 1_024


class FindEntryPoints(typing.Protocol):
    """What we need of :func:`importlib.metadata.entry_points`."""

    def __call__(
        self, *, group: str, name: str
    ) -> collections.abc.Iterable[importlib.metadata.EntryPoint]:
        """Return those of that group and name."""


#: Somebody's callable.
Judge: typing.TypeAlias = collections.abc.Callable[[AuthRequest], object]


class EntryPointAuthenticator:
    """
    Asks a callable.

    :param clock: of the timeout.
    :param find: finds entry points.
    :raises ValueError: there is no such entry point, or not one alone, or it cannot be loaded; or
        a name of a field is none.
    """

    def __init__(
        self,
        provider: EntryPointProvider,
        clock: typing.Any,
        *,
        find: FindEntryPoints = importlib.metadata.entry_points,
        log: Logger = _log,
    ) -> None:
        self.removed = names_of_ours(provider.copy_headers)
        self._provider = provider
        self._judge = _load(provider.entry_point, find)
        self._questions = Questions(clock, provider.timeout, MOST_ASKED, self._failed, log=log)
        self._told = ToldOnce(clock)
        self._log = log

    def ask(self, asked: Asked) -> Verdict | Deferred[Verdict]:
        """Ask the callable."""
        if self._questions.closed:
            return CLOSED
        if not self._questions.has_room_for(asked.client_address):
            cause = "connection_limit_reached"
            return denied(503, cause, "Too many requests are being authenticated.", RETRY_SOON)
        try:
            answer = self._judge(_request(asked))
            waiting = _waiting(answer)
            if waiting is None:
                return self._verdict(answer)
        except Exception:
            return self._failed(Failure())
        return self._questions.wait(waiting.addCallback(self._verdict), asked.client_address)

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """Ask no more."""
        return self._questions.stop(finish=finish)

    def _verdict(self, answer: object) -> Verdict:
        if isinstance(answer, Denied):
            return answer
        if answer is False:
            return denied(403, "http_request_denied", "The request was refused.")
        if answer is True:
            return Admitted()
        if isinstance(answer, Admitted):
            fields = copies(answer.fields, self._provider.copy_headers)
            if len(fields) < len(answer.fields) and self._told.is_new("dropped"):
                self._log.warn(
                    "The entry point {entry_point} of the provider {provider} adds fields that its"
                    " copyHeaders does not name; they are dropped",
                    entry_point=self._provider.entry_point,
                    provider=self._provider.id,
                )
            return Admitted(tuple(fields))
        # Not what it is: it may hold a secret.
        raise TypeError(
            "The answer of an entry point is True, False, allow() or deny(),"
            f" and no {type(answer).__name__}."
        )

    def _failed(self, failure: Failure) -> Verdict:
        late = failure.check(TooLateError) is not None
        if self._told.is_new(f"{failure.type}"):
            if late:
                self._log.warn(
                    "The entry point {entry_point} of the provider {provider} has not answered"
                    " within {timeout} seconds",
                    entry_point=self._provider.entry_point,
                    provider=self._provider.id,
                    timeout=self._provider.timeout,
                )
            else:
                self._log.failure(
                    "The entry point {entry_point} of the provider {provider} failed",
                    failure=failure,
                    entry_point=self._provider.entry_point,
                    provider=self._provider.id,
                )
        if late:
            return denied(504, "http_response_timeout", "The request was not judged in time.")
        return denied(500, "proxy_internal_error", "The request could not be judged.")


def _load(name: str, find: FindEntryPoints) -> Judge:
    """:raises ValueError: see :class:`EntryPointAuthenticator`."""
    point = find_one(name, find)
    try:
        judge = point.load()
    except Exception as error:
        raise ValueError(
            f"The entry point {name!r} cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not callable(judge):
        raise ValueError(f"The entry point {name!r} is nothing that can be called.")
    return typing.cast(Judge, judge)


def find_one(name: str, find: FindEntryPoints) -> importlib.metadata.EntryPoint:
    """
    Find an entry point. It is not loaded.

    :raises ValueError: there is none of this name, or more than one.
    """
    # What is installed twice along one path is found twice, and is the same.
    found = {each.value: each for each in find(group=GROUP, name=name)}
    if not found:
        raise ValueError(f"There is no entry point {name!r} in the group {GROUP}.")
    if len(found) > 1:
        raise ValueError(f"There are several entry points {name!r} in the group {GROUP}.")
    return next(iter(found.values()))


def _request(asked: Asked) -> AuthRequest:
    head = asked.head
    fields = without_hop_by_hop(head.fields, head.connection, head.upgrade == b"websocket")
    return AuthRequest(
        method=head.method.decode("latin-1"),
        uri=asked.target.decode("latin-1"),
        host=asked.host,
        scheme=asked.scheme,
        client_address=asked.client_address,
        headers=[
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in fields
            if name.lower() not in FORWARDING
        ],
    )


def _waiting(answer: object) -> Deferred[typing.Any] | None:
    """What is to be waited for, if it is not the answer itself."""
    if isinstance(answer, Deferred):
        return answer
    if inspect.iscoroutine(answer):
        return Deferred.fromCoroutine(answer)
    if isinstance(answer, collections.abc.Awaitable):
        return Deferred.fromCoroutine(_awaited(answer))
    return None


async def _awaited(answer: collections.abc.Awaitable[object]) -> object:
    return await answer
