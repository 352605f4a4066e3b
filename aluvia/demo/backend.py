"""A backend of the edge's demo, which says that it was asked, and what it was told of that."""

from __future__ import annotations

import typing

from twisted.web.resource import Resource
from twisted.web.server import Request

from aluvia.demo.quiet_site import QuietSite

__all__ = ["DemoBackend", "Page"]


class DemoBackend(QuietSite):
    """
    One backend.

    :param name: with which its answers begin.
    """

    def __init__(self, name: str, reactor: typing.Any) -> None:
        super().__init__(Page(name.encode("ascii")), reactor)


class Page(Resource):
    """
    Every page, for every method.

    :param name: with which its answers begin.
    """

    isLeaf = True

    def __init__(self, name: bytes) -> None:
        super().__init__()
        self._name = name

    def render(self, request: Request) -> bytes:
        """Say who it is, what was asked, and by whom: what an edge says of its client."""

        def told(name: str) -> bytes:
            return typing.cast(bytes | None, request.getHeader(name.encode("ascii"))) or b"-"

        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        prefix = request.getHeader(b"X-Forwarded-Prefix") or b""
        place = told("X-Forwarded-Proto"), told("Host")
        url = b"%b://%b%b%b" % (*place, prefix, request.uri)
        user = told("X-Forwarded-User")
        client = told("X-Forwarded-For")
        by = client if user == b"-" else b"%b at %b" % (user, client)
        return b"%b: %b %b, asked by %b\n" % (self._name, request.method, url, by)
