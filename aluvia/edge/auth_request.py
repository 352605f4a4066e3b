"""
A Python callable that judges requests: your own code, found as an entry point.

Name it in the entry-point group ``aluvia.auth`` of your package::

    [options.entry_points]                      # setup.cfg
    aluvia.auth =
        members = my_package.members:judge

install that beside aluvia, and make a provider whose ``entryPoint`` is ``members``. The callable
gets an :class:`AuthRequest`, and says what is to become of it::

    from aluvia.edge.auth import AuthRequest, allow, deny

    async def judge(request: AuthRequest):
        session = request.get("X-Session")
        if session is None:
            return deny(302, {"Location": "https://login.example/"})
        member = await look_up(session)         # anything that awaits Deferreds
        if member is None:
            return False
        return allow({"X-Member": member.name})

.. code-block:: text

    it returns                           the request
    -----------------------------------  ----------------------------------------------------------
    True, or allow()                     goes on
    allow({"X-Member": "alice"})         goes on with these fields, which are to be named in the
                                         provider's ``copyHeaders``: others are dropped, since a
                                         client could send them
    False                                is denied: 403
    deny(status, headers, body)          is answered like that
    a Deferred, or an awaitable, of one  waits for it, for as long as the provider's ``timeout``
    anything else, or it raises          is denied: 500, and the log says why

It is called in the reactor's thread, for every request of the route, upgrades among them, and must
not block: what takes long belongs in a Deferred. (What asyncio alone can wait for cannot be
awaited.) When the time is up, or the client has left, that Deferred is cancelled; it must be one of
its own for each request. At most 1,024 requests wait at once.
"""

from __future__ import annotations

import collections.abc
import typing
from http import HTTPStatus

import attrs

from aluvia.edge.auth_fields import is_sane
from aluvia.edge.verdicts import Admitted, Denied
from aluvia.wire.headers import Field, without_hop_by_hop

__all__ = ["AuthRequest", "HeadersLike", "allow", "deny"]


#: Fields for :func:`allow` and :func:`deny`: by name, or as pairs where a name comes twice.
HeadersLike: typing.TypeAlias = (
    collections.abc.Mapping[str, str] | collections.abc.Iterable[tuple[str, str]]
)


@attrs.frozen
class AuthRequest:
    """
    A request to judge.

    :ivar method: such as ``GET``.
    :ivar uri: path and query, as they came.
    :ivar host: canonical: a name in lower case, or an address; without its port.
    :ivar scheme: ``http`` or ``https``.
    :ivar client_address: who asks; an address. This and the scheme do not come from the client.
    :ivar headers: names and values as they came (in Latin-1, as HTTP has them), in their order,
        but those that are for this hop or tell of a way (``X-Forwarded-For`` and its kin).
    """

    method: str
    uri: str = attrs.field(repr=False)
    host: str
    scheme: str
    client_address: str
    headers: list[tuple[str, str]] = attrs.field(repr=False)

    def get(self, name: str) -> str | None:
        """
        The value of a field, by its name in any case; None without one.

        Where there are several they are joined with ``", "`` (RFC 9110 section 5.3), so that two
        credentials are none.
        """
        lowered = name.lower()
        values = [value for each, value in self.headers if each.lower() == lowered]
        return ", ".join(values) if values else None


def allow(headers: HeadersLike = ()) -> Admitted:
    """
    Let a request through.

    :param headers: for the backend, as far as the provider's ``copyHeaders`` names them.
    :raises ValueError: one of them is no field.
    """
    return Admitted(tuple(_fields(headers)))


def deny(status: int = 403, headers: HeadersLike = (), body: str | bytes = b"") -> Denied:
    """
    Answer a request in place of the backend.

    :param status: 300–599.
    :param headers: of the answer; its framing is not theirs to say.
    :param body: text is sent as UTF-8, and as ``text/plain`` if ``headers`` do not say otherwise;
        none at all leaves the words to us.
    :raises ValueError: the status is none of these, or a header is no field.
    """
    if not 300 <= status <= 599:
        raise ValueError("A denial has a status from 300 to 599.")
    fields = list(without_hop_by_hop(_fields(headers)))
    if isinstance(body, str):
        body = body.encode("utf-8")
        if body and not any(name.lower() == b"content-type" for name, _ in fields):
            fields.append((b"Content-Type", b"text/plain; charset=utf-8"))
    try:
        reason = HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        reason = b"Denied"
    detail = "" if body else "The request was refused."
    return Denied(status, reason, tuple(fields), body, "http_request_denied", detail)


def _fields(headers: HeadersLike) -> list[Field]:
    pairs = headers.items() if isinstance(headers, collections.abc.Mapping) else headers
    fields = [(name.encode("ascii"), value.encode("utf-8")) for name, value in pairs]
    for field in fields:
        if not is_sane(field):
            # Not its value: it may be a secret.
            raise ValueError(f"The header {field[0]!r} is no good field.")
    return fields
