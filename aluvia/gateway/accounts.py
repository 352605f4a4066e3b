"""
The accounts of the moment, in memory: what the data path asks at each request.

The store is where they are kept, and other processes change it too (``aluvia account``). So it is
looked at twice a second: SQLite has a number for that (``data_version``), which costs next to
nothing to ask, and only when it has changed is everything read again. What this process changes is
known here as soon as it is on the disk.

A state never gives way to an older one: each has the number of its last change.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import typing

import attrs
from sqlalchemy import Connection
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aluvia.store import accounts as stored
from aluvia.store.accounts import Account, hash_of
from aluvia.store.engine import Store
from aluvia.store.errors import StoreError
from aluvia.store.revisions import store_name, store_revision

__all__ = ["Accounts", "Changed"]

log = Logger()

#: Between two looks at the store; seconds.
LOOK_SECONDS = 0.5

#: Told the name of an account that has changed, or is gone.
Changed = typing.Callable[[str], object]


@attrs.frozen
class _State:
    """What was read in one transaction."""

    revision: int
    store: str
    accounts: list[Account]


def _read(connection: Connection) -> _State:
    return _State(store_revision(connection), store_name(connection), stored.every(connection))


class Accounts:
    """
    All accounts.

    :param store: open.
    :param changed: called for each account that is other than it was.
    :ivar problem: why the store could not be looked at, if that is so; one line.
    """

    def __init__(
        self,
        store: Store,
        clock: IReactorTime,
        changed: Changed = lambda name: None,
        *,
        log: Logger = log,
    ) -> None:
        self.problem: str | None = None
        self._store = store
        self._store_name = ""
        self._changed = changed
        self._log = log
        self._by_name: dict[str, Account] = {}
        self._by_token: dict[bytes, Account] = {}
        self._digests: dict[str, bytes] = {}
        #: What the password of no account is compared with.
        self._nobody = secrets.token_bytes(hashlib.sha256().digest_size)
        self._revision = -1
        self._version = -1
        self._looking: Deferred[None] | None = None
        self._looks = LoopingCall(self._look_again)
        self._looks.clock = clock
        self._clock = clock

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_name)

    async def start(self) -> None:
        """
        Read them, and look for changes from then on.

        :raises StoreError: they cannot be read.
        """
        await self._look()
        self._looks.start(LOOK_SECONDS, now=False)

    async def stop(self) -> None:
        """Look no more."""
        if self._looks.running:
            self._looks.stop()
        if self._looking is not None:
            # It waits for a thread that ends with the store, not for anybody else.
            self._looking.cancel()

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
        """A strong tag of this state of it, unlike that of any other state, of any store."""
        return f'"{self._store_name}-{account.revision}"'.encode("ascii")

    async def change(
        self, name: str, changes: typing.Callable[[Account], typing.Mapping[str, object]]
    ) -> Account:
        """
        Change an account. It is on the disk, and in force, when this returns.

        :param changes: called in the store's thread with the account as it is there; what it
            raises comes back, and nothing is changed.
        :raises aluvia.store.errors.NotFoundError: it is gone.
        :raises StoreError: it could not be done.
        """
        now = self._clock.seconds()

        def write(connection: Connection) -> Account:
            seen = stored.find(connection, name)
            return stored.change(connection, seen, now, changes(seen))

        account = await self._store.write(write)
        # A look may have been quicker, and have seen more.
        if account.revision > self._revision:
            self._revision = account.revision
            self._enter(account)
            self._changed(name)
        return account

    async def look_now(self) -> None:
        """Look, without waiting for the next time."""
        await self._look_again()

    async def _look_again(self) -> None:
        """As :meth:`_look`; but a store that cannot be read now may be so the next time."""
        if self._looking is not None:
            return
        self._looking = Deferred.fromCoroutine(self._look())
        try:
            await self._looking
        except CancelledError:
            pass
        except StoreError as error:
            if self.problem is None:
                self._log.error("The accounts cannot be looked at: {error}", error=error)
            self.problem = str(error)
        except Exception:
            # A fault of ours; it must not be the last look.
            self._log.failure("Looking at the accounts failed.")
        else:
            if self.problem is not None:
                self._log.info("The accounts can be looked at again.")
            self.problem = None
        finally:
            self._looking = None

    async def _look(self) -> None:
        # First, so that a change between the two is found at the next look.
        version = await self._store.version()
        if version == self._version:
            return
        state = await self._store.read(_read)
        self._version = version
        if state.revision < self._revision:
            return
        self._revision = state.revision
        self._store_name = state.store
        there = {each.name: each for each in state.accounts}
        other = [each for each in state.accounts if not self._has(each)]
        gone = [each for each in self._by_name.values() if each.name not in there]
        for each in gone:
            self._forget(each)
        for each in other:
            self._enter(each)
        for each in (*gone, *other):
            self._changed(each.name)

    def _has(self, account: Account) -> bool:
        known = self._by_name.get(account.name)
        return known is not None and known.revision == account.revision

    def _enter(self, account: Account) -> None:
        known = self._by_name.get(account.name)
        if known is not None:
            self._forget(known)
        self._by_name[account.name] = account
        self._by_token[account.token_hash] = account
        password = account.proxy_password.encode("utf-8")
        self._digests[account.name] = hashlib.sha256(password).digest()

    def _forget(self, account: Account) -> None:
        del self._by_name[account.name]
        del self._by_token[account.token_hash]
        del self._digests[account.name]
