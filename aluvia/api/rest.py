"""
The site of a REST API: its bounds, and what it refuses before any of its routes sees it.

A request names one host, and its path has no empty segment; what is otherwise is answered here,
since what routes requests would stumble over it. Nor is there percent-encoding in a path, unless
its API has names in it that need that: then each segment is decoded by itself, so that an encoded
slash never divides one, and is refused.
"""

from __future__ import annotations

import functools
import re
import urllib.parse

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from aluvia.api.answers import send_problem
from aluvia.api.problems import Problem
from aluvia.api.site import BoundedSite, Bounds, Judge, anybody
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import parse_authority

__all__ = ["BOUNDS", "rest_site"]

BOUNDS = Bounds(
    connections=2_048,
    head_bytes=16_384,
    # Half of what a client of the API takes, which JSON may make twice as long.
    body_bytes=524_288,
    request_seconds=30.0,
    idle_seconds=30.0,
)

# RFC 3986 section 2.1.
_encoded = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*").fullmatch


def rest_site(
    root: IResource,
    clock: IReactorTime,
    bounds: Bounds = BOUNDS,
    *,
    encoded: bool = False,
    admit: Judge = anybody,
) -> BoundedSite:
    """
    The factory for a listener.

    :param root: what answers, for every path.
    :param encoded: whether a path may have percent-encoding in it.
    :param admit: sees each request before ``root`` does, and the head of one with a body before
        any of the body is taken.
    """
    return BoundedSite(root, clock, bounds, functools.partial(_judge, encoded, admit), _tell, admit)


def _tell(request: Request, problem: Problem) -> None:
    body = send_problem(request, problem)
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()


def _judge(encoded: bool, admit: Judge, request: Request) -> None:
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    try:
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            raise Problem(400, "bad_host", "A request names one host.")
        for host in hosts:
            parse_authority(host)
    except ProtocolViolation as violation:
        raise Problem(400, "bad_host", violation.reason) from None
    admit(request)
    path = request.path
    if not path.startswith(b"/") or b"//" in path or not path.isascii():
        raise _nothing_here()
    if b"%" in path:
        if not encoded:
            raise _nothing_here()
        request.postpath = [*map(_decoded, path[1:].split(b"/"))]


def _decoded(segment: bytes) -> bytes:
    whole = urllib.parse.unquote_to_bytes(segment)
    try:
        text = whole.decode("utf-8")
    except UnicodeDecodeError:
        raise _nothing_here() from None
    if _encoded(segment) is None or "/" in text or not text.isprintable():
        raise _nothing_here()
    return whole


def _nothing_here() -> Problem:
    return Problem(404, "not_found", "There is nothing here.")
