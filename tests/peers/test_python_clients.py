"""requests, httpx and aiohttp, given the proxy as their users give it."""

from __future__ import annotations

import asyncio
import gc
import ssl
import typing

from aluvia.testing.origin import Visit
from tests.peers.support import PeerCase, in_thread, need_module

HOSTS = ("localhost", "www.example.com")
BODY = b"0123456789" * 50_000


async def chunked(visit: Visit) -> None:
    """A chunked answer as large as the request's body and more."""
    body = await visit.body()
    await visit.begin(200, [(b"Transfer-Encoding", b"chunked")])
    for _ in range(10):
        await visit.send(body or b"empty")
    await visit.end()


class PythonClientCase(PeerCase):
    """Two sites, one with TLS, and a proxy."""

    async def start(self) -> list[str]:
        """Start all; the base URL of each site by each way."""
        self.plain = self.origin()
        self.secure = self.origin(context=self.certificates.server(*HOSTS))
        for site in (self.plain, self.secure):
            site.routes["/chunked"] = chunked
        self.proxy = await self.plain_proxy()
        self.authority = self.certificates.file()
        return [
            f"{scheme}://{host}:{site.port}"
            for scheme, site in (("http", self.plain), ("https", self.secure))
            for host in HOSTS
        ]

    def finish(self) -> None:
        """Both ways were taken: half of the bases go through the gateway."""
        self.assertGreater(len(self.parent.asked), 0)
        self.assertTrue(all(asked.authorized for asked in self.parent.asked))
        methods = {asked.method for asked in self.parent.asked}
        self.assertIn(b"CONNECT", methods)
        self.assertGreater(len(methods), 1)


class RequestsTests(PythonClientCase):
    """requests, with a session and by the environment's variables."""

    async def test_requests(self) -> None:
        """GET, POST, HEAD and a streamed upload."""
        requests = need_module("requests")
        bases = await self.start()
        proxies = {"http": self.proxy.url, "https": self.proxy.url}

        def work() -> None:
            with requests.Session() as session:
                session.trust_env = False
                session.proxies = proxies
                session.verify = self.authority
                for base in bases:
                    for _ in range(3):
                        seen = session.get(f"{base}/get?a=1").json()
                        self.assertEqual(seen["target"], "/get?a=1")
                    self.assertEqual(len(session.post(base, data=BODY).json()["body"]), len(BODY))
                    parts = iter([BODY[:1000], BODY[1000:]])
                    answer = session.post(f"{base}/chunked", data=parts)
                    self.assertEqual(answer.content, BODY * 10)
                    self.assertEqual(session.head(base).status_code, 200)

        await in_thread(work)
        self.finish()

    async def test_refusal(self) -> None:
        """A CONNECT that is refused is a ProxyError, not a hang; a plain one is a 502 to read."""
        requests = need_module("requests")
        await self.start()
        await self.parent.stop()
        proxies = {"http": self.proxy.url, "https": self.proxy.url}

        def work() -> None:
            with self.assertRaises(requests.exceptions.ProxyError):
                requests.get("https://www.example.com/", proxies=proxies, timeout=10)
            answer = requests.get("http://www.example.com/", proxies=proxies, timeout=10)
            self.assertEqual(answer.status_code, 502)
            self.assertIn("error=connection_refused", answer.headers["Proxy-Status"])

        await in_thread(work)
        # The error that was caught holds its connection in a cycle.
        gc.collect()


class HTTPXTests(PythonClientCase):
    """httpx, HTTP/1.1, many at once."""

    async def test_httpx(self) -> None:
        """GET and POST, and forty at once over one client."""
        httpx = need_module("httpx")
        bases = await self.start()
        context = ssl.create_default_context(cafile=self.authority)

        async def ask() -> None:
            async with httpx.AsyncClient(
                proxy=self.proxy.url, verify=context, trust_env=False, timeout=20
            ) as client:
                for base in bases:
                    answer = await client.get(f"{base}/get?a=1")
                    self.assertEqual(answer.json()["target"], "/get?a=1")
                    answer = await client.post(f"{base}/chunked", content=BODY)
                    self.assertEqual(answer.content, BODY * 10)
                answers = await asyncio.gather(
                    *(client.get(f"{bases[n % 4]}/{n}") for n in range(40))
                )
                targets = [answer.json()["target"] for answer in answers]
                self.assertEqual(targets, [f"/{n}" for n in range(40)])

        await in_thread(lambda: asyncio.run(ask()))
        self.finish()


class AiohttpTests(PythonClientCase):
    """aiohttp, with its proxy argument."""

    async def test_aiohttp(self) -> None:
        """GET, POST, chunked both ways, forty at once."""
        aiohttp = need_module("aiohttp")
        bases = await self.start()
        context = ssl.create_default_context(cafile=self.authority)

        async def parts() -> typing.AsyncIterator[bytes]:
            for at in range(0, len(BODY), 100_000):
                yield BODY[at : at + 100_000]

        async def ask() -> None:
            async with aiohttp.ClientSession() as session:
                arguments = {"proxy": self.proxy.url, "ssl": context}

                async def get(url: str) -> typing.Any:
                    async with session.get(url, **arguments) as answer:
                        return await answer.json()

                for base in bases:
                    self.assertEqual((await get(f"{base}/get?a=1"))["target"], "/get?a=1")
                    url = f"{base}/chunked"
                    async with session.post(url, data=parts(), **arguments) as answer:
                        self.assertEqual(await answer.read(), BODY * 10)
                seen = await asyncio.gather(*(get(f"{bases[n % 4]}/{n}") for n in range(40)))
                self.assertEqual([one["target"] for one in seen], [f"/{n}" for n in range(40)])

        await in_thread(lambda: asyncio.run(ask()))
        self.finish()
