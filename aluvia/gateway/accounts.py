"""
The accounts of the moment, in memory: what the data path asks at each request.

The store is where they are kept, and other processes change it too (``aluvia account``). So it is
followed (:mod:`aluvia.store.following`): what changed is read (:mod:`aluvia.store.looks`) in the
store's thread, while here nothing is done but to put it in its place. What this process changes is
known here as soon as it is on the disk.

A state never gives way to an older one: each has the number of its last change. But the file is
the truth: a backup that is put back is older, and holds. The two are told apart by what was on the
disk before a look began. A look that finds less than that has found another history; one that finds
it, and was overtaken by a change of ours before it came back, has not.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import math
import secrets
import typing

import attrs
from sqlalchemy import Connection
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aluvia.store import accounts as stored
from aluvia.store.accounts import Account
from aluvia.store.engine import Store
from aluvia.store.following import Following
from aluvia.store.looks import NOTHING, Look, look
from aluvia.store.tokens import HASH_BYTES, hash_of

__all__ = ["Accounts", "Changed"]

log = Logger()

#: Told what an account was and what it is: None before it was made, and once it is gone. One that
#: was removed and made anew between two looks is a change of the one into the other
#: (:func:`~aluvia.store.accounts.still_admits` tells them apart).
Changed = typing.Callable[[Account | None, Account | None], object]

_Change = tuple[Account | None, Account | None]


class Accounts:
    """
    All accounts.

    :param store: open.
    :param changed: called for each account that is other than it was, once all of them are so.
    """

    def __init__(
        self,
        store: Store,
        clock: IReactorTime,
        changed: Changed = lambda before, after: None,
        *,
        log: Logger = log,
    ) -> None:
        self._store = store
        self._changed = changed
        self._log = log
        self._by_name: dict[str, Account] = {}
        self._by_token: dict[bytes, Account] = {}
        self._digests: dict[str, bytes] = {}
        #: What the password of no account is compared with.
        self._nobody = secrets.token_bytes(HASH_BYTES)
        self._known = NOTHING
        self._following = Following(store, clock, "accounts", self._read, log=log)
        self._clock = clock

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_name)

    @property
    def problem(self) -> str | None:
        """Why the store could not be looked at, if that is so; one line."""
        return self._following.problem

    async def start(self) -> None:
        """
        Read them, and look for changes from then on.

        :raises aluvia.store.errors.StoreError: they cannot be read.
        """
        await self._following.start()

    async def stop(self) -> None:
        """Look no more."""
        await self._following.stop()

    def authenticated(self, name: str, password: bytes) -> Account | None:
        """
        The account of this name, if that is its password.

        It costs the same whether there is such an account or not, and whatever the password has in
        common with the right one.
        """
        digest = hashlib.sha256(password).digest()
        if hmac.compare_digest(digest, self._digests.get(name, self._nobody)):
            return self._by_name.get(name)
        return None

    def of_token(self, token: str) -> Account | None:
        """The account of a user token."""
        return self._by_token.get(hash_of(token))

    def named(self, name: str) -> Account | None:
        """The account of this name."""
        return self._by_name.get(name)

    def etag(self, account: Account) -> bytes:
        """
        A strong tag of this state of it, unlike that of any other state, of any store; the time is
        in it for a backup that is put back, after which revisions come a second time.
        """
        updated = int(account.updated * 1_000_000)
        return f'"{self._known.store}-{account.revision}-{updated:x}"'.encode("ascii")

    async def change(
        self, name: str, changes: typing.Callable[[Account], typing.Mapping[str, object]]
    ) -> Account:
        """
        Change an account. It is on the disk, and in force, when this returns.

        :param changes: called in the store's thread with the account as it is there; what it
            raises comes back, and nothing is changed.
        :raises aluvia.store.errors.NotFoundError: it is gone.
        :raises aluvia.store.errors.StoreError: it could not be done.
        """
        now = self._clock.seconds()

        def write(connection: Connection) -> Account:
            seen = stored.find(connection, name)
            return stored.change(connection, seen, now, changes(seen))

        account = await self._store.write(write)
        known = self._by_name.get(name)
        # A look may have been quicker, and have seen more.
        seen = self._known.revision if known is None else max(self._known.revision, known.revision)
        if account.revision > seen:
            latest = max(self._known.latest, account.revision)
            self._known = attrs.evolve(self._known, latest=latest)
            # A backup may have been put back behind this change, and have been read already.
            self._following.forget()
            self._put([(known, account)])
        return account

    async def look_now(self) -> None:
        """Look, without waiting for the next time; unless a look is under way."""
        await self._following.look_now()

    async def _read(self) -> bool:
        known = self._known
        found = await self._store.read(functools.partial(look, known=known))
        if not found.whole and found.others != self._others(found):
            # Some are gone, and the names will tell which.
            known, names = self._known, tuple(self._by_name)
            found = await self._store.read(functools.partial(look, known=known, names=names))
        overtaken = self._known != known
        self._take(found)
        return not overtaken

    def _others(self, found: Look) -> int:
        """How many accounts there are, as far as is known, besides those that were found."""
        return len(self._by_name) - sum(each.name in self._by_name for each in found.accounts)

    def _take(self, found: Look) -> None:
        latest, newest = self._known.latest, float(found.known.revision)
        if not found.continued:
            if self._known.store:
                self._log.warn(
                    "The store goes on from revision {now}, and was at {before}: it is another "
                    "one, or a backup. All accounts were read anew.",
                    now=found.known.revision,
                    before=latest,
                )
            latest, newest = found.known.latest, math.inf
        self._known = attrs.evolve(found.known, latest=max(latest, found.known.latest))
        gone: typing.Iterable[str] = found.gone
        if found.whole:
            gone = self._by_name.keys() - {each.name for each in found.accounts}
        # What is later than the look is a change of ours that it was overtaken by.
        known = [self._by_name[name] for name in gone if name in self._by_name]
        changes: list[_Change] = [(each, None) for each in known if each.revision <= newest]
        for each in found.accounts:
            before = self._by_name.get(each.name)
            if before is None or (before.revision <= newest and before != each):
                changes.append((before, each))
        self._put(changes)

    def _put(self, changes: list[_Change]) -> None:
        for before, after in changes:
            if before is not None:
                self._forget(before)
            if after is not None:
                self._enter(after)
        for before, after in changes:
            try:
                self._changed(before, after)
            except Exception:
                # The others' changes are to be told all the same.
                self._log.failure("What follows from a change of an account failed.")

    def _enter(self, account: Account) -> None:
        self._by_name[account.name] = account
        self._by_token[account.token_hash] = account
        password = account.proxy_password.encode("utf-8")
        self._digests[account.name] = hashlib.sha256(password).digest()

    def _forget(self, account: Account) -> None:
        del self._by_name[account.name]
        del self._by_token[account.token_hash]
        del self._digests[account.name]
