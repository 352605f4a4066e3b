"""
The site of a REST API: its bounds, what it refuses before any of its routes sees it, and what each
of its answers has.

A path has no percent-encoding and no empty segment in it, and a request names one host; what is
otherwise is answered here, since what routes requests would stumble over it.
"""

from __future__ import annotations

from http import HTTPStatus

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from aluvia.api import problems
from aluvia.api.problems import Problem
from aluvia.api.site import BoundedSite, Bounds
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import parse_authority

__all__ = ["BOUNDS", "prepare", "rest_site", "send_problem"]

BOUNDS = Bounds(
    connections=2_048,
    head_bytes=16_384,
    # Half of what a client of the API takes, which JSON may make twice as long.
    body_bytes=524_288,
    request_seconds=30.0,
    idle_seconds=30.0,
)

_ALWAYS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)


def rest_site(root: IResource, clock: IReactorTime, bounds: Bounds = BOUNDS) -> BoundedSite:
    """
    The factory for a listener.

    :param root: what answers, for every path.
    """
    return BoundedSite(root, clock, bounds, _judge, _tell)


def prepare(request: Request, status: int, content_type: bytes | None = None) -> None:
    """Set what every answer has."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    for name, value in _ALWAYS:
        request.setHeader(name, value)
    if content_type is None:
        request.responseHeaders.removeHeader(b"content-type")
    else:
        request.setHeader(b"Content-Type", content_type)


def send_problem(request: Request, problem: Problem) -> bytes:
    """
    Make the head of an answer that is an error.

    :return: its body.
    """
    body = problem.body()
    prepare(request, problem.status, problems.CONTENT_TYPE)
    for name, value in problem.fields:
        request.setHeader(name, value)
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def _tell(request: Request, problem: Problem) -> None:
    body = send_problem(request, problem)
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()


def _judge(request: Request) -> None:
    hosts = request.requestHeaders.getRawHeaders(b"host", [])
    try:
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            raise Problem(400, "bad_host", "A request names one host.")
        for host in hosts:
            parse_authority(host)
    except ProtocolViolation as violation:
        raise Problem(400, "bad_host", violation.reason) from None
    path = request.path
    if not path.startswith(b"/") or b"//" in path or b"%" in path or not path.isascii():
        raise Problem(404, "not_found", "There is nothing here.")
