"""Accounts that are followed, and a store that others change."""

from __future__ import annotations

import sqlite3
import typing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet.task import Clock

from aluvia.gateway.accounts import Accounts
from aluvia.gateway.test.gateway_case import AccountStoreCase
from aluvia.store.accounts import Account
from aluvia.store.looks import Look


class AccountsCase(AccountStoreCase):
    """A store that others change."""

    async def start(self) -> Accounts:
        """Accounts that are followed, and a note of each that changes."""
        self.clock = Clock()
        self.changed: list[str] = []
        self.changes: list[tuple[Account | None, Account | None]] = []
        accounts = Accounts(self.store, typing.cast(typing.Any, self.clock), self.note)
        self.addCleanup(accounts.stop)
        await accounts.start()
        return accounts

    def note(self, before: Account | None, after: Account | None) -> None:
        """Note who has changed."""
        account = after or before
        assert account is not None
        self.changed.append(account.name)
        self.changes.append((before, after))

    def forget(self) -> None:
        """Note from now on."""
        self.changed.clear()
        self.changes.clear()

    def logs(self, accounts: Accounts) -> list[str]:
        """The levels of what is logged from now on."""
        levels: list[str] = []
        self.patch(accounts._log, "observer", lambda event: levels.append(event["log_level"].name))
        return levels

    async def late_look(
        self, accounts: Accounts, meanwhile: typing.Callable[[Look], typing.Awaitable[object]]
    ) -> None:
        """A look that has found what it finds, and before it comes back something happens."""
        read = self.store.read

        async def late(job: typing.Callable[[Connection], Look]) -> Look:
            found = await read(job)
            await meanwhile(found)
            return found

        self.patch(self.store, "read", late)
        await accounts.look_now()
        self.patch(self.store, "read", read)

    def copy(self, source: Path, target: Path) -> None:
        """As ``.restore`` and ``.backup`` of ``sqlite3`` do it."""
        ends = sqlite3.connect(source), sqlite3.connect(target)
        ends[0].backup(ends[1])
        for each in ends:
            each.close()
