"""
Documents of providers of authentication.

.. code-block:: text

    type         besides id
    ----------   ---------------------------------------------------------------
    basic        realm, users: [{name, passwordHash}]
    bearer       realm, tokens: [{name, tokenHash}]
    hook         url, timeout, requestHeaders, copyHeaders
    entryPoint   entryPoint, timeout, copyHeaders

A hash is not shown, and a user or a token that comes without one keeps what the name had before.
"""

from __future__ import annotations

import re
import typing
import unicodedata

import attrs

from aluvia.edge.bounds import (
    ANSWER_SECONDS,
    HASH_CHARS,
    ID_CHARS,
    NAME_BYTES,
    PROVIDERS,
    REALM_CHARS,
    TOKENS,
    URL_CHARS,
    USERS,
)
from aluvia.edge.header_fields import COPIED_NAMES, SHOWN_NAMES
from aluvia.edge.list_shapes import Match, ObjectsOf, id_of
from aluvia.edge.model import (
    AuthProvider,
    BasicProvider,
    BearerProvider,
    EntryPointProvider,
    HookProvider,
)
from aluvia.edge.password_hashes import read_hash
from aluvia.edge.plain_fields import ID, Number, Plain, limited, pattern
from aluvia.edge.reading import Place, Wrong
from aluvia.edge.shapes import Attributes, Member, ObjectOf, keep_id, read_object
from aluvia.wire.errors import ProtocolViolation
from aluvia.wire.target import parse_absolute_target

__all__ = ["PROVIDER", "PROVIDER_LIST"]


@attrs.frozen
class _Named:
    """A user or a token: its name, and the hash of what it shows."""

    name: str
    hash: str


def _name(value: object) -> str:
    # RFC 7617 section 2.1: who types it may compose its characters in another way.
    name = unicodedata.normalize("NFC", limited(value, NAME_BYTES))
    if not name.isprintable() or name != name.strip():
        raise Wrong("must be of visible characters, with no blank at either end")
    if len(name.encode("utf-8")) > NAME_BYTES:
        raise Wrong(f"must have at most {NAME_BYTES} bytes")
    return name


def _user_name(value: object) -> str:
    name = _name(value)
    if ":" in name:
        raise Wrong("must be without a colon, at which its password would begin (RFC 7617)")
    return name


def _password_hash(value: object) -> str:
    text = limited(value, HASH_CHARS)
    try:
        read_hash(text)
    except ValueError as error:
        # It says why, and does not quote it.
        raise Wrong(str(error)) from None
    return text


def _token_hash(value: object) -> str:
    if not isinstance(value, str) or re.fullmatch(r"[0-9A-Fa-f]{64}", value, re.ASCII) is None:
        raise Wrong("must be a SHA-256 in hexadecimal, 64 digits")
    return value.lower()


class _ListOfNamed:
    """
    Objects with a name and a hash in a document, pairs in the model.

    :param plain: what would stand there before it is hashed.
    """

    def __init__(
        self, plain: str, name: Plain[str], hashed: str, hash_kind: Plain[str], most: int
    ) -> None:
        def keep_hash(place: Place, attributes: Attributes) -> None:
            if "hash" in attributes or hashed in place.value or plain in place.value:
                return
            if place.before is None:
                place.below(hashed).fault("is missing")
            else:
                attributes["hash"] = place.before.hash

        self._named = ObjectsOf(
            ObjectOf(
                _Named,
                [
                    Member("name", name, needed=True),
                    Member(hashed, hash_kind, secret=True, attribute="hash"),
                ],
                finish=keep_hash,
                hints={plain: f"is not taken here, where everything is kept: give {hashed}"},
            ),
            most,
            "name",
            (Match(_name_of, lambda named: named.name),),
        )

    def read(self, place: Place) -> tuple[tuple[str, str], ...]:
        """Judge all items."""
        before = tuple(_Named(*pair) for pair in place.before or ())
        return tuple(
            (named.name, named.hash)
            for named in self._named.read(attrs.evolve(place, before=before))
        )

    def show(self, value: tuple[tuple[str, str], ...], secrets: bool) -> typing.Any:
        """Show all items."""
        pairs = isinstance(value, tuple | list) and all(
            isinstance(pair, tuple | list) and len(pair) == 2 for pair in value
        )
        return self._named.show(tuple(_Named(*pair) for pair in value), secrets) if pairs else value


def _name_of(document: dict[str, typing.Any]) -> str | None:
    try:
        return _name(document.get("name"))
    except Wrong:
        return None


def _url(value: object) -> str:
    must = "must be a URL with http: or https:, of visible ASCII characters, without a fragment"
    text = limited(value, URL_CHARS)
    if not text.isascii():
        raise Wrong(must)
    try:
        target = parse_absolute_target(text.encode("ascii"), b"GET")
    except ProtocolViolation:
        # Also with a name and a password in it, which would be shown.
        raise Wrong(f"{must} and without a user") from None
    if target.scheme not in ("http", "https"):
        raise Wrong(must)
    return f"{target.scheme}://{target.authority}{target.origin_form.decode('ascii')}"


_REALM = Member(
    "realm",
    pattern(r"[ -~]+", REALM_CHARS, "must be of visible ASCII characters and blanks"),
)
_TIMEOUT = Member("timeout", Number(ANSWER_SECONDS))
_COPIED = Member("copyHeaders", COPIED_NAMES)
_ID = Member("id", ID)

_USERS = _ListOfNamed(
    "password",
    Plain(_user_name),
    "passwordHash",
    Plain(_password_hash),
    USERS,
)
_TOKENS = _ListOfNamed("token", Plain(_name), "tokenHash", Plain(_token_hash), TOKENS)


def _finish_entry_point(place: Place, attributes: Attributes) -> None:
    """See to the id, and that there is such an entry point."""
    keep_id(place, attributes)
    judge, name = place.reading.judges.entry_point, attributes.get("entry_point")
    before = place.before if isinstance(place.before, EntryPointProvider) else None
    if judge is None or name is None or (before is not None and before.entry_point == name):
        return
    wrong = judge(name)
    if wrong is not None:
        place.below("entryPoint").fault(wrong)


_SHAPES: typing.Mapping[str, ObjectOf[typing.Any]] = {
    "basic": ObjectOf(BasicProvider, [_ID, _REALM, Member("users", _USERS)], finish=keep_id),
    "bearer": ObjectOf(BearerProvider, [_ID, _REALM, Member("tokens", _TOKENS)], finish=keep_id),
    "hook": ObjectOf(
        HookProvider,
        [
            _ID,
            Member("url", Plain(_url), needed=True),
            _TIMEOUT,
            Member("requestHeaders", SHOWN_NAMES),
            _COPIED,
        ],
        finish=keep_id,
    ),
    "entryPoint": ObjectOf(
        EntryPointProvider,
        [
            _ID,
            Member(
                "entryPoint",
                pattern(r"[A-Za-z0-9_.-]+", ID_CHARS, "must be of letters, digits, and - . _"),
                needed=True,
            ),
            _TIMEOUT,
            _COPIED,
        ],
        finish=_finish_entry_point,
    ),
}


class _Provider:
    """A provider of any type; :data:`_SHAPES` says which members each has."""

    def read(self, place: Place) -> AuthProvider:
        """Read all members, and make a provider of them."""
        told = len(place.reading.faults)
        attributes = self.attributes(place)
        if len(place.reading.faults) > told:
            raise Wrong
        return self.make(**attributes)

    def attributes(self, place: Place) -> Attributes:
        """Read the type, and then what that type has."""
        document = dict(read_object(place))
        given = document.pop("type", None)
        shape = _SHAPES.get(given) if isinstance(given, str) else None
        if shape is None:
            place.below("type").fault(f"must be one of {', '.join(_SHAPES)}")
            return {"id": id_of(document)}
        return {"type": given} | shape.attributes(attrs.evolve(place, value=document))

    def make(self, type: str, **attributes: typing.Any) -> AuthProvider:
        """Make one."""
        return typing.cast(AuthProvider, _SHAPES[type].make(**attributes))

    def show(self, value: AuthProvider, secrets: bool) -> typing.Any:
        """Show all members, the type behind the id."""
        for name, shape in _SHAPES.items():
            if isinstance(value, shape.model):
                return {"id": value.id, "type": name} | shape.show(value, secrets)
        return value


PROVIDER: typing.Final = _Provider()

PROVIDER_LIST: typing.Final = ObjectsOf(
    PROVIDER, PROVIDERS, "id", (Match(id_of, lambda provider: provider.id),)
)
