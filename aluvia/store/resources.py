"""
Resources: documents of JSON, by what they are and what they are called.

Everything here happens inside a transaction of the caller's, in the caller's thread. What a
document means is the caller's to say as well; here it is kept, with its revision.

Each document that is put takes a revision of its own, so that ``made``, the revision at which it
came to be, gives an order that is the same after every start: what is changed keeps its place, and
what is removed and made anew goes to the end. What is to stand elsewhere is moved to the end, and
behind it what is to stand behind it.
"""

from __future__ import annotations

import json
import shlex
import typing

import attrs
from sqlalchemy import Connection, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from aluvia.store.database import RECOVERY
from aluvia.store.errors import RevisionConflictError, StoreDamagedError
from aluvia.store.schema import RESOURCES

__all__ = ["Body", "Resource", "every", "move", "put", "remove", "unreadable"]

#: What is kept of one: an object.
Body: typing.TypeAlias = typing.Mapping[str, typing.Any]


@attrs.frozen
class Resource:
    """
    One document, as it is kept.

    :ivar revision: of the last change to it.
    :ivar made: the one at which it was made, or moved.
    """

    kind: str
    key: str
    body: Body = attrs.field(repr=False)
    revision: int
    made: int


def every(connection: Connection) -> list[Resource]:
    """
    All of them, in the order in which they were made or moved.

    The file is looked through first, since what SQLite does not find it does not miss.

    :raises StoreDamagedError: one of them, or the file, cannot be read.
    """
    found = str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())
    if found != "ok":
        raise StoreDamagedError(f"its pages do not fit together; {RECOVERY}")
    rows = connection.execute(select(RESOURCES).order_by(RESOURCES.c.made))
    return [
        Resource(row.kind, row.key, _body(row.kind, row.key, row.body), row.revision, row.made)
        for row in rows
    ]


def put(
    connection: Connection, kind: str, key: str, body: Body, revision: int, seen: int | None
) -> None:
    """
    Keep a document, in place of the one that there is.

    :param revision: that it has now; no other document has it
        (:func:`~aluvia.store.revisions.next_revision`).
    :param seen: the revision of the one that there is; None if there is none.
    :raises RevisionConflictError: it is not as it was seen; nothing is to be committed.
    """
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    if seen is not None:
        change = update(RESOURCES).where(_is(kind, key, seen))
        if connection.execute(change.values(body=text, revision=revision)).rowcount != 1:
            raise _other(kind, key)
        return
    row = {"kind": kind, "key": key, "body": text, "revision": revision, "made": revision}
    try:
        connection.execute(insert(RESOURCES).values(**row))
    except IntegrityError:
        raise _other(kind, key) from None


def remove(connection: Connection, kind: str, key: str, seen: int) -> None:
    """
    Keep it no more. That is a change too, which the caller counts.

    :param seen: its revision.
    :raises RevisionConflictError: it is not as it was seen; nothing is to be committed.
    """
    if connection.execute(delete(RESOURCES).where(_is(kind, key, seen))).rowcount != 1:
        raise _other(kind, key)


def move(connection: Connection, kind: str, key: str, made: int, seen: int) -> None:
    """
    Have it stand behind all others. It stays as it is, with its revision.

    :param made: a number of :func:`~aluvia.store.revisions.next_revision` that no other has.
    :param seen: its revision.
    :raises RevisionConflictError: it is not as it was seen; nothing is to be committed.
    """
    change = update(RESOURCES).where(_is(kind, key, seen)).values(made=made)
    if connection.execute(change).rowcount != 1:
        raise _other(kind, key)


def unreadable(kind: str, key: str, why: str) -> StoreDamagedError:
    """What to raise for a document that is there and cannot be used, and how to go on."""
    # Not with what is in it, which has secrets.
    where = f"kind = {_quoted(kind)} AND key = {_quoted(key)}"
    statement = shlex.quote(f"DELETE FROM resources WHERE {where}")
    return StoreDamagedError(
        f"the {kind} {key!r} cannot be read ({why}); put a backup of the file in its place, or "
        f"give this one up with: sqlite3 FILE {statement}"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _body(kind: str, key: str, text: object) -> Body:
    try:
        body = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unreadable(kind, key, "it is no object in JSON")
    return body


def _is(kind: str, key: str, revision: int) -> typing.Any:
    return and_(RESOURCES.c.kind == kind, RESOURCES.c.key == key, RESOURCES.c.revision == revision)


def _other(kind: str, key: str) -> RevisionConflictError:
    return RevisionConflictError(f"the {kind} {key!r} was changed by somebody else meanwhile")
