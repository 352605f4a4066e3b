"""
The answers that the proxy itself gives: a small text body, why in ``Proxy-Status``, and an id.

``Proxy-Status`` is RFC 9209's, with its own error names. The request id is in the answer and,
where a gateway was asked, in what it was sent, so that both ends can be told the same name.

What differs between doors is said by their :class:`~aluvia.forwarding.policy.Policy`.
"""

from __future__ import annotations

from http import HTTPStatus

from aluvia.forwarding.policy import Policy
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.forwarded import proxy_status
from aluvia.wire.headers import Field

#: Seconds after which a refusal for want of descriptors may be worth another try.
RETRY_AFTER = b"1"


def phrase(status: int) -> bytes:
    """The reason phrase that the registry gives."""
    return HTTPStatus(status).phrase.encode("ascii")


def refuse(policy: Policy, connection: ServerConnection, error: DialError, request_id: str) -> None:
    """Say that the upstream could not be reached, or did not answer well."""
    status = proxy_status(policy.hop, error=error.error, received_status=error.received_status)
    fields = [(b"Proxy-Status", status), *policy.error_fields(error.error)]
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append((b"Retry-After", RETRY_AFTER))
    _answer(connection, error.status, fields, f"{policy.hop}: {error.detail}\n", request_id)


def reject(
    policy: Policy, connection: ServerConnection, violation: ProtocolViolation, request_id: str
) -> None:
    """Say what is wrong with a request; the connection closes, since its framing is in doubt."""
    text = f"{policy.hop}: {violation.reason}\n"
    fields = _bad_request(policy)
    _answer(connection, violation.status, fields, text, request_id, close=True)


def not_a_web_server(policy: Policy, connection: ServerConnection, request_id: str) -> None:
    """An origin-form request: somebody opened the proxy's address as if it were a site."""
    _answer(connection, 400, _bad_request(policy), policy.usage, request_id)


def authentication_required(
    policy: Policy, connection: ServerConnection, why: str, request_id: str
) -> None:
    """407: ours, never a gateway's."""
    error = "http_request_denied"
    fields = [
        (b"Proxy-Status", proxy_status(policy.hop, error=error)),
        *policy.error_fields(error),
        (b"Proxy-Authenticate", f'Basic realm="{policy.realm}", charset="UTF-8"'.encode("ascii")),
    ]
    _answer(connection, 407, fields, f"{policy.hop}: {why}\n", request_id)


def _bad_request(policy: Policy) -> list[Field]:
    error = "http_request_error"
    return [(b"Proxy-Status", proxy_status(policy.hop, error=error)), *policy.error_fields(error)]


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
