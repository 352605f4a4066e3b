"""
What a page of the admin port is, and in which form it is sent: text, HTML or JSON, by ``Accept``.

Whatever is sent is held where it belongs:

* ``Cross-Origin-Resource-Policy`` keeps answers out of other sites' pages, ``nosniff`` keeps them
  from being taken for scripts, ``no-store`` keeps them out of caches;
* no script runs in an answer, whatever text has got into it: ``Content-Security-Policy`` allows
  style sheets and images of our own and nothing else.
"""

from __future__ import annotations

import abc
import json
import re
import typing
from http import HTTPStatus

import attrs
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from aluvia.api.problems import Problem

#: What is read of an Accept field.
ACCEPT_ELEMENTS = 32

_TEXT, _HTML, _JSON = "text/plain", "text/html", "application/json"

_ALWAYS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"Vary", b"Accept"),
)


@attrs.frozen
class PageAnswer:
    """
    What a page says, and how it is written for whoever asks; only one of these is called.

    :ivar data: for programs, as JSON.
    :ivar text: writes it for people, with a line end behind the last line.
    :ivar html: writes it for their browsers; None where the text is good enough for them.
    """

    status: int
    data: object
    text: typing.Callable[[], str]
    html: typing.Callable[[], bytes] | None = None


@attrs.frozen
class Written:
    """A page whose format is none of those that are chosen from."""

    body: bytes
    content_type: str


def refusal(status: int, reason: str) -> PageAnswer:
    """An answer that is an error, with one sentence."""
    return PageAnswer(status, {"error": reason}, lambda: f"{reason}\n")


def no_page() -> Problem:
    """What to raise where nothing is."""
    return Problem(404, "not_found", "There is no such page.")


class Page(Resource, abc.ABC):
    """
    A page that is read: GET and HEAD. A subclass says what is on it.
    """

    isLeaf = True

    @abc.abstractmethod
    def answer(self, request: Request) -> PageAnswer | Written:
        """What is on the page now."""

    def render(self, request: Request) -> int:
        """
        Answer.

        :raises Problem: 404 or 405.
        """
        if request.postpath:
            # A leaf is given whatever stands behind its name, too.
            raise no_page()
        if request.method not in (b"GET", b"HEAD"):
            raise Problem(
                405,
                "method_not_allowed",
                "This page is only read: GET or HEAD.",
                fields=[(b"Allow", b"GET, HEAD")],
            )
        send(request, self.answer(request))
        return NOT_DONE_YET


class Pages(Resource):
    """
    A root: pages by the only segment of their paths, which is empty for ``/``.
    """

    def __init__(self, pages: typing.Mapping[str, Page]) -> None:
        super().__init__()
        for name, page in pages.items():
            self.putChild(name.encode("ascii"), page)

    def getChild(self, path: bytes, request: Request) -> typing.NoReturn:
        """
        Whatever has no page of its own.

        :raises Problem: 404.
        """
        raise no_page()


def send(request: Request, answer: PageAnswer | Written) -> None:
    """Send an answer in the form that was asked for, and end the request."""
    if isinstance(answer, Written):
        status, written = 200, answer
    else:
        status, written = answer.status, _write(answer, request.getHeader(b"accept"))
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    for name, value in _ALWAYS:
        request.setHeader(name, value)
    request.setHeader(b"Content-Type", written.content_type.encode("ascii"))
    request.setHeader(b"Content-Length", b"%d" % len(written.body))
    request.write(b"" if request.method == b"HEAD" else written.body)
    request.finish()


def _write(answer: PageAnswer, accept: bytes | None) -> Written:
    offered = [_TEXT, _JSON] if answer.html is None else [_TEXT, _HTML, _JSON]
    kind = liked_best(accept, offered)
    if kind == _JSON:
        return Written(json.dumps(answer.data).encode("ascii") + b"\n", _JSON)
    if kind == _HTML and answer.html is not None:
        return Written(answer.html(), f"{_HTML}; charset=utf-8")
    return Written(answer.text().encode("utf-8"), f"{_TEXT}; charset=utf-8")


def liked_best(accept: bytes | None, offered: typing.Sequence[str]) -> str:
    """
    Which of these media types is liked best (RFC 9110 section 12.5.1); of those that are liked the
    same, as curl does, the first.
    """
    liking = dict.fromkeys(offered, 0.0)
    exact = dict.fromkeys(offered, -1)
    for element in (accept or b"").decode("latin-1").lower().split(",")[:ACCEPT_ELEMENTS]:
        kind, *parameters = (part.strip() for part in element.split(";"))
        quality = 1.0
        for parameter in parameters:
            if re.fullmatch(r"q=(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", parameter):
                quality = float(parameter[2:])
        for name in offered:
            ranges = ("*/*", f"{name.split('/')[0]}/*", name)
            if kind in ranges and ranges.index(kind) > exact[name]:
                exact[name] = ranges.index(kind)
                liking[name] = quality
    return max(offered, key=lambda name: liking[name])
