"""A store that is open, with its threads, for tests of what follows it."""

from __future__ import annotations

import typing
from pathlib import Path

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from aluvia.store.engine import Store

reactor: typing.Any = installed


class StoreCase(TestCase):
    """A store of its own for each test."""

    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        """It is open, and empty."""
        self.path = Path(self.mktemp()).absolute()
        self.store = await self.open()

    async def open(self) -> Store:
        """Open it once more, as another process would."""
        store = Store(self.path, reactor.callFromThread)
        self.addCleanup(store.close)
        await store.open()
        return store

    async def turns(self, count: int = 1) -> None:
        """Let the reactor turn, so many times."""
        for _ in range(count):
            await deferLater(reactor, 0)

    async def when(self, condition: typing.Callable[[], object]) -> None:
        """Return when it holds; the test's timeout is the bound."""
        while not condition():
            await self.turns()
