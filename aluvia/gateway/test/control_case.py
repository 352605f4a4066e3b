"""A control plane in memory, over a real store."""

from __future__ import annotations

import json
import typing

from twisted.internet.task import Clock

from aluvia.api.test.site_case import MemoryTransport, Reply, connect, head
from aluvia.api.watch import Watch
from aluvia.forwarding.counters import Counters
from aluvia.gateway.accounts import Accounts
from aluvia.gateway.control_api import ControlAPI
from aluvia.gateway.test.gateway_case import AccountStoreCase
from aluvia.store.accounts import Account

JSON = "Content-Type: application/json"


class FakeObserved:
    """A gateway that takes clients."""

    counters = Counters()
    started_at = 90.0
    connections_open = 2
    accepting = True
    draining = False
    account_count = 1
    connections_refused = 0
    monitors_waiting = 0
    store_problem: str | None = None


class ControlCase(AccountStoreCase):
    """An API with one account."""

    async def setUp(self) -> None:  # type: ignore[override]
        """At second 100."""
        await super().setUp()
        self.made = await self.add()
        self.clock: typing.Any = Clock()
        self.clock.advance(100)
        self.observed = FakeObserved()
        self.watch = Watch(self.clock, most_for_one=3)
        self.accounts = Accounts(self.store, self.clock, self.changed)
        self.addCleanup(self.accounts.stop)
        await self.accounts.start()
        self.api = ControlAPI(self.accounts, self.watch, self.observed, self.clock)
        self.site = self.api.site()
        self.bearer = f"Authorization: Bearer {self.made.token}"
        self.addCleanup(self.site.close)

    def changed(self, before: Account | None, after: Account | None) -> None:
        """As the gateway does it."""
        account = after or before
        assert account is not None
        self.watch.changed(account.name)

    def begin(
        self, target: str, *fields: str, method: str = "GET", body: bytes = b""
    ) -> MemoryTransport:
        """Send a request on a new connection."""
        transport = connect(self.site)
        self.addCleanup(transport.leave)
        if body:
            fields = (*fields, f"Content-Length: {len(body)}")
        transport.deliver(head(method, target, *fields) + body)
        return transport

    async def ask(self, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Reply:
        """The answer to a request."""
        transport = self.begin(target, *fields, method=method, body=body)
        await self.when(transport.value)
        return Reply(transport.value())

    async def user(self, *fields: str) -> Reply:
        """Ask for the account."""
        return await self.ask("/v1/user", self.bearer, *fields)

    async def patch_user(self, body: object, *fields: str) -> Reply:
        """Change the account."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.ask("/v1/user", self.bearer, JSON, *fields, method="PATCH", body=data)

    def assert_problem(self, reply: Reply, status: int, code: str) -> None:
        """It is an error as both kinds of clients read it."""
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.fields["content-type"], "application/problem+json")
        body = reply.json()
        self.assertEqual((body["status"], body["error"]["code"]), (status, code))
