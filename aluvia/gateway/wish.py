"""
What a request wishes of its exit, and how it is said.

In the user name of ``Proxy-Authorization``, behind the account's name: words between dashes, a key
and its value in turn, where a flag has no value::

    alice-country-us-session-abc123-hard

Or in ``X-Aluvia-*`` fields of the request, by the same keys (``X-Aluvia-Country: us``); a flag's
value is ``true`` or ``false`` there, or ``1`` or ``0``. What a field says holds above what the user
name says, and that above what the account has for all its requests.

=============================================  ===================================================
``country``                                    two letters, ISO 3166
``region``, ``city``, ``agent``, ``tag``       up to 64 letters, digits and ``. _ ~``
``asn``                                        the number of an autonomous system
``session``                                    the same exit for the same name: up to 64 letters,
                                               digits and ``. _ ~``
``ttl``                                        minutes that the session lasts at most, 1 to 1440
``hard``                                       a flag: never another exit
``debug``                                      a flag: say with the answer how it came
=============================================  ===================================================

Keys may be in any case. Whatever is no key, has no good value or comes twice is an error, since to
pass it over would mean another exit than the one that was wished for.
"""

from __future__ import annotations

import re
import typing

import attrs

from aluvia.wire.headers import Field

__all__ = ["BadWish", "Wish", "read_fields", "read_username"]

#: What of a word is shown in an error.
SHOWN_CHARS = 40

_FIELD_PREFIX = b"x-aluvia-"

#: Fields of that prefix that say nothing of an exit.
_OTHER_FIELDS = frozenset([b"x-aluvia-request-id"])


class BadWish(Exception):
    """A wish that cannot be read. The text is one sentence for whoever sent it."""


@attrs.frozen(kw_only=True)
class Wish:
    """
    What one request wishes; None where it does not care.

    :ivar ttl: minutes.
    """

    country: str | None = None
    region: str | None = None
    city: str | None = None
    asn: int | None = None
    agent: str | None = None
    tag: str | None = None
    session: str | None = None
    ttl: int | None = None
    hard: bool = False
    debug: bool = False

    @property
    def filters(self) -> tuple[str, ...]:
        """The keys by which not every exit will do."""
        return tuple(key for key in FILTERS if getattr(self, key) is not None)


#: Keys that say which exits will do.
FILTERS = ("country", "region", "city", "asn", "agent", "tag")

_WORD = re.compile(r"[A-Za-z0-9._~-]{1,64}").fullmatch


def _country(text: str) -> str:
    if re.fullmatch("[A-Za-z]{2}", text) is None:
        raise ValueError("two letters, as in ISO 3166")
    return text.lower()


def _word(text: str) -> str:
    if _WORD(text) is None:
        raise ValueError("up to 64 letters, digits and . _ ~")
    return text


def _place(text: str) -> str:
    return _word(text).lower()


def _number(low: int, high: int) -> typing.Callable[[str], int]:
    def read(text: str) -> int:
        if re.fullmatch("[0-9]{1,10}", text) is None or not low <= int(text) <= high:
            raise ValueError(f"a number from {low} to {high}")
        return int(text)

    return read


_READ: dict[str, typing.Callable[[str], object]] = {
    "country": _country,
    "region": _place,
    "city": _place,
    "asn": _number(1, 4_294_967_295),
    "agent": _word,
    "tag": _word,
    "session": _word,
    "ttl": _number(1, 1440),
}
_FLAGS = frozenset(["hard", "debug"])
_TRUE, _FALSE = frozenset(["true", "1", "?1"]), frozenset(["false", "0", "?0"])


def read_username(username: str) -> tuple[str, dict[str, object]]:
    """
    The account's name, and what is wished behind it.

    :raises BadWish: it is not as it should be; the account's name is what stands before the first
        dash all the same.
    """
    name, *words = username.split("-")
    wished: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        key = word.lower()
        if key in _FLAGS:
            _enter(wished, key, True)
        elif key not in _READ:
            raise BadWish(f"{_shown(word)} is no option of a user name.")
        else:
            value = next(rest, "")
            if not value:
                raise BadWish(f"The option {key} has no value.")
            _enter(wished, key, _read(f"The option {key}", key, value))
    return name, wished


def read_fields(fields: typing.Iterable[Field]) -> dict[str, object]:
    """
    What the ``X-Aluvia-*`` fields of a request wish.

    :raises BadWish: one of them is not as it should be.
    """
    wished: dict[str, object] = {}
    for name, value in fields:
        lower = name.lower()
        if not lower.startswith(_FIELD_PREFIX) or lower in _OTHER_FIELDS:
            continue
        key, text = lower[len(_FIELD_PREFIX) :].decode("latin-1"), value.decode("latin-1").strip()
        if key in _FLAGS:
            if text.lower() not in _TRUE | _FALSE:
                raise BadWish(f"The field X-Aluvia-{key.title()} must be true or false.")
            _enter(wished, key, text.lower() in _TRUE)
        elif key not in _READ:
            raise BadWish(f"{_shown(name.decode('latin-1'))} is no field of this gateway.")
        elif not text:
            raise BadWish(f"The field X-Aluvia-{key.title()} has no value.")
        else:
            _enter(wished, key, _read(f"The field X-Aluvia-{key.title()}", key, text))
    return wished


def _read(what: str, key: str, text: str) -> object:
    try:
        return _READ[key](text)
    except ValueError as error:
        raise BadWish(f"{what} must be {error}.") from None


def _enter(wished: dict[str, object], key: str, value: object) -> None:
    if key in wished:
        raise BadWish(f"{key} is there twice.")
    wished[key] = value


def _shown(word: str) -> str:
    """A stranger's word, on one line and not too long."""
    return ascii(word if len(word) <= SHOWN_CHARS else f"{word[:SHOWN_CHARS]}…")
