"""What is answered: JSON, nothing, or a problem; and what each of them has in its head."""

from __future__ import annotations

import json
from http import HTTPStatus

from twisted.web.http import Request

from aluvia.api import problems
from aluvia.api.problems import Problem

__all__ = ["JSON", "prepare", "send_json", "send_json_text", "send_nothing", "send_problem"]

JSON = b"application/json"

_ALWAYS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
)


def prepare(request: Request, status: int, content_type: bytes | None = None) -> None:
    """Set what every answer has."""
    request.setResponseCode(status, HTTPStatus(status).phrase.encode("ascii"))
    for name, value in _ALWAYS:
        request.setHeader(name, value)
    if content_type is None:
        request.responseHeaders.removeHeader(b"content-type")
    else:
        request.setHeader(b"Content-Type", content_type)


def send_json(request: Request, status: int, data: object) -> bytes:
    """
    Make the head of an answer in JSON.

    :return: its body.
    """
    return send_json_text(request, status, json.dumps(data, ensure_ascii=False))


def send_json_text(request: Request, status: int, text: str) -> bytes:
    """
    Make the head of an answer whose JSON is written already.

    :return: its body.
    """
    prepare(request, status, JSON)
    body = text.encode("utf-8") + b"\n"
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def send_nothing(request: Request, status: int) -> bytes:
    """Make the head of an answer that has no body (204, 304)."""
    prepare(request, status)
    return b""


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
