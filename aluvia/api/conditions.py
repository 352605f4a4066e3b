"""
Conditions: a client says which state it has, and is told, or does, only what goes with that.

================  ==================================================================================
``GET``           shows what there is, with its tag; 304 to whoever has it (``If-None-Match``)
``?wait=``        holds a GET until what there is is another than the client has, up to so many
                  seconds; then it is answered as any
a change          412 if what there is is not what the client has seen (``If-Match``), or is there
                  although it must not be (``If-None-Match: *``), with the tag of what there is
================  ==================================================================================
"""

from __future__ import annotations

import re
import typing

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request

from aluvia.api import etags
from aluvia.api.answers import send_json, send_nothing
from aluvia.api.problems import Problem, busy
from aluvia.api.watch import TooManyWaiting, Watch
from aluvia.wire.headers import Field

__all__ = ["Condition", "Shown", "known", "send_shown", "show", "until_changed", "wait_seconds"]

LONGEST_WAIT_SECONDS = 60

_seconds = re.compile(rb"[0-9]{1,4}").fullmatch


@attrs.frozen
class Shown:
    """
    What a GET shows.

    :ivar tag: of this state of it, strong, with its quotes.
    :ivar data: makes what is sent as JSON, if it is.
    :ivar fields: for the head of the answer, also where the client has it already.
    """

    tag: bytes
    data: typing.Callable[[], object]
    fields: tuple[Field, ...] = ()


def known(request: Request, tag: bytes) -> bool | None:
    """Whether the client has what has this tag; None if it does not say what it has."""
    field = etags.given(request.requestHeaders, b"if-none-match")
    return None if field is None else etags.matches_weakly(field, tag)


def show(request: Request, shown: Shown) -> bytes:
    """
    Answer with it, or with 304.

    :return: the body.
    """
    if not known(request, shown.tag):
        return send_shown(request, 200, shown)
    _name(request, shown)
    return send_nothing(request, 304)


def send_shown(request: Request, status: int, shown: Shown) -> bytes:
    """
    Answer with it, whatever the client has.

    :return: the body.
    """
    _name(request, shown)
    return send_json(request, status, shown.data())


def wait_seconds(request: Request, default: int = 0) -> int:
    """
    How long a client would wait.

    :raises Problem: 400, for what is no number of seconds.
    """
    given = (request.args or {}).get(b"wait", [b"%d" % default])
    if len(given) != 1 or _seconds(given[0]) is None:
        raise Problem(400, "bad_wait", f"wait is seconds, up to {LONGEST_WAIT_SECONDS}.")
    return min(int(given[0]), LONGEST_WAIT_SECONDS)


async def until_changed(
    find: typing.Callable[[], Shown], watch: Watch, key: str, clock: IReactorTime, seconds: float
) -> Shown:
    """
    Wait until there is another state than there is now, or the time is over.

    :param find: finds what there is; what it raises ends the waiting, and comes out.
    :param key: what ``watch`` is told of when it may have changed.
    :raises Problem: 503, if as many wait as may.
    """
    ends = clock.seconds() + seconds
    first = shown = find()
    while shown.tag == first.tag and (left := ends - clock.seconds()) > 0:
        try:
            changed = await watch.wait(key, left)
        except TooManyWaiting:
            raise busy("Too many wait for a change already.") from None
        shown = find()
        if not changed:
            break
    return shown


@attrs.frozen
class Condition:
    """
    What a change rests on.

    :ivar match: ``If-Match``; None if it did not come.
    :ivar none_match: ``If-None-Match``.
    """

    match: bytes | None = None
    none_match: bytes | None = None

    @classmethod
    def of(cls, request: Request) -> Condition:
        """That of a request."""
        headers = request.requestHeaders
        return cls(etags.given(headers, b"if-match"), etags.given(headers, b"if-none-match"))

    def judge(self, tag: bytes | None, current: typing.Callable[[], object] | None = None) -> None:
        """
        See whether it holds (RFC 9110 section 13.2.2).

        :param tag: of what there is; None if there is nothing.
        :param current: makes what there is, for the client to look at.
        :raises Problem: 412.
        """
        if self.match is not None and (tag is None or not etags.matches(self.match, tag)):
            raise _failed("It is not as If-Match says any more.", tag, current)
        if tag is None or self.none_match is None:
            return
        if etags.matches_weakly(self.none_match, tag):
            raise _failed("It is there, and If-None-Match says it is not.", tag, current)


def _name(request: Request, shown: Shown) -> None:
    for name, value in ((b"ETag", shown.tag), *shown.fields):
        request.setHeader(name, value)


def _failed(detail: str, tag: bytes | None, current: typing.Callable[[], object] | None) -> Problem:
    return Problem(
        412,
        "changed_meanwhile",
        detail,
        fields=[] if tag is None else [(b"ETag", tag)],
        more=None if tag is None or current is None else {"current": current()},
    )
