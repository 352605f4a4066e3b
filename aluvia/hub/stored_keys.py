"""
The keys of agents in the store, as the hub needs them: in memory, and never older than a second.

Other processes change them (``aluvia agent-key``), so the store is followed
(:mod:`aluvia.store.following`). A hub has few keys, and they change seldom: all of them are read
where anything in the file has changed. A store that cannot be read leaves the keys that are known;
a row that cannot be read is a key that opens nothing, and hides no other.
"""

from __future__ import annotations

from sqlalchemy import Connection
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from aluvia.hub.key_table import KeyTable
from aluvia.hub.keys import Permit
from aluvia.store import agent_keys
from aluvia.store.agent_keys import AgentKey
from aluvia.store.engine import Store
from aluvia.store.following import LOOK_SECONDS, Following

__all__ = ["StoredKeys"]

log = Logger()


class StoredKeys(KeyTable):
    """
    Fulfils :class:`~aluvia.hub.keys.Keys`, between :meth:`start` and :meth:`stop`.

    :param store: open.
    :param clock: its seconds are those since 1970, as a reactor's are.
    """

    def __init__(self, store: Store, clock: IReactorTime, *, log: Logger = log) -> None:
        super().__init__(clock.seconds, log=log)
        self._store = store
        self._following = Following(store, clock, "agents' keys", self._read, log=log)
        # Not with the looks at the store: a key expires where that cannot be read, too.
        self._expiries = LoopingCall(self.look)
        self._expiries.clock = clock
        self._known: list[AgentKey] = []
        self._damaged: dict[str, str] = {}

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
        self._expiries.start(LOOK_SECONDS, now=False)

    async def stop(self) -> None:
        """Look no more. What is known stays known."""
        if self._expiries.running:
            self._expiries.stop()
        await self._following.stop()

    async def look_now(self) -> None:
        """Look, without waiting for the next time; unless a look is under way."""
        await self._following.look_now()

    async def _read(self) -> bool:
        known = self._known

        def read(connection: Connection) -> list[AgentKey]:
            found = agent_keys.every(connection)
            # Mostly it is something else in the file that has changed. This is found out in the
            # store's thread, and what is known stays as it is.
            return known if found == known else found

        found = await self._store.read(read)
        if found is not known:
            self._known = found
            self._tell_of_damage(found)
            self.hold((each.key_hash, _permit(each)) for each in found if each.damage is None)
        return True

    def _tell_of_damage(self, found: list[AgentKey]) -> None:
        damaged = {each.name: each.damage for each in found if each.damage is not None}
        for name, why in damaged.items():
            if self._damaged.get(name) != why:
                self._log.error(
                    "The agents' key {name} cannot be read from the store, and opens nothing "
                    "({why}); revoke it with aluvia agent-key.",
                    name=name,
                    why=why,
                )
        self._damaged = damaged


def _permit(key: AgentKey) -> Permit:
    return Permit(
        name=key.name,
        publish=frozenset(key.publish),
        exit=key.exit,
        made=key.made,
        expires=key.expires,
    )
