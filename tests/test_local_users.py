"""``--local-auth-file``: who may use the proxy."""

from __future__ import annotations

import base64
from pathlib import Path

from aluvia.testing.http import read_response
from tests.aluvia_process import AluviaProcess
from tests.support import ProxyCase


def basic(userinfo: str) -> bytes:
    """A Proxy-Authorization field."""
    return b"Proxy-Authorization: Basic " + base64.b64encode(userinfo.encode())


class LocalUsersTests(ProxyCase):
    """With the file, every request needs the name and password of a line."""

    async def start(self) -> AluviaProcess:
        """A proxy for two users."""
        users = Path("users").absolute()
        users.write_text("# who may\nme:mine\n\nmüller:pass:word\n")
        return await self.aluvia("--local-auth-file", str(users), gateway=self.gateway())

    async def test_without(self) -> None:
        """Without good credentials: 407 with our own challenge, and nothing goes out."""
        origin = self.origin()
        proxy = await self.start()
        url = f"http://127.0.0.1:{origin.port}/"
        for fields in (
            [],
            [basic("me:other")],
            [basic("other:mine")],
            [basic("me")],
            [b"Proxy-Authorization: Basic ????"],
            [b"Proxy-Authorization: Bearer bWU6bWluZQ=="],
            [b"Proxy-Authorization: Basic"],
            [b"Authorization: Basic bWU6bWluZQ=="],
        ):
            answer = await self.get(proxy, url, *fields)
            self.assertEqual(answer.status, 407, fields)
            self.assertRegex(answer.header(b"proxy-authenticate") or b"", b"^Basic realm=")
            self.assertTrue(answer.header(b"x-aluvia-request-id"))
        _, answer = await self.tunnel(proxy, f"127.0.0.1:{origin.port}")
        self.assertEqual(answer.status, 407)
        self.assertEqual(origin.peer.accepted, 0)

    async def test_with(self) -> None:
        """Each user of the file may, both ways, and the credentials stop here."""
        origin = self.origin()
        proxy = await self.start()
        for userinfo in ("me:mine", "müller:pass:word"):
            for host in ("127.0.0.1", "www.example.com"):
                answer = await self.get(proxy, f"http://{host}:{origin.port}/", basic(userinfo))
                self.assertEqual(answer.status, 200, answer)
                self.assertIsNone(origin.visits[-1].header(b"proxy-authorization"))

    async def test_every_request(self) -> None:
        """Credentials are judged for each request of a connection, not once."""
        origin = self.origin()
        proxy = await self.start()
        connection = await self.connect(proxy)
        head = b"GET http://127.0.0.1:%d/ HTTP/1.1\r\nHost: a\r\n" % origin.port
        for fields, status in ((b"", 407), (basic("me:mine") + b"\r\n", 200), (b"", 407)):
            await connection.send(head + fields + b"\r\n")
            self.assertEqual((await read_response(connection)).status, status)

    async def test_curl(self) -> None:
        """``curl --proxy-user`` and a URL with user and password, http and CONNECT."""
        origin = self.origin()
        proxy = await self.start()
        url = f"http://127.0.0.1:{origin.port}/"
        for options in (
            ("--proxy", proxy.url, "--proxy-user", "me:mine"),
            ("--proxy", f"http://me:mine@127.0.0.1:{proxy.port}"),
            ("--proxy", proxy.url, "--proxy-user", "me:mine", "--proxytunnel"),
            ("--proxy", proxy.url, "--proxy-user", "me:mine", "--proxy-anyauth"),
        ):
            curled = await self.curl("--fail", *options, url)
            self.assertEqual(curled.status, 0, (options, curled))
        curled = await self.curl("--fail", "--proxy", proxy.url, url)
        self.assertEqual(curled.status, 22, curled)

    async def test_secrets(self) -> None:
        """Neither a user's password nor a wrong guess is logged."""
        users = Path("users").absolute()
        users.write_text("me:local-canary-1\n")
        proxy = await self.aluvia("--local-auth-file", str(users), "--log-level", "debug")
        origin = self.origin()
        for userinfo in ("me:local-canary-1", "me:guess-canary-2"):
            answer = await self.get(proxy, f"http://127.0.0.1:{origin.port}/", basic(userinfo))
            self.assertNotIn(b"canary", answer.body)
        for secret in ("local-canary-1", "guess-canary-2"):
            self.assertNotIn(secret, proxy.output)
            self.assertNotIn(base64.b64encode(f"me:{secret}".encode()).decode(), proxy.output)
