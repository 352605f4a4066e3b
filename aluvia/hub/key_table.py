"""
Keys in memory: which there are, and who may stay when there are others.

A key is found by its hash, so that the time it takes tells of nothing but the hash of what was
shown, and then compared in constant time, whether one was found or not.
"""

from __future__ import annotations

import hmac
import math
import secrets
import typing

from twisted.logger import Logger

from aluvia.hub.keys import AnyID, Permit
from aluvia.store.tokens import HASH_BYTES, hash_of

__all__ = ["KeyTable"]

log = Logger()


class KeyTable:
    """
    Fulfils :class:`~aluvia.hub.keys.Keys` over what it is told to hold.

    :param now: gives the time; seconds since 1970.
    """

    def __init__(self, now: typing.Callable[[], float], *, log: Logger = log) -> None:
        self._now = now
        self._log = log
        self._changed: list[typing.Callable[[], object]] = []
        #: What is shown that is no key is compared with this.
        self._nothing = secrets.token_bytes(HASH_BYTES)
        # Those that had not expired when they were entered.
        self._held: list[tuple[bytes, Permit]] = []
        self._by_hash: dict[bytes, tuple[bytes, Permit]] = {}
        self._by_name: dict[str, Permit] = {}
        self._ids: frozenset[str] = frozenset()
        self._next_expiry = math.inf

    def __len__(self) -> int:
        """How many are good."""
        return len(self._by_name)

    def permit(self, key: str) -> Permit | None:
        """See :meth:`aluvia.hub.keys.Keys.permit`."""
        shown = hash_of(key)
        found, permit = self._by_hash.get(shown, (self._nothing, None))
        if not hmac.compare_digest(shown, found) or permit is None or self._expired(permit):
            return None
        return permit

    def still_good(self, permit: Permit) -> bool:
        """See :meth:`aluvia.hub.keys.Keys.still_good`."""
        there = self._by_name.get(permit.name)
        return (
            there is not None
            and there.made == permit.made
            and not self._expired(there)
            and (there.exit or not permit.exit)
            and all(map(there.may_publish, permit.publish))
        )

    def may_be_published(self, id: str) -> bool:
        """See :meth:`aluvia.hub.keys.Keys.may_be_published`."""
        return id in self._ids

    def on_change(self, changed: typing.Callable[[], object]) -> None:
        """See :meth:`aluvia.hub.keys.Keys.on_change`."""
        self._changed.append(changed)

    def hold(self, keys: typing.Iterable[tuple[bytes, Permit]]) -> None:
        """
        Hold these keys and no others, each as its hash and what it is good for. If some that were
        held are less good now, it is told.
        """
        before = self._by_name
        self._held = [each for each in keys if not self._expired(each[1])]
        self._by_hash = {hash: (hash, permit) for hash, permit in self._held}
        self._by_name = {permit.name: permit for _, permit in self._held}
        self._ids = frozenset(id for _, permit in self._held for id in permit.publish) - {AnyID}
        expiries = (permit.expires for _, permit in self._held)
        self._next_expiry = min((each for each in expiries if each is not None), default=math.inf)
        if not all(map(self.still_good, before.values())):
            self._tell()

    def look(self) -> None:
        """See whether some have expired. To be called now and then."""
        if self._now() >= self._next_expiry:
            self.hold(self._held)

    def _expired(self, permit: Permit) -> bool:
        return permit.expires is not None and self._now() >= permit.expires

    def _tell(self) -> None:
        for each in self._changed:
            try:
                each()
            except Exception:
                # The others are to be told all the same.
                self._log.failure("What follows from a change of the agents' keys failed.")
