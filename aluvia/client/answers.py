"""
The answers that the proxy itself gives: a small text body, why in ``Proxy-Status``, and an id.

``Proxy-Status`` is RFC 9209's, with its own error names. The request id is in the answer and,
where a gateway was asked, in what it was sent, so that both ends can be told the same name.
"""

from __future__ import annotations

from http import HTTPStatus

from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.forwarded import proxy_status
from aluvia.wire.headers import Field

#: The name by which this hop calls itself in ``Proxy-Status``.
HOP = "aluvia"

#: Seconds after which a refusal for want of descriptors may be worth another try.
RETRY_AFTER = b"1"

NOT_A_WEB_SERVER = (
    "This is aluvia, a forward proxy, not a web site. Give this address to your program as its\n"
    "HTTP proxy, for example: curl -x http://127.0.0.1:PORT http://example.com/\n"
)


def phrase(status: int) -> bytes:
    """The reason phrase that the registry gives."""
    return HTTPStatus(status).phrase.encode("ascii")


def refuse(connection: ServerConnection, error: DialError, request_id: str) -> None:
    """Say that the upstream could not be reached, or did not answer well."""
    fields = [
        (
            b"Proxy-Status",
            proxy_status(HOP, error=error.error, received_status=error.received_status),
        )
    ]
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append((b"Retry-After", RETRY_AFTER))
    _answer(connection, error.status, fields, f"aluvia: {error.detail}\n", request_id)


def reject(
    connection: ServerConnection,
    violation: ProtocolViolation,
    request_id: str,
) -> None:
    """Say what is wrong with a request; the connection closes, since its framing is in doubt."""
    fields = [(b"Proxy-Status", proxy_status(HOP, error="http_request_error"))]
    _answer(
        connection,
        violation.status,
        fields,
        f"aluvia: {violation.reason}\n",
        request_id,
        close=True,
    )


def not_a_web_server(connection: ServerConnection, request_id: str) -> None:
    """An origin-form request: somebody opened the proxy's address as if it were a site."""
    fields = [(b"Proxy-Status", proxy_status(HOP, error="http_request_error"))]
    _answer(connection, 400, fields, NOT_A_WEB_SERVER, request_id)


def authentication_required(connection: ServerConnection, request_id: str) -> None:
    """407: ours, never a gateway's."""
    fields = [
        (b"Proxy-Status", proxy_status(HOP, error="http_request_denied")),
        (b"Proxy-Authenticate", b'Basic realm="aluvia", charset="UTF-8"'),
    ]
    text = "aluvia: this proxy wants a user name and a password.\n"
    _answer(connection, 407, fields, text, request_id)


def _answer(
    connection: ServerConnection,
    status: int,
    fields: list[Field],
    text: str,
    request_id: str,
    *,
    close: bool = False,
) -> None:
    body = f"{text}Request {request_id}.\n".encode()
    fields += [
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"X-Aluvia-Request-ID", request_id.encode("ascii")),
    ]
    connection.answer(status, phrase(status), fields, body, close=close)
