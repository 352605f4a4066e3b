"""
The keys of agents: which programs may connect to a hub, and what each may do there.

Everything here happens inside a transaction of the caller's, in the caller's thread.

A key is a token behind a prefix that tells it from other secrets; of it a hash is kept
(:mod:`aluvia.store.tokens`). It is shown once, to whoever made it. What a key may do does not
change: who wants another one adds it, and removes the first when no agent uses it any more.

A row that cannot be read (by whoever wrote it) is a key that opens nothing: it must neither let
anybody in nor hide what became of the others. It can be removed like any.
"""

from __future__ import annotations

import json
import re
import secrets
import typing

import attrs
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from aluvia.store.errors import BadNameError, NotFoundError, StoreError, TakenError
from aluvia.store.revisions import next_revision
from aluvia.store.schema import AGENT_KEYS
from aluvia.store.tokens import HASH_BYTES, TOKEN_BYTES, MakeSecret, hash_of

__all__ = ["PREFIX", "AgentKey", "NewKey", "add", "every", "find", "remove", "rotate"]

#: Before the random part of each key, so that whoever looks for leaked secrets knows it.
PREFIX = "alv_agent_"

NAME_CHARS = 64

#: All of them are in a hub's memory.
MOST_KEYS = 10_000

#: That one key names.
MOST_IDS = 256

# Not a dash at first, which begins an option.
_name = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,{NAME_CHARS - 1}}}")


@attrs.frozen(kw_only=True)
class AgentKey:
    """
    One key, as it was at one revision.

    :ivar name: a label.
    :ivar key_hash: of the key, with its prefix.
    :ivar publish: the ids of the tunnels that it may publish; ``*`` for any.
    :ivar exit: whether its agents may be exits.
    :ivar expires: seconds since 1970; None for never.
    :ivar made: when it was made, or rotated; seconds since 1970.
    :ivar damage: why it cannot be read; None if it can. One that cannot is good for nothing.
    """

    name: str
    key_hash: bytes = attrs.field(repr=False)
    publish: tuple[str, ...]
    exit: bool
    expires: float | None
    made: float
    revision: int
    damage: str | None = None


@attrs.frozen(kw_only=True)
class NewKey:
    """
    What an agent is given.

    :ivar key: it cannot be had again.
    """

    name: str
    key: str = attrs.field(repr=False)


def add(
    connection: Connection,
    name: str,
    now: float,
    *,
    publish: typing.Sequence[str] = (),
    exit: bool = False,
    expires: float | None = None,
    make_secret: MakeSecret = secrets.token_urlsafe,
) -> NewKey:
    """
    Make a key.

    :param now: seconds since 1970.
    :param publish: ids as the hub compares them, or ``*``.
    :raises BadNameError: that cannot be a name.
    :raises TakenError: there is one of this name.
    :raises StoreError: there are too many, or it names too many ids.
    """
    if _name.fullmatch(name) is None:
        raise BadNameError(
            f"a key's name has 1 to {NAME_CHARS} of A-Z, a-z, 0-9, _, . and -, and does not begin "
            "with . or -"
        )
    if connection.execute(select(AGENT_KEYS.c.name).where(AGENT_KEYS.c.name == name)).first():
        raise TakenError(f"there is a key {name} already")
    if connection.execute(select(func.count()).select_from(AGENT_KEYS)).scalar_one() >= MOST_KEYS:
        raise StoreError(f"there are {MOST_KEYS} keys already, and there may be no more")
    ids = tuple(dict.fromkeys(publish))
    if len(ids) > MOST_IDS:
        raise StoreError(f"a key may name {MOST_IDS} ids, and * stands for any")
    new = _new(name, make_secret)
    connection.execute(
        insert(AGENT_KEYS).values(
            name=name,
            key_hash=hash_of(new.key),
            publish=json.dumps(ids),
            exit=int(exit),
            expires=expires,
            made=now,
            revision=next_revision(connection),
        )
    )
    return new


def every(connection: Connection) -> list[AgentKey]:
    """All keys, by name; those that cannot be read among them."""
    return [*map(_key, connection.execute(select(AGENT_KEYS).order_by(AGENT_KEYS.c.name)))]


def find(connection: Connection, name: str) -> AgentKey:
    """
    The key of this name.

    :raises NotFoundError: there is none.
    """
    row = connection.execute(select(AGENT_KEYS).where(AGENT_KEYS.c.name == name)).first()
    if row is None:
        raise NotFoundError(f"there is no key {name}")
    return _key(row)


def remove(connection: Connection, name: str) -> None:
    """
    Remove a key. It opens nothing any more.

    :raises NotFoundError: there is none.
    """
    next_revision(connection)
    if connection.execute(delete(AGENT_KEYS).where(AGENT_KEYS.c.name == name)).rowcount != 1:
        raise NotFoundError(f"there is no key {name}")


def rotate(
    connection: Connection, name: str, now: float, make_secret: MakeSecret = secrets.token_urlsafe
) -> NewKey:
    """
    Put another key in the place of one: it may do the same, as long, and the first opens nothing
    any more.

    :raises NotFoundError: there is none, or none that would be good for something.
    """
    seen = find(connection, name)
    if seen.damage is not None:
        raise NotFoundError(f"the key {name} cannot be read ({seen.damage}); revoke it")
    if seen.expires is not None and seen.expires <= now:
        raise NotFoundError(f"the key {name} has expired; revoke it, and add another one")
    new = _new(name, make_secret)
    values = {"key_hash": hash_of(new.key), "made": now, "revision": next_revision(connection)}
    connection.execute(update(AGENT_KEYS).where(AGENT_KEYS.c.name == name).values(**values))
    return new


def _new(name: str, make_secret: MakeSecret) -> NewKey:
    return NewKey(name=name, key=PREFIX + make_secret(TOKEN_BYTES))


def _key(row: Row[typing.Any]) -> AgentKey:
    fields = dict(row._mapping)
    try:
        return AgentKey(**fields | _judged(fields))
    except ValueError as error:
        nothing = {"key_hash": b"", "publish": (), "exit": False, "expires": None, "made": 0.0}
        return AgentKey(**fields | nothing, damage=str(error))


def _judged(fields: typing.Mapping[str, object]) -> dict[str, object]:
    """
    The fields that are written otherwise than they are read.

    :raises ValueError: one of them is not as it is written; the text names it.
    """
    key_hash, publish, exit = fields["key_hash"], fields["publish"], fields["exit"]
    if not isinstance(key_hash, bytes) or len(key_hash) != HASH_BYTES:
        raise ValueError("key_hash: it is no hash")
    if not isinstance(fields["made"], float):
        raise ValueError("made: it is no time")
    if not isinstance(fields["expires"], float | None):
        raise ValueError("expires: it is no time")
    if exit not in (0, 1):
        raise ValueError("exit: it is neither 0 nor 1")
    try:
        ids = json.loads(publish) if isinstance(publish, str) else None
    except (ValueError, RecursionError):
        ids = None
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ValueError("publish: it is no list of ids in JSON")
    return {"publish": tuple(ids), "exit": bool(exit)}
