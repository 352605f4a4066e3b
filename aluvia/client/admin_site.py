"""
Who is answered at the admin port, and how much they may ask.

It listens on loopback, which keeps other machines out and not the web pages in a local browser: a
page can send requests to any port, and by DNS rebinding it can make its own name stand for our
address and read the answers. So

* only ``Host: 127.0.0.1`` or ``localhost``, with any port or none, is answered; otherwise 421. A
  rebound page sends its own name. (The port may differ from ours: it may be forwarded.)
* an ``Origin`` that is not that Host is refused (403), and no CORS field is ever sent.

What keeps an answer that was given from being misused is :mod:`aluvia.client.admin_forms`'s.
"""

from __future__ import annotations

import re
import typing

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from aluvia.api.problems import Problem
from aluvia.api.site import BoundedSite, Bounds
from aluvia.client.admin_forms import Page, Pages, no_page, refusal, send

BOUNDS = Bounds(
    connections=64,
    head_bytes=16_384,
    # Nothing here takes a body yet; it is read and dropped.
    body_bytes=4_096,
    request_seconds=30.0,
    idle_seconds=30.0,
)

_LOCAL_HOST = re.compile(rb"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.IGNORECASE)


def local_site(pages: typing.Mapping[str, Page], clock: IReactorTime) -> BoundedSite:
    """
    The factory for a listener on loopback.

    :param pages: by the only segment of their paths, which is empty for ``/``.
    """
    return BoundedSite(Pages(pages), clock, BOUNDS, _judge, _tell)


def _judge(request: Request) -> None:
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    if len(hosts) != 1 or _LOCAL_HOST.fullmatch(hosts[0]) is None:
        raise Problem(
            421,
            "not_local",
            "This is the admin port of aluvia; it answers to 127.0.0.1 and localhost.",
        )
    for origin in request.requestHeaders.getRawHeaders(b"origin", []):
        if origin.lower() != b"http://" + hosts[0].lower():
            raise Problem(403, "foreign_origin", "Pages of other sites are not answered.")
    if not request.path.startswith(b"/"):
        # "*", an authority, or a URL: its first byte is not the slash that it stands for.
        raise no_page()


def _tell(request: Request, problem: Problem) -> None:
    for name, value in problem.fields:
        request.setHeader(name, value)
    send(request, refusal(problem.status, problem.detail))
