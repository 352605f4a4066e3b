"""
Revisions: how a change is known not to undo another one.

The file counts its changes, and each row keeps the number of the last change to it. So numbers only
rise, whatever is removed and made anew, and of two states of a row, or of the whole, the one with
the higher number is the later. Who changes a row says which revision of it they have seen, and
``UPDATE … WHERE revision = ?`` changes nothing if that is not the one that is there.
"""

from __future__ import annotations

import typing

from sqlalchemy import Column, Connection, Table, select, update

from aluvia.store.errors import RevisionConflictError
from aluvia.store.schema import STORE

__all__ = ["change_row", "next_revision", "store_name", "store_revision"]


def store_name(connection: Connection) -> str:
    """The random name of this file, so that revisions of two files are not taken for each other."""
    return str(connection.execute(select(STORE.c.name)).scalar_one())


def store_revision(connection: Connection) -> int:
    """The number of the last change."""
    return int(connection.execute(select(STORE.c.revision)).scalar_one())


def next_revision(connection: Connection, count: int = 1) -> int:
    """
    Count one more change, and return its number. For the inside of a writing transaction.

    :param count: how many changes there are; the number is that of the first of them.
    """
    connection.execute(update(STORE).values(revision=STORE.c.revision + count))
    return store_revision(connection) - count + 1


def change_row(
    connection: Connection,
    table: Table,
    key: Column[typing.Any],
    value: object,
    revision: int,
    changes: typing.Mapping[str, object],
) -> int:
    """
    Change the row whose ``key`` has this value.

    :param revision: that the caller has seen.
    :return: the one that it has now.
    :raises RevisionConflictError: it has another one, or is gone; nothing was changed.
    """
    new = next_revision(connection)
    statement = update(table).where(key == value, table.c.revision == revision)
    if connection.execute(statement.values(**changes, revision=new)).rowcount != 1:
        raise RevisionConflictError("it was changed meanwhile")
    return new
