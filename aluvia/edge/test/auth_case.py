"""Requests to judge, cheap hashes, and threads that work when a test says so."""

from __future__ import annotations

import collections.abc
import hashlib
import typing

from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from aluvia.edge.hashing_threads import NoThread
from aluvia.edge.password_hashes import PasswordHash, password_bytes
from aluvia.edge.request_fields import belongs_to_us
from aluvia.edge.verdicts import Admitted, Asked, Authenticator, Denied, Verdict
from aluvia.wire.head import parse_request_head
from aluvia.wire.headers import Field
from aluvia.wire.limits import DEFAULT_LIMITS

__all__ = [
    "UPGRADE",
    "ByHand",
    "asked",
    "capturedLogs",
    "cheap_hash",
    "formatEvent",
    "sent_on",
    "value_of",
    "verdict_now",
]

T = typing.TypeVar("T")

#: What makes a request one for a WebSocket.
UPGRADE: list[Field] = [
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
]


def asked(
    *fields: Field,
    method: bytes = b"GET",
    target: bytes = b"/a?b",
    host: bytes = b"App.Example:8443",
    client: str = "192.0.2.1",
) -> Asked:
    """A request to judge."""
    lines = b"".join(b"%b: %b\r\n" % field for field in ((b"Host", host), *fields))
    head = parse_request_head(b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, lines), DEFAULT_LIMITS)
    return Asked(head, client, "https", "app.example", target)


def sent_on(request: Asked, authenticator: Authenticator) -> list[Field]:
    """What of a client's fields its backend gets, Host aside."""
    removed = authenticator.removed
    return [field for field in request.head.fields if not belongs_to_us(field[0], removed)]


def cheap_hash(password: str, salt: bytes = b"salt salt") -> str:
    """A hash that takes a few milliseconds."""
    raw = password_bytes(password)
    return str(PasswordHash(10, 1, 1, salt, hashlib.scrypt(raw, salt=salt, n=1024, r=1, p=1)))


def verdict_now(authenticator: Authenticator, request: Asked) -> Verdict:
    """What it says at once."""
    verdict = authenticator.ask(request)
    assert isinstance(verdict, Admitted | Denied), "it waits for something"
    return verdict


def value_of(fields: typing.Iterable[Field], name: bytes) -> bytes | None:
    """The value of a field, by its name in lower case."""
    return next((value for each, value in fields if each.lower() == name), None)


class ByHand:
    """
    Threads that do nothing until they are told to.

    :ivar waiting: what is to be done, and who waits for it.
    :ivar full: whether nothing more is taken.
    :ivar given_up: how many were cancelled.
    """

    def __init__(self) -> None:
        self.full = False
        self.given_up = 0
        self.waiting: list[
            tuple[collections.abc.Callable[[], typing.Any], Deferred[typing.Any]]
        ] = []

    def do(self, call: collections.abc.Callable[[], T]) -> Deferred[T]:
        """Keep it."""
        if self.full:
            return fail(NoThread("full"))
        done: Deferred[T] = Deferred(self._cancelled)
        self.waiting.append((call, done))
        return done

    def work(self) -> int:
        """Do all that is there; returns how much that was."""
        work, self.waiting = self.waiting, []
        for call, done in work:
            try:
                result = call()
            except Exception:
                done.errback(Failure())
            else:
                done.callback(result)
        return len(work)

    def _cancelled(self, done: Deferred[typing.Any]) -> None:
        self.given_up += 1
        self.waiting = [each for each in self.waiting if each[1] is not done]
