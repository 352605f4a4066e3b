"""Authentication on the way of a request."""

from __future__ import annotations

import base64
import typing

from twisted.internet.defer import Deferred

from aluvia.edge.model import BasicProvider, HookProvider
from aluvia.edge.password_hashes import hash_password
from aluvia.edge.test.edge_case import HOST, EdgeCase, backend, seen
from aluvia.testing.http import read_response
from aluvia.testing.origin import Visit

USER, PASSWORD = "ann", "a:b:c"
GOOD = "Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HASH = hash_password(PASSWORD)


class AskingTests(EdgeCase):
    """A route with a provider."""

    def basic(self, **values: typing.Any) -> None:
        """Ask for a password."""
        self.open()
        self.origin_asked = self.origin()
        self.use(providers={"p": BasicProvider(id="p", users=((USER, HASH),))})
        self.route(backend(self.origin_asked), auth_provider="p", **values)

    async def test_a_password_is_not_cut(self) -> None:
        """What is behind its first colon is in it; the backend is told who, and not by what."""
        self.basic()
        self.assertEqual((await self.ask("/")).status, 401)
        fields = await self.echo("/", GOOD, "X-Forwarded-User: root", "x_forwarded_user: root")
        self.assertEqual(seen(fields, "X-Forwarded-User"), [USER])
        self.assertEqual(seen(fields, "Authorization"), [])
        self.assertNotIn("root", str(fields))
        short = "Authorization: Basic " + base64.b64encode(f"{USER}:a".encode()).decode()
        self.assertEqual((await self.ask("/", short)).status, 401)
        self.assertEqual(len(self.origin_asked.visits), 1)

    async def test_an_upgrade_is_asked_about(self) -> None:
        """A WebSocket is a request like any other."""
        self.basic()
        answer = await self.ask("/", "Connection: Upgrade", "Upgrade: websocket")
        self.assertEqual(answer.status, 401)
        self.assertEqual(self.origin_asked.peer.accepted, 0)

    async def test_a_body_waits(self) -> None:
        """Until it is known who asks; then it is whole."""
        self.basic()
        answer = await self.ask("/", GOOD, method="POST", body=b"w" * 300_000)
        self.assertIn(b"w" * 300_000, answer.body)

    async def hooked(self, path: str = "/allow", **values: typing.Any) -> None:
        """Ask a URL."""
        self.hook = self.origin()
        self.asked: list[Visit] = []
        self.gate: Deferred[None] = Deferred()

        async def allow(visit: Visit) -> None:
            self.asked.append(visit)
            await visit.answer(204, [(b"X-Auth-User", b"ann")])

        async def deny(visit: Visit) -> None:
            self.asked.append(visit)
            await visit.answer(302, [(b"Location", b"https://login.test/")], b"this way")

        async def stall(visit: Visit) -> None:
            self.asked.append(visit)
            await visit.conversation.connection.until_closed()

        self.hook.routes |= {"/allow": allow, "/deny": deny, "/stall": stall}
        self.open()
        provider = HookProvider(
            id="h",
            url=f"http://127.0.0.1:{self.hook.port}{path}",
            copy_headers=("X-Auth-User",),
            **values,
        )
        self.use(providers={"h": provider})
        self.route(backend(self.origin()), auth_provider="h")

    async def test_a_hook_lets_through(self) -> None:
        """It is told what is asked; its fields replace the client's."""
        await self.hooked()
        fields = await self.echo("/a?b", "X-Auth-User: root", "X_Auth_User: root")
        self.assertEqual(seen(fields, "X-Auth-User"), ["ann"])
        self.assertNotIn("root", str(fields))
        visit = self.asked[0]
        self.assertEqual(visit.header(b"x-forwarded-uri"), b"/a?b")
        self.assertEqual(visit.header(b"x-forwarded-method"), b"GET")
        self.assertEqual(visit.header(b"x-forwarded-host"), HOST.encode())

    async def test_a_hook_denies(self) -> None:
        """Its answer is the client's, as it is."""
        await self.hooked("/deny")
        answer = await self.ask("/")
        self.assertEqual((answer.status, answer.body), (302, b"this way"))
        self.assertEqual(answer.header(b"location"), b"https://login.test/")

    async def test_a_timeout_denies(self) -> None:
        """504, and nothing stays behind."""
        await self.hooked("/stall", timeout=0.05)
        answer = await self.ask("/")
        self.assertEqual(answer.status, 504)
        self.assertEqual(self.edge.proxy.live, set())

    async def test_a_client_that_leaves_meanwhile(self) -> None:
        """Nobody is asked for it any more."""
        await self.hooked("/stall")
        client = await self.connect()
        await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: self.asked)
        client.reset()
        await self.when(lambda: not self.edge.proxy.live)
        self.assertEqual(self.live.admission.active, 0)

    async def test_another_provider_meanwhile(self) -> None:
        """What was asked of the old one comes to its end; the next request asks the new one."""
        await self.hooked("/stall", timeout=5)
        client = await self.connect()
        await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        await self.when(lambda: self.asked)
        url = f"http://127.0.0.1:{self.hook.port}/allow"
        self.use(providers={"h": HookProvider(id="h", url=url)})
        self.assertEqual((await self.ask("/")).status, 200)
        self.assertEqual(len(self.edge.proxy.live), 1)
        client.reset()
        await self.when(lambda: not self.edge.proxy.live)
        self.assertEqual((await read_after(self)), 200)


async def read_after(case: EdgeCase) -> int:
    """One more request."""
    client = await case.connect()
    await client.send(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    return (await read_response(client)).status
