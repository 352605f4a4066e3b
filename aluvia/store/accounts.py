"""
Accounts: who may use the gateway, and what their clients are told.

Everything here happens inside a transaction of the caller's, in the caller's thread.

Of a user token a hash is kept (:mod:`aluvia.store.tokens`). It is shown once, to whoever made the
account. The proxy's password is kept as it is, because ``/v1/user`` gives it to the client, which
needs it.
"""

from __future__ import annotations

import json
import re
import secrets
import typing

import attrs
from sqlalchemy import Connection, Row, delete, func, insert, select

from aluvia.store.errors import BadNameError, NotFoundError, StoreError, TakenError
from aluvia.store.revisions import change_row, next_revision
from aluvia.store.schema import ACCOUNTS
from aluvia.store.tokens import TOKEN_BYTES, MakeSecret, hash_of

__all__ = [
    "Account",
    "Credentials",
    "add",
    "change",
    "count",
    "every",
    "find",
    "names",
    "remove",
    "rotate_password",
    "since",
    "still_admits",
]

NAME_CHARS = 32

#: All of them are in a gateway's memory.
MOST_ACCOUNTS = 100_000

# A dash ends the name in a proxy's user name, and a colon ends that.
_name = re.compile(rf"[a-z0-9_][a-z0-9_.]{{0,{NAME_CHARS - 1}}}")

_PASSWORD_BYTES = 24


@attrs.frozen(kw_only=True)
class Account:
    """
    One account, as it was at one revision.

    :ivar token_hash: SHA-256 of its user token.
    :ivar rules: what its clients send through the gateway.
    :ivar session_id: for requests that name no session of their own.
    :ivar target_geo: for requests that name no country of their own.
    :ivar created: when; seconds since 1970, and so is ``updated``.
    """

    name: str
    token_hash: bytes = attrs.field(repr=False)
    proxy_username: str
    proxy_password: str = attrs.field(repr=False)
    rules: tuple[str, ...] = ()
    session_id: str | None = None
    target_geo: str | None = None
    revision: int
    created: float
    updated: float


@attrs.frozen(kw_only=True)
class Credentials:
    """
    What the owner of an account is given.

    :ivar token: the user token; it cannot be had again.
    """

    name: str
    token: str = attrs.field(repr=False)
    proxy_username: str
    proxy_password: str = attrs.field(repr=False)


def still_admits(before: Account | None, after: Account | None) -> bool:
    """
    Whether whoever was let in as the account that there was may stay, by the one that there is.

    They may not if it is gone, if it was removed and another one made under its name, or if its
    proxy password is another one: a password is changed because somebody else has it.

    :param before: None if there was none, so that nobody was let in.
    :param after: None if there is none any more.
    """
    if before is None:
        return True
    return after is not None and _let_in_by(before) == _let_in_by(after)


def _let_in_by(account: Account) -> tuple[object, ...]:
    return account.name, account.created, account.proxy_username, account.proxy_password


def add(
    connection: Connection, name: str, now: float, make_secret: MakeSecret = secrets.token_urlsafe
) -> Credentials:
    """
    Make an account.

    :param now: seconds since 1970.
    :raises BadNameError: that cannot be a name.
    :raises TakenError: there is one of this name.
    """
    if _name.fullmatch(name) is None:
        raise BadNameError(
            f"an account's name has 1 to {NAME_CHARS} of a-z, 0-9, _ and ., and does not begin "
            "with a ."
        )
    if connection.execute(select(ACCOUNTS.c.name).where(ACCOUNTS.c.name == name)).first():
        raise TakenError(f"there is an account {name} already")
    if count(connection) >= MOST_ACCOUNTS:
        raise StoreError(f"there are {MOST_ACCOUNTS} accounts already, and there may be no more")
    made = Credentials(
        name=name,
        token=make_secret(TOKEN_BYTES),
        proxy_username=name,
        proxy_password=make_secret(_PASSWORD_BYTES),
    )
    connection.execute(
        insert(ACCOUNTS).values(
            name=name,
            token_hash=hash_of(made.token),
            proxy_username=made.proxy_username,
            proxy_password=made.proxy_password,
            rules="[]",
            revision=next_revision(connection),
            created=now,
            updated=now,
        )
    )
    return made


def every(connection: Connection) -> list[Account]:
    """All accounts, by name."""
    return [*map(_account, connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.name)))]


def since(connection: Connection, revision: int) -> list[Account]:
    """The accounts that were made or changed after this revision, in the order of their changes."""
    later = select(ACCOUNTS).where(ACCOUNTS.c.revision > revision).order_by(ACCOUNTS.c.revision)
    return [*map(_account, connection.execute(later))]


def count(connection: Connection) -> int:
    """How many there are."""
    return int(connection.execute(select(func.count()).select_from(ACCOUNTS)).scalar_one())


def names(connection: Connection) -> frozenset[str]:
    """Their names."""
    return frozenset(connection.execute(select(ACCOUNTS.c.name)).scalars())


def find(connection: Connection, name: str) -> Account:
    """
    The account of this name.

    :raises NotFoundError: there is none.
    """
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.name == name)).first()
    if row is None:
        raise NotFoundError(f"there is no account {name}")
    return _account(row)


def remove(connection: Connection, name: str) -> None:
    """
    Remove an account. Its token and its password open nothing any more.

    :raises NotFoundError: there is none.
    """
    next_revision(connection)
    if connection.execute(delete(ACCOUNTS).where(ACCOUNTS.c.name == name)).rowcount != 1:
        raise NotFoundError(f"there is no account {name}")


def change(
    connection: Connection, seen: Account, now: float, changes: typing.Mapping[str, typing.Any]
) -> Account:
    """
    Change fields of an account; one that has these values already keeps its revision.

    :param seen: the account as the caller knows it.
    :param changes: fields of :class:`Account`; ``rules`` as a tuple.
    :raises RevisionConflictError: it is not like that any more; nothing was changed.
    """
    wanted = attrs.evolve(seen, **changes)
    if wanted == seen:
        return seen
    values = dict(changes)
    if "rules" in values:
        values["rules"] = json.dumps(list(wanted.rules))
    revision = change_row(
        connection, ACCOUNTS, ACCOUNTS.c.name, seen.name, seen.revision, values | {"updated": now}
    )
    return attrs.evolve(wanted, revision=revision, updated=now)


def rotate_password(
    connection: Connection, name: str, now: float, make_secret: MakeSecret = secrets.token_urlsafe
) -> Account:
    """
    Give an account another proxy password.

    :raises NotFoundError: there is no such account.
    """
    password = make_secret(_PASSWORD_BYTES)
    return change(connection, find(connection, name), now, {"proxy_password": password})


def _account(row: Row[typing.Any]) -> Account:
    fields = dict(row._mapping)
    return Account(**fields | {"rules": tuple(json.loads(fields["rules"]))})
