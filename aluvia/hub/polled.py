"""
Whole requests and whole answers, as the long-poll contract writes them in JSON.

.. code-block:: text

    request    request_id, tunnel_id, method, path, query, headers {name: [values]}, body (base64),
               remote_addr
    response   request_id, tunnel_id, status, headers, body, error, latency_ms

A request goes to the agent with all of its end-to-end fields (:mod:`aluvia.wire.json_fields`).
``path`` and ``query`` are as they came, percent-encoding and all. What is only for this hop is
gone, and so is what a whole request does not need: ``Expect``, ``Trailer``, and trailers
themselves.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import typing

import attrs

from aluvia.wire.head import RequestHead
from aluvia.wire.headers import (
    Field,
    Fields,
    connection_options,
    pick,
    without_hop_by_hop,
)
from aluvia.wire.json_fields import fields_from_json, fields_to_json, text_of

__all__ = [
    "AgentFailed",
    "BadAnswer",
    "WholeAnswer",
    "WholeRequest",
    "answer_too_large",
    "read_answer",
    "request_of",
]

_NOT_SENT = frozenset([b"expect", b"trailer"])
_OF_CONNECTION = frozenset([b"connection"])
_ADDRESSES = frozenset([b"x-real-ip", b"x-forwarded-for"])
_LENGTH = frozenset([b"content-length"])

_query_of_a_url = re.compile(r"\?[^\s\"'<>]*")

#: Of an agent's words, in the log.
WORDS_CHARS = 200


class BadAnswer(Exception):
    """An agent's response is no response. The text holds nothing of it."""


class AgentFailed(Exception):
    """
    An agent says that it has no response.

    :ivar refused: whether its target refused the connection.
    :ivar words: its own, fit for a log: one line, bounded, without the queries of URLs.
    """

    def __init__(self, words: str) -> None:
        super().__init__("The agent has no response.")
        self.refused = "refused" in words.lower()
        bare = _query_of_a_url.sub("?…", words[: 4 * WORDS_CHARS])
        self.words = "".join(each if each.isprintable() else " " for each in bare)[:WORDS_CHARS]


@attrs.frozen(kw_only=True)
class WholeRequest:
    """
    One request of a visitor's.

    :ivar fields: the end-to-end ones.
    :ivar remote_addr: the visitor's address; empty if it is not known.
    """

    method: bytes
    target: bytes = attrs.field(repr=False)
    fields: typing.Sequence[Field] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    remote_addr: str

    def message(self, request_id: str, tunnel_id: str) -> bytes:
        """What answers a pull."""
        path, _, query = self.target.partition(b"?")
        request = {
            "request_id": request_id,
            "tunnel_id": tunnel_id,
            "method": self.method.decode("ascii"),
            "path": path.decode("ascii"),
            "query": query.decode("ascii"),
            "headers": fields_to_json(self.fields),
            "body": base64.b64encode(self.body).decode("ascii"),
            "remote_addr": self.remote_addr,
        }
        return json.dumps({"request": request}).encode("ascii") + b"\n"


@attrs.frozen(kw_only=True)
class WholeAnswer:
    """
    What an agent answers one request with.

    :ivar length: of the body; to a HEAD, and for a 304, of the one that a GET would have got.
    """

    status: int
    fields: Fields = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    length: int


def request_of(head: RequestHead, body: bytes) -> WholeRequest:
    """Put a request together that has come whole."""
    said = pick(head.fields, _ADDRESSES)
    address = said.get(b"x-real-ip") or said.get(b"x-forwarded-for", b"").partition(b",")[0]
    return WholeRequest(
        method=head.method,
        target=head.target,
        fields=without_hop_by_hop(head.fields, head.connection, also=_NOT_SENT),
        body=body,
        remote_addr=text_of(address.strip()),
    )


def read_answer(response: typing.Mapping[str, typing.Any], method: bytes) -> WholeAnswer:
    """
    Read an agent's response.

    :param method: of the request that it answers.
    :raises AgentFailed: it says that it has none.
    :raises BadAnswer: it is no good.
    """
    error = response.get("error")
    if error:
        raise AgentFailed(error if isinstance(error, str) else "")
    status = response.get("status")
    if type(status) is not int or not 200 <= status <= 999:
        raise BadAnswer("status: a number from 200 to 999")
    try:
        fields = fields_from_json(response.get("headers"))
    except ValueError as error:
        raise BadAnswer(str(error)) from None
    # RFC 9110 section 15.3.6: a 205 has none, whatever an app writes.
    body = b"" if status == 205 else _body(response.get("body"))
    declared = pick(fields, _LENGTH).get(b"content-length", b"")
    length = len(body)
    if (method == b"HEAD" or status == 304) and declared.isdigit() and len(declared) < 19:
        length = int(declared)
    options = connection_options(pick(fields, _OF_CONNECTION).get(b"connection"))
    kept = without_hop_by_hop(fields, options, also=_NOT_SENT)
    return WholeAnswer(status=status, fields=kept, body=body, length=length)


_ids = {
    name: re.compile(rb'"%b"\s*:\s*"([A-Za-z0-9_-]{1,128})"' % name).search
    for name in (b"session_id", b"request_id")
}


def answer_too_large(beginning: bytes) -> tuple[str, str] | None:
    """
    Of which session and request a response is that is too long to be taken.

    :param beginning: of the call's body. Agents write ids before what is long. (In a string of JSON
        the quotes of such a member would be escaped.)
    :return: the ids; None if they are not there.
    """
    found = [search(beginning) for search in _ids.values()]
    session_id, request_id = (match and match[1].decode("ascii") for match in found)
    return (session_id, request_id) if session_id and request_id else None


def _body(body: object) -> bytes:
    if body is None:
        return b""
    try:
        return base64.b64decode(typing.cast(str, body), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadAnswer("body: base64") from None
