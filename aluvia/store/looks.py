"""
Looking at the accounts: what is other than it was known.

Who follows the accounts knows all of them up to one revision. So the next look reads what has a
higher one, and nothing else: it costs what has changed, not what there is. A removed account
leaves no row behind that would tell of it; it shows in the number of the others, and only then are
the names read as well.

That rests on a history that only goes on. When the file's content is replaced by a backup
(``.restore`` of ``sqlite3``), it goes on from somewhere else, and all is read. It is known by

* another name of the store;
* another version of the schema, which SQLite counts up when it replaces what is in a file (and when
  it does so without a change to it, in a ``VACUUM``);
* a revision that is lower than one that was on the disk before the look began.

Everything here happens inside one transaction, in the store's thread.
"""

from __future__ import annotations

import typing

import attrs
from sqlalchemy import Connection

from aluvia.store import accounts
from aluvia.store.accounts import Account
from aluvia.store.revisions import store_name, store_revision

__all__ = ["NOTHING", "Known", "Look", "look"]


@attrs.frozen
class Known:
    """
    What is known before a look.

    :ivar store: its name.
    :ivar schema: SQLite's number for it.
    :ivar revision: up to which all is known.
    :ivar latest: the highest one that was on the disk, be it a change of one's own.
    """

    store: str
    schema: int
    revision: int
    latest: int


#: Before the first look.
NOTHING = Known("", -1, -1, -1)


@attrs.frozen
class Look:
    """
    What a look found.

    :ivar known: what is known with it, for the next one.
    :ivar accounts: those that were made or changed since the last one; all of them if ``whole``.
    :ivar gone: which of the names that were given are no account's any more.
    :ivar others: how many accounts there are besides.
    :ivar whole: whether nothing holds that was known before.
    :ivar continued: whether its history goes on from what was known.
    """

    known: Known
    accounts: list[Account]
    gone: tuple[str, ...]
    others: int
    whole: bool
    continued: bool


def look(connection: Connection, known: Known, names: typing.Collection[str] = ()) -> Look:
    """
    See what is other than it was known.

    :param names: of all accounts that are known, if some of them may be gone.
    """
    store, revision = store_name(connection), store_revision(connection)
    schema = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    continued = store == known.store and revision >= known.latest
    whole = not continued or schema != known.schema
    found = accounts.every(connection) if whole else accounts.since(connection, known.revision)
    there = accounts.names(connection) if names else frozenset()
    return Look(
        Known(store, schema, revision, revision),
        found,
        tuple(name for name in names if name not in there),
        accounts.count(connection) - len(found),
        whole,
        continued,
    )
