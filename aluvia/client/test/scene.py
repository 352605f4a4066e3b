"""A forward proxy in memory: clients and upstreams are transports that a test drives by hand."""

from __future__ import annotations

import typing

import attrs
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from aluvia.client.config import Snapshot
from aluvia.client.policy import ClientPolicy
from aluvia.client.routing import Router
from aluvia.forwarding.counters import Counters
from aluvia.forwarding.proxy import ForwardProxy
from aluvia.net.dial import Dialers
from aluvia.net.door import Door
from aluvia.net.errors import DialError
from aluvia.net.http_server import ServerConnection
from aluvia.net.parent import ParentProxy
from aluvia.rules import RuleSet
from aluvia.wire.limits import Limits


class MemoryTransport(StringTransport):
    """
    One end of a connection whose other end is the test.

    :ivar half_closed: whether we sent a FIN.
    :ivar aborted: whether we reset it.
    """

    half_closed = False
    aborted = False

    def __init__(self, protocol: typing.Any) -> None:
        super().__init__()
        self.protocol = protocol
        self.producer: typing.Any = None
        self.gone = False

    def registerProducer(self, producer: typing.Any, streaming: bool) -> None:
        """Keep it."""
        self.producer = producer

    def unregisterProducer(self) -> None:
        """Drop it; twice is harmless, as with real ones."""
        self.producer = None

    def loseWriteConnection(self) -> None:
        """Remember the FIN."""
        self.half_closed = True

    def abortConnection(self) -> None:
        """Remember the reset, and tell of it as real ones do."""
        self.aborted = True
        self.lost(Failure(ConnectionLost()))

    @property
    def closed(self) -> bool:
        """Whether we closed it, in one way or another."""
        return self.disconnecting or self.aborted

    def receive(self, data: bytes) -> None:
        """The other end sends bytes."""
        self.protocol.dataReceived(data)

    def fin(self) -> None:
        """The other end sends a FIN."""
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.lost(Failure(ConnectionDone()))

    def lost(self, reason: Failure | None = None) -> None:
        """The connection is gone; by a reset, if nothing else is said."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(reason or Failure(ConnectionLost()))

    def taken(self) -> bytes:
        """What we sent since the last call."""
        data: bytes = self.value()
        self.clear()
        return data


@attrs.define(eq=False)
class FakeDial:
    """A dial that a test answers."""

    host: str
    port: int
    protocol: typing.Any
    failed: typing.Callable[[DialError], object]
    cancelled: bool = False
    transport: MemoryTransport | None = None

    def cancel(self) -> None:
        """Remember it."""
        self.cancelled = True

    def connect(self) -> MemoryTransport:
        """It came about."""
        self.transport = MemoryTransport(self.protocol)
        # Ours offer what the relay and the parent dialer look for.
        self.transport.switch_protocol = self._switch  # type: ignore[attr-defined]
        self.protocol.makeConnection(self.transport)
        return self.transport

    def _switch(self, protocol: IProtocol) -> None:
        assert self.transport is not None
        self.transport.protocol = protocol


@attrs.define
class FakeDialer:
    """Remembers what it was asked to dial."""

    dials: list[FakeDial] = attrs.field(factory=list)

    def dial(
        self,
        host: str,
        port: int,
        protocol: IProtocol,
        failed: typing.Callable[[DialError], object],
    ) -> FakeDial:
        """Wait for the test."""
        dial = FakeDial(host, port, protocol, failed)
        self.dials.append(dial)
        return dial


GATEWAY = ParentProxy("gateway.test", 8080, "user", "secret")


class Scene:
    """
    One proxy, its clients, and its upstreams.

    :ivar tcp: what was dialled in the clear.
    :ivar tls: what was dialled over TLS.
    """

    def __init__(
        self,
        *rules: str,
        gateway: ParentProxy = GATEWAY,
        users: typing.Mapping[str, str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.clock = Clock()
        self.door = Door(self.clock, max_connections=100, connect_timeout=10.0, limits=self.limits)
        self.sweep, self.idle = self.door.sweep, self.door.idle
        self.tcp = FakeDialer()
        self.tls = FakeDialer()
        dialers = Dialers()
        dialers.add("tcp", self.tcp)
        dialers.add("tls", self.tls)
        self.counters = Counters()
        self.router = Router(Snapshot(gateway=gateway, rules=RuleSet.compile(rules)))
        self.policy = ClientPolicy(self.router, self.counters, users)
        self.proxy = ForwardProxy(
            self.door,
            dialers,
            self.policy,
            self.counters,
            idle_timeout=600.0,
            log_requests=True,
            id_prefix="test",
        )

    def client(self) -> MemoryTransport:
        """A client connects."""
        connection = ServerConnection(self.proxy, self.sweep, self.limits, 600.0)
        transport = MemoryTransport(connection)
        connection.makeConnection(transport)
        return transport

    def close(self) -> None:
        """Leave no timer."""
        self.idle.close_all()
        self.door.resolver.stop()
        self.sweep.stop()
        leftover = self.clock.getDelayedCalls()
        assert not leftover, leftover
