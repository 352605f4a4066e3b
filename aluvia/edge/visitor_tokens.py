"""
What visitors of a tunnel show, and how it is taken off before the local app sees the request.

.. code-block:: text

    X-Proxer-Tunnel-Token: TOKEN       of programs
    ?access_token=TOKEN                of links
    Cookie: aluvia_tunnel_ID=...       of browsers, which have opened such a link: a page asks for
                                       its parts without it

Any of them will do. All of them are taken off every request that is for a tunnel, whether that has
a token now or not; so is the parameter in a ``Referer``, which tells where a page was opened.

The cookie is not the token, and does not give it away: it is an HMAC of the tunnel's id and its
token under a key of this process. It ends with the browser's session, with this process, and as
soon as the tunnel has another token. It is for the tunnel alone (its ``Path``), no script reads it
(``HttpOnly``), and no other site's form brings it along (``SameSite=Lax``).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import typing
from urllib.parse import unquote_to_bytes

import attrs

from aluvia.edge.request_fields import hyphened
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import Field

__all__ = ["TOKEN_FIELD", "LastShown", "Shown", "VisitorTokens"]

TOKEN_FIELD = b"x-proxer-tunnel-token"
#: By which we tell a request's id to visitors; theirs would be read as ours.
ID_FIELD = b"x-proxer-request-id"
TOKEN_PARAMETER = b"access_token"
COOKIE_PREFIX = b"aluvia_tunnel_"

_TAKEN_OFF = frozenset([TOKEN_FIELD, ID_FIELD])


@attrs.frozen
class Shown:
    """
    A request, and what was taken off it.

    :ivar head: without it.
    :ivar target: without it.
    :ivar tokens: the values of the field.
    :ivar asked: the values of the parameter.
    :ivar cookies: by name and value.
    """

    head: RequestHead
    target: bytes
    tokens: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    asked: tuple[bytes, ...] = attrs.field(default=(), repr=False)
    cookies: tuple[Field, ...] = attrs.field(default=(), repr=False)


class LastShown:
    """
    Takes off what visitors show, for the requests of one connection.

    Where a head's fields are those of the last one, they are not looked through again
    (:class:`aluvia.wire.remembered.LastRequestHead` gives the same object).
    """

    __slots__ = ("_cookies", "_fields", "_kept", "_tokens")

    def __init__(self) -> None:
        self._fields: list[Field] | None = None
        self._kept: list[Field] = []
        self._tokens: tuple[bytes, ...] = ()
        self._cookies: tuple[Field, ...] = ()

    def of(self, head: RequestHead, target: bytes) -> Shown:
        """What a request shows, and the request without it. The same head, where that is none."""
        if head.fields is not self._fields:
            self._look_through(head.fields)
        if self._kept is not head.fields:
            head = attrs.evolve(head, fields=self._kept)
        asked: typing.Sequence[bytes] = ()
        if b"?" in target:
            target, asked = _without_parameter(target)
        return Shown(head, target, self._tokens, tuple(asked), self._cookies)

    def _look_through(self, given: list[Field]) -> None:
        tokens: list[bytes] = []
        cookies: list[Field] = []
        fields: list[Field] = []
        for field in given:
            name, value = field
            lowered = name.lower()
            if lowered == b"cookie" and COOKIE_PREFIX in value:
                value = _without_cookies(value, cookies)
            elif lowered == b"referer":
                value = _without_parameter(value)[0]
            elif hyphened(name) in _TAKEN_OFF:
                if lowered == TOKEN_FIELD:
                    tokens.append(value)
                value = b""
            else:
                fields.append(field)
                continue
            if value:
                fields.append((name, value))
        self._fields = given
        self._kept = given if fields == given else fields
        self._tokens = tuple(tokens)
        self._cookies = tuple(cookies)


class VisitorTokens:
    """
    Who may visit.

    :param key: of cookies; any other one than the last process'.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._key = secrets.token_bytes(32) if key is None else key

    def admit(self, id: str, token: str, shown: Shown) -> bool:
        """Whether one of those that are shown is good; in a time that does not tell how good."""
        wanted = token.encode("utf-8")
        cookie = self._cookie(id, wanted)
        good = [hmac.compare_digest(each, wanted) for each in (*shown.tokens, *shown.asked)]
        good += [
            hmac.compare_digest(value, cookie)
            for name, value in shown.cookies
            if name == COOKIE_PREFIX + id.encode("ascii")
        ]
        return any(good)

    def cookie_for(
        self, id: str, token: str, shown: Shown, prefix: bytes, *, secure: bool
    ) -> bytes | None:
        """
        What ``Set-Cookie`` says to a visitor who was admitted; None for one who needs none.

        :param prefix: of the tunnel's paths; empty where it has a host of its own.
        :param secure: whether the visitor came over TLS.
        """
        if not shown.asked:
            return None
        name = COOKIE_PREFIX + id.encode("ascii")
        value = self._cookie(id, token.encode("utf-8"))
        if (name, value) in shown.cookies:
            return None
        more = b"; Secure" if secure else b""
        return b"%b=%b; Path=%b; HttpOnly; SameSite=Lax%b" % (name, value, prefix or b"/", more)

    def _cookie(self, id: str, token: bytes) -> bytes:
        said = id.encode("ascii") + b"\0" + token
        return hmac.new(self._key, said, hashlib.sha256).hexdigest().encode("ascii")


def _without_parameter(target: bytes) -> tuple[bytes, typing.Sequence[bytes]]:
    """A target, or a URL, without the parameter; and its values."""
    path, mark, query = target.partition(b"?")
    if not mark:
        return target, ()
    kept: list[bytes] = []
    values: list[bytes] = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if _unquoted(name) == TOKEN_PARAMETER:
            values.append(_unquoted(value))
        else:
            kept.append(part)
    if not values:
        return target, ()
    return (b"%b?%b" % (path, b"&".join(kept)) if kept else path), values


def _unquoted(text: bytes) -> bytes:
    # As the local app would: another spelling of the name is the same parameter there.
    return unquote_to_bytes(text.replace(b"+", b" "))


def _without_cookies(value: bytes, cookies: list[Field]) -> bytes:
    kept = []
    for part in value.split(b";"):
        name, equals, said = part.strip().partition(b"=")
        if equals and name.strip().startswith(COOKIE_PREFIX):
            cookies.append((name.strip(), said.strip()))
        else:
            kept.append(part.strip())
    return b"; ".join(each for each in kept if each)
