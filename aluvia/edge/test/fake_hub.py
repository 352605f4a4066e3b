"""A hub whose agents are all fakes, for who only looks at it."""

from __future__ import annotations

import itertools

from twisted.internet.task import Clock

from aluvia.hub.fixed_keys import FixedKeys
from aluvia.hub.hub import Hub
from aluvia.hub.registration import TunnelKind, WantedTunnel
from aluvia.hub.test.fake_session import FakeSession
from aluvia.net.accept import Sweep

__all__ = ["NOW", "FakeHub"]

#: What its clock shows at first.
NOW = 1_700_000_000.0


class FakeHub(Hub):
    """A hub, and agents that come to it by a call; ``clock`` is moved by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self._instances = itertools.count(1)
        super().__init__(FixedKeys(), self.clock, Sweep(self.clock), now=self.clock.seconds)

    def publish(
        self,
        *ids: str,
        agent_id: str = "agent",
        carrier: str = "wss",
        kind: TunnelKind = "http",
        group: str | None = None,
    ) -> FakeSession:
        """An agent comes, and offers these."""
        session = FakeSession(f"instance-{next(self._instances)}", group=group)
        session.agent_id = agent_id
        session.carrier = carrier
        session.since = self.clock.seconds()
        self.registry.register(session, [WantedTunnel(id, kind) for id in ids])
        return session
