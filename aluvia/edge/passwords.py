"""
Passwords and tokens where people write them: in documents, and at a terminal.

A document may say a user's ``password`` and a ``token`` in plain text, where its reader
(:mod:`aluvia.edge.fields`) takes hashes alone. So it goes through :func:`hash_secrets` before it is
read: what comes out says ``passwordHash`` and ``tokenHash``, and the plain text is kept nowhere::

    {"id": "staff", "type": "basic", "users": [{"name": "alice", "password": "a:b"}]}
    {"id": "staff", "type": "basic", "users": [{"name": "alice", "passwordHash": "$scrypt$…"}]}

A password that is the one of the hash that is known keeps that hash. So a file that is read again
says what it said before, though a new hash would have a new salt.

Hashing takes a while: a document's passwords are hashed one after the other, each in a thread, and
:data:`MOST_PASSWORDS` at most.
"""

from __future__ import annotations

import typing

import attrs
from twisted.internet.defer import Deferred

from aluvia.api.problems import Fault, Problem
from aluvia.edge.hashing_threads import NoThread, Threads
from aluvia.edge.model import AuthProvider, BasicProvider
from aluvia.edge.password_hashes import (
    hash_password,
    hash_token,
    password_bytes,
    verify,
)
from aluvia.edge.verdicts import RETRY_SOON

__all__ = ["hash_secrets", "hash_secrets_now", "hash_token"]

#: Passwords in plain text in one document: more would take a minute.
MOST_PASSWORDS = 256

Known = typing.Mapping[str, AuthProvider]
_Entry = dict[str, typing.Any]

_NOBODY: Known = {}


@attrs.frozen
class _Password:
    """
    A password that stands in a document.

    :ivar known: the hash of that user so far; None for a new one.
    """

    text: str = attrs.field(repr=False)
    known: str | None = attrs.field(repr=False)

    def hashed(self) -> str:
        """Its hash; it takes its time."""
        known = self.known
        if known is not None and verify(self.text, known):
            return known
        return hash_password(self.text)


async def hash_secrets(document: object, threads: Threads, known: Known = _NOBODY) -> typing.Any:
    """
    Hash the passwords and tokens of a provider's document, or of a whole snapshot's.

    :param document: decoded JSON. It is not changed, and what is not as it should be is left to
        its reader.
    :param known: the providers so far, by their ids; their users' hashes are kept where they fit.
    :return: the document without plain passwords and tokens.
    :raises Problem: 422 for what can be no password or token, with pointers; 503 where there is no
        thread for it.
    """
    hashes = []
    for password in _judged(document, known):
        hashing: Deferred[str] = threads.do(password.hashed)
        try:
            hashes.append(await hashing)
        except NoThread:
            detail = "Too many passwords are being verified to hash another one."
            raise Problem(503, "busy", detail, fields=RETRY_SOON) from None
    return _with_hashes(document, hashes)


def hash_secrets_now(document: object, known: Known = _NOBODY) -> typing.Any:
    """
    The same at once, for programs that nobody waits for.

    :raises Problem: 422.
    """
    return _with_hashes(document, [each.hashed() for each in _judged(document, known)])


def _judged(document: object, known: Known) -> list[_Password]:
    """
    Find the passwords of a document, in its order, and judge all that is in plain text.

    :raises Problem: 422.
    """
    passwords: list[_Password] = []
    faults: list[Fault] = []

    def judge(entry: _Entry, plain: str, hashed: str, pointer: str, provider: object) -> _Entry:
        text = entry[plain]
        try:
            if hashed in entry:
                raise ValueError(f"There are both {plain} and {hashed}.")
            if not text:
                raise ValueError(f"A {plain} must not be empty.")
            if plain == "password":
                password_bytes(text)
                hashes = known.get(provider) if isinstance(provider, str) else None
                passwords.append(_Password(text, _hash_of(hashes, entry.get("name"))))
            else:
                hash_token(text)
        except UnicodeEncodeError:
            # That error would tell what it is about.
            faults.append(Fault(f"{pointer}/{plain}", "A token is text."))
        except ValueError as error:
            faults.append(Fault(f"{pointer}/{plain}", str(error)))
        return entry

    _mapped(document, judge)
    if len(passwords) > MOST_PASSWORDS:
        faults.append(
            Fault("", f"There are more than {MOST_PASSWORDS} passwords in plain text: hash them.")
        )
    if faults:
        raise Problem(
            422, "invalid_fields", "Some passwords or tokens cannot be taken.", tuple(faults)
        )
    return passwords


def _with_hashes(document: object, hashes: typing.Iterable[str]) -> typing.Any:
    left = iter(hashes)

    def put(entry: _Entry, plain: str, hashed: str, pointer: str, provider: object) -> _Entry:
        text = entry[plain]
        digest = next(left) if plain == "password" else hash_token(text)
        # In its place, so that a document stays in the order in which it was written.
        return dict(
            (hashed, digest) if name == plain else (name, value) for name, value in entry.items()
        )

    return _mapped(document, put)


def _hash_of(provider: AuthProvider | None, user: object) -> str | None:
    if not isinstance(provider, BasicProvider):
        return None
    return next((text for name, text in provider.users if name == user), None)


#: What is done with an object that has a plain secret: it gets the object, the member's name and
#: that of the hash, the pointer to the object, and the id of its provider.
_Change = typing.Callable[[_Entry, str, str, str, object], _Entry]


def _mapped(document: object, change: _Change) -> object:
    """A copy of a document, as far as it is changed."""
    if not isinstance(document, dict):
        return document
    listed = document.get("authProviders")
    if not isinstance(listed, list):
        return _mapped_provider(document, "", change)
    providers = [
        _mapped_provider(each, f"/authProviders/{at}", change) for at, each in enumerate(listed)
    ]
    return document | {"authProviders": providers}


def _mapped_provider(document: object, pointer: str, change: _Change) -> object:
    if not isinstance(document, dict):
        return document
    mapped: _Entry = dict(document)
    for section, plain, hashed in (
        ("users", "password", "passwordHash"),
        ("tokens", "token", "tokenHash"),
    ):
        entries = document.get(section)
        if isinstance(entries, list):
            mapped[section] = [
                change(entry, plain, hashed, f"{pointer}/{section}/{at}", document.get("id"))
                if isinstance(entry, dict) and isinstance(entry.get(plain), str)
                else entry
                for at, entry in enumerate(entries)
            ]
    return mapped
