"""Tests for :mod:`aluvia.edge.model`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aluvia.edge.live import Terms
from aluvia.edge.model import (
    AuthProvider,
    Backend,
    BackendTLS,
    BasicProvider,
    BearerProvider,
    Certificate,
    HookProvider,
    KeyPair,
    Route,
    Snapshot,
)

PAIR = KeyPair(cert="PUBLIC", key="canary-key")


class ReprTests(SynchronousTestCase):
    """What is seen of a value in a traceback or a log."""

    def test_secrets(self) -> None:
        """Nothing that may be one, wherever the value stands."""
        tls = BackendTLS(client_cert="PUBLIC", client_key="canary-client-key")
        route = Route(
            id="a",
            v_host="a.test",
            headers=(("X-Api-Key", "canary-header"),),
            backends=(Backend(id="b", hostname="b.test", port=1, tls=tls),),
            ssl=PAIR,
        )
        providers: dict[str, AuthProvider] = {
            "basic": BasicProvider(id="basic", users=(("alice", "canary-hash"),)),
            "bearer": BearerProvider(id="bearer", tokens=(("ci", "canary-hash"),)),
            "hook": HookProvider(id="hook", url="http://h.test/?key=canary-url"),
        }
        certificates = {"a.test": Certificate(domain="a.test", pair=PAIR)}
        snapshot = Snapshot(routes={"a": route}, certificates=certificates, providers=providers)
        for value in (snapshot, Terms.of(route, None)):
            self.assertIn("a.test", repr(value))
            self.assertNotIn("canary", repr(value))
