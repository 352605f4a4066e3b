"""The client in a program of somebody else's: what it guards, and what it leaves. Real sockets."""

from __future__ import annotations

import gc
import threading

from aluvia.client.local import LocalProxy
from aluvia.client.test.local_case import LocalCase, reactor
from aluvia.net.parent import ParentProxy
from aluvia.net.ports import ClientWire, Connecting, ServerWire, WirePort
from aluvia.net.test.dialling import FakeGetAddrInfo
from aluvia.testing.faults import Accepting, Echo, FaultPeer, Stall
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.origin import FakeOrigin

#: What follows a request's target.
REST = " HTTP/1.1\r\nHost: a\r\n\r\n"

#: Everything of ours that has a socket.
WITH_SOCKETS = {ServerWire, ClientWire, WirePort, Connecting}


class OwnListenerTests(LocalCase):
    """A request for the proxy itself."""

    async def test_by_any_name(self) -> None:
        """It is refused by every name, also where the listener was given by one."""
        for listen, address, names in (
            ("localhost", "127.0.0.1", ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]")),
            ("::1", "::1", ("[::1]", "[::]")),
        ):
            proxy = self.start(listen=listen)
            for name in ("localhost", "LOCALHOST.", "loop.localhost", *names):
                for ask in (self.get, self.open_tunnel):
                    client = await self.connect(address)
                    answer = await ask(client, f"{name}:{proxy.port}")
                    self.assertEqual(
                        (answer.status, answer.header(b"proxy-status")),
                        (502, b"aluvia; error=proxy_loop_detected"),
                        (listen, name),
                    )


class StopTests(LocalCase):
    """The end, at the moment at which ``stop`` is done and not a turn later."""

    def held(self) -> list[object]:
        """What the reactor has and which sockets are open, without those of clients and peers."""
        readers, writers = reactor.getReaders(), reactor.getWriters()
        of_reactor = (*readers, *writers, *reactor.getDelayedCalls())
        sockets = (one for one in gc.get_objects() if type(one) in WITH_SOCKETS)
        return [
            *(one for one in of_reactor if not type(one).__module__.startswith("aluvia.testing")),
            *(one for one in sockets if one.fileno() >= 0),
        ]

    async def held_before(self) -> list[object]:
        """The same, at the beginning of a test."""
        # The reactor has things of its own, once it runs.
        await self.turns()
        return self.held()

    def assert_nothing_left(self, before: list[object]) -> None:
        """Nothing is there that was not before."""
        known = set(map(id, before))
        self.assertEqual([one for one in self.held() if id(one) not in known], [])

    async def setUp(self) -> None:  # type: ignore[override]
        """Peers of every kind, and what clients ask of them."""
        self.origin = self.peer(FakeOrigin(reactor))
        self.echo = self.peer(FaultPeer(reactor, [Echo()]))
        silent = self.peer(FaultPeer(reactor, [Stall()]))
        ignoring = self.peer(FaultPeer(reactor, accepting=Accepting.IGNORE))
        self.gateway = self.peer(FakeGateway(reactor))
        self.asks = ["", "GET http://half.a.head", "CONNECT looked-up.test:80" + REST]
        for name in ("localhost", "site.proxied.localhost"):
            self.asks += [
                f"CONNECT {name}:{self.echo.port}{REST}",
                f"CONNECT {name}:{ignoring.port}{REST}",
                f"GET http://{name}:{silent.port}/{REST}",
                f"GET http://{name}:{self.origin.port}/{REST}",
            ]

    def start_with_gateway(self) -> LocalProxy:
        """Start, and let no name be looked up before the test is over."""
        over = threading.Event()
        self.addCleanup(over.set)
        proxy = self.start(
            gateway=ParentProxy("localhost", self.gateway.port, "user", "pass"),
            rules=("*.proxied.localhost",),
        )
        hang = FakeGetAddrInfo({"looked-up.test": lambda: over.wait(60) and ()})
        self.patch(proxy.resolver, "_getaddrinfo", hang)
        return proxy

    async def ask(self, request: str) -> None:
        """Let a client send something and wait, until it is under way, or answered."""
        before = self.proxy.connections_open
        client = await self.connect()
        await client.send(request.encode())
        await self.when(lambda: self.proxy.connections_open > before)
        await self.turns(10)

    async def test_nothing_is_left_of_one(self) -> None:
        """Whatever it is that the only client asked for."""
        before = await self.held_before()
        for request in self.asks:
            proxy = self.start_with_gateway()
            await self.ask(request)
            await proxy.stop()
            self.assert_nothing_left(before)

    async def test_nothing_is_left_of_many(self) -> None:
        """Whatever is under way, and what is kept for later."""
        before = await self.held_before()
        proxy = self.start_with_gateway()
        for request in self.asks:
            await self.ask(request)
        await self.when(lambda: len(proxy.live()) == 7)
        self.assertGreater(len(proxy.idle), 0)
        await proxy.stop()
        self.assert_nothing_left(before)

    async def test_nothing_is_left_of_a_drain(self) -> None:
        """Nor where it was the last client's leave that ended it."""
        before = await self.held_before()
        proxy = self.start()
        await self.get(await self.connect(), f"localhost:{self.origin.port}")
        client = await self.connect()
        await self.open_tunnel(client, f"localhost:{self.echo.port}")
        stopped = proxy.stop(60.0)
        await self.turns(2)
        self.assertFalse(stopped.called)
        client.close()
        await stopped
        self.assert_nothing_left(before)

    async def test_nothing_is_left_when_stopped_twice(self) -> None:
        """Nor for whoever asks a second time, so that it ends now."""
        before = await self.held_before()
        proxy = self.start()
        await self.get(await self.connect(), f"localhost:{self.origin.port}")
        client = await self.connect()
        await self.open_tunnel(client, f"localhost:{self.echo.port}")
        first = proxy.stop(60.0)
        await proxy.stop()
        self.assert_nothing_left(before)
        await first
