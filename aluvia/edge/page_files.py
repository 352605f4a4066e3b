"""
The API's pages for people, as they are sent: their policy, and their files.

They talk to this API and nobody else, and run and wear only what came with them: nothing inline,
nothing from elsewhere, in no frame. None sets a cookie: the token is in the head of each request.
"""

from __future__ import annotations

import functools
import importlib.resources

from twisted.web.http import Request

from aluvia.api.answers import prepare
from aluvia.api.queries import Query
from aluvia.edge.rest_paths import Path

__all__ = ["FORM", "HTML", "file_path", "send_page"]

#: What a form is sent as.
FORM = "application/x-www-form-urlencoded"

HTML = b"text/html; charset=utf-8"

_TYPES = {
    "html": HTML,
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
}

_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action %b; frame-ancestors 'none'"
)


def send_page(
    request: Request, status: int, body: bytes, content_type: bytes = HTML, *, form: bool = False
) -> bytes:
    """
    Make the head of a page, or of a part of one.

    :param form: whether it sends a form to us without its script.
    :return: its body.
    """
    prepare(request, status, content_type)
    policy = _POLICY % (b"'self'" if form else b"'none'")
    request.setHeader(b"Content-Security-Policy", policy)
    request.setHeader(b"Referrer-Policy", b"no-referrer")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def file_path(rule: str, name: str) -> Path:
    """Where one of the files in ``viewer`` is, for anybody."""
    return Path("GET", rule, functools.partial(_file, name), public=True)


def _file(name: str, request: Request, query: Query) -> bytes:
    return send_page(request, 200, _read(name), _TYPES[name.rpartition(".")[2]])


@functools.cache
def _read(name: str) -> bytes:
    """One of the few files that there are."""
    return importlib.resources.files("aluvia.edge").joinpath("viewer", name).read_bytes()
