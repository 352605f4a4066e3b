"""Whatever a connection made is freed when it ends, and not when the collector comes by."""

from __future__ import annotations

import collections
import functools
import gc
import socket
import ssl
import typing

import trustme

from aluvia.client.test.local_case import LocalCase, reactor
from aluvia.net.parent import ParentProxy
from aluvia.net.test.dialling import FakeGetAddrInfo
from aluvia.testing.faults import Accepting, Echo, FaultPeer
from aluvia.testing.gateway import FakeGateway
from aluvia.testing.origin import FakeOrigin, Visit

#: Names whose address is known without asking anybody; the second one is proxied.
DIRECT = "site.localhost"
PROXIED = "site.proxied.localhost"
LOOKED_UP = "site.test"
RULES = ("*.proxied.localhost",)


class FreedCase(LocalCase):
    """A proxy, what it leads to, and no collector."""

    def setUp(self) -> None:
        """Switch the collector off."""
        gc.disable()
        self.addCleanup(gc.enable)
        self.echo = self.peer(FaultPeer(reactor, [Echo()]))
        self.origin = self.peer(FakeOrigin(reactor))
        self.origin.routes["/last"] = last

    def start_with_gateway(self, *, tls: bool = False, certified: str = "localhost") -> None:
        """Start with a gateway for proxied names, and with its certificate's authority."""
        context = authorities = None
        if tls:
            signs = trustme.CA()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            signs.issue_cert(certified).configure_cert(context)
            authorities = signs.cert_pem.bytes()
        gateway = self.peer(FakeGateway(reactor, context=context))
        parent = ParentProxy("localhost", gateway.port, "user", "pass", tls=tls)
        self.start(gateway=parent, rules=RULES, gateway_ca=authorities)

    def start_looking_up(self) -> None:
        """Start with a name that is looked up each time."""
        proxy = self.start()
        self.patch(proxy.resolver, "_getaddrinfo", FakeGetAddrInfo({LOOKED_UP: ["127.0.0.1"]}))
        self.patch(proxy.resolver, "_keep", 0.0)

    async def alive(self) -> collections.Counter[str]:
        """What is there of the product's, by class, when every client is gone."""
        await self.when(lambda: not self.proxy.connections_open)
        # What was closed to an upstream just now is gone then.
        await self.turns(3)
        return count_by_class()

    async def assert_freed(self, meet: typing.Callable[[], typing.Awaitable[None]]) -> None:
        """
        Meet the proxy a few times: no object is left that was not left by the first time, which
        fills the caches.
        """
        await meet()
        before = await self.alive()
        for _ in range(3):
            await meet()
        self.assertEqual(await self.alive() - before, collections.Counter())

    async def tunnel(self, host: str) -> None:
        """A tunnel through which a byte goes there and back, from its CONNECT to its end."""
        client = await self.connect()
        answer = await self.open_tunnel(client, f"{host}:{self.echo.port}")
        self.assertEqual(answer.status, 200)
        await client.send(b"x")
        await client.read_exactly(1)
        client.close()

    async def requests(self, host: str) -> None:
        """Two requests on one connection, to a site that closes its own behind the second."""
        client = await self.connect()
        for path in ("/", "/last"):
            answer = await self.get(client, f"{host}:{self.origin.port}", path)
            self.assertEqual(answer.status, 200)
        client.close()


class TunnelTests(FreedCase):
    """CONNECT."""

    async def test_direct(self) -> None:
        """Nothing is left of a tunnel."""
        self.start()
        await self.assert_freed(lambda: self.tunnel(DIRECT))

    async def test_through_a_gateway(self) -> None:
        """Nor where a gateway was asked for it."""
        self.start_with_gateway()
        await self.assert_freed(lambda: self.tunnel(PROXIED))

    async def test_through_a_gateway_over_tls(self) -> None:
        """Nor where it was asked over TLS."""
        self.start_with_gateway(tls=True)
        await self.assert_freed(lambda: self.tunnel(PROXIED))

    async def test_looked_up(self) -> None:
        """Nor where the way to it is not there at once, since its name must be looked up."""
        self.start_looking_up()
        await self.assert_freed(lambda: self.tunnel(LOOKED_UP))

    async def test_while_it_lives(self) -> None:
        """HTTP is gone, with its codec and the dial, when a tunnel has left it."""
        self.start_with_gateway()
        before = await self.alive()
        client = await self.connect()
        await self.open_tunnel(client, f"{PROXIED}:{self.echo.port}")
        there = count_by_class() - before
        self.assertEqual(there["Tunnel"], 1)
        self.assertEqual(there["WireRelay"], 1)
        for name in ("ServerConnection", "ServerExchange", "Pace", "ClientExchange", "_Asking",
                     "_TCPDialing", "_Attempt", "Connecting"):  # fmt: skip
            self.assertEqual(there[name], 0, name)
        client.close()

    async def test_client_gone_while_dialling(self) -> None:
        """A dial that nobody waits for any more leaves nothing."""
        # A bare socket: a peer that has its say about the reset keeps the reactor's frames, and
        # what they hold, in its traceback.
        silent = socket.create_server(("127.0.0.1", 0))
        silent.setblocking(False)
        self.addCleanup(silent.close)
        self.start(gateway=ParentProxy("localhost", silent.getsockname()[1]), rules=RULES)

        def accepted() -> bool:
            try:
                connection, _ = silent.accept()
            except BlockingIOError:
                return False
            self.addCleanup(connection.close)
            return True

        async def give_up() -> None:
            client = await self.connect()
            await client.send(f"CONNECT {PROXIED}:80 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await self.when(accepted)
            client.reset()

        await self.assert_freed(give_up)


class RequestTests(FreedCase):
    """Plain ``http://``."""

    async def test_direct(self) -> None:
        """Nothing is left of requests and their connection."""
        self.start()
        await self.assert_freed(lambda: self.requests(DIRECT))

    async def test_through_a_gateway(self) -> None:
        """Nor where a gateway was asked."""
        self.start_with_gateway()
        await self.assert_freed(lambda: self.requests(PROXIED))

    async def test_through_a_gateway_over_tls(self) -> None:
        """Nor where it was asked over TLS."""
        self.start_with_gateway(tls=True)
        await self.assert_freed(lambda: self.requests(PROXIED))

    async def test_looked_up(self) -> None:
        """Nor where the way to it is not there at once, since its name must be looked up."""
        self.start_looking_up()
        await self.assert_freed(lambda: self.requests(LOOKED_UP))

    async def test_between_two_requests(self) -> None:
        """An answered request is gone while its connection waits for the next."""
        self.start()
        before = await self.alive()
        client = await self.connect()
        await self.get(client, f"{DIRECT}:{self.origin.port}")
        there = count_by_class() - before
        self.assertEqual(there["ServerConnection"], 1)
        for name in ("Forward", "AbsoluteTarget", "_TCPDialing", "_Attempt", "Connecting"):
            self.assertEqual(there[name], 0, name)
        client.close()


class FailureTests(FreedCase):
    """What leads nowhere."""

    async def fails(self, authority: str) -> None:
        """A tunnel and a request that get a 502."""
        for ask in (self.open_tunnel, self.get):
            client = await self.connect()
            self.assertEqual((await ask(client, authority)).status, 502)
            client.close()

    async def test_refused(self) -> None:
        """A connection that is refused, to a site or to a gateway, leaves nothing."""
        nobody = self.peer(FaultPeer(reactor, accepting=Accepting.REFUSE))
        self.start(gateway=ParentProxy("localhost", nobody.port), rules=RULES)
        for host in (DIRECT, PROXIED):
            await self.assert_freed(functools.partial(self.fails, f"{host}:{nobody.port}"))

    async def test_guarded(self) -> None:
        """A place that must not be reached leaves nothing."""
        proxy = self.start()
        await self.assert_freed(lambda: self.fails(f"localhost:{proxy.port}"))

    async def test_another_gateway(self) -> None:
        """A gateway with the certificate of another host leaves nothing."""
        self.start_with_gateway(tls=True, certified="other.test")
        await self.assert_freed(lambda: self.fails(f"{PROXIED}:80"))


async def last(visit: Visit) -> None:
    """Answer, and close."""
    await visit.answer(200, [(b"Connection", b"close")])


def count_by_class() -> collections.Counter[str]:
    """How many objects of each class of the product's are alive."""
    classes = map(type, gc.get_objects())
    return collections.Counter(cls.__qualname__ for cls in classes if _is_ours(cls))


def _is_ours(cls: type) -> bool:
    parts = str(cls.__module__).split(".")
    return parts[0] == "aluvia" and "test" not in parts and "testing" not in parts
