"""
The answers that the edge itself gives: a page for who reads pages, else problem details (RFC 9457).

Each has the request's id and, where something failed, why in ``Proxy-Status`` (RFC 9209).
"""

from __future__ import annotations

import html
import json
import typing
from http import HTTPStatus

import attrs

from aluvia.net.http_server import ServerConnection
from aluvia.wire.forwarded import proxy_status
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

__all__ = ["HOP", "REQUEST_ID", "Answer", "Refusal", "answer_of", "send"]

#: By which this hop calls itself.
HOP = "aluvia-edge"

REQUEST_ID = b"X-Request-ID"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{status} {phrase}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em;
color:#222;background:#fff}}h1{{font-size:1.4em}}p{{color:#555}}code{{font-size:.9em}}
@media(prefers-color-scheme:dark){{body{{color:#ddd;background:#181818}}p{{color:#999}}}}</style>
</head><body><h1>{status} {phrase}</h1><p>{detail}</p><p>Request <code>{id}</code></p></body></html>
"""

#: Longer ones are not looked at.
ACCEPT_BYTES = 1_024


@attrs.frozen
class Refusal:
    """
    Why a request is not answered by a backend.

    :ivar error: an error name of RFC 9209.
    :ivar detail: one sentence for people, without secrets.
    :ivar fields: for the head of the answer.
    """

    status: int
    error: str
    detail: str
    fields: tuple[Field, ...] = ()
    received_status: int | None = None


@attrs.frozen
class Answer:
    """One that is ready to be sent."""

    status: int
    fields: tuple[Field, ...]
    body: bytes


def answer_of(head: RequestHead | None, refusal: Refusal, request_id: str) -> Answer:
    """
    Make the answer of a refusal.

    :param head: of the request; None where there is no good one.
    """
    phrase = HTTPStatus(refusal.status).phrase
    if head is not None and _wants_page(head):
        content_type = b"text/html; charset=utf-8"
        body = _PAGE.format(
            status=refusal.status,
            phrase=html.escape(phrase),
            detail=html.escape(refusal.detail),
            id=html.escape(request_id),
        ).encode("utf-8")
    else:
        content_type = b"application/problem+json"
        problem = {
            "type": "about:blank",
            "title": phrase,
            "status": refusal.status,
            "detail": refusal.detail,
            "error": refusal.error,
            "requestId": request_id,
        }
        body = json.dumps(problem).encode("ascii") + b"\n"
    status = proxy_status(HOP, error=refusal.error, received_status=refusal.received_status)
    fields = (
        (b"Content-Type", content_type),
        (b"Cache-Control", b"no-store"),
        (b"Proxy-Status", status),
        (REQUEST_ID, request_id.encode("ascii")),
        *refusal.fields,
    )
    return Answer(refusal.status, fields, body)


def send(connection: ServerConnection, answer: Answer, *, close: bool = False) -> None:
    """Answer the request of a connection."""
    phrase = HTTPStatus(answer.status).phrase.encode("ascii")
    connection.answer(answer.status, phrase, answer.fields, answer.body, close=close)


def _wants_page(head: RequestHead) -> bool:
    """Whether ``text/html`` is asked for by name, as browsers do, and programs do not."""
    accept = _field(head.fields, b"accept")
    return accept is not None and len(accept) <= ACCEPT_BYTES and b"text/html" in accept.lower()


def _field(fields: typing.Iterable[Field], lowered: bytes) -> bytes | None:
    for name, value in fields:
        if name.lower() == lowered:
            return value
    return None
