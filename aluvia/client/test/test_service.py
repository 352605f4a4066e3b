"""The client in a process: ready, serving, draining, and leaving nothing behind. Real sockets."""

from __future__ import annotations

import json
import signal
import socket
import typing
from pathlib import Path

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from aluvia.client.service import ClientService
from aluvia.client.settings import Settings
from aluvia.net.parent import ParentProxy
from aluvia.process import door_service

reactor: typing.Any = installed


class Collector(Protocol):
    """Keeps what comes, and tells of an end or of a text that came."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: Deferred[bytes] = Deferred()
        self._until = b""
        self._came: Deferred[bytes] | None = None

    def until(self, text: bytes) -> Deferred[bytes]:
        """Fires with everything so far when ``text`` has come."""
        self._until = text
        self._came = Deferred()
        self._look()
        return self._came

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.data += data
        self._look()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell."""
        self.ended.callback(self.data)

    def _look(self) -> None:
        if self._came is not None and self._until in self.data:
            came, self._came = self._came, None
            came.callback(self.data)


class RunningReactor:
    """The reactor, which runs already as far as a service can tell."""

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(reactor, name)

    def callWhenRunning(self, call: typing.Callable[[], object]) -> None:
        """Call it."""
        call()


class ServiceCase(TestCase):
    """A service on ports of its own, with signals that a test gives by hand."""

    drain_timeout = 10.0

    def setUp(self) -> None:
        """Make it."""
        self.signals: dict[int, typing.Callable[[int, object], None]] = {}
        self.port_file = Path(self.mktemp()).absolute()
        self.service = self.make()

    def make(self, **options: typing.Any) -> ClientService:
        """A service that is not started."""
        values: dict[str, typing.Any] = {
            "gateway": ParentProxy.from_url("http://127.0.0.1:9"),
            "port": 0,
            "admin_port": 0,
            "port_file": self.port_file,
            "drain_timeout": self.drain_timeout,
        }
        settings = Settings(**values | options)
        return ClientService(settings, RunningReactor(), {}, self.set_signal)

    def set_signal(self, number: int, handler: typing.Any) -> object:
        """Keep it."""
        self.signals[number] = handler
        return None

    def start(self) -> dict[str, typing.Any]:
        """Start, and read where it is."""
        self.service.startService()
        self.addCleanup(self.service.stopService)
        content: dict[str, typing.Any] = json.loads(self.port_file.read_text())
        return content

    async def connect(self, port: int) -> Collector:
        """A client."""
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", port)
        collector: Collector = await connectProtocol(endpoint, Collector())
        return collector

    async def tunnel(self, port: int) -> Collector:
        """A live tunnel to a listener that never closes."""
        target = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(target.close)
        client = await self.connect(port)
        to = target.getsockname()[1]
        assert client.transport is not None
        client.transport.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\nHost: a\r\n\r\n" % to)
        await client.until(b"200 Connection established\r\n\r\n")
        return client


class LifeTests(ServiceCase):
    """From start to stop."""

    def test_ready(self) -> None:
        """Both ports are bound when the port file appears; the file goes with the service."""
        where = self.start()
        for name in ("proxy", "admin"):
            socket.create_connection(("127.0.0.1", where[name])).close()
        self.service.stopService()
        self.assertFalse(self.port_file.exists())

    async def test_stop_with_live_tunnels(self) -> None:
        """After the drain timeout they are cut; nothing is left in the reactor."""
        self.service = self.make(drain_timeout=0.05)
        client = await self.tunnel(self.start()["proxy"])
        await self.service.stopService()
        await client.ended

    async def test_stop_twice(self) -> None:
        """It is one stop."""
        self.start()
        first, second = self.service.stopService(), self.service.stopService()
        await second
        await first

    async def test_second_signal(self) -> None:
        """During a drain it ends what is alive now."""
        client = await self.tunnel(self.start()["proxy"])
        stopped = self.service.stopService()
        self.assertTrue(self.service.draining)
        self.assertFalse(self.service.accepting)
        self.signals[signal.SIGTERM](signal.SIGTERM, None)
        await stopped
        await client.ended

    async def test_drain_waits_for_a_tunnel(self) -> None:
        """A tunnel that ends by itself ends the drain."""
        client = await self.tunnel(self.start()["proxy"])
        (live,) = self.service.live()
        self.assertEqual((live.way, live.rule), ("direct", None))
        stopped = self.service.stopService()
        self.assertFalse(stopped.called)
        typing.cast(ITCPTransport, client.transport).abortConnection()
        await stopped

    async def test_admin_port_is_not_reached_through_the_proxy(self) -> None:
        """It is one of our own listeners."""
        where = self.start()
        client = await self.connect(where["proxy"])
        assert client.transport is not None
        client.transport.write(b"GET http://localhost:%d/healthz HTTP/1.0\r\n\r\n" % where["admin"])
        self.assertIn(b"error=proxy_loop_detected", await client.ended)

    async def test_hangup(self) -> None:
        """In static mode there is nothing to fetch; the process lives on."""
        where = self.start()
        self.signals[signal.SIGHUP](signal.SIGHUP, None)
        await self.connect(where["proxy"])


class WhenTests(ServiceCase):
    """When it starts."""

    def test_not_before_the_reactor(self) -> None:
        """What is ready must be stoppable, and signals are nobody's before the reactor runs."""
        begun: list[typing.Callable[[], object]] = []
        self.patch(RunningReactor, "callWhenRunning", lambda _, call: begun.append(call))
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.assertFalse(self.port_file.exists())
        begun.pop()()
        self.assertTrue(self.port_file.exists())


class StartFailureTests(ServiceCase):
    """A port that is taken."""

    def test_taken(self) -> None:
        """Status 73 and one line that says which; no port file, nothing bound."""
        given: list[tuple[int, str]] = []
        self.patch(door_service, "exit_with", lambda _, status, why: given.append((status, why)))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for option, name in (("port", "proxy"), ("admin_port", "admin")):
                self.service = self.make(**{option: port})
                self.service.startService()
                self.addCleanup(self.service.stopService)
                status, why = given.pop()
                self.assertEqual(status, 73)
                self.assertIn(f"the {name} port 127.0.0.1:{port}", why)
        self.assertFalse(self.port_file.exists())
