"""
What is in the file: its tables, and how a file is known as ours.

SQLite gives each file two numbers for its owner's use. ``application_id`` says whose it is, so that
another program's database is never written to; ``user_version`` says which schema it has. There is
one schema at a time. (A change before the first release makes a new number, and no migration.)

==============  ====================================================================================
``store``       one row: a random name for this file, and the number of the last change in it
``accounts``    who may use the gateway. ``token_hash`` is SHA-256 of the user token, which stands
                nowhere; ``proxy_password`` is as it is, since the control plane gives it out; and
                ``rules`` is a list of strings in JSON. By their revisions they have an index, so
                that who follows them reads what changed, and not all there is
``agent_keys``  which agents may connect to the hub. ``key_hash`` is SHA-256 of the key, which
                stands nowhere; ``publish`` is a list of ids in JSON, in which ``*`` is any;
                ``exit`` is 1 or 0; ``made`` is when the key was made or rotated
``resources``   documents by what they are and what they are called: a body of JSON, the revision
                that made it what it is, and ``made``, the one at which it came to be, or to stand
                where it does, which gives their order
==============  ====================================================================================
"""

from __future__ import annotations

import secrets

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
)

from aluvia.store.errors import StoreError

__all__ = ["ACCOUNTS", "AGENT_KEYS", "RESOURCES", "STORE", "ensure", "is_ours"]

#: "aluv".
APPLICATION_ID = 0x616C7576

USER_VERSION = 4

_METADATA = MetaData()

STORE = Table(
    "store",
    _METADATA,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
)

ACCOUNTS = Table(
    "accounts",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("proxy_username", Text, nullable=False, unique=True),
    Column("proxy_password", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("session_id", Text),
    Column("target_geo", Text),
    Column("revision", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Index("accounts_by_revision", "revision"),
)

AGENT_KEYS = Table(
    "agent_keys",
    _METADATA,
    Column("name", Text, primary_key=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("publish", Text, nullable=False),
    Column("exit", Integer, nullable=False),
    Column("expires", Float),
    Column("made", Float, nullable=False),
    Column("revision", Integer, nullable=False),
)

RESOURCES = Table(
    "resources",
    _METADATA,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("made", Integer, nullable=False, unique=True),
)


def is_ours(connection: Connection) -> bool:
    """
    Whether the file has our schema. It is only read.

    :return: False for an empty one, which can become ours.
    :raises StoreError: it is somebody else's, or of another version.
    """
    owner, version = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("application_id", "user_version")
    )
    if owner == APPLICATION_ID:
        if version != USER_VERSION:
            raise StoreError(
                f"it is of version {version}, and this aluvia reads version {USER_VERSION}; "
                "move it away to begin with an empty one"
            )
        return True
    things = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if owner or version or things:
        raise StoreError("it is a database of another program; name another file")
    return False


def ensure(connection: Connection) -> None:
    """Give an empty file our schema; leave one that has it. For the inside of a transaction."""
    if is_ours(connection):
        return
    _METADATA.create_all(connection, checkfirst=False)
    connection.execute(insert(STORE).values(id=1, name=secrets.token_hex(4), revision=0))
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {USER_VERSION}")
