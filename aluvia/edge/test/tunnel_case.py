"""An edge's data path with a hub of fakes: sessions whose tunnels lead to peers on loopback."""

from __future__ import annotations

import typing

import attrs
from twisted.internet.interfaces import IProtocol

from aluvia.edge.ingress import Ingress
from aluvia.edge.model import Backend
from aluvia.edge.test.edge_case import EdgeCase, reactor
from aluvia.hub.fixed_keys import FixedKeys
from aluvia.hub.keys import Permit
from aluvia.hub.registration import TunnelKind, WantedTunnel
from aluvia.hub.registry import Registry, Tunnel
from aluvia.net.dial import Dialer, Dialing
from aluvia.net.errors import DialError
from aluvia.net.guard import Guard
from aluvia.net.resolve import Failed
from aluvia.testing.faults import FaultPeer
from aluvia.testing.origin import FakeOrigin, Visit
from aluvia.wire.frames import Code

#: What hosts no route is for.
ELSEWHERE = "elsewhere.test"

TOKEN = "visitors-token-1"

PERMIT = Permit(name="key")

REFUSED = DialError("connection_refused", 502, "The target refuses connections.")


class Nothing:
    """A dial that is over."""

    def cancel(self) -> None:
        """Nothing is left of it."""


@attrs.define(eq=False)
class FakeSession:
    """
    An agent that is connected.

    :ivar targets: by tunnel; a port of loopback, or why it cannot be reached.
    :ivar opened: how many streams there were.
    """

    dialer: Dialer
    targets: dict[str, int | DialError]
    since: float
    agent_id: str = "agent"
    permit: Permit = PERMIT
    instance: str = "instance-1"
    group: str | None = None
    carrier: str = "wss"
    address: str = "127.0.0.1"
    draining: bool = False
    last_seen: float = 0.0
    streams_open: int = 0
    opened: int = 0

    def open(self, tunnel_id: str, protocol: IProtocol, failed: Failed) -> Dialing:
        """Connect to the peer."""
        self.opened += 1
        target = self.targets[tunnel_id]
        if isinstance(target, DialError):
            failed(target)
            return Nothing()
        return self.dialer.dial("127.0.0.1", target, protocol, failed)

    def end(self, code: Code, reason: str) -> None:
        """It has no carrier."""

    def probe(self) -> None:
        """It is there."""

    def drain(self) -> None:
        """It opens no more."""
        self.draining = True


class TunnelCase(EdgeCase):
    """Publishes peers."""

    def open(self, **more: typing.Any) -> Ingress:
        """An edge with a hub."""
        self.keys = FixedKeys()
        self.keys.add(PERMIT, "alv_agent_test")
        return super().open(**{"hub": ("127.0.0.1", 0)} | more)

    @property
    def registry(self) -> Registry:
        """Of the edge's hub."""
        assert self.edge.hub is not None
        return self.edge.hub.registry

    def name_ids(self, *ids: str) -> None:
        """Some key may publish these."""
        assert self.keys is not None
        self.keys.add(Permit(name="naming", publish=frozenset(ids)), "alv_agent_naming")

    def publish(
        self,
        *ids: str,
        to: FakeOrigin | FaultPeer | DialError | None = None,
        token: str | None = None,
        kind: TunnelKind = "http",
        **more: typing.Any,
    ) -> FakeSession:
        """An agent comes, and offers these tunnels, all to one peer."""
        if not hasattr(self, "edge"):
            self.open()
        target = to if isinstance(to, DialError) else (to or self.app).port
        session = FakeSession(
            self.edge.dialers(Guard(list))["tcp"],
            dict.fromkeys(ids, target),
            reactor.seconds(),
            **more,
        )
        wanted = [WantedTunnel(id, kind, token) for id in ids]
        self.registry.register(session, wanted)
        return session

    def setUp(self) -> None:
        """An app."""
        self.app = self.origin()

    def answering(self, *fields: tuple[str, str], status: int = 200, path: str = "/x") -> None:
        """Have the app answer with these fields."""

        async def answer(visit: Visit) -> None:
            headers = [(name.encode(), value.encode()) for name, value in fields]
            await visit.answer(status, headers, b"said")

        self.app.routes[path] = answer

    def tunnel(self, id: str = "app") -> Tunnel:
        """As the registry has it."""
        return self.registry.tunnels[id]


def tunnel_backend(id: str = "app", **values: typing.Any) -> Backend:
    """A backend that is a tunnel."""
    return Backend(**{"id": f"b-{id}", "endpoint": f"tunnel:{id}"} | values)
