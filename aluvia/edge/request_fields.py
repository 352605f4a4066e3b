"""
The fields of a request as its backend gets them.

.. code-block:: text

    gone      what is for this hop alone (RFC 9110 section 7.6.1), whatever says who is behind a
              proxy, and what the route or its authentication writes itself
    ours      X-Forwarded-For, -Proto, -Host, -Port and X-Real-IP from the connection, or from what
              a trusted proxy has said; Forwarded (RFC 7239) where the route wants it; X-Request-ID;
              CDN-Loop, behind what it came with (:mod:`aluvia.edge.cdn_loop`)
    last      what authentication adds, and then what the route injects

The fields of one connection repeat themselves (:mod:`aluvia.wire.remembered`), and so all of this
is done once for as long as they do: :class:`Outgoing` remembers the last.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.edge.cdn_loop import CDN_LOOP
from aluvia.wire.head import RequestHead
from aluvia.wire.headers import FORWARDING, Field, FieldNames, Fields

__all__ = [
    "GONE",
    "Client",
    "Outgoing",
    "Wishes",
    "belongs_to_us",
    "given_request_id",
    "hyphened",
    "values_of",
]

#: Never a client's. ``Via`` is: it says nothing that anybody believes, and we add none.
GONE = FieldNames(FORWARDING.whole - {b"via"} | {b"x-request-id", b"cdn-loop"}, FORWARDING.prefixes)

_good_id = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}").fullmatch
_bare = re.compile(r"[A-Za-z0-9.]+").fullmatch


@attrs.frozen
class Client:
    """
    Who asks, as far as a backend is told.

    :ivar address: the client's, behind all proxies that are trusted.
    :ivar chain: what ``X-Forwarded-For`` says.
    :ivar scheme: ``http`` or ``https``, as the client used it.
    :ivar host: what ``X-Forwarded-Host`` says; None for the request's own.
    :ivar port: where the client connected to.
    """

    address: str
    chain: bytes
    scheme: bytes
    host: bytes | None
    port: bytes


@attrs.frozen
class Wishes:
    """
    What a route does to fields. Made once for each change of it.

    :ivar replaced: names of fields that the route or its authentication writes, as
        :func:`hyphened` spells them.
    :ivar injected: by the route.
    :ivar preserve_host: whether the client's Host goes on.
    :ivar forwarded: whether ``Forwarded`` is written.
    """

    replaced: typing.Container[bytes] = frozenset()
    injected: tuple[Field, ...] = attrs.field(default=(), repr=False)
    preserve_host: bool = True
    forwarded: bool = False


class Outgoing:
    """
    What the last request of a connection became.

    :ivar loop: what ``CDN-Loop`` says. Where that changes, so have the fields that came.
    """

    __slots__ = (
        "_added",
        "_authority",
        "_base",
        "_client",
        "_fields",
        "_own_host",
        "_wishes",
        "loop",
    )

    def __init__(self) -> None:
        self.loop = b""
        self._base: Fields | None = None
        self._wishes: Wishes | None = None
        self._client: Client | None = None
        self._authority: bytes | None = None
        self._own_host = b""
        self._added: typing.Sequence[Field] = ()
        self._fields = Fields()

    def fields(
        self,
        head: RequestHead,
        client: Client,
        wishes: Wishes,
        authority: bytes | None,
        own_host: bytes,
        added: typing.Sequence[Field] = (),
    ) -> Fields:
        """
        The fields for the backend, Host first.

        :param authority: what the request is for, by its target or by its Host (RFC 9112 section
            3.2.2); None where it does not say.
        :param own_host: what the backend itself is called.
        :param added: by authentication.
        """
        base = head.end_to_end(GONE)
        if (
            base is not self._base
            or wishes is not self._wishes
            or client is not self._client
            or authority != self._authority
            or own_host != self._own_host
            or added is not self._added
        ):
            self._fields = _made(
                base, client, wishes, authority or own_host, own_host, self.loop, added
            )
            self._base = base
            self._wishes = wishes
            self._client = client
            self._authority = authority
            self._own_host = own_host
            self._added = added
        return self._fields


def _made(
    base: Fields,
    client: Client,
    wishes: Wishes,
    authority: bytes,
    own_host: bytes,
    loop: bytes,
    added: typing.Sequence[Field],
) -> Fields:
    replaced = wishes.replaced
    fields = [(b"Host", authority if wishes.preserve_host else own_host)]
    fields += [field for field in base if not belongs_to_us(field[0], replaced)]
    forwarded_host = authority if client.host is None else client.host
    fields += (
        (b"X-Forwarded-For", client.chain),
        (b"X-Forwarded-Proto", client.scheme),
        (b"X-Forwarded-Host", forwarded_host),
        (b"X-Forwarded-Port", client.port),
        (b"X-Real-IP", client.address.encode("ascii")),
        (CDN_LOOP, loop),
    )
    if wishes.forwarded:
        fields.append((b"Forwarded", _forwarded(client, forwarded_host)))
    return Fields([*fields, *added, *wishes.injected])


def _forwarded(client: Client, host: bytes) -> bytes:
    """RFC 7239: one element, for the client that we believe in."""
    address = client.address
    if ":" in address:
        address = f"[{address}]"
    node = address if _bare(address) else f'"{address}"'
    return b'for=%b;host="%b";proto=%b' % (node.encode("ascii"), host, client.scheme)


def belongs_to_us(name: bytes, replaced: typing.Container[bytes]) -> bool:
    """Whether a client's field of this name is not its to send, in a head or a trailer."""
    ours = hyphened(name)
    return ours == b"host" or ours in GONE or ours in replaced


def hyphened(name: bytes) -> bytes:
    """
    The one spelling by which a name is judged that is ours to write: behind us ``-`` and ``_`` may
    be the same (see :func:`aluvia.wire.headers.is_look_alike`).
    """
    return name.lower().replace(b"_", b"-")


def given_request_id(said: bytes | None) -> str:
    """
    What the client calls its request; empty where it does not say, or says something odd.

    :param said: all values of ``X-Request-ID``, joined.
    """
    return said.decode("ascii") if said is not None and _good_id(said) else ""


def values_of(head: RequestHead, lowered: bytes) -> list[bytes]:
    """The values of a field, one for each time it is there."""
    return [value for name, value in head.fields if name.lower() == lowered]
